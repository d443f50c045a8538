//! The path of a request in every reading that an upstream could give it.
//!
//! A path with one reading is matched and sent in its canonical form. One with several is matched in each of them and sent as it
//! came: `steps` lists what servers are known to do to a path, and whatever any sequence of these steps arrives at is a reading.

mod canonical;
mod steps;
#[cfg(test)]
mod tests;

pub(super) use canonical::pattern;

use super::refusal::{Reason, Refusal};
use canonical::{canonical, check, is_canonical, normalise, unresolved};

/// A path with more readings than this is refused.
const MAX_READINGS: usize = 16;

/// Bounds the search for readings, in ways to read a path (of which several may come to one reading) …
const MAX_STATES: usize = 64;

/// … and in the bytes of all of them together: a long path may have fewer.
const MAX_STATE_BYTES: usize = 256 * 1024;

/// A request's path: the form that is sent on, and each way in which it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPath {
    sent: String,
    /// Every reading; empty where `sent` is the only one.
    others: Vec<String>,
}

impl RequestPath {
    /// Reads the path component of a request target (without query).
    ///
    /// # Errors
    /// `path-invalid`: `%00`, control characters, broken or overlong UTF-8 (in any decoding), a bad escape, or more than 16
    /// readings.
    pub fn read(path: &str) -> Result<RequestPath, Refusal> {
        if is_canonical(path) {
            return Ok(RequestPath { sent: path.to_owned(), others: Vec::new() });
        }
        Self::read_slowly(path).map_err(|fault| Reason::PathInvalid.note(fault))
    }

    fn read_slowly(path: &str) -> Result<RequestPath, &'static str> {
        let normal = normalise(path)?;
        if steps::is_structural(&normal) {
            let mut others = readings(normal)?;
            return Ok(match others.as_slice() {
                [_] => RequestPath { sent: others.swap_remove(0), others },
                _ => RequestPath { sent: path.to_owned(), others },
            });
        }
        // Dot segments and "//" alone make nothing ambiguous, because the upstream never sees them.
        let sent = canonical(&normal);
        let others = match steps::decode_segments(&sent) {
            Some(decoded) => vec![sent.clone(), decoded],
            None => Vec::new(),
        };
        Ok(RequestPath { sent, others })
    }

    /// What the upstream gets: the canonical form, or the path unchanged where it can be read in more than one way.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// Every reading, for matching; at least one, at most 16. Where the path is sent unchanged, its dot segments stay in some of them.
    pub fn readings(&self) -> impl Iterator<Item = &str> {
        let only = self.others.is_empty().then_some(self.sent.as_str());
        only.into_iter().chain(self.others.iter().map(String::as_str))
    }
}

/// All that any sequence of steps makes of `start`, each in its canonical form and with its dot segments left as they are; its own first.
fn readings(start: String) -> Result<Vec<String>, &'static str> {
    let mut bytes = start.len();
    let mut states = vec![start];
    let mut readings = Vec::new();
    let mut next = 0;
    while let Some(state) = states.get(next) {
        // What is sent unchanged keeps its dot segments, and many routers take them for names: "/admin/../public/;" is then below "/admin/".
        let both = [canonical(state), unresolved(state)];
        let reached: Vec<String> = steps::ALL.iter().filter_map(|step| step(state)).collect();
        for reading in both {
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        for state in reached {
            if !states.contains(&state) {
                check(&state)?;
                bytes += state.len();
                states.push(state);
            }
        }
        if readings.len() > MAX_READINGS || states.len() > MAX_STATES || bytes > MAX_STATE_BYTES {
            return Err("the path can be read in too many ways");
        }
        next += 1;
    }
    Ok(readings)
}
