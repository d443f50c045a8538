//! What can go wrong in the demo.

use std::fmt;

/// Something of the demo failed; says what was being done. Holds no token and no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// This attempt failed for this reason.
    pub fn new(attempt: &str, reason: impl fmt::Display) -> Error {
        Error(format!("{attempt}: {reason}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
