//! The key that signs tokens.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::{Value, json};

use super::Claims;
use crate::demo::{Error, pki};

/// An ES256 key; its `kid` is its thumbprint (RFC 7638).
pub(super) struct SigningKey {
    key: EncodingKey,
    jwk: Jwk,
}

impl SigningKey {
    pub(super) fn generate() -> Result<SigningKey, Error> {
        let failed = |reason: &dyn std::fmt::Display| Error::new("generating a signing key", reason);
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|e| failed(&e))?;
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|e| failed(&e))?;
        jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256).map_err(|e| failed(&e))?);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(SigningKey { key, jwk })
    }

    pub(super) fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".to_owned());
        header.kid = self.jwk.common.key_id.clone();
        header
    }

    pub(super) fn sign(&self, header: &Header, claims: &Claims) -> Result<String, Error> {
        jsonwebtoken::encode(header, claims, &self.key).map_err(|e| Error::new("signing a token", e))
    }

    /// The public key (RFC 7517 §4).
    pub(super) fn jwk(&self) -> Value {
        json!(self.jwk)
    }
}

/// 128 random bits as text.
pub(super) fn random_id() -> Result<String, Error> {
    Ok(BASE64_URL_SAFE_NO_PAD.encode(pki::random::<16>()?))
}
