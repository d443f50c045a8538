//! What a server behind could take for one of the names that are not a client's, written down without the code under test.

/// Written by Boundgate or dropped by it.
pub const IDENTITY: [&str; 14] = [
    "client-cert",
    "client-cert-chain",
    "forwarded",
    "tenant",
    "x-auth-any",
    "x-auth-scope",
    "x-auth-subject",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
    "x-request-id",
];

/// About one connection.
pub const HOP_BY_HOP: [&str; 10] = [
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

/// A name as CGI has it: upper case, and `_` for whatever is neither letter nor digit (RFC 3875 §4.1.18).
pub fn cgi(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Whether one of these names is meant, in whatever spelling.
pub fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| cgi(name) == cgi(other))
}
