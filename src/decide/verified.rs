//! A token that is genuine, and a token that is valid at this moment.

use std::mem::size_of;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::claims::{Claims, Confirmation};
use super::identity::Identity;
use super::issuer::Issuer;
use super::json::excerpt;
use super::refusal::{Reason, Refusal};

/// A token whose origin is proven: what a cache may remember. It says nothing about this moment or this client.
pub struct Genuine {
    issuer: usize,
    issuer_name: Arc<str>,
    generation: u64,
    claims: Claims,
    identity: Identity,
}

impl Genuine {
    /// Only for who has just proven the origin of these claims with the issuer's keys.
    pub(super) fn new(index: usize, issuer: &Issuer, claims: Claims, identity: Identity) -> Genuine {
        Genuine {
            issuer: index,
            issuer_name: issuer.name.clone(),
            generation: issuer.keys.generation,
            claims,
            identity,
        }
    }

    /// Index of the issuer in the list that it was verified with.
    pub fn issuer(&self) -> usize {
        self.issuer
    }

    /// The issuer's generation of keys that it was verified with.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Bytes that remembering it costs, for the bound of a cache.
    pub fn weight(&self) -> usize {
        let claims = &self.claims;
        let audiences: usize = claims.audiences.iter().map(|aud| size_of::<String>() + aud.len()).sum();
        let named = [&claims.subject, &claims.client_id].into_iter().flatten();
        // An Arc counts in two words before its text. A header's name is shared with the configuration.
        let names: usize = named.map(|name| 2 * size_of::<usize>() + name.len()).sum();
        let identity: usize = match &self.identity {
            Ok(headers) => headers.iter().map(|header| size_of_val(header) + header.1.len()).sum(),
            Err(refusal) => refusal.note.as_ref().map_or(0, |note| note.len()),
        };
        size_of::<Genuine>() + audiences + claims.scope.len() + names + identity
    }

    /// `iss`, for the log.
    pub fn issuer_name(&self) -> &Arc<str> {
        &self.issuer_name
    }

    /// `sub`, for the log; cut to 256 bytes.
    pub fn subject(&self) -> Option<&Arc<str>> {
        self.claims.subject.as_ref()
    }

    /// `client_id` (or `azp`), for the log; cut to 256 bytes.
    pub fn client_id(&self) -> Option<&Arc<str>> {
        self.claims.client_id.as_ref()
    }

    /// Whether each of these scopes, joined by spaces, was granted (RFC 6749 §3.3).
    pub(super) fn has_scopes(&self, needed: &str) -> bool {
        fn words(scope: &str) -> impl Iterator<Item = &str> {
            scope.split(' ').filter(|word| !word.is_empty())
        }
        words(needed).all(|needed| words(&self.claims.scope).any(|granted| granted == needed))
    }

    /// What the token is bound to.
    pub(super) fn confirmation(&self) -> &Confirmation {
        &self.claims.confirmation
    }

    /// The identity headers, or why a claim cannot be one.
    pub(super) fn identity(&self) -> Result<&[(HeaderName, HeaderValue)], &Refusal> {
        self.identity.as_deref()
    }
}

/// A genuine token whose times and audience hold now.
pub struct VerifiedToken {
    genuine: Arc<Genuine>,
    expires_at: Option<u64>,
}

impl VerifiedToken {
    /// Checks what may change while a token is remembered: `exp`, `nbf`, `iat` with the issuer's leeway, and `aud`
    /// (RFC 9068 §4, RFC 7519 §4.1). `now` is in seconds since 1970; `issuer` is the one that the token was verified with.
    ///
    /// # Errors
    /// `token-expired`, `token-not-yet-valid`, `audience-mismatch`; `issuer-unknown` where another issuer is given.
    pub fn check(genuine: Arc<Genuine>, issuer: &Issuer, now: u64) -> Result<VerifiedToken, Refusal> {
        if genuine.issuer_name != issuer.name {
            return Err(Reason::IssuerUnknown.note("the token was verified with another issuer"));
        }
        let claims = &genuine.claims;
        let expires_at = claims.exp.map(|exp| exp.saturating_add(issuer.leeway));
        if expires_at.is_some_and(|end| now >= end) {
            return Err(Reason::TokenExpired.into());
        }
        let latest = now.saturating_add(issuer.leeway);
        if claims.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(Reason::TokenNotYetValid.note("'nbf' is in the future"));
        }
        if claims.iat.is_some_and(|iat| iat > latest) {
            return Err(Reason::TokenNotYetValid.note("'iat' is in the future"));
        }
        if !claims.audiences.iter().any(|audience| issuer.audiences.contains(audience)) {
            return Err(Reason::AudienceMismatch.note(match claims.audiences.first() {
                None => "there is no 'aud'".to_owned(),
                Some(first) => format!("'aud' is \"{}\", or more", excerpt(first)),
            }));
        }
        Ok(VerifiedToken { genuine, expires_at })
    }

    /// What it was made from.
    pub fn genuine(&self) -> &Arc<Genuine> {
        &self.genuine
    }

    /// When it ends: `exp` plus leeway, in seconds since 1970; `None` where its issuer sets no end.
    pub fn expires_at(&self) -> Option<u64> {
        self.expires_at
    }
}
