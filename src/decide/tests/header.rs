//! The JOSE header.
use serde_json::{Value, json};

use crate::decide::fixture::*;
use crate::decide::issuer::{Algorithm, TokenTypes};
use crate::decide::jwt::Miss;
use crate::decide::refusal::Reason;

fn with(name: &str, value: Value) -> String {
    token_of(&header_with(name, value), &claims())
}

fn refused(token: &str) -> Reason {
    let outcome = verify(token);
    assert!(!matches!(outcome, Err(Miss::Keys { .. })), "newer keys are no help");
    reason(outcome)
}

#[test]
fn typ_says_access_token() {
    // RFC 9068 §4, RFC 7515 §4.1.9: compared without case, `application/` may stand before it.
    let at_jwt = ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"];
    let jwt = ["JWT", "jwt", "application/jwt", "APPLICATION/JWT"];
    let accepts = |types: TokenTypes, token: &str| {
        let mut issuer = issuer();
        issuer.token_types = types;
        match verify_with(issuer, token) {
            Ok(_) => true,
            miss => reason(miss) != Reason::TokenType && panic!("another reason"),
        }
    };
    for (types, typs, accepted) in [
        (TokenTypes { at_jwt: true, jwt: true }, at_jwt, true),
        (TokenTypes { at_jwt: true, jwt: true }, jwt, true),
        (TokenTypes { at_jwt: true, jwt: false }, at_jwt, true),
        (TokenTypes { at_jwt: true, jwt: false }, jwt, false),
        (TokenTypes { at_jwt: false, jwt: true }, at_jwt, false),
        (TokenTypes { at_jwt: false, jwt: true }, jwt, true),
    ] {
        for typ in typs {
            assert_eq!(accepts(types, &with("typ", json!(typ))), accepted, "{typ} {types:?}");
        }
        let none = token_of(&json!({"alg": "ES256", "kid": "p256"}), &claims());
        assert_eq!(accepts(types, &none), types.jwt, "no typ counts as JWT");
    }
}

#[test]
fn every_other_typ_is_refused_always() {
    // RFC 9068 §4, RFC 9701 §8.1, RFC 8725 §3.11
    for typ in [
        "dpop+jwt",
        "id+jwt",
        "secevent+jwt",
        "token-introspection+jwt",
        "logout+jwt",
        "oauth-authz-req+jwt",
        "JWE",
        "JOSE",
        "",
        "at+jwt ",
        " at+jwt",
        "at +jwt",
        "at-jwt",
        "application/",
        "application/application/jwt",
        "text/jwt",
        "at+jwt;a=b",
        "ät+jwt",
        "applicatio",
        "applicatioñ/jwt",
    ] {
        assert_eq!(refused(&with("typ", json!(typ))), Reason::TokenType, "{typ}");
    }
    for typ in [Value::Null, json!(1), json!(["at+jwt"]), json!({})] {
        assert_eq!(refused(&with("typ", typ)), Reason::TokenType);
    }
}

#[test]
fn an_introspections_answer_is_no_access_token_even_untyped() {
    // RFC 9701 §8.1
    let answer = claims_with("token_introspection", json!({"active": true}));
    assert_eq!(refused(&token(&answer)), Reason::TokenType);
}

#[test]
fn only_asymmetric_algorithms_are_known() {
    // RFC 8725 §3.2, RFC 7515 §4.1.1: never `none` in any spelling, never HMAC; names are case-sensitive.
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "HS256",
        "HS384",
        "HS512",
        "es256",
        "ES256 ",
        "ES256K",
        "ES512",
        "RS1",
        "Ed25519",
        "Ed448",
        "dir",
        "RSA-OAEP",
        "ECDH-ES",
        "ML-DSA-65",
        "",
    ] {
        assert_eq!(refused(&with("alg", json!(alg))), Reason::AlgorithmRefused, "{alg}");
    }
    for alg in [Value::Null, json!(256), json!(["ES256"]), json!({"ES256": true})] {
        assert_eq!(refused(&with("alg", alg)), Reason::TokenMalformed);
    }
    let header = json!({"kid": "p256", "typ": "at+jwt"});
    assert_eq!(refused(&token_of(&header, &claims())), Reason::TokenMalformed);
}

#[test]
fn what_would_change_the_meaning_of_the_parts_is_refused() {
    // RFC 7515 §4.1.11 (`crit`, even empty or of known names), RFC 7797 (`b64`), RFC 7516 §4.1 (`enc`, `zip`)
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("crit", json!(null)),
        ("crit", json!("alg")),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("enc", json!("A256GCM")),
        ("zip", json!("DEF")),
    ] {
        assert_eq!(refused(&with(name, value)), Reason::TokenMalformed, "{name}");
    }
}

#[test]
fn the_header_is_one_strict_object() {
    // RFC 7515 §4: names are unique; RFC 8725 §3.12
    let signer = signer(Algorithm::Es256);
    for header in [
        "",
        "null",
        "[]",
        "\"ES256\"",
        "{",
        r#"{"alg":"ES256"}{}"#,
        r#"{"alg":"ES256","alg":"none"}"#,
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":"p256","k\u0069d":"p256"}"#,
        r#"{"alg":"ES256","x":1e300}"#,
    ] {
        let token = signer.sign(Algorithm::Es256, header, &claims().to_string());
        assert_eq!(refused(&token), Reason::TokenMalformed, "{header}");
    }
    for kid in [Value::Null, json!(1), json!(["p256"]), json!({})] {
        assert_eq!(refused(&with("kid", kid)), Reason::TokenMalformed);
    }
}

#[test]
fn a_token_does_not_say_which_key_proves_it() {
    // RFC 8725 §3.10, RFC 7515 §4.1.2, §4.1.3, §4.1.5, §4.1.6: ignored, also where they are genuine or nonsense.
    for (name, value) in [
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("file:///etc/passwd")),
        ("x5c", json!(["AAAA"])),
        ("jwk", signer(Algorithm::Es384).jwk.clone()),
        ("jwk", json!(1)),
        ("x5t#S256", json!("A")),
        ("cty", json!("JWT")),
    ] {
        assert!(verify(&with(name, value)).is_ok(), "{name}");
    }
}
