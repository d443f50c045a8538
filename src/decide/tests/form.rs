//! The compact serialization and the payload.
use serde_json::{Value, json};

use crate::decide::fixture::*;
use crate::decide::issuer::Algorithm;
use crate::decide::jwt::Miss;
use crate::decide::refusal::Reason;

fn refused(token: &str) -> Reason {
    let outcome = verify(token);
    assert!(!matches!(outcome, Err(Miss::Keys { .. })), "newer keys are no help: {token}");
    reason(outcome)
}

fn with_payload(payload: &str) -> String {
    let header = header(Algorithm::Es256).to_string();
    signer(Algorithm::Es256).sign(Algorithm::Es256, &header, payload)
}

/// [`claims`] as text, with this text before the closing brace.
fn claims_and(more: &str) -> String {
    let claims = claims().to_string();
    format!("{}{more}}}", claims.strip_suffix('}').unwrap())
}

#[test]
fn a_signed_jwt_has_three_parts() {
    // RFC 7515 §7.1; five are a JWE (RFC 7516 §7.1), which nobody here can read.
    let valid = token(&claims());
    let (unsigned, signature) = valid.rsplit_once('.').unwrap();
    let (protected, payload) = unsigned.split_once('.').unwrap();
    for token in [
        "opaque",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        &format!("{valid}."),
        &format!(".{valid}"),
        &format!("{valid}.{signature}"),
        &format!("{unsigned}..{signature}"),
        unsigned,
        signature,
        &format!("{valid}.a.b"),
        "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AAAA.AAAA.AAAA.AAAA",
        &".".repeat(60_000),
        // §7.2, and what is a compact one to a reader that splits and a JSON one to a reader that parses.
        &json!({"protected": protected, "payload": payload, "signature": signature}).to_string(),
        &format!(
            "{{\"{valid}\":\"\",\"protected\":\"{protected}\",\"payload\":\"{payload}\",\"signature\":\"{signature}\"}}"
        ),
    ] {
        assert_eq!(refused(token), Reason::TokenMalformed, "{token}");
    }
}

#[test]
fn parts_are_canonical_base64url() {
    // RFC 7515 §2, RFC 4648 §3.5: no padding, no whitespace, no other alphabet, no unused bits.
    let valid = token(&claims_with("pad", json!("?>~?>~?>~")));
    let parts: Vec<&str> = valid.split('.').collect();
    let join = |index: usize, part: &str| {
        let mut parts = parts.clone();
        parts[index] = part;
        parts.join(".")
    };
    assert!(verify(&valid).is_ok());
    for (index, part) in parts.iter().enumerate() {
        for odd in [
            format!("{part}="),
            format!("{part}=="),
            format!("{part} "),
            format!(" {part}"),
            format!("{part}\n"),
            format!("{part}A"),
            format!("{part}~"),
            format!("{}+{}", &part[..8], &part[9..]),
            format!("{}/{}", &part[..8], &part[9..]),
            format!("{}\r\n{}", &part[..8], &part[8..]),
            format!("{}%2D{}", &part[..8], &part[8..]),
            String::new(),
        ] {
            // A character more can be base64url again, but then of something else.
            let outcome = reason(verify(&join(index, &odd)));
            let other = [Reason::TokenMalformed, Reason::SignatureInvalid];
            assert!(other.contains(&outcome), "{index} {odd}: {outcome:?}");
        }
        // Of the last character of each incomplete group some bits are unused; setting them must not make a second spelling.
        let unused = [0, 0, 4, 2][part.len() % 4];
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = alphabet.find(part.chars().last().unwrap()).unwrap();
        for bits in 1..1 << unused {
            let odd = format!("{}{}", &part[..part.len() - 1], &alphabet[last | bits..=last | bits]);
            assert_eq!(refused(&join(index, &odd)), Reason::TokenMalformed, "{index}");
        }
    }
    assert!(parts[1].contains(['-', '_']), "the payload shows both alphabets");
    let standard = parts[1].replace('-', "+").replace('_', "/");
    assert_eq!(refused(&join(1, &standard)), Reason::TokenMalformed);
}

