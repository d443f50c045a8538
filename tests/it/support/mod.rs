//! What the tests of the whole are made of. Everything here blocks, so that a test reads from top to bottom.
//!
//! [`world::World`] is where most tests begin: certificates, an issuer and an API in one folder, and a configuration for
//! them that a test changes where it matters. [`boundgate::Boundgate`] runs the real binary on it; [`client::Client`]
//! speaks to it byte by byte, [`h2::H2`] over HTTP/2, and [`curl`] as somebody else's program.
#![allow(dead_code)] // a tool box: not every tool has its user yet

pub(crate) mod beside;
pub(crate) mod boundgate;
pub(crate) mod client;
pub(crate) mod collector;
pub(crate) mod curl;
pub(crate) mod frames;
pub(crate) mod h2;
pub(crate) mod h2c;
pub(crate) mod issuer;
pub(crate) mod load;
pub(crate) mod message;
pub(crate) mod mounted;
pub(crate) mod node;
pub(crate) mod oidc;
pub(crate) mod outcome;
pub(crate) mod pki;
pub(crate) mod process;
pub(crate) mod python;
pub(crate) mod server;
pub(crate) mod skip;
pub(crate) mod stage;
pub(crate) mod tunnel;
pub(crate) mod world;

mod selftest;
