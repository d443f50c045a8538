//! A token that is genuine, and a token that is valid at this moment.

use std::sync::Arc;

use super::issuer::Issuer;
use super::refusal::Refusal;

/// A token whose origin is proven: what a cache may remember. It says nothing about this moment or this client.
pub struct Genuine {
    _todo: (),
}

impl Genuine {
    /// Index of the issuer in the list that it was verified with.
    pub fn issuer(&self) -> usize {
        todo!()
    }

    /// The issuer's generation of keys that it was verified with.
    pub fn generation(&self) -> u64 {
        todo!()
    }

    /// Bytes that remembering it costs, for the bound of a cache.
    pub fn weight(&self) -> usize {
        todo!()
    }

    /// `iss`, for the log.
    pub fn issuer_name(&self) -> &Arc<str> {
        todo!()
    }

    /// `sub`, for the log; cut to 256 bytes.
    pub fn subject(&self) -> Option<&Arc<str>> {
        todo!()
    }

    /// `client_id` (or `azp`), for the log; cut to 256 bytes.
    pub fn client_id(&self) -> Option<&Arc<str>> {
        todo!()
    }
}

/// A genuine token whose times and audience hold now.
pub struct VerifiedToken {
    genuine: Arc<Genuine>,
}

impl VerifiedToken {
    /// Checks what may change while a token is remembered: `exp`, `nbf`, `iat` with the issuer's leeway, and `aud`
    /// (RFC 9068 §4, RFC 7519 §4.1). `now` is in seconds since 1970.
    ///
    /// # Errors
    /// `token-expired`, `token-not-yet-valid`, `audience-mismatch`.
    pub fn check(genuine: Arc<Genuine>, issuer: &Issuer, now: u64) -> Result<VerifiedToken, Refusal> {
        let _ = (issuer, now);
        Ok(VerifiedToken { genuine })
    }

    /// What it was made from.
    pub fn genuine(&self) -> &Arc<Genuine> {
        &self.genuine
    }
}
