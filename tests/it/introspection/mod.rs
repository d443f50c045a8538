//! Opaque tokens (RFC 7662): the real binary between clients, an API and an authorization server that does what it is told.

mod answers;
mod calls;
mod failures;
mod flood;
mod kinds;
mod oidc;
mod outage;
mod sharing;
pub(crate) mod stage;
mod waiting;

pub(crate) use kinds::verify;
