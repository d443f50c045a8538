//! A key set: no private, symmetric or weak key is among its keys, and any of them can be tried on a token.
#![no_main]

use std::sync::Arc;

use boundgate_fuzz::decide::issuer::{Issuer, Keys};
use boundgate_fuzz::decide::jwt;
use boundgate_fuzz::decide::keys::KeySet;
use boundgate_fuzz::decide::token::Token;
use boundgate_fuzz::fixture::{CLAIM_HEADERS, TOKEN, issuer};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok((keys, left_out)) = KeySet::parse(data) else { return };
    // In what is passed over, one odd key or a member beside `keys`, half a surrogate goes unseen.
    let Ok(set) = serde_json::from_slice::<Value>(data) else { return };
    let all = set["keys"].as_array().unwrap();
    assert_eq!(keys.len() + left_out.len(), all.len().min(100) + usize::from(all.len() > 100));
    for (kid, kind) in keys.describe() {
        assert!(
            all.iter().any(|key| is_public(key) && key["kid"].as_str() == kid && fits(key, &kind)),
            "{kind}"
        );
    }
    for line in left_out {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let issuer = Issuer { keys: Keys { generation: 2, set: Some(Arc::new(keys)) }, ..issuer(None) };
    let _ = jwt::verify(Token::parse(&TOKEN).unwrap(), &[Arc::new(issuer)], &CLAIM_HEADERS);
});

fn is_public(key: &Value) -> bool {
    ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().all(|member| key.get(member).is_none())
        && key.get("use").is_none_or(|purpose| purpose == "sig")
}

fn fits(key: &Value, kind: &str) -> bool {
    let of = |kty: &str, crv: &str| key["kty"] == kty && key["crv"] == crv;
    let own = |name: &str| key.get("alg").is_none_or(|alg| alg == name);
    match kind {
        "EC P-256 for ES256" => of("EC", "P-256") && own("ES256"),
        "EC P-384 for ES384" => of("EC", "P-384") && own("ES384"),
        "OKP Ed25519 for EdDSA" => of("OKP", "Ed25519") && own("EdDSA"),
        rsa => {
            // 2048 bits in base64url
            let modulus = key["n"].as_str().unwrap_or_default();
            rsa.starts_with("RSA for ") && key["kty"] == "RSA" && modulus.len() >= 341
        }
    }
}
