//! `config.toml` as written: parsed with the place of every value, and each key checked by itself against the table of
//! [`keys`], with defaults filled in. The rules between keys are `resolve`'s.

#[rustfmt::skip] // a table reads best with a key a line
mod keys;
mod kind;
mod quantity;
pub mod reference;
mod schema;
mod url;
mod values;
mod variables;
mod walk;

#[cfg(test)]
mod tests;

pub use quantity::{show_size, show_time};
pub use values::NamedFiles;
pub(super) use values::Values;
pub(super) use variables::Environment;
pub(super) use walk::read;
