//! A token that is genuine, and a token that is valid at this moment.

use std::mem::size_of;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::claims::{Claims, Confirmation, Source, for_log};
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
    /// What introspection says besides of a JWT; its confirmation is in `claims`.
    answer: Option<Box<Claims>>,
    identity: Identity,
    opaque: bool,
    /// `Bearer` and the JWT that an opaque token stands for.
    phantom: Option<HeaderValue>,
}

impl Genuine {
    /// Only for who has just proven the origin of these claims with the issuer's keys.
    pub(super) fn new(index: usize, issuer: &Issuer, claims: Claims, identity: Identity) -> Genuine {
        Genuine {
            issuer: index,
            issuer_name: issuer.name.clone(),
            generation: issuer.keys.generation,
            claims,
            answer: None,
            identity,
            opaque: false,
            phantom: None,
        }
    }

    /// Only for who has just read these claims in the issuer's answer about an opaque token.
    pub(super) fn of_answer(
        index: usize,
        issuer: &Issuer,
        claims: Claims,
        identity: Identity,
        phantom: Option<HeaderValue>,
    ) -> Genuine {
        let generation = issuer.answer_generation();
        let genuine = Genuine::new(index, issuer, claims, identity);
        Genuine { generation, opaque: true, phantom, ..genuine }
    }

    /// A JWT that introspection has found active too: from now on its times, audience and scopes are judged by both, and both
    /// have bound it to the same certificate.
    ///
    /// # Errors
    /// `thumbprint-mismatch`: the two bind it to different certificates. `issuer-unknown` where the answer is another issuer's.
    pub fn confirmed(mut self, answer: &Genuine) -> Result<Genuine, Refusal> {
        if self.issuer_name != answer.issuer_name {
            return Err(Reason::IssuerUnknown.note("the token was introspected at another issuer"));
        }
        let claims = &mut self.claims;
        claims.confirmation = match (claims.confirmation, answer.claims.confirmation) {
            (Confirmation::Absent, other) | (other, Confirmation::Absent) => other,
            (Confirmation::Unsupported(note), _) | (_, Confirmation::Unsupported(note)) => {
                Confirmation::Unsupported(note)
            }
            (one, other) if one == other => one,
            (Confirmation::Thumbprint(_), Confirmation::Thumbprint(_)) => {
                return Err(Reason::ThumbprintMismatch
                    .note("the token's 'cnf' is not the one that its issuer's introspection answers"));
            }
        };
        self.answer = Some(Box::new(answer.claims.clone()));
        Ok(self)
    }

    /// Index of the issuer in the list that it was verified with.
    pub fn issuer(&self) -> usize {
        self.issuer
    }

    /// The generation of what it was judged by.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it would be judged alike by what its issuer is now. `issuer` is the one of its index.
    pub fn is_current(&self, issuer: &Issuer) -> bool {
        self.generation == if self.opaque { issuer.answer_generation() } else { issuer.keys.generation }
    }

    /// `exp`: the first one, where several are known.
    pub fn exp(&self) -> Option<u64> {
        self.statements().filter_map(|claims| claims.exp).min()
    }

    /// Checks its times and audience, as [`VerifiedToken::check`] does.
    ///
    /// # Errors
    /// `token-expired`, `token-not-yet-valid`, `audience-mismatch`.
    pub fn check(&self, issuer: &Issuer, now: u64) -> Result<(), Refusal> {
        self.statements().try_for_each(|claims| {
            check_times(claims, issuer.leeway, now)?;
            check_audience(claims, issuer)
        })
    }

    /// Whether it is not a JWT.
    pub fn is_opaque(&self) -> bool {
        self.opaque
    }

    /// `Bearer` and the JWT that it stands for, where its issuer answered with one that was kept.
    pub fn phantom(&self) -> Option<&HeaderValue> {
        self.phantom.as_ref()
    }

    /// Whether it may be of this subject. `sub` is optional in an introspection's answer (RFC 7662 §2.2): one without it may be
    /// about anybody, so that a revocation must not pass it by.
    pub fn may_be_of_subject(&self, subject: &str) -> bool {
        self.statements().any(|claims| claims.subject.as_deref().is_none_or(|sub| sub == for_log(subject)))
    }

    /// Whether it may have been issued to this client, which an answer need not name either.
    pub fn may_be_of_client(&self, client_id: &str) -> bool {
        self.statements().any(|claims| claims.client_id.as_deref().is_none_or(|id| id == for_log(client_id)))
    }

    /// Bytes that remembering it costs, for the bound of a cache.
    pub fn weight(&self) -> usize {
        let identity: usize = match &self.identity {
            Ok(headers) => headers.iter().map(|header| size_of_val(header) + header.1.len()).sum(),
            Err(refusal) => refusal.note.as_ref().map_or(0, |note| note.len()),
        };
        // A header's name is shared with the configuration.
        let phantom = self.phantom.as_ref().map_or(0, HeaderValue::len);
        let answer = self.answer.as_ref().map_or(0, |_| size_of::<Claims>());
        let claims: usize = self.statements().map(Claims::weight).sum();
        size_of::<Genuine>() + answer + claims + identity + phantom
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
        let grants = |claims: &Claims, needed: &str| {
            let scope = claims.scope.as_deref().unwrap_or_default();
            words(needed).all(|needed| words(scope).any(|granted| granted == needed))
        };
        // An answer about a JWT that says nothing of scopes takes none away.
        let answer = self.answer.as_deref().filter(|answer| answer.scope.is_some());
        grants(&self.claims, needed) && answer.is_none_or(|answer| grants(answer, needed))
    }

    /// Everything that its issuer has said of it.
    fn statements(&self) -> impl Iterator<Item = &Claims> {
        std::iter::once(&self.claims).chain(self.answer.as_deref())
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
        genuine.check(issuer, now)?;
        let expires_at = genuine.exp().map(|exp| exp.saturating_add(issuer.leeway));
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

fn check_times(claims: &Claims, leeway: u64, now: u64) -> Result<(), Refusal> {
    if claims.exp.is_some_and(|exp| now >= exp.saturating_add(leeway)) {
        return Err(Reason::TokenExpired.into());
    }
    let latest = now.saturating_add(leeway);
    if claims.nbf.is_some_and(|nbf| nbf > latest) {
        return Err(Reason::TokenNotYetValid.note("'nbf' is in the future"));
    }
    if claims.iat.is_some_and(|iat| iat > latest) {
        return Err(Reason::TokenNotYetValid.note("'iat' is in the future"));
    }
    Ok(())
}

/// A JWT must name one of our audiences; so must an introspection's answer, unless `require_audience = false` lets it say nothing.
fn check_audience(claims: &Claims, issuer: &Issuer) -> Result<(), Refusal> {
    let Some(audiences) = &claims.audiences else {
        let may_be_absent = issuer.introspection.as_ref().is_some_and(|i| !i.require_audience);
        return match claims.source {
            Source::Answer if may_be_absent => Ok(()),
            Source::Answer | Source::AccessToken => Err(Reason::AudienceMismatch.note("there is no 'aud'")),
        };
    };
    if audiences.iter().any(|audience| issuer.audiences.contains(audience)) {
        return Ok(());
    }
    Err(match audiences.first() {
        None => Reason::AudienceMismatch.note("'aud' is empty"),
        Some(first) => Reason::AudienceMismatch.note(format!("'aud' is \"{}\", or more", excerpt(first))),
    })
}
