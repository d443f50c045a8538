//! The whole of Boundgate from outside: the real binary between real clients and scripted servers, all on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod answers;
mod architecture;
mod check;
mod client_cert_headers;
mod clients;
mod commands;
mod drain;
mod drain_asked;
mod explain;
mod forwarding;
mod forwarding_answers;
mod forwarding_reuse;
mod framing;
mod framing_h2;
mod h2c;
mod handshake;
mod identity;
mod introspection;
mod key_rotation;
mod limits;
mod metrics;
mod oidc_provider;
mod paths;
mod reference;
mod reload;
mod reload_trust;
mod revocation;
mod soak;
mod streams;
mod streams_ends;
mod support;
mod tokens;
mod traces;
mod upgrades;
mod upstreams;
