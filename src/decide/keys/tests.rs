#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::decide::fixture::{base64url, key_set, signer};

fn parse(jwks: Value) -> Result<(KeySet, Vec<String>), KeySetFault> {
    KeySet::parse(jwks.to_string().as_bytes())
}

fn with(algorithm: Algorithm, name: &str, value: Value) -> Value {
    let mut jwk = signer(algorithm).jwk.clone();
    jwk[name] = value;
    jwk
}

/// Why a key is left out; beside it stands one that must survive.
fn left_out(jwk: Value) -> String {
    let (keys, left_out) = parse(json!({"keys": [jwk, signer(Algorithm::EdDsa).jwk]})).unwrap();
    assert_eq!((keys.len(), left_out.len()), (1, 1), "{left_out:?}");
    left_out[0].clone()
}

fn algorithms(jwk: Value) -> String {
    key_set(&[jwk]).describe().next().unwrap().1
}

fn unsigned(bytes: &[u8]) -> Value {
    json!(base64url(bytes))
}

#[test]
fn each_type_of_key_is_for_its_own_algorithms() {
    // RFC 8725 §3.1: a key is used only with its own algorithm.
    for (algorithm, description) in [
        (Algorithm::Es256, "EC P-256 for ES256"),
        (Algorithm::Es384, "EC P-384 for ES384"),
        (Algorithm::EdDsa, "OKP Ed25519 for EdDSA"),
        (Algorithm::Rs256, "RSA for PS256, PS384, PS512, RS256, RS384, RS512"),
    ] {
        let keys = key_set(&[signer(algorithm).jwk.clone()]);
        let kid = signer(algorithm).kid();
        assert_eq!(keys.describe().collect::<Vec<_>>(), [(Some(kid), description.to_owned())]);
    }
    for own in ["PS256", "RS512"] {
        assert_eq!(algorithms(with(Algorithm::Rs256, "alg", json!(own))), format!("RSA for {own}"));
    }
    for (algorithm, foreign) in [
        (Algorithm::Rs256, "ES256"),
        (Algorithm::Rs256, "RSA-OAEP"),
        (Algorithm::Rs256, "HS256"),
        (Algorithm::Rs256, "none"),
        (Algorithm::Es256, "ES384"),
        (Algorithm::Es256, "ECDH-ES"),
        (Algorithm::Es256, "es256"),
        (Algorithm::Es384, "EdDSA"),
    ] {
        assert!(left_out(with(algorithm, "alg", json!(foreign))).contains("'alg'"), "{foreign}");
    }
    assert!(left_out(with(Algorithm::Es256, "alg", json!(null))).contains("'alg'"));
}

#[test]
fn keys_for_other_purposes_are_left_out() {
    // RFC 7517 §4.2, §4.3
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(["sig"])),
        ("use", json!(null)),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("key_ops", json!([])),
        ("kid", json!(1)),
        ("kid", json!(null)),
        ("kty", json!("AKP")),
        ("kty", json!(1)),
        ("crv", json!("secp256k1")),
        ("crv", json!("P-521")),
        ("crv", json!("Ed25519")),
        ("crv", json!(null)),
    ] {
        left_out(with(Algorithm::Es256, name, value));
    }
    for (name, value) in [
        ("use", json!("sig")),
        ("key_ops", json!(["verify"])),
        ("x5c", json!([])),
        ("more", json!({"a": [1]})),
    ] {
        assert_eq!(algorithms(with(Algorithm::Es256, name, value)), "EC P-256 for ES256");
    }
    for crv in ["Ed448", "X25519"] {
        let jwk = json!({"keys": [with(Algorithm::EdDsa, "crv", json!(crv))]});
        assert!(parse(jwk).unwrap_err().0.contains("curve"));
    }
}

#[test]
fn private_and_symmetric_keys_are_left_out_and_not_shown() {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I";
    for jwk in [
        with(Algorithm::Es256, "d", json!(secret)),
        with(Algorithm::Rs256, "p", json!(secret)),
        json!({"kty": "oct", "k": secret, "kid": "shared", "alg": "HS256"}),
        json!({"kty": "RSA", "n": secret, "e": "AQAB"}),
        json!({"kty": "RSA", "n": secret, "e": "AQAB", "kid": 1}),
    ] {
        let description = left_out(jwk);
        assert!(!description.contains(secret), "{description}");
    }
}