#[test]
fn claims_are_unique() {
    // RFC 7519 §4, RFC 8725 §3.12: `iss`, `cnf` or `exp` twice would mean two tokens to two readers.
    for more in [
        r#","iss":"https://as.example.com""#,
        r#","cnf":{"x5t#S256":"A"}"#,
        r#","exp":9999999999"#,
        r#","aud":"a""#,
        r#","\u0065xp":9999999999"#,
        r#","x":{"a":1,"a":1}"#,
        r#","x":[{"a":1,"a":1}]"#,
    ] {
        assert_eq!(refused(&with_payload(&claims_and(more))), Reason::TokenMalformed, "{more}");
    }
    let twice = format!(",\"cnf\":{{\"x5t#S256\":\"{THUMBPRINT}\",\"x5t#S256\":\"{THUMBPRINT}\"}}}}");
    let payload = claims_with("cnf", Value::Null).to_string();
    let payload = format!("{}{twice}", payload.strip_suffix('}').unwrap());
    assert_eq!(refused(&with_payload(&payload)), Reason::TokenMalformed);
}

#[test]
fn nothing_stands_after_the_claims() {
    let claims = claims().to_string();
    for payload in
        [format!("{claims}x"), format!("{claims}{claims}"), format!("{claims}\0"), format!("[{claims}]")]
    {
        assert_eq!(refused(&with_payload(&payload)), Reason::TokenMalformed);
    }
    for payload in ["", "null", "1", "\"a\"", "[]", "a.b.c"] {
        assert_eq!(refused(&with_payload(payload)), Reason::TokenMalformed);
    }
    assert!(verify(&with_payload(&format!(" \r\n{claims}\t "))).is_ok(), "JSON may have space around it");
}

#[test]
fn depth_and_numbers_are_bounded() {
    // RFC 8725 §3.12
    let deep = format!(",\"a\":{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(refused(&with_payload(&claims_and(&deep))), Reason::TokenMalformed);
    for number in ["1e400", "1e300", "-1e300", "18446744073709551616", &"9".repeat(10_000)] {
        for name in ["exp", "x"] {
            let payload = claims_with("exp", Value::Null).to_string();
            let payload = format!("{},\"{name}\":{number}}}", payload.strip_suffix('}').unwrap());
            assert_eq!(refused(&with_payload(&payload)), Reason::TokenMalformed, "{number:.20}");
        }
    }
}

#[test]
fn claims_of_a_wrong_type_are_refused() {
    // RFC 9068 §2.2, §4
    for (name, value) in [
        ("exp", Value::Null),
        ("exp", json!("1700000300")),
        ("exp", json!(-1)),
        ("nbf", json!("0")),
        ("iat", json!([])),
        ("aud", json!({})),
        ("sub", json!(1)),
        ("client_id", json!([])),
        ("scope", json!({})),
    ] {
        assert_eq!(refused(&token(&claims_with(name, value))), Reason::ClaimsInvalid, "{name}");
    }
}

#[test]
fn claims_are_judged_only_after_the_signature() {
    // Who does not hold a key learns nothing about what this API thinks of a token's claims.
    let valid = token(&claims_with("exp", json!("never")));
    let other = token(&claims());
    let forged = format!("{}.{}", valid.rsplit_once('.').unwrap().0, other.rsplit_once('.').unwrap().1);
    assert_eq!(reason(verify(&forged)), Reason::SignatureInvalid);
}

#[test]
fn no_note_holds_the_token() {
    // RFC 9700 §4.9.3
    let valid = token(&claims());
    for token in [
        &valid[..valid.len() - 1],
        &valid[1..],
        &format!("{valid}.x"),
        &format!("{valid}AAAA"),
        "opaque-secret",
    ] {
        let Err(Miss::Refused(refusal) | Miss::Keys { otherwise: refusal, .. }) = verify(token) else {
            panic!()
        };
        let shown = format!("{refusal:?}");
        assert!(!token.split('.').any(|part| part.len() > 5 && shown.contains(part)), "{shown}");
    }
}
