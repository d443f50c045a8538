//! Names of header fields that are not the client's to send on, and how names are compared.

use http::{HeaderName, header};

/// Written by Boundgate or dropped by it, so never taken from a client (RFC 9440 §2.4, RFC 9700 §4.13).
pub(super) const RESERVED: [&str; 10] = [
    "client-cert",
    "client-cert-chain",
    "forwarded",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// About one connection only (RFC 9110 §7.6.1, §11.7; RFC 9112 §6.1 and appendix C.2.2; RFC 7540 §3.2.1).
pub(super) const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Fields of HTTP's own that no claim may overwrite, besides [`HOP_BY_HOP`] and all that begin like [`FAMILIES_OF_HTTP`].
const FIELDS_OF_HTTP: [&str; 14] = [
    "accept",
    "authorization",
    "cookie",
    "date",
    "expect",
    "host",
    "max-forwards",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "trailer",
    "via",
    "www-authenticate",
];

const FAMILIES_OF_HTTP: [&str; 5] = ["accept-", "content-", "if-", "proxy-", "sec-"];

/// Whether this is a name that Boundgate writes or drops, in any spelling.
pub(in crate::decide) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| same_name(name, reserved))
}

/// Whether this is a header of HTTP's own, in any spelling.
pub(in crate::decide) fn is_of_http(name: &str) -> bool {
    let is_own = |own: &&str| same_name(name, own);
    let begins = |family: &&str| name.get(..family.len()).is_some_and(|start| same_name(start, family));
    HOP_BY_HOP.iter().chain(&FIELDS_OF_HTTP).any(is_own) || FAMILIES_OF_HTTP.iter().any(begins)
}

/// Whether two names are one to a server that folds case and punctuation: CGI and its heirs make `HTTP_X_AUTH` of `X-Auth`, `X_Auth`
/// and `X.Auth` alike (RFC 3875 §4.1.18).
pub(in crate::decide) fn same_name(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| fold(a) == fold(b))
}

/// Whether the field is about one connection only, as it is spelled.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

/// Whether `Connection` may take this field off. A message without its `Host` or length would be another message.
pub(super) fn is_removable(name: &HeaderName) -> bool {
    name != header::HOST && name != header::CONTENT_LENGTH
}

fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}
