#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use serde_json::json;

use super::*;
use crate::decide::fixture::{NOW, THUMBPRINT, base64url, claims, claims_with};

fn read(claims: Value) -> Result<Claims, Reason> {
    let Value::Object(object) = claims else { panic!("no object") };
    Claims::of_access_token(object).map_err(|refusal| refusal.reason)
}

fn assert_invalid(name: &str, value: Value) {
    assert_eq!(read(claims_with(name, value.clone())).err(), Some(Reason::ClaimsInvalid), "{name}: {value}");
}

fn confirmation(cnf: &str) -> Confirmation {
    Confirmation::read(Some(&serde_json::from_str(cnf).unwrap()))
}

#[test]
fn claims_are_read_as_they_stand() {
    let claims = read(claims()).unwrap();
    assert_eq!((claims.exp, claims.nbf, claims.iat), (Some(NOW + 300), Some(NOW - 10), Some(NOW - 10)));
    assert_eq!(claims.audiences.unwrap(), ["https://api.example.com"]);
    assert_eq!(claims.scope.as_deref(), Some("read write"));
    assert_eq!(claims.subject.as_deref(), Some("alice"));
    assert_eq!(claims.client_id.as_deref(), Some("client-1"));
    assert_ne!(claims.confirmation, Confirmation::Absent);
}

#[test]
fn exp_is_required_and_the_rest_is_not() {
    // RFC 9068 §2.2, §4
    assert_eq!(read(json!({})).err(), Some(Reason::ClaimsInvalid));
    let claims = read(json!({"exp": 1})).unwrap();
    assert_eq!((claims.exp, claims.nbf, claims.iat), (Some(1), None, None));
    assert!(claims.audiences.is_none() && claims.scope.is_none());
    assert_eq!((claims.subject, claims.client_id), (None, None));
    assert_eq!(claims.confirmation, Confirmation::Absent);
}

#[test]
fn dates_are_numbers_since_1970() {
    // RFC 7519 §2: NumericDate is a JSON numeric value; a string is refused, not converted.
    for name in ["exp", "nbf", "iat"] {
        for value in
            [json!("1700000000"), json!(""), json!(-1), json!(-0.5), json!(true), json!([1]), json!({})]
        {
            assert_invalid(name, value);
        }
        let Value::Object(mut object) = claims() else { panic!() };
        object.insert(name.to_owned(), Value::Null);
        assert_eq!(read(Value::Object(object)).err(), Some(Reason::ClaimsInvalid), "{name}: null");
    }
    for (value, seconds) in [(json!(0), 0), (json!(1.0), 1), (json!(1.999), 1), (json!(u64::MAX), u64::MAX)] {
        assert_eq!(read(claims_with("exp", value)).unwrap().exp, Some(seconds));
    }
}

#[test]
fn aud_is_a_string_or_strings() {
    // RFC 7519 §4.1.3
    assert_eq!(read(claims_with("aud", json!(["a", "b"]))).unwrap().audiences.unwrap(), ["a", "b"]);
    assert_eq!(read(claims_with("aud", json!([]))).unwrap().audiences, Some(vec![]));
    for value in [json!(1), json!(false), json!({"a": 1}), json!(["a", 1]), json!([["a"]]), json!([null])] {
        assert_invalid("aud", value);
    }
}

#[test]
fn scopes_come_as_words_or_as_a_list() {
    // RFC 9068 §2.2.3, RFC 6749 §3.3
    let scope = |claims: Value| read(claims).map(|claims| claims.scope.unwrap_or_default());
    assert_eq!(scope(json!({"exp": 1, "scope": "a b"})), Ok("a b".to_owned()));
    assert_eq!(scope(json!({"exp": 1, "scope": ["a", "b"]})), Ok("a b".to_owned()));
    assert_eq!(scope(json!({"exp": 1, "scp": "a b"})), Ok("a b".to_owned()));
    assert_eq!(scope(json!({"exp": 1, "scp": ["a", "b"]})), Ok("a b".to_owned()));
    assert_eq!(scope(json!({"exp": 1, "scope": "a", "scp": ["b"]})), Ok("a".to_owned()), "scope comes first");
    assert_eq!(scope(json!({"exp": 1, "scope": [], "scp": ["b"]})), Ok(String::new()), "even if it is empty");
    for name in ["scope", "scp"] {
        for value in [json!(1), json!({}), json!(null), json!([1]), json!([["a"]]), json!(["a b"])] {
            assert_eq!(scope(json!({"exp": 1, name: value})), Err(Reason::ClaimsInvalid), "{name}: {value}");
        }
    }
}

