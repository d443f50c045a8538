//! `config.toml`: as written (`file`), as run ([`settings`]), and what is wrong with it ([`error`]).
//!
//! [`resolve::read`] goes the whole way. `file` checks each key by itself against one table of all keys; `resolve` checks the
//! rules between keys and builds [`settings::Settings`]. Both report into one `error::Report`, so that every fault of a
//! configuration is shown at once.

pub mod error;
mod file;
pub mod resolve;
pub mod settings;

pub use file::{reference, show_size, show_time};
