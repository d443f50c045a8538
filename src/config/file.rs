//! `config.toml` as written.
