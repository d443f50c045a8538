//! Header fields on their way through: hop-by-hop fields, identity fields, and what HTTP allows only once.

mod head;
pub(super) mod names;
#[cfg(test)]
mod tests;

pub use head::{check_head, settle_answer};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::claim_headers::ClaimHeaders;
use names::{HOP_BY_HOP, RESERVED, is_hop_by_hop, is_removable, same_name};

/// Names that a client may not send on, compared without case and with every punctuation mark read as `-` (RFC 9440 §2.4,
/// RFC 9700 §4.13).
#[derive(Debug, Clone)]
pub struct Reserved {
    /// By their length in bytes: most fields need no comparison.
    by_length: Vec<Vec<Box<str>>>,
}

impl Default for Reserved {
    fn default() -> Self {
        Reserved::new(&ClaimHeaders::default())
    }
}

impl Reserved {
    /// Boundgate's own names, the hop-by-hop ones, and those of `[forward.claims]`.
    pub fn new(claims: &ClaimHeaders) -> Reserved {
        let claims = claims.entries().iter().map(|(name, _)| name.as_str());
        let fixed = RESERVED.into_iter().chain(HOP_BY_HOP).chain([MISSPELT]);
        let mut by_length = Vec::new();
        for name in fixed.chain(claims) {
            if by_length.len() <= name.len() {
                by_length.resize_with(name.len() + 1, Vec::new);
            }
            if let Some(names) = by_length.get_mut(name.len()) {
                names.push(name.into());
            }
        }
        Reserved { by_length }
    }

    /// Removes from a client's request: reserved names, hop-by-hop fields in any spelling, and what `Connection` names besides
    /// `Host` and `Content-Length` (RFC 9110 §7.6.1). Fields that Boundgate writes are to be set afterwards, so that naming them in
    /// `Connection` is of no use.
    ///
    /// `TE: trailers` stays (RFC 9110 §10.1.4); towards HTTP/1.1 the caller names it in `Connection`. `Upgrade` is removed too: the
    /// caller sets it again where it is passed on.
    pub fn strip_request(&self, headers: &mut HeaderMap) {
        let trailers = wants_trailers(headers);
        strip(headers, |name| self.covers(name));
        if trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }

    /// Removes from a client's trailers what [`Reserved::strip_request`] removes from its head, and what may stand in no trailer because
    /// it frames, routes or authenticates (RFC 9110 §6.5.1): an upstream could merge them into the head.
    pub fn strip_trailers(&self, trailers: &mut HeaderMap) {
        strip(trailers, |name| is_of_heads(name) || self.covers(name));
    }

    fn covers(&self, name: &HeaderName) -> bool {
        let text = name.as_str();
        let names = self.by_length.get(text.len()).map(Vec::as_slice).unwrap_or_default();
        text != MISSPELT && names.iter().any(|reserved| same_name(reserved, text))
    }
}

/// End to end as it is spelled here, and dropped in any other spelling, in which some servers would still obey it.
const MISSPELT: &str = "content-length";

/// Removes hop-by-hop fields from the upstream's answer, and what its `Connection` names (RFC 9110 §7.6.1). `Upgrade` is removed too:
/// the caller sets it again where it is passed on.
pub fn strip_response(headers: &mut HeaderMap) {
    strip(headers, is_hop_by_hop);
}

/// The same for the trailers of an answer, which lose what may stand in no trailer besides.
pub fn strip_response_trailers(trailers: &mut HeaderMap) {
    let is_ours = |name: &HeaderName| name == "x-request-id";
    strip(trailers, |name| is_hop_by_hop(name) || is_of_heads(name) || is_ours(name));
}

/// Whether it frames, routes, authenticates or describes the content, so that it stands in heads alone (RFC 9110 §6.5.1).
fn is_of_heads(name: &HeaderName) -> bool {
    const FIELDS: [HeaderName; 11] = [
        header::AUTHORIZATION,
        header::COOKIE,
        header::HOST,
        header::TRAILER,
        header::EXPECT,
        header::SET_COOKIE,
        header::LOCATION,
        header::VARY,
        header::CACHE_CONTROL,
        header::WWW_AUTHENTICATE,
        header::RETRY_AFTER,
    ];
    FIELDS.contains(name) || name.as_str().starts_with("content-")
}

/// Removes these fields and those that `Connection` names, with all their lines.
fn strip(headers: &mut HeaderMap, which: impl Fn(&HeaderName) -> bool) {
    let mut removed = named_in_connection(headers);
    removed.extend(headers.keys().filter(|name| which(name)).cloned());
    for name in removed {
        headers.remove(name);
    }
}

/// The fields that `Connection` names, without the options that name none in practice.
fn named_in_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    list(headers, header::CONNECTION)
        .filter(|option| {
            !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive")
        })
        .filter_map(|option| HeaderName::from_bytes(option).ok())
        .filter(is_removable)
        .collect()
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    list(headers, header::TE).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// The members of a list, over all lines of a field (RFC 9110 §5.6.1).
fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}
