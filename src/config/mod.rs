//! `config.toml`: as written ([`file`]), as run ([`settings`]), and what is wrong with it ([`error`]).

pub mod error;
pub mod file;
pub mod resolve;
pub mod settings;
