//! The command line: one file a command.

pub mod certs;
pub mod error;
pub mod thumbprint;

pub use error::CliError;
