//! The head of an answer (RFC 9112 §4, §5), and how its content is delimited (§6.3): no I/O.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, response};
use hyper::ext::ReasonPhrase;

use super::decode::{Chunk, Decoder, Malformed};

/// Fields that a head or a trailer section may have.
const MAX_FIELDS: usize = 100;
/// Bytes that a head may have.
const MAX_HEAD: usize = 256 << 10;

/// An answer's head, and what follows it.
pub(super) struct Head {
    pub(super) parts: response::Parts,
    pub(super) decoder: Decoder,
    /// Whether the connection may serve for another request once the content has been read (RFC 9112 §9.3).
    pub(super) persists: bool,
}

/// Reads the heads of one answer, of which the last is not interim.
#[derive(Default)]
pub(super) struct Reader {
    /// Bytes in which no head ends.
    searched: usize,
    interim: bool,
    /// An empty map for the fields, with the room that it has.
    fields: HeaderMap,
}

impl Reader {
    pub(super) fn new(fields: HeaderMap) -> Reader {
        Reader { fields, ..Reader::default() }
    }

    /// Takes the head of the answer to a request of this method out of `buffer`, once it is whole. Interim answers before it
    /// (RFC 9110 §15.2) are read and left out.
    ///
    /// # Errors
    /// It is no head, it is too large, or it contradicts itself about its content.
    pub(super) fn read(&mut self, buffer: &mut BytesMut, method: &Method) -> Result<Option<Head>, Malformed> {
        loop {
            let Some(end) = end_of_head(buffer, self.searched) else {
                // The end may begin in the last two bytes that are there.
                self.searched = buffer.len().saturating_sub(2);
                let too_large = buffer.len() > MAX_HEAD;
                return if too_large { Err(Malformed("the answer's head is too large")) } else { Ok(None) };
            };
            self.searched = 0;
            let parts = parse(buffer.split_to(end).freeze(), std::mem::take(&mut self.fields))?;
            if parts.status.is_informational() && parts.status != StatusCode::SWITCHING_PROTOCOLS {
                self.interim = true;
                continue;
            }
            let decoder = delimit(&parts, method)?;
            let persists = persists(&parts) && decoder != Decoder::Close;
            return Ok(Some(Head { parts, decoder, persists }));
        }
    }

    /// Whether an interim answer has come.
    pub(super) fn has_begun(&self) -> bool {
        self.interim
    }
}

/// Takes a trailer section out of `buffer` once it is whole.
///
/// # Errors
/// It has lines that are no fields.
pub(super) fn read_trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, Malformed> {
    if buffer.starts_with(b"\r\n") {
        let _ = buffer.split_to(2);
        return Ok(Some(HeaderMap::new()));
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    match httparse::parse_headers(buffer, &mut fields) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete((end, fields))) => {
            let mut trailers = HeaderMap::with_capacity(fields.len());
            for field in fields {
                let value = HeaderValue::from_bytes(field.value);
                append(&mut trailers, field.name, value.ok())?;
            }
            let _ = buffer.split_to(end);
            Ok(Some(trailers))
        }
        Err(_) => Err(Malformed("the answer's trailers cannot be read")),
    }
}

/// Where the empty line ends, if it is there. Empty lines before the head are no head (RFC 9112 §2.2).
fn end_of_head(buffer: &[u8], searched: usize) -> Option<usize> {
    let start = buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?.max(searched);
    let mut at = start;
    loop {
        let (_, rest) = buffer.split_at_checked(at)?;
        at += rest.iter().position(|byte| *byte == b'\n')? + 1;
        match buffer.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

fn parse(head: Bytes, empty: HeaderMap) -> Result<response::Parts, Malformed> {
    const UNREADABLE: Malformed = Malformed("the answer's head cannot be read");
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut read = httparse::Response::new(&mut []);
    let parsed =
        httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut read, &head, &mut fields);
    if parsed != Ok(httparse::Status::Complete(head.len())) {
        return Err(UNREADABLE);
    }
    let status = read.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(UNREADABLE)?;
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = if read.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    // hyper's server writes the usual phrase by itself.
    if let Some(reason) = read.reason.filter(|reason| Some(*reason) != status.canonical_reason())
        && let Ok(reason) = ReasonPhrase::try_from(reason.as_bytes())
    {
        parts.extensions.insert(reason);
    }
    parts.headers = empty;
    parts.headers.reserve(read.headers.len() + 1);
    for field in read.headers.iter() {
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        append(&mut parts.headers, field.name, value.ok())?;
    }
    Ok(parts)
}

fn append(fields: &mut HeaderMap, name: &str, value: Option<HeaderValue>) -> Result<(), Malformed> {
    const UNREADABLE: Malformed = Malformed("a field of the answer cannot be read");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| UNREADABLE)?;
    fields.append(name, value.ok_or(UNREADABLE)?);
    Ok(())
}

/// RFC 9112 §6.3.
fn delimit(parts: &response::Parts, method: &Method) -> Result<Decoder, Malformed> {
    let empty = [StatusCode::SWITCHING_PROTOCOLS, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if *method == Method::HEAD || empty.contains(&parts.status) {
        return Ok(Decoder::Length(0));
    }
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        if parts.version == Version::HTTP_10 {
            return Err(Malformed("the answer is of HTTP/1.0 and has a Transfer-Encoding"));
        }
        let line = parts.headers.get_all(TRANSFER_ENCODING).iter().next_back();
        let last = line.and_then(|line| line.to_str().ok()?.rsplit(',').next());
        let is_chunked = last.is_some_and(|coding| coding.trim().eq_ignore_ascii_case("chunked"));
        return Ok(if is_chunked { Decoder::Chunked(Chunk::Size) } else { Decoder::Close });
    }
    let mut length = None;
    let lines = parts.headers.get_all(CONTENT_LENGTH).iter().map(HeaderValue::as_bytes);
    for text in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
        let number =
            number(text.trim_ascii()).ok_or(Malformed("the answer's Content-Length is no number"))?;
        if length.replace(number).is_some_and(|other| other != number) {
            return Err(Malformed("the answer has two lengths"));
        }
    }
    Ok(length.map_or(Decoder::Close, Decoder::Length))
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// RFC 9112 §9.3, where a `close` counts more than any `keep-alive`.
fn persists(parts: &response::Parts) -> bool {
    let says = |option: &[u8]| {
        let lines = parts.headers.get_all(CONNECTION).into_iter();
        let mut options = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        options.any(|named| named.trim_ascii().eq_ignore_ascii_case(option))
    };
    match parts.version {
        Version::HTTP_11 => !says(b"close"),
        _ => says(b"keep-alive") && !says(b"close"),
    }
}

#[cfg(test)]
mod tests;
