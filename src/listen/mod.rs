//! From the socket to HTTP: [`accept`], [`worker`], [`handshake`], [`connection`].
//!
//! One acceptor hands each socket to the least loaded of N workers, so that `connections` is a global bound and nothing is lost
//! when the listener closes. Where there is one worker, the acceptor is a task of its thread.

mod accept;
mod connection;
mod frames;
mod handshake;
mod http1;
mod io;
mod last_call;
mod lent;
mod server;
mod sidecar;
mod worker;

pub use sidecar::{Sidecar, StartError, check};
