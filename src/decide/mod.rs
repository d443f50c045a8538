//! The pure core: from the facts of a request to a decision. No runtime, no socket, no file, no clock; the time is an
//! argument, and what the core lacks it returns as a need that the shell meets before it calls again.

pub mod binding;
pub mod claim_headers;
pub mod claims;
pub mod client;
pub mod client_headers;
#[cfg(test)]
pub(crate) mod fixture;
pub mod headers;
mod identity;
pub mod introspection;
pub mod issuer;
pub mod json;
pub mod jwt;
pub mod keys;
mod name;
pub mod onward;
pub mod path;
pub mod policy;
pub mod refusal;
pub mod revocation;
pub mod route;
pub mod token;
pub mod verified;

#[cfg(test)]
mod tests;