#[test]
fn names_are_strings_and_cut_for_the_log() {
    // RFC 7519 §4.1.2, RFC 9068 §2.2
    for name in ["sub", "client_id"] {
        for value in [json!(1), json!(["alice"]), json!({})] {
            assert_invalid(name, value);
        }
        assert_eq!(read(json!({"exp": 1, name: null})).err(), Some(Reason::ClaimsInvalid));
    }
    let long = read(json!({"exp": 1, "sub": format!("a{}", "ß".repeat(200))})).unwrap();
    assert_eq!(
        long.subject.as_deref().map(str::len),
        Some(255),
        "cut before the character that would be split"
    );
    assert_eq!(read(json!({"exp": 1, "azp": "app"})).unwrap().client_id.as_deref(), Some("app"));
    assert_eq!(
        read(json!({"exp": 1, "azp": "app", "client_id": "c"})).unwrap().client_id.as_deref(),
        Some("c")
    );
    assert_eq!(read(json!({"exp": 1, "azp": 1})).unwrap().client_id, None);
}

#[test]
fn the_thumbprint_is_32_bytes_in_base64url() {
    // RFC 8705 §3.1, with the thumbprint of its appendix A
    let Confirmation::Thumbprint(bytes) = confirmation(&format!("{{\"x5t#S256\":\"{THUMBPRINT}\"}}")) else {
        panic!("not understood");
    };
    assert_eq!(base64url(bytes), THUMBPRINT);
    assert_eq!(bytes[..3], [0x03, 0x80, 0xed]);
}

#[test]
fn every_other_spelling_of_a_thumbprint_is_unsupported() {
    // RFC 8705 §3.1: without '=', whitespace, line breaks or other characters.
    let mut spellings =
        vec![String::new(), format!("{THUMBPRINT}="), format!(" {THUMBPRINT}"), format!("{THUMBPRINT} ")];
    spellings.push(format!("{THUMBPRINT}\\n"));
    spellings.push(format!("{}\\n{}", &THUMBPRINT[..20], &THUMBPRINT[20..]));
    spellings.push(format!("{}+{}", &THUMBPRINT[..20], &THUMBPRINT[21..]));
    spellings.push(format!("{}/{}", &THUMBPRINT[..20], &THUMBPRINT[21..]));
    spellings.push(format!("{}é{}", &THUMBPRINT[..20], &THUMBPRINT[22..]));
    spellings.push(THUMBPRINT[..42].to_owned());
    spellings.push(format!("{THUMBPRINT}A"));
    spellings.push("A".repeat(44));
    spellings.push("03".repeat(32)); // as `openssl x509 -fingerprint` has it
    // The illustration in §3.1 itself: no SHA-256 is spelt so, its last character has an unused bit set.
    spellings.push("bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2".to_owned());
    for last in ['1', '2', '3'] {
        // '0' with one of the two unused bits, or both, set
        spellings.push(format!("{}{last}", &THUMBPRINT[..42]));
    }
    for spelling in spellings {
        let confirmation = confirmation(&format!("{{\"x5t#S256\":\"{spelling}\"}}"));
        assert!(matches!(confirmation, Confirmation::Unsupported(_)), "{spelling:?}: {confirmation:?}");
    }
}

#[test]
fn a_confirmation_that_is_not_understood_is_not_absent() {
    // RFC 7800 §3.1, RFC 8705 §7.2
    for cnf in [
        "null",
        "{}",
        "[]",
        "\"\"",
        "1",
        "true",
        r#"{"jwk":{}}"#,
        r#"{"kid":"a"}"#,
        r#"{"x5t":"abc"}"#,
        r#"{"X5T#S256":"a"}"#,
        r#"{"x5t#S256":null}"#,
        r#"{"x5t#S256":1}"#,
        r#"{"x5t#S256":[]}"#,
        r#"{"jkt":"a"}"#,
        r#"{"jkt":null}"#,
    ] {
        assert!(matches!(confirmation(cnf), Confirmation::Unsupported(_)), "{cnf}");
    }
    let listed = format!("{{\"x5t#S256\":[\"{THUMBPRINT}\"]}}");
    assert!(matches!(confirmation(&listed), Confirmation::Unsupported(_)));
}

#[test]
fn beside_a_thumbprint_unknown_members_are_ignored_and_jkt_is_not() {
    // RFC 7800 §3.1: unknown members are ignored; `jkt` (RFC 9449 §6.1) is known, and a proof of it cannot be checked.
    let unknown = format!("{{\"x5t#S256\":\"{THUMBPRINT}\",\"kid\":\"a\",\"x\":null}}");
    assert!(matches!(confirmation(&unknown), Confirmation::Thumbprint(_)));
    let jkt = format!("{{\"x5t#S256\":\"{THUMBPRINT}\",\"jkt\":\"a\"}}");
    assert!(matches!(confirmation(&jkt), Confirmation::Unsupported(_)));
}
