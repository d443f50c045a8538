//! Header fields on their way through: hop-by-hop fields, identity fields, and what HTTP allows only once.

use http::HeaderMap;

use super::policy::ClaimHeaders;
use super::refusal::Refusal;

/// Names that a client may not send on, compared without case and with `_` read as `-` (RFC 9440 §2.4, RFC 9700 §4.13).
#[derive(Debug, Clone, Default)]
pub struct Reserved {
    _todo: (),
}

impl Reserved {
    /// Boundgate's own names and those of `[forward.claims]`.
    pub fn new(claims: &ClaimHeaders) -> Reserved {
        let _ = claims;
        todo!()
    }

    /// Removes from a client's request: reserved names, hop-by-hop fields, and what `Connection` names, but never lets `Connection` take
    /// off a field that Boundgate sets (RFC 9110 §7.6.1). `Upgrade` is removed too; the caller sets it again where it is passed on.
    pub fn strip_request(&self, headers: &mut HeaderMap) {
        let _ = headers;
        todo!()
    }
}

/// Removes hop-by-hop fields from the upstream's answer (RFC 9110 §7.6.1).
pub fn strip_response(headers: &mut HeaderMap) {
    let _ = headers;
    todo!()
}

/// The one valid authority of a request: its `Host` (HTTP/1.1) or `:authority` (HTTP/2), RFC 9112 §3.2, RFC 9113 §8.3.1.
///
/// # Errors
/// `request-malformed`: none, two, or one that is no `host[:port]`; a `Host` that contradicts `:authority`; a target that is
/// neither origin nor absolute form; a `Transfer-Encoding` other than exactly `chunked`.
pub fn check_head(parts: &http::request::Parts) -> Result<String, Refusal> {
    let _ = parts;
    todo!()
}
