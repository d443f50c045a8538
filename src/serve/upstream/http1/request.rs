//! The head of a request as HTTP/1.1 writes it (RFC 9112 §3, §5): no I/O.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

use crate::decide::onward::Words;

/// How a request's content is delimited. A request has exactly one framing, and it is written here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no content.
    None,
    /// As many bytes (RFC 9112 §6.2).
    Length(u64),
    /// RFC 9112 §7.1.
    Chunked,
}

/// Bytes for which room is made besides the client's: the request line, the framing, and what Boundgate says in most cases.
const ROOM: usize = 512;

/// Writes the request line and the fields, `words` among them; the target is in origin form.
pub(super) fn write(head: &Parts, words: Option<&Words<'_>>, framing: Framing, out: &mut Vec<u8>) {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    out.reserve(ROOM + target.len() + length(&head.headers));
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let framed = |name: &HeaderName| *name == TRANSFER_ENCODING || *name == CONTENT_LENGTH;
    for (name, value) in head.headers.iter().filter(|(name, _)| !framed(name)) {
        field(name.as_str(), value.as_bytes(), out);
    }
    if let Some(words) = words {
        words.each(|name, value| {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            value.iter().for_each(|piece| out.extend_from_slice(piece));
            out.extend_from_slice(b"\r\n");
        });
    }
    match framing {
        Framing::Chunked => field(TRANSFER_ENCODING.as_str(), b"chunked", out),
        Framing::Length(length) => {
            field(CONTENT_LENGTH.as_str(), itoa::Buffer::new().format(length).as_bytes(), out);
        }
        // A method that usually has content says that there is none (RFC 9110 §8.6).
        Framing::None if head.headers.contains_key(CONTENT_LENGTH) || expects_content(&head.method) => {
            field(CONTENT_LENGTH.as_str(), b"0", out);
        }
        Framing::None => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes trailers after the last chunk.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) {
    out.reserve(length(trailers) + 2);
    for (name, value) in trailers {
        field(name.as_str(), value.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

fn field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn length(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

fn expects_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::Request;

    use super::*;

    fn written(method: &str, uri: &str, fields: &[(&str, &str)], framing: Framing) -> String {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut out = Vec::new();
        write(&request.body(()).unwrap().into_parts().0, None, framing, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_has_one_framing() {
        let both = [("content-length", "7"), ("transfer-encoding", "chunked"), ("host", "a")];
        for (framing, method, expected) in [
            (Framing::None, "GET", "content-length: 0\r\n"),
            (Framing::Length(5), "GET", "content-length: 5\r\n"),
            (Framing::Chunked, "POST", "transfer-encoding: chunked\r\n"),
        ] {
            let text = written(method, "/a?b", &both, framing);
            assert_eq!(text, format!("{method} /a?b HTTP/1.1\r\nhost: a\r\n{expected}\r\n"));
        }
        assert_eq!(written("GET", "/", &[], Framing::None), "GET / HTTP/1.1\r\n\r\n");
        let post = written("POST", "/", &[], Framing::None);
        assert_eq!(post, "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn trailers_end_with_an_empty_line() {
        let mut trailers = HeaderMap::new();
        let mut out = Vec::new();
        write_trailers(&trailers, &mut out);
        assert_eq!(out, b"\r\n");
        trailers.append("x-a", "1".parse().unwrap());
        trailers.append("x-a", "2".parse().unwrap());
        out.clear();
        write_trailers(&trailers, &mut out);
        assert_eq!(out, b"x-a: 1\r\nx-a: 2\r\n\r\n");
    }
}
