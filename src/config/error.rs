//! What is wrong with a configuration: file, line, key, what was found, what is allowed.

use std::fmt;
use std::path::{Path, PathBuf};

use super::settings::At;

/// One fault of a configuration or of a file that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The configuration file.
    pub file: PathBuf,
    /// Line in it, counted from 1.
    pub line: Option<usize>,
    /// The key with its section.
    pub key: String,
    /// What was found; a value from the environment stands as its `${VAR}`.
    pub found: String,
    /// What is allowed there.
    pub allowed: String,
    /// The nearest known name, or another way out.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault at this place.
    pub fn new(file: &Path, at: &At, found: impl Into<String>, allowed: impl Into<String>) -> Fault {
        Fault {
            file: file.to_owned(),
            line: at.line,
            key: at.key.clone(),
            found: found.into(),
            allowed: allowed.into(),
            hint: None,
        }
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: found {}; allowed: {}", self.key, self.found, self.allowed)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// All faults of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.0 {
            writeln!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