#[test]
fn an_ec_point_lies_on_its_curve_and_has_its_length() {
    // RFC 8725 §3.4, RFC 7518 §6.2.1.2
    let x = URL_SAFE_NO_PAD.decode(signer(Algorithm::Es256).jwk["x"].as_str().unwrap()).unwrap();
    let mut off_curve = x.clone();
    off_curve[31] ^= 1;
    for odd in [off_curve, vec![0; 32], vec![0xff; 32]] {
        assert!(left_out(with(Algorithm::Es256, "x", unsigned(&odd))).contains("curve"));
    }
    for odd in [&x[..31], &[&[0], &x[..]].concat(), &[x.clone(), x.clone()].concat(), &[]] {
        assert!(left_out(with(Algorithm::Es256, "x", unsigned(odd))).contains("length"));
    }
    let jwk = with(Algorithm::Es256, "crv", json!("P-384"));
    assert!(left_out(jwk).contains("length"));
    let origin = json!({"kty": "EC", "crv": "P-256", "x": base64url([0; 32]), "y": base64url([0; 32])});
    assert!(left_out(origin).contains("curve"));
    for text in ["", "!", &format!("{}=", base64url(&x)), &format!(" {}", base64url(&x))] {
        left_out(with(Algorithm::Es256, "x", json!(text)));
    }
    assert!(parse(json!({"keys": [with(Algorithm::EdDsa, "x", unsigned(&[1; 33]))]})).is_err());
}

#[test]
fn an_rsa_key_has_2048_bits_and_an_odd_exponent() {
    // RFC 8725 §3.4, RFC 7518 §3.3, §3.5: at least 2048 bits.
    let n = URL_SAFE_NO_PAD.decode(signer(Algorithm::Rs256).jwk["n"].as_str().unwrap()).unwrap();
    let mut even = n.clone();
    even[255] &= 0xfe;
    let short = [&[0x7f], &n[1..]].concat(); // 2047 bits
    let long = [&[0x80][..], &vec![0; 1023], &[1, 1]].concat();
    for odd in [even, short, long, n[..128].to_vec(), [&[0; 128], &n[..128]].concat(), vec![0; 256], vec![]] {
        assert!(left_out(with(Algorithm::Rs256, "n", unsigned(&odd))).contains("modulus"), "{}", odd.len());
    }
    for e in
        [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 0, 0, 0, 1], &[255; 300]]
    {
        assert!(left_out(with(Algorithm::Rs256, "e", unsigned(e))).contains("exponent"), "{e:?}");
    }
    for e in [&[3][..], &[17], &[1, 0, 1], &[0, 1, 0, 1]] {
        assert!(algorithms(with(Algorithm::Rs256, "e", unsigned(e))).starts_with("RSA"), "{e:?}");
    }
    // A sign octet before the modulus is not canonical (RFC 7518 §2), but means the same.
    assert!(algorithms(with(Algorithm::Rs256, "n", unsigned(&[&[0], &n[..]].concat()))).starts_with("RSA"));
}

#[test]
fn one_odd_key_does_not_cost_the_others() {
    let good = signer(Algorithm::Es256).jwk.to_string();
    for odd in [
        "null",
        "1",
        "[]",
        "{}",
        "\"\"",
        r#"{"kty":"EC","kty":"EC"}"#,
        r#"{"kty":1e300}"#,
        &format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)),
    ] {
        let (keys, left_out) = KeySet::parse(format!("{{\"keys\":[{odd},{good}]}}").as_bytes()).unwrap();
        assert_eq!((keys.len(), left_out.len()), (1, 1), "{odd}");
        assert!(left_out[0].starts_with("key 0"), "{left_out:?}");
    }
}

#[test]
fn what_is_no_key_set_is_a_fault() {
    // RFC 7517 §5
    for text in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[]} x"#,
    ] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(parse(json!({"keys": []})).unwrap_err().0, "it holds no keys");
    let fault = parse(json!({"keys": [with(Algorithm::Es256, "use", json!("enc"))]})).unwrap_err();
    assert_eq!(fault.0, "none of its keys is usable: key 0 (kid \"p256\"): its 'use' is not \"sig\"");
    assert!(parse(json!({"keys": [signer(Algorithm::Es256).jwk], "more": 1})).is_ok());
}

#[test]
fn the_number_of_keys_is_bounded_and_descriptions_are_harmless() {
    let many = vec![signer(Algorithm::EdDsa).jwk.clone(); MAX_KEYS + 7];
    let (keys, left_out) = parse(json!({"keys": many})).unwrap();
    assert_eq!(
        (keys.len(), left_out),
        (100, vec!["7 more keys: only the first 100 of a set are read".to_owned()])
    );

    let description =
        self::left_out(json!({"kty": "oct", "kid": format!("\n\u{1b}[2J{}", "k".repeat(100_000))}));
    assert!(
        description.starts_with(r#"key 0 (kid "\n\u{1b}[2Jkkk"#) && description.len() < 200,
        "{description}"
    );
}

#[test]
fn published_signatures_verify() {
    // RFC 7515 §A.3 and RFC 8037 §A.4: keys and signatures that no code of ours made.
    let es256 = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let eddsa = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let keys = key_set(&[eddsa, es256]);
    for (algorithm, signed, signature) in [
        (
            Algorithm::Es256,
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert_eq!(keys.verify(algorithm, None, signed.as_bytes(), &signature), Ok(()));
        let other = format!("{signed}A");
        assert_eq!(keys.verify(algorithm, None, other.as_bytes(), &signature), Err(Mismatch::Signature));
    }
}
