//! The pure core's checks as they work together, on tokens that a real signer made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod form;
mod header;
mod keys;
mod moment;
mod mutation;
mod permit;
