//! The last check and the permit: scopes, and the claims that the upstream gets as headers.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::binding::BoundToken;
use super::refusal::Refusal;
use super::route::Demand;

pub use super::claim_headers::ClaimHeaders;

/// Everything was checked: the only thing that `forward` takes.
#[must_use]
pub struct Permit {
    token: Option<BoundToken>,
}

impl Permit {
    /// Grants a request what its route demands.
    ///
    /// # Errors
    /// `scope-missing` (RFC 6750 §3.1), `claim-unrepresentable`, and `token-missing` where a route that needs a token gets none.
    pub fn grant(demand: &Demand, token: Option<BoundToken>) -> Result<Permit, Refusal> {
        let _ = demand;
        Ok(Permit { token })
    }

    /// The identity headers to set, from the token's claims; none on public routes.
    pub fn identity(&self) -> &[(HeaderName, HeaderValue)] {
        todo!()
    }

    /// The token that was checked; `None` on public routes.
    pub fn token(&self) -> Option<&BoundToken> {
        self.token.as_ref()
    }
}

#[allow(dead_code)]
fn _keep(_: Arc<str>) {}
