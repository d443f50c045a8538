//! Attacks that worked elsewhere.
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::json;

use crate::decide::fixture::*;
use crate::decide::issuer::Algorithm;
use crate::decide::refusal::Reason;

/// A genuine token's first two parts, and its signature's bytes.
fn apart(algorithm: Algorithm) -> (String, Vec<u8>) {
    let token = signer(algorithm).sign(algorithm, &header(algorithm).to_string(), &claims().to_string());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    (signed.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

fn assert_signature_refused(signed: &str, signature: &[u8], what: &str) {
    let outcome = verify(&format!("{signed}.{}", base64url(signature)));
    assert_eq!(reason(outcome), Reason::SignatureInvalid, "{what}");
}

#[test]
fn unsigned_tokens() {
    // RFC 8725 §3.2: `none`, in every case that a careless comparison lets through
    for alg in ["none", "None", "NONE", "nOnE", "noNe"] {
        let signed =
            format!("{}.{}", base64url(json!({"alg": alg}).to_string()), base64url(claims().to_string()));
        for signature in ["", "AAAA"] {
            assert_eq!(reason(verify(&format!("{signed}.{signature}"))), Reason::AlgorithmRefused);
        }
    }
    for algorithm in Algorithm::ALL {
        assert_signature_refused(&apart(algorithm).0, b"", algorithm.name());
    }
}

#[test]
fn hmac_with_the_public_key_as_secret() {
    // RFC 8725 §2.1, §3.1
    let jwk = &signer(Algorithm::Rs256).jwk;
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    for secret in [n, jwk.to_string().into_bytes(), jwk["n"].as_str().unwrap().into(), Vec::new()] {
        for says in ["HS256", "RS256"] {
            let header = json!({"alg": says, "kid": "rsa"}).to_string();
            let signed = format!("{}.{}", base64url(header), base64url(claims().to_string()));
            let key = EncodingKey::from_secret(&secret);
            let signature =
                jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
            let expected = if says == "HS256" { Reason::AlgorithmRefused } else { Reason::SignatureInvalid };
            assert_eq!(reason(verify(&format!("{signed}.{signature}"))), expected);
        }
    }
}

#[test]
fn psychic_signatures() {
    // CVE-2022-21449: r and s must lie within 1 and n - 1.
    let order = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    let order: Vec<u8> =
        (0..64).step_by(2).map(|i| u8::from_str_radix(&order[i..i + 2], 16).unwrap()).collect();
    let (signed, genuine) = apart(Algorithm::Es256);
    let (r, s) = genuine.split_at(32);
    let zero = &[0; 32][..];
    let max = &[0xff; 32][..];
    for (r, s) in [
        (zero, zero),
        (zero, s),
        (r, zero),
        (&order, &order),
        (&order, s),
        (r, &order),
        (max, max),
        (r, max),
        (s, r),
    ] {
        assert_signature_refused(&signed, &[r, s].concat(), "ES256");
    }
    assert_signature_refused(&apart(Algorithm::Es384).0, &[0; 96], "ES384");
    assert_signature_refused(&apart(Algorithm::EdDsa).0, &[0; 64], "EdDSA");
    for rsa in [Algorithm::Rs256, Algorithm::Ps256] {
        for signature in [vec![0; 256], vec![0xff; 256], [&[0; 255][..], &[1]].concat()] {
            assert_signature_refused(&apart(rsa).0, &signature, rsa.name());
        }
    }
}

#[test]
fn signatures_have_exactly_their_length() {
    // RFC 7518 §3.4: r and s as octets of the order's length; §3.3: the modulus' length
    for algorithm in Algorithm::ALL {
        let (signed, genuine) = apart(algorithm);
        let name = algorithm.name();
        assert!(verify(&format!("{signed}.{}", base64url(&genuine))).is_ok());
        assert_signature_refused(&signed, &genuine[..genuine.len() - 1], name);
        assert_signature_refused(&signed, &genuine[1..], name);
        assert_signature_refused(&signed, &[&genuine[..], &[0]].concat(), name);
        assert_signature_refused(&signed, &[&[0], &genuine[..]].concat(), name);
        assert_signature_refused(&signed, &genuine.repeat(2), name);
        assert_signature_refused(&signed, &vec![0; 40_000], name);
        // Both halves filled up with zeros are still the same numbers.
        let (r, s) = genuine.split_at(genuine.len() / 2);
        assert_signature_refused(&signed, &[&[0], r, &[0], s].concat(), name);
    }
}

#[test]
fn der_encoded_ecdsa_signatures() {
    // RFC 7518 §3.4: fixed length, not the ASN.1 of X.509
    let pair = EcdsaKeyPair::from_private_key_der(
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        signer(Algorithm::Es256).key.as_bytes(),
    )
    .unwrap();
    let (signed, _) = apart(Algorithm::Es256);
    let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
    assert_signature_refused(&signed, signature.as_ref(), "DER");
}

#[test]
fn embedded_keys() {
    // CVE-2018-0114; RFC 8725 §3.10
    let stranger = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let point = stranger.public_key_raw();
    let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
    let stranger = Signer {
        key: EncodingKey::from_ec_der(stranger.serialized_der()),
        jwk: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "p256", "alg": "ES256", "use": "sig"}),
    };
    for (kid, expected) in [("p256", Reason::SignatureInvalid), ("stranger", Reason::KeyUnknown)] {
        let header =
            json!({"alg": "ES256", "kid": kid, "jwk": stranger.jwk, "jku": "https://evil.example/jwks"});
        let token = stranger.sign(Algorithm::Es256, &header.to_string(), &claims().to_string());
        assert_eq!(reason(verify(&token)), expected);
    }
    let header = json!({"alg": "ES256", "jwk": stranger.jwk, "x5c": ["AAAA"]}).to_string();
    let token = stranger.sign(Algorithm::Es256, &header, &claims().to_string());
    assert_eq!(reason(verify(&token)), Reason::SignatureInvalid);
}

#[test]
fn kids_that_are_paths_queries_or_huge() {
    // RFC 8725 §3.10: `kid` is data.
    for kid in [
        "../../../../dev/null",
        "/etc/passwd",
        "' OR 1=1 --",
        "p256' UNION SELECT 'x",
        "$(id)",
        "p256\0.pem",
        &"k".repeat(40_000),
    ] {
        let outcome = verify(&token_of(&header_with("kid", json!(kid)), &claims()));
        assert_eq!(reason(outcome), Reason::KeyUnknown, "{kid:.30}");
    }
}

#[test]
fn claims_of_one_token_under_the_signature_of_another() {
    for algorithm in Algorithm::ALL {
        let (_, signature) = apart(algorithm);
        let header = base64url(header(algorithm).to_string());
        let forged = base64url(claims_with("sub", json!("admin")).to_string());
        assert_signature_refused(&format!("{header}.{forged}"), &signature, algorithm.name());
    }
}
