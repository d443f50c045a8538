//! How a command fails.

use std::fmt;
use std::io;

/// Why a command did not do what it was asked to; its text is for standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CliError {
    /// The command line or the configuration cannot be used: exit code 2.
    Unusable(String),
    /// Something failed at run time: exit code 1. Empty where standard output has said it already.
    Failed(String),
}

impl CliError {
    /// The process's exit code.
    pub const fn exit_code(&self) -> u8 {
        match self {
            CliError::Failed(_) => 1,
            CliError::Unusable(_) => 2,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::Unusable(text) | CliError::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CliError {}

/// Standard output cannot be written, as when the reader of a pipe has left.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        CliError::Failed(format!("standard output: {error}"))
    }
}
