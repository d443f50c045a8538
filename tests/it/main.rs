//! The whole of Boundgate from outside: the real binary between real clients and scripted servers, all on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod architecture;
mod check;
mod client_cert_headers;
mod clients;
mod commands;
mod drain;
mod explain;
mod h2c;
mod handshake;
mod key_rotation;
mod limits;
mod metrics;
mod oidc_provider;
mod reference;
mod reload;
mod reload_trust;
mod support;
mod tokens;
mod traces;
mod upgrades;
mod upstreams;
