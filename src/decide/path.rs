//! The path of a request in every reading that an upstream could give it.

use super::refusal::Refusal;

/// A request's path: the form that is sent on, and each way in which it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath {
    sent: String,
    others: Vec<String>,
}

impl RequestPath {
    /// Reads the path component of a request target (without query).
    ///
    /// # Errors
    /// `path-invalid`: `%00`, control characters, broken or overlong UTF-8, a bad escape, or more than 16 readings.
    pub fn read(path: &str) -> Result<RequestPath, Refusal> {
        let _ = path;
        todo!()
    }

    /// What the upstream gets: the canonical form, or the path unchanged where it can be read in more than one way.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// Every reading, for matching.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        self.others.iter().map(String::as_str)
    }
}
