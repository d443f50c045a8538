//! Everything that can be reloaded: one immutable [`Snapshot`] behind one atomic swap, and one writer.

pub mod calls;
pub mod control;
pub mod discovery;
#[cfg(test)]
mod fixture;
mod keys;
pub mod load;
pub mod reload;
pub mod snapshot;
pub mod status;
pub mod tls;
pub mod trust;

pub use snapshot::{Shared, Snapshot};
