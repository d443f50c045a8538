//! JWT access tokens (RFC 9068) under the rules of RFC 8725.

use std::sync::Arc;

use super::issuer::Issuer;
use super::policy::ClaimHeaders;
use super::refusal::Refusal;
use super::token::Token;
use super::verified::Genuine;

/// Why a token is not (yet) genuine.
#[derive(Debug)]
pub enum Miss {
    /// It never will be.
    Refused(Refusal),
    /// Newer keys of this issuer could change that: the shell may fetch them once and call again.
    Keys {
        /// Index of the issuer.
        issuer: usize,
        /// The answer if no newer keys can be had.
        otherwise: Refusal,
    },
}

/// Verifies form, type, issuer, algorithm and signature of a JWT; times, audience and binding are judged elsewhere, on every
/// request.
///
/// # Errors
/// See [`Miss`].
pub fn verify(token: Token<'_>, issuers: &[Arc<Issuer>], headers: &ClaimHeaders) -> Result<Genuine, Miss> {
    let _ = (token, issuers, headers);
    todo!()
}
