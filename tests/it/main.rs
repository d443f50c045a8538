//! The whole of Boundgate from outside: the real binary between real clients and scripted servers, all on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod architecture;
mod check;
mod clients;
mod commands;
mod drain;
mod key_rotation;
mod metrics;
mod oidc_provider;
mod reference;
mod reload;
mod reload_trust;
mod support;
mod traces;
