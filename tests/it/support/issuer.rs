//! An issuer whose tokens say whatever a test wants them to, signed all the same.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::pki::Identity;

/// The audience of the tokens, unless a test says otherwise.
pub(crate) const AUDIENCE: &str = "https://api.example.test";

/// Seconds since the epoch.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// An ES256 key and the name of who signs with it.
pub(crate) struct Issuer {
    /// `iss`
    pub(crate) name: String,
    /// `kid`
    pub(crate) key_id: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    pub(crate) fn new(name: impl Into<String>) -> Issuer {
        Issuer { name: name.into(), key_id: "key-1".to_owned(), key: generate() }
    }

    /// Goes on with a new key under this `kid`.
    pub(crate) fn rotate(&mut self, key_id: &str) {
        (self.key_id, self.key) = (key_id.to_owned(), generate());
    }

    /// The public key as a JWK Set (RFC 7517 §5).
    pub(crate) fn jwks(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32); // after the 0x04 of an uncompressed point
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let key = json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.key_id, "x": x, "y": y});
        json!({"keys": [key]})
    }

    /// The JWK Set as a file, for `jwks_file`.
    pub(crate) fn write_jwks(&self, file: &Path) {
        fs::write(file, self.jwks().to_string()).unwrap();
    }

    /// A token for this client that is good in every way.
    pub(crate) fn token(&self, client: &Identity) -> String {
        self.mint(&self.claims(client))
    }

    /// The claims of such a token, to change one before [`Self::mint`].
    pub(crate) fn claims(&self, client: &Identity) -> Value {
        json!({
            "iss": self.name,
            "sub": "alice",
            "client_id": "client",
            "aud": AUDIENCE,
            "scope": "read write",
            "iat": now(),
            "exp": now() + 300,
            "cnf": {"x5t#S256": client.thumbprint()},
        })
    }

    /// A token with these claims.
    pub(crate) fn mint(&self, claims: &Value) -> String {
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": self.key_id});
        self.sign(header.to_string(), claims.to_string())
    }

    /// The compact form (RFC 7515 §7.1) of any header and payload, JSON or not, with a true ES256 signature over them.
    pub(crate) fn sign(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn generate() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}
