//! `[forward.claims]`: which request header the upstream gets from which claim.

use http::HeaderName;

use super::headers::names::{self, same_name};

/// Request header = claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimHeaders(Vec<(HeaderName, String)>);

impl ClaimHeaders {
    /// These headers, in the order of the configuration.
    ///
    /// # Errors
    /// Index of the faulty entry and a sentence: a name that differs from an earlier one only in case or punctuation, or that
    /// is a header of HTTP's own or one that Boundgate writes itself; a claim without a name.
    pub fn new(entries: Vec<(HeaderName, String)>) -> Result<ClaimHeaders, (usize, String)> {
        for (index, (name, claim)) in entries.iter().enumerate() {
            let earlier = entries.iter().take(index).map(|(earlier, _)| earlier.as_str());
            let fault = if names::is_of_http(name.as_str()) {
                format!("'{name}' is a header of HTTP's own; take a name such as 'X-Auth-Subject'")
            } else if names::is_reserved(name.as_str()) {
                format!(
                    "'{name}' is written or dropped by Boundgate itself; take a name such as 'X-Auth-Subject'"
                )
            } else if let Some(earlier) =
                earlier.into_iter().find(|earlier| same_name(earlier, name.as_str()))
            {
                format!(
                    "'{name}' is '{earlier}' for servers that fold case and punctuation; give each its own name"
                )
            } else if claim.is_empty() {
                format!("'{name}' needs the name of a claim")
            } else {
                continue;
            };
            return Err((index, fault));
        }
        Ok(ClaimHeaders(entries))
    }

    /// The entries.
    pub fn entries(&self) -> &[(HeaderName, String)] {
        &self.0
    }
}
