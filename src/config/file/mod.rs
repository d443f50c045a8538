//! `config.toml` as written: parsed with the place of every value, and each key checked by itself against the table of
//! [`keys`], with defaults filled in. The rules between keys are `resolve`'s.

mod keys;
mod kind;
mod quantity;
mod schema;
mod url;
mod values;
mod variables;
mod walk;

#[cfg(test)]
mod tests;

pub use values::NamedFiles;
pub(super) use values::Values;
pub(super) use variables::Environment;
pub(super) use walk::read;
