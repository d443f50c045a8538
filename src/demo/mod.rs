//! The demo: an embedded authorization server, a PKI and an echo API. Never reached from the proxy.
//!
//! `boundgate demo` plays [`walk`] with them; `boundgate certs` writes what [`pki`] makes; the integration tests use all of
//! them as the other end of real connections. Everything here listens on loopback alone.

pub mod authorization_server;
pub mod client;
pub mod echo;
pub mod error;
mod exchange;
mod loopback;
pub mod pki;
mod stage;
mod teller;
pub mod walk;

pub use error::Error;
pub use walk::{Options, Sidecar, run};
