//! Twins of a token: the same or changed claims under a signature of our own, and issuers whose key that is.
//!
//! Only a verified signature makes a `Genuine`, and that holds here too. So where the token's own signature is unknown or wrong, or
//! where one claim is to be judged apart from the others, the proxy's functions are asked about a twin. It never leaves this module's
//! caller, and no running proxy knows its key.

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::decide::issuer::{Algorithm, Issuer, Keys, TokenTypes};
use crate::decide::jwt::{self, Miss};
use crate::decide::keys::KeySet;
use crate::decide::policy::ClaimHeaders;
use crate::decide::refusal::Refusal;
use crate::decide::token::Token;
use crate::decide::verified::Genuine;

/// A throw-away key.
pub(super) struct Twins {
    key: Ed25519KeyPair,
    set: Arc<KeySet>,
}

impl Twins {
    /// Makes the key.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(super) fn new() -> Result<Twins, CliError> {
        let failed = || CliError::Failed("no key can be generated".to_owned());
        let key = Ed25519KeyPair::generate().map_err(|_| failed())?;
        let x = URL_SAFE_NO_PAD.encode(key.public_key());
        let jwks = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x}]});
        let (set, _) = KeySet::parse(jwks.to_string().as_bytes()).map_err(|_| failed())?;
        Ok(Twins { key, set: Arc::new(set) })
    }

    /// Verifies a twin with these claims as a token of the same issuers.
    ///
    /// # Errors
    /// What the proxy would say of these claims under a good header and signature.
    pub(super) fn verify(
        &self,
        payload: &[u8],
        issuers: &[Arc<Issuer>],
        headers: &ClaimHeaders,
    ) -> Result<Genuine, Refusal> {
        let keys = Keys { generation: 0, set: Some(self.set.clone()) };
        let issuers: Vec<_> = issuers
            .iter()
            .map(|issuer| Arc::new(Issuer { keys: keys.clone(), ..any_header(issuer) }))
            .collect();
        let token = self.sign(&json!({"alg": Algorithm::EdDsa.name()}), payload);
        jwt::verify(Token::parse(&token)?, &issuers, headers).map_err(refusal)
    }

    /// How far a token with this header gets at this issuer: `None` up to the signature, which is not looked at.
    pub(super) fn stopped_by_header(&self, header: &Value, issuer: &Issuer) -> Option<Refusal> {
        let payload = json!({"iss": *issuer.name}).to_string();
        stopped_before_signature(&self.sign(header, payload.as_bytes()), &[Arc::new(issuer.clone())])
    }

    /// How far a token gets with these claims under a good header.
    pub(super) fn stopped_by_issuer(&self, payload: &Value, issuers: &[Arc<Issuer>]) -> Option<Refusal> {
        let token = self.sign(&json!({"alg": Algorithm::EdDsa.name()}), payload.to_string().as_bytes());
        let issuers: Vec<_> = issuers.iter().map(|issuer| Arc::new(any_header(issuer))).collect();
        stopped_before_signature(&token, &issuers)
    }

    fn sign(&self, header: &Value, payload: &[u8]) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What stops this token before its signature is looked at. Issuers without keys never look at one.
pub(super) fn stopped_before_signature(token: &str, issuers: &[Arc<Issuer>]) -> Option<Refusal> {
    let without_keys = |issuer: &Arc<Issuer>| {
        Arc::new(Issuer { keys: Keys { generation: 0, set: None }, ..Issuer::clone(issuer) })
    };
    let issuers: Vec<_> = issuers.iter().map(without_keys).collect();
    let outcome = Token::parse(token).map_err(Miss::Refused);
    match outcome.and_then(|token| jwt::verify(token, &issuers, &ClaimHeaders::default())) {
        Ok(_) | Err(Miss::Keys { .. }) => None,
        Err(Miss::Refused(refusal)) => Some(refusal),
    }
}

/// The issuer as if it used every type and every algorithm.
pub(super) fn any_header(issuer: &Issuer) -> Issuer {
    Issuer {
        token_types: TokenTypes { at_jwt: true, jwt: true },
        algorithms: Algorithm::ALL.to_vec(),
        ..issuer.clone()
    }
}

/// The refusal, if no newer keys come.
pub(super) fn refusal(miss: Miss) -> Refusal {
    match miss {
        Miss::Refused(refusal) | Miss::Keys { otherwise: refusal, .. } => refusal,
    }
}
