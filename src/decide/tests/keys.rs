//! Which issuer, which key, which algorithm.
use std::sync::Arc;

use serde_json::{Value, json};

use crate::decide::fixture::*;
use crate::decide::issuer::Algorithm;
use crate::decide::jwt::{self, Miss};
use crate::decide::policy::ClaimHeaders;
use crate::decide::refusal::Reason;
use crate::decide::token::Token;

fn signed(algorithm: Algorithm, header: &Value) -> String {
    signer(algorithm).sign(algorithm, &header.to_string(), &claims().to_string())
}

fn jwk(algorithm: Algorithm, kid: Value) -> Value {
    let mut jwk = signer(algorithm).jwk.clone();
    jwk["kid"] = kid;
    jwk
}

fn without_kid(algorithm: Algorithm) -> Value {
    json!({"alg": algorithm.name(), "typ": "at+jwt"})
}

/// The reason, if newer keys of the only issuer could still change it.
fn until_newer_keys(outcome: Result<crate::decide::verified::Genuine, Miss>) -> Reason {
    match outcome {
        Err(Miss::Keys { issuer: 0, otherwise }) => otherwise.reason,
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn every_algorithm_is_accepted_with_and_without_kid() {
    // RFC 7518 §3.3 to §3.5, RFC 8037 §3.1
    for algorithm in Algorithm::ALL {
        let genuine =
            verify(&signed(algorithm, &header(algorithm))).unwrap_or_else(|miss| panic!("{miss:?}"));
        assert_eq!((genuine.issuer(), genuine.generation()), (0, 7));
        assert_eq!(&**genuine.issuer_name(), ISSUER);
        assert_eq!(genuine.subject().map(|sub| &**sub), Some("alice"));
        assert_eq!(genuine.client_id().map(|id| &**id), Some("client-1"));
        assert!(verify(&signed(algorithm, &without_kid(algorithm))).is_ok(), "{}", algorithm.name());
    }
}

#[test]
fn algorithms_are_pinned_by_the_issuer() {
    // RFC 8725 §3.1
    for algorithm in Algorithm::ALL {
        let mut issuer = issuer();
        issuer.algorithms.retain(|pinned| *pinned != algorithm);
        let outcome = verify_with(issuer, &signed(algorithm, &header(algorithm)));
        assert_eq!(reason(outcome), Reason::AlgorithmRefused, "{}", algorithm.name());
    }
}

#[test]
fn a_key_is_used_only_with_its_own_algorithm() {
    // RFC 8725 §3.1: by its type …
    for (header_says, key) in [
        (Algorithm::Es384, Algorithm::Es256),
        (Algorithm::Es256, Algorithm::Es384),
        (Algorithm::EdDsa, Algorithm::Es256),
        (Algorithm::Rs256, Algorithm::EdDsa),
        (Algorithm::Es256, Algorithm::Rs256),
    ] {
        let header = json!({"alg": header_says.name(), "kid": signer(key).kid()});
        let outcome = verify(&signed(key, &header));
        assert!(matches!(&outcome, Err(Miss::Refused(_))), "newer keys are no help");
        assert_eq!(reason(outcome), Reason::AlgorithmRefused);
    }
    // … and by its `alg`.
    let mut jwk = jwk(Algorithm::Ps256, json!("rsa"));
    jwk["alg"] = json!("PS256");
    for algorithm in [Algorithm::Rs256, Algorithm::Ps384] {
        let issuer = issuer_with(Some(key_set(std::slice::from_ref(&jwk))));
        let outcome = verify_with(issuer.clone(), &signed(algorithm, &header(algorithm)));
        assert_eq!(reason(outcome), Reason::AlgorithmRefused);
        let outcome = verify_with(issuer.clone(), &signed(algorithm, &without_kid(algorithm)));
        assert_eq!(until_newer_keys(outcome), Reason::KeyUnknown);
        assert!(verify_with(issuer, &signed(Algorithm::Ps256, &header(Algorithm::Ps256))).is_ok());
    }
}

#[test]
fn paddings_hashes_and_lengths_are_not_interchangeable() {
    // RFC 7518 §3.3, §3.5
    let rsa = [
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
    ];
    for says in rsa {
        for does in rsa.into_iter().filter(|does| *does != says) {
            let outcome = verify(&signed(does, &header(says)));
            assert_eq!(until_newer_keys(outcome), Reason::SignatureInvalid, "{says:?} {does:?}");
        }
    }
}

#[test]
fn without_keys_nothing_is_accepted_and_newer_ones_are_asked_for() {
    let outcome = verify_with(issuer_with(None), &token(&claims()));
    assert_eq!(until_newer_keys(outcome), Reason::KeysUnavailable);
}

#[test]
fn an_unknown_kid_asks_for_newer_keys() {
    let outcome = verify(&token_of(&header_with("kid", json!("next")), &claims()));
    assert_eq!(until_newer_keys(outcome), Reason::KeyUnknown);
    let issuer = issuer_with(Some(key_set(&[jwk(Algorithm::Es256, json!("p256"))])));
    let outcome = verify_with(issuer, &signed(Algorithm::EdDsa, &without_kid(Algorithm::EdDsa)));
    assert_eq!(until_newer_keys(outcome), Reason::KeyUnknown);
}

#[test]
fn a_failed_signature_asks_for_newer_keys() {
    // The issuer may have replaced a key under the same `kid`.
    let issuer = issuer_with(Some(key_set(&[
        jwk(Algorithm::Es384, json!("p256")),
        jwk(Algorithm::EdDsa, json!("x")),
    ])));
    let claims = claims().to_string();
    for header in [json!({"alg": "EdDSA", "kid": "x"}), json!({"alg": "EdDSA"})] {
        let mut token = signer(Algorithm::EdDsa).sign(Algorithm::EdDsa, &header.to_string(), &claims);
        token.truncate(token.rfind('.').unwrap() + 1);
        token.push_str(&"A".repeat(86));
        assert_eq!(until_newer_keys(verify_with(issuer.clone(), &token)), Reason::SignatureInvalid);
    }
}

#[test]
fn keys_may_share_a_kid() {
    let shared = [Algorithm::Rs256, Algorithm::Es384, Algorithm::Es256, Algorithm::EdDsa]
        .map(|algorithm| jwk(algorithm, json!("shared")));
    let issuer = issuer_with(Some(key_set(&shared)));
    for algorithm in Algorithm::ALL {
        let token = signed(algorithm, &json!({"alg": algorithm.name(), "kid": "shared"}));
        assert!(verify_with(issuer.clone(), &token).is_ok(), "{}", algorithm.name());
    }
}

#[test]
fn a_kid_is_compared_exactly() {
    // RFC 7515 §4.1.4
    for kid in ["P256", "p256 ", "p25", "p256\0", "", "p384", "*"] {
        let outcome = verify(&token_of(&header_with("kid", json!(kid)), &claims()));
        assert!([Reason::KeyUnknown, Reason::AlgorithmRefused].contains(&reason(outcome)), "{kid:?}");
    }
    // A key without `kid` is not the key of any `kid`.
    let mut nameless = signer(Algorithm::Es256).jwk.clone();
    nameless.as_object_mut().unwrap().remove("kid");
    let issuer = issuer_with(Some(key_set(&[nameless])));
    assert_eq!(until_newer_keys(verify_with(issuer.clone(), &token(&claims()))), Reason::KeyUnknown);
    assert!(verify_with(issuer, &signed(Algorithm::Es256, &without_kid(Algorithm::Es256))).is_ok());
}

#[test]
fn iss_is_compared_exactly() {
    // RFC 9068 §4, RFC 8725 §3.8
    for iss in [
        "",
        "https://as.example.com/",
        "https://AS.example.com",
        "https://as.example.com ",
        "http://as.example.com",
    ] {
        let outcome = verify(&token(&claims_with("iss", json!(iss))));
        assert!(matches!(outcome, Err(Miss::Refused(_))));
        assert_eq!(reason(outcome), Reason::IssuerUnknown, "{iss:?}");
    }
    assert_eq!(reason(verify(&token(&claims_with("iss", Value::Null)))), Reason::IssuerUnknown, "no iss");
    for iss in [json!(1), json!([ISSUER]), json!({"a": ISSUER})] {
        assert_eq!(reason(verify(&token(&claims_with("iss", iss)))), Reason::ClaimsInvalid);
    }
}

#[test]
fn a_key_proves_only_its_own_issuer() {
    // RFC 8725 §3.8: the keys that are tried belong to the `iss`.
    let mut other = issuer_with(Some(key_set(&[signer(Algorithm::Es384).jwk.clone()])));
    other.name = "https://other.example.com".into();
    let issuers = [Arc::new(other), Arc::new(issuer())];
    let verify = |token: &str| jwt::verify(Token::parse(token).unwrap(), &issuers, &ClaimHeaders::default());

    assert_eq!(verify(&token(&claims())).ok().unwrap().issuer(), 1);
    let foreign = claims_with("iss", json!("https://other.example.com"));
    for header in [header(Algorithm::Es256), without_kid(Algorithm::Es256)] {
        let miss = verify(&token_of(&header, &foreign)).err().unwrap();
        assert!(
            matches!(&miss, Miss::Keys { issuer: 0, otherwise } if otherwise.reason == Reason::KeyUnknown),
            "{miss:?}"
        );
    }
}
