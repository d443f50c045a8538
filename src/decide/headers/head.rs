//! What a request's head must be to have one meaning.

use std::net::Ipv6Addr;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use crate::decide::refusal::{Reason, Refusal};

/// The one valid authority of a request: its `Host` (HTTP/1.1) or `:authority` (HTTP/2), RFC 9112 §3.2, RFC 9113 §8.3.1.
///
/// # Errors
/// `request-malformed`: a method with small letters; no authority, two, or one that is no `host[:port]`; a `Host` that contradicts `:authority` or an absolute target; a
/// target that is neither origin nor absolute form; a `Transfer-Encoding` other than exactly `chunked`; a `Content-Length` that
/// is no number, or two.
pub fn check_head(parts: &Parts) -> Result<&str, Refusal> {
    check_method(&parts.method)?;
    check_target(parts)?;
    let [coding, length, host] = lines(&parts.headers, [&TRANSFER_ENCODING, &CONTENT_LENGTH, &HOST]);
    check_framing(coding, length)?;
    authority(parts, host)
}

/// Methods are case-sensitive (RFC 9110 §9.1), and none is registered with a small letter; but there are servers that take "post" for
/// POST, so that it must not pass by POST's rule.
fn check_method(method: &Method) -> Result<(), Refusal> {
    if method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(malformed("the method is not in capitals"));
    }
    Ok(())
}

/// Origin or absolute form (RFC 9112 §3.2.1, §3.2.2).
fn check_target(parts: &Parts) -> Result<(), Refusal> {
    let uri = &parts.uri;
    let scheme_fits = match uri.scheme() {
        Some(scheme) => *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS,
        None => uri.authority().is_none(),
    };
    if parts.method == Method::CONNECT || !scheme_fits || !uri.path().starts_with('/') {
        return Err(malformed("the target is neither origin nor absolute form"));
    }
    Ok(())
}

/// One length (RFC 9112 §6). The parser has already made one `Content-Length` of equal ones.
fn check_framing(coding: Lines<'_>, length: Lines<'_>) -> Result<(), Refusal> {
    if !coding.is_at_most_one(is_chunked) {
        return Err(malformed("Transfer-Encoding is not exactly chunked"));
    }
    if !length.is_at_most_one(is_length) {
        return Err(malformed("Content-Length is not one number"));
    }
    Ok(())
}

/// Leaves an answer's head with one framing (RFC 9112 §6.3): beside `Transfer-Encoding` a `Content-Length` counts for nothing, and of
/// several equal lengths, in several lines or in one, one is enough.
///
/// # Errors
/// `upstream-failed`: a `Transfer-Encoding` other than exactly `chunked`, for it ends here, and what it codes would go on without a name;
/// a `Content-Length` that is no number, or two, also where it announces no content (HEAD, 304) and only the client would read it.
pub fn settle_answer(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let [coding, length] = lines(headers, [&TRANSFER_ENCODING, &CONTENT_LENGTH]);
    if !coding.is_at_most_one(is_chunked) {
        return Err(Reason::UpstreamFailed.note("the answer's Transfer-Encoding is not exactly chunked"));
    }
    if !matches!(coding, Lines::None) {
        headers.remove(CONTENT_LENGTH);
    } else if !length.is_at_most_one(is_length) {
        let one = one_length(headers)
            .ok_or_else(|| Reason::UpstreamFailed.note("the answer's Content-Length is not one number"))?;
        headers.insert(CONTENT_LENGTH, one.into());
    }
    Ok(())
}

/// The number that every member of every line says (RFC 9110 §8.6).
fn one_length(headers: &HeaderMap) -> Option<u64> {
    let lines = headers.get_all(CONTENT_LENGTH).into_iter();
    let mut numbers = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .map(number);
    let first = numbers.next()??;
    numbers.all(|other| other == Some(first)).then_some(first)
}

fn is_length(length: &HeaderValue) -> bool {
    number(length.as_bytes()).is_some()
}

fn number(digits: &[u8]) -> Option<u64> {
    // `parse` alone would take a sign.
    let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    digits?.parse().ok()
}

fn is_chunked(coding: &HeaderValue) -> bool {
    coding.as_bytes().eq_ignore_ascii_case(b"chunked")
}

/// The lines of one field.
#[derive(Clone, Copy)]
enum Lines<'a> {
    None,
    One(&'a HeaderValue),
    Several,
}

impl Lines<'_> {
    fn is_at_most_one(self, is_valid: impl Fn(&HeaderValue) -> bool) -> bool {
        match self {
            Lines::None => true,
            Lines::One(line) => is_valid(line),
            Lines::Several => false,
        }
    }
}

/// Those of each of these fields: in one walk, which costs less than looking each of them up.
fn lines<'a, const N: usize>(headers: &'a HeaderMap, names: [&HeaderName; N]) -> [Lines<'a>; N] {
    let mut found = [Lines::None; N];
    for (name, line) in headers {
        for (lines, _) in found.iter_mut().zip(names).filter(|(_, wanted)| *wanted == name) {
            *lines = if let Lines::None = lines { Lines::One(line) } else { Lines::Several };
        }
    }
    found
}

fn authority<'a>(parts: &'a Parts, host: Lines<'a>) -> Result<&'a str, Refusal> {
    let target = parts.uri.authority().map(Authority::as_str);
    let host = match host {
        Lines::One(line) => Some(line.to_str().map_err(|_| malformed("Host is no host[:port]"))?),
        Lines::None => None,
        Lines::Several => return Err(malformed("more than one Host")),
    };
    let authority = match (target, host) {
        // A proxy would take the target's (RFC 9112 §3.2.2), others the field's.
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => {
            return Err(malformed("Host contradicts the target"));
        }
        // In HTTP/2 ":authority" stands for it (RFC 9113 §8.3.1).
        (Some(target), None) if parts.version == Version::HTTP_2 => target,
        (_, Some(host)) => host,
        (_, None) => return Err(malformed("no Host")),
    };
    if is_authority(authority) { Ok(authority) } else { Err(malformed("Host is no host[:port]")) }
}

/// `host [ ":" port ]` of RFC 9110 §7.2: a name, an IPv4 address or an IPv6 address in brackets, and no user information.
fn is_authority(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok()
            && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    match text.split_once(':') {
        Some((name, port)) => is_name(name) && is_port(port),
        None => is_name(text),
    }
}

/// A `reg-name` of unreserved characters (RFC 3986 §3.2.2). It could hold escapes and `sub-delims` too, but no host's name does,
/// and `a,b` would be two hosts to whoever reads `X-Forwarded-Host` as a list.
fn is_name(text: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    !text.is_empty() && text.bytes().all(is_unreserved)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|digit| digit.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn malformed(note: &'static str) -> Refusal {
    Reason::RequestMalformed.note(note)
}
