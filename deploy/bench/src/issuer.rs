//! The authorization server's side: an ES256 key, its key set, and tokens bound to a client's certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::pki::Client;

pub const ISSUER: &str = "https://as.bench.test";
pub const AUDIENCE: &str = "https://api.bench.test";
const KEY_ID: &str = "bench-1";
/// Longer than any run.
const LIFETIME_S: u64 = 24 * 3600;

pub struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
    /// The public key as a JWK Set (RFC 7517 §5).
    pub jwks_file: PathBuf,
    /// The same as PEM, as HAProxy takes it.
    pub public_key_file: PathBuf,
    next_id: AtomicU64,
}

impl Issuer {
    /// A new key; its public half is written to the folder.
    pub fn new(folder: &Path) -> Result<Issuer> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("the issuer's key")?;
        let (x, y) = key.public_key().as_ref()[1..].split_at(32); // after the 0x04 of an uncompressed point
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let jwk =
            json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": x, "y": y});
        let der: PublicKeyX509Der<'_> = key.public_key().as_der().context("the issuer's public key")?;
        let der = STANDARD.encode(der.as_ref());
        let (jwks_file, public_key_file) = (folder.join("jwks.json"), folder.join("issuer.pem"));
        fs::write(&jwks_file, json!({"keys": [jwk]}).to_string())?;
        fs::write(
            &public_key_file,
            format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &der[..64], &der[64..]),
        )?;
        Ok(Issuer {
            key,
            random: SystemRandom::new(),
            jwks_file,
            public_key_file,
            next_id: AtomicU64::new(1),
        })
    }

    /// A token that is bound to this client's certificate, unlike any before.
    pub fn token(&self, client: &Client) -> Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let claims = json!({
            "iss": ISSUER,
            "sub": "alice",
            "client_id": "bench",
            "aud": AUDIENCE,
            "scope": "read write",
            "iat": now,
            "exp": now + LIFETIME_S,
            "jti": format!("{:016x}", self.next_id.fetch_add(1, Ordering::Relaxed)),
            "cnf": {"x5t#S256": client.thumbprint()},
        });
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": KEY_ID});
        let encode = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = self.key.sign(&self.random, input.as_bytes()).context("a token's signature")?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// A good token that somebody has changed: its payload says more than was signed.
    pub fn forged(&self, client: &Client) -> Result<String> {
        let (good, other) = (self.token(client)?, self.token(client)?);
        let signature = other.rsplit('.').next().unwrap_or_default();
        let input = good.rsplit_once('.').context("a token has three parts")?.0;
        Ok(format!("{input}.{signature}"))
    }
}

/// What introspection answers (RFC 7662 §2.2) about the one active opaque token.
pub fn introspected(client: &Client) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let answer = json!({
        "active": true,
        "iss": ISSUER,
        "sub": "alice",
        "client_id": "bench",
        "aud": AUDIENCE,
        "scope": "read write",
        "token_type": "Bearer",
        "exp": now + LIFETIME_S,
        "cnf": {"x5t#S256": client.thumbprint()},
    });
    Ok(answer.to_string())
}
