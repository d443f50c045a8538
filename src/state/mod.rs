//! Everything that can be reloaded: one immutable [`Snapshot`] behind one atomic swap, and one writer.

pub mod advice;
pub mod calls;
pub mod control;
pub mod discovery;
mod files;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod folder;
pub mod introspect;
mod key_schedule;
mod keys;
pub mod load;
pub mod named;
pub mod parts;
#[cfg(test)]
pub(crate) mod pki;
pub mod reload;
pub mod snapshot;
pub mod status;
pub mod tls;
pub mod trust;
pub mod upstream;

pub use snapshot::{Shared, Snapshot};
