//! For tests: an authorization server's signing keys, its tokens, and the issuer that trusts it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use super::issuer::{Algorithm, Issuer, Keys, TokenTypes};
use super::jwt::{self, Miss};
use super::keys::KeySet;
use super::policy::ClaimHeaders;
use super::refusal::Reason;
use super::token::Token;
use super::verified::Genuine;

/// The clock of tests, in seconds since 1970.
pub(crate) const NOW: u64 = 1_700_000_000;
/// The issuer's leeway, in seconds.
pub(crate) const LEEWAY: u64 = 30;
pub(crate) const ISSUER: &str = "https://as.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";
/// `x5t#S256` of [`claims`]: the one of RFC 8705, appendix A.
pub(crate) const THUMBPRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

/// A private key and its JWK.
pub(crate) struct Signer {
    pub(crate) key: EncodingKey,
    /// Public, with `kid`, without `alg`.
    pub(crate) jwk: Value,
}

static RSA: LazyLock<Signer> = LazyLock::new(|| {
    let pair = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
    let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, jsonwebtoken::Algorithm::RS256).unwrap();
    let jwk = serde_json::to_value(jwk).unwrap();
    Signer { key, jwk: json!({"kid": "rsa", "kty": "RSA", "n": jwk["n"], "e": jwk["e"]}) }
});

static P256: LazyLock<Signer> = LazyLock::new(|| ec("p256", "P-256", &rcgen::PKCS_ECDSA_P256_SHA256));
static P384: LazyLock<Signer> = LazyLock::new(|| ec("p384", "P-384", &rcgen::PKCS_ECDSA_P384_SHA384));

static ED25519: LazyLock<Signer> = LazyLock::new(|| {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let x = base64url(pair.der_bytes());
    let key = EncodingKey::from_ed_der(pair.serialized_der());
    Signer { key, jwk: json!({"kid": "ed25519", "kty": "OKP", "crv": "Ed25519", "x": x}) }
});

fn ec(kid: &str, crv: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> Signer {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    let point = &pair.der_bytes()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let key = EncodingKey::from_ec_der(pair.serialized_der());
    Signer { key, jwk: json!({"kid": kid, "kty": "EC", "crv": crv, "x": base64url(x), "y": base64url(y)}) }
}

/// The key that signs with this algorithm; the same throughout a test run.
pub(crate) fn signer(algorithm: Algorithm) -> &'static Signer {
    match algorithm {
        Algorithm::Es256 => &P256,
        Algorithm::Es384 => &P384,
        Algorithm::EdDsa => &ED25519,
        _ => &RSA,
    }
}

impl Signer {
    pub(crate) fn kid(&self) -> &str {
        self.jwk["kid"].as_str().unwrap()
    }

    /// A JWS over these very texts, whatever they are.
    pub(crate) fn sign(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        let algorithm = algorithm.name().parse().unwrap();
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Claims that pass every check at [`NOW`].
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW - 10, "jti": "1",
        "sub": "alice", "client_id": "client-1", "scope": "read write", "cnf": {"x5t#S256": THUMBPRINT},
    })
}

/// [`claims`] with one replaced, or, by `null`, removed.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    claims
}

/// A header that passes every check.
pub(crate) fn header(algorithm: Algorithm) -> Value {
    json!({"alg": algorithm.name(), "kid": signer(algorithm).kid(), "typ": "at+jwt"})
}

/// [`header`] for ES256 with one parameter replaced or added.
pub(crate) fn header_with(name: &str, value: Value) -> Value {
    let mut header = header(Algorithm::Es256);
    header[name] = value;
    header
}

/// A token of these claims, signed with ES256.
pub(crate) fn token(claims: &Value) -> String {
    token_of(&header(Algorithm::Es256), claims)
}

/// A token with this header, signed with ES256 whatever the header says.
pub(crate) fn token_of(header: &Value, claims: &Value) -> String {
    signer(Algorithm::Es256).sign(Algorithm::Es256, &header.to_string(), &claims.to_string())
}

/// A key set of these JWKs, all of which must be usable.
pub(crate) fn key_set(jwks: &[Value]) -> KeySet {
    let (keys, left_out) = KeySet::parse(json!({"keys": jwks}).to_string().as_bytes()).unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
    keys
}

/// The issuer with these keys: every algorithm, both token types.
pub(crate) fn issuer_with(keys: Option<KeySet>) -> Issuer {
    Issuer {
        name: ISSUER.into(),
        audiences: vec!["https://other.example.com".to_owned(), AUDIENCE.to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        token_types: TokenTypes { at_jwt: true, jwt: true },
        leeway: LEEWAY,
        keys: Keys { generation: 7, set: keys.map(Arc::new) },
        introspection: None,
    }
}

/// The issuer with the key of each [`signer`].
pub(crate) fn issuer() -> Issuer {
    issuer_with(Some(key_set(&[&RSA, &P256, &P384, &ED25519].map(|signer| signer.jwk.clone()))))
}

/// Verifies with [`issuer`] alone and no `[forward.claims]`.
pub(crate) fn verify(token: &str) -> Result<Genuine, Miss> {
    verify_with(issuer(), token)
}

/// Verifies with this issuer alone and no `[forward.claims]`. What is no token at all misses as it would in a request.
pub(crate) fn verify_with(issuer: Issuer, token: &str) -> Result<Genuine, Miss> {
    jwt::verify(Token::parse(token)?, &[Arc::new(issuer)], &ClaimHeaders::default())
}

/// Why a token is refused, if no newer keys come.
pub(crate) fn reason<T>(outcome: Result<T, Miss>) -> Reason {
    match outcome {
        Ok(_) => panic!("accepted"),
        Err(Miss::Refused(refusal) | Miss::Keys { otherwise: refusal, .. }) => refusal.reason,
    }
}
