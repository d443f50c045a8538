//! **Boundgate**: a reverse-proxy sidecar that lets a request through to an unmodified HTTP API only if its access token
//! is valid *and* bound to the certificate of the very TLS connection it comes on (RFC 8705).
//!
//! # The way of a request
//! ```text
//! listen ─▶ TLS handshake ─▶ client certificate ─▶ HTTP head ─▶ token ─▶ verify ─▶ binding ─▶ policy ─▶ forward ─▶ answer
//!   I/O        I/O             pure                  I/O        pure     pure      pure       pure       I/O       pure
//! ```
//! 1. [`listen`]: one acceptor hands each socket to the least loaded worker; a worker is one thread with one
//!    single-threaded runtime. It shakes hands within a deadline and serves the connection with limits and timeouts.
//! 2. [`serve::pipeline`]: the function to read first. It takes a request's head through the checks of [`decide`], each of
//!    which returns the value that the next one needs, so that a forgotten check does not compile.
//! 3. [`decide`]: the pure core. It imports no runtime, socket, file or clock; what it lacks it returns as a need.
//! 4. [`serve::forward`]: takes a `Permit` by value, and nothing else can be forwarded.
//! 5. [`state`]: everything that can be reloaded is one immutable `Snapshot` behind one atomic swap.
//! 6. [`trace`], [`log`], [`metrics`]: what an operator sees of it, each behind a bounded queue or a counter.
//!
//! A module imports only from modules that stand below it in this list; a test holds that line.

pub mod cli;
pub mod config;
pub mod decide;
pub mod demo;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod serve;
pub mod state;
pub mod trace;
