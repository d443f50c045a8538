//! What servers are known to do to a path between the request line and their router, each as one step on a normalised path.
//!
//! A literal `%` is written `%25` throughout, so that one text can say what was decoded and what was not. A step gives `None` where
//! it finds nothing to do.

use super::canonical::{self, is_pchar};

/// Every step. They are tried in any order and any number of times.
pub(super) const ALL: [fn(&str) -> Option<String>; 10] = [
    decode_segments,
    decode_slashes,
    decode_again,
    read_backslashes,
    drop_parameters,
    cut_parameters,
    cut_query,
    drop_authority,
    resolve_dots,
    merge_slashes,
];

/// Whether a normalised path holds a character on whose meaning servers disagree: an escaped or odd separator, a parameter, an
/// escaped percent sign.
pub(super) fn is_structural(normal: &str) -> bool {
    normal.contains([';', '\\'])
        || ["%2F", "%5C", "%3B", "%25", "%3F", "%23"].iter().any(|escape| normal.contains(escape))
}

/// Splits at slashes and then decodes each segment: most frameworks. By RFC 3986 §2.2 `%3A` need not mean `:`, but there it does.
pub(super) fn decode_segments(path: &str) -> Option<String> {
    changed(path, canonical::decode(path, is_pchar))
}

/// Decodes separators before it splits: CGI's `PATH_INFO`, Apache and Envoy where they are told to.
fn decode_slashes(path: &str) -> Option<String> {
    changed(path, canonical::decode(path, |byte| matches!(byte, b'/' | b'\\')))
}

/// Decodes a second time, as when a proxy and the application behind it both decode: `%252F` becomes `%2F`. What is no escape then
/// stays as it is, as lenient decoders have it.
fn decode_again(path: &str) -> Option<String> {
    let mut parts = path.split("%25");
    let mut decoded = parts.next()?.to_owned();
    for part in parts {
        match part.split_at_checked(2) {
            Some((digits, after)) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                decoded.push('%');
                decoded.push_str(&digits.to_ascii_uppercase());
                decoded.push_str(after);
            }
            _ => {
                decoded.push_str("%25");
                decoded.push_str(part);
            }
        }
    }
    changed(path, decoded)
}

/// Takes a backslash for a slash: IIS, .NET on Windows, the URL standard of browsers and Node.js.
fn read_backslashes(path: &str) -> Option<String> {
    changed(path, path.replace('\\', "/"))
}

/// Takes parameters off each segment: Tomcat, Jetty, Spring. `/a;x/b` is `/a/b`.
fn drop_parameters(path: &str) -> Option<String> {
    let segments: Vec<&str> = path.split('/').filter_map(|segment| segment.split(';').next()).collect();
    changed(path, segments.join("/"))
}

/// Takes everything from the first parameter on for a session id or the like: Shiro, older Java servers.
fn cut_parameters(path: &str) -> Option<String> {
    path.split_once(';').map(|(before, _)| before.to_owned())
}

/// Finds a query or fragment in the decoded path: rewriting rules whose result is parsed again.
fn cut_query(path: &str) -> Option<String> {
    let end = [path.find("%3F"), path.find("%23")].into_iter().flatten().min()?;
    path.get(..end).map(str::to_owned)
}

/// Reads the target as a URL reference, in which `//a/b` is `/b` of the host `a` (RFC 3986 §4.2): `new URL(path, base)`, `urlsplit`.
fn drop_authority(path: &str) -> Option<String> {
    let authority = path.strip_prefix("//")?.trim_start_matches('/');
    Some(authority.find('/').and_then(|end| authority.get(end..)).unwrap_or("/").to_owned())
}

/// Resolves dot segments as they stand, before it decodes or merges anything.
fn resolve_dots(path: &str) -> Option<String> {
    changed(path, canonical::resolve_dots(path))
}

/// Merges slashes before it resolves or decodes anything.
fn merge_slashes(path: &str) -> Option<String> {
    changed(path, canonical::merge_slashes(path))
}

fn changed(from: &str, to: String) -> Option<String> {
    (from != to).then_some(to)
}
