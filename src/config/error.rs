//! What is wrong with a configuration: file, line, key, what was found, what is allowed.

use std::fmt;
use std::path::{Path, PathBuf};

use super::settings::At;

/// The hint for what the interface describes and this version cannot do yet: it is refused, never ignored.
pub(super) const NOT_YET: &str = "not supported yet by this version";

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
    /// A fault at this place. What came from the environment is shown as its `${VAR}`.
    pub fn new(file: &Path, at: &At, found: impl Into<String>, allowed: impl Into<String>) -> Fault {
        Fault {
            file: file.to_owned(),
            line: at.line,
            key: at.key.clone(),
            found: at.mask(found.into()),
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
        write!(f, ": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "found {}; allowed: {}", self.found, self.allowed)?;
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

/// Gathers the faults of one configuration file.
pub(super) struct Report {
    file: PathBuf,
    faults: Vec<Fault>,
    /// Lines that are no TOML. What the parser made of them, or lost because of them, is not reported a second time.
    broken: Vec<usize>,
}

impl Report {
    /// No faults yet.
    pub(super) fn new(file: &Path) -> Report {
        Report { file: file.to_owned(), faults: Vec::new(), broken: Vec::new() }
    }

    /// Something that is no TOML.
    pub(super) fn syntax(&mut self, line: Option<usize>, message: &str) {
        let at = At { line, ..At::default() };
        self.faults.push(Fault::new(&self.file, &at, "a syntax error", "TOML").hint(message));
        self.broken.push(line.unwrap_or(0));
    }

    /// Something that should be there.
    pub(super) fn missing(&mut self, at: &At, allowed: impl Into<String>, hint: Option<String>) {
        if self.broken.is_empty() {
            self.fault(at, "nothing", allowed, hint);
        }
    }

    /// Any other fault.
    pub(super) fn fault(
        &mut self,
        at: &At,
        found: impl Into<String>,
        allowed: impl Into<String>,
        hint: Option<String>,
    ) {
        if at.line.is_some_and(|line| self.broken.contains(&line)) {
            return;
        }
        self.faults.push(Fault { hint, ..Fault::new(&self.file, at, found, allowed) });
    }

    /// The result, or every fault in the order of the file.
    ///
    /// # Errors
    /// The faults. No result without a fault would be a mistake of this module's own; it is an error too.
    pub(super) fn finish<T>(mut self, result: Option<T>) -> Result<T, Faults> {
        match result {
            Some(result) if self.faults.is_empty() => Ok(result),
            None if self.faults.is_empty() => {
                Err(Faults(vec![Fault::new(&self.file, &At::default(), "a value that was not read", "none")]))
            }
            _ => {
                self.faults.sort_by_key(|fault| fault.line);
                Err(Faults(self.faults))
            }
        }
    }
}
