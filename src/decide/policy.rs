//! The last check and the permit: scopes, and the claims that the upstream gets as headers.

use http::{HeaderName, HeaderValue};

use super::binding::BoundToken;
use super::refusal::{Reason, Refusal};
use super::route::{Access, Demand};

pub use super::claim_headers::ClaimHeaders;

/// The JWT that goes to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedJwt<'a> {
    /// The token is one.
    AsItCame,
    /// The opaque token stands for this one; `Bearer` is before it.
    Instead(&'a HeaderValue),
    /// There is none.
    None,
}

/// Everything was checked: the only thing that `forward` takes.
#[must_use]
pub struct Permit {
    token: Option<BoundToken>,
}

impl Permit {
    /// Grants a request what its route demands. On a public route a token is not looked at, and not kept.
    ///
    /// # Errors
    /// `scope-missing` (RFC 6750 §3.1), `claim-unrepresentable`, and `token-missing` where a route that needs a token gets none.
    pub fn grant(demand: &Demand, token: Option<BoundToken>) -> Result<Permit, Refusal> {
        let token = match (demand.access, token) {
            (Access::Public, _) => return Ok(Permit { token: None }),
            (Access::Token, Some(token)) => token,
            (Access::Token, None) => return Err(Reason::TokenMissing.into()),
        };
        let genuine = token.token().genuine();
        if !genuine.has_scopes(&demand.scope) {
            return Err(Refusal { scope: Some((*demand.scope).into()), ..Reason::ScopeMissing.into() });
        }
        genuine.identity().map_err(Refusal::clone)?;
        Ok(Permit { token: Some(token) })
    }

    /// The identity headers to set, from the token's claims; none on public routes.
    pub fn identity(&self) -> &[(HeaderName, HeaderValue)] {
        // `grant` has seen that they can be represented.
        self.token.as_ref().and_then(|token| token.token().genuine().identity().ok()).unwrap_or_default()
    }

    /// What the upstream gets as `Authorization` where it gets JWTs alone: never an opaque token, and nothing on public routes.
    pub fn jwt(&self) -> ForwardedJwt<'_> {
        match self.token.as_ref().map(|token| token.token().genuine()) {
            Some(genuine) if !genuine.is_opaque() => ForwardedJwt::AsItCame,
            Some(genuine) => genuine.phantom().map_or(ForwardedJwt::None, ForwardedJwt::Instead),
            None => ForwardedJwt::None,
        }
    }

    /// The token that was checked; `None` on public routes.
    pub fn token(&self) -> Option<&BoundToken> {
        self.token.as_ref()
    }
}
