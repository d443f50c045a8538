//! As much of HTTP/1.1 (RFC 9112) as load and upstream need of each other and of the systems between them.

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, BytesMut};

const FIELDS: usize = 64;

pub struct Request {
    /// Bytes.
    pub head: usize,
    pub path: String,
    pub body: Body,
}

pub struct Response {
    /// Bytes.
    pub head: usize,
    pub status: u16,
    pub body: Body,
}

/// What is still to be read of a body (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Length(usize),
    /// Bytes left of this chunk, with the line break behind it; 0: a chunk's size comes next.
    Chunk(usize),
    ChunksOver,
}

impl Body {
    /// A length that was announced.
    pub fn length(self) -> Result<usize> {
        match self {
            Body::Length(length) => Ok(length),
            _ => bail!("a body in chunks"),
        }
    }

    pub fn is_over(self) -> bool {
        matches!(self, Body::Length(0) | Body::ChunksOver)
    }

    /// Drops what is there of the body from the buffer's front.
    pub fn consume(&mut self, buffer: &mut BytesMut) -> Result<()> {
        loop {
            match self {
                Body::Length(left) => {
                    let there = buffer.len().min(*left);
                    buffer.advance(there);
                    *left -= there;
                    return Ok(());
                }
                Body::Chunk(0) => match httparse::parse_chunk_size(buffer) {
                    Ok(httparse::Status::Complete((line, size))) if size > 0 => {
                        buffer.advance(line);
                        *self = Body::Chunk(usize::try_from(size)? + 2);
                    }
                    // The last chunk; no system here sends trailers.
                    Ok(httparse::Status::Complete((line, _))) if buffer.len() >= line + 2 => {
                        buffer.advance(line + 2);
                        *self = Body::ChunksOver;
                    }
                    Ok(_) => return Ok(()),
                    Err(_) => bail!("a chunk's size cannot be read"),
                },
                Body::Chunk(left) => {
                    let there = buffer.len().min(*left);
                    buffer.advance(there);
                    *left -= there;
                    if *left > 0 {
                        return Ok(());
                    }
                }
                Body::ChunksOver => return Ok(()),
            }
        }
    }
}

/// The request at the buffer's front, once its head is complete.
pub fn request(buffer: &[u8]) -> Result<Option<Request>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(head) = request.parse(buffer)? else { return Ok(None) };
    let path = request.path.context("a request without a path")?.to_owned();
    Ok(Some(Request { head, path, body: body(request.headers)? }))
}

/// The response at the buffer's front, once its head is complete.
pub fn response(buffer: &[u8]) -> Result<Option<Response>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = response.parse(buffer)? else { return Ok(None) };
    let status = response.code.context("a response without a status")?;
    Ok(Some(Response { head, status, body: body(response.headers)? }))
}

/// A message without either field has no body: true of requests, and of the responses that are asked for here.
fn body(fields: &[httparse::Header<'_>]) -> Result<Body> {
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            return Ok(Body::Length(std::str::from_utf8(field.value)?.parse()?));
        }
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Ok(Body::Chunk(0));
        }
    }
    Ok(Body::Length(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_where_it_says() {
        for (fields, text, rest) in [
            ("Content-Length: 5", "helloGET", "GET"),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\nGET", "GET"),
            ("X: y", "GET", "GET"),
        ] {
            let message = format!("POST /x HTTP/1.1\r\n{fields}\r\n\r\n{text}");
            // All at once, and byte by byte.
            for step in [message.len(), 1] {
                let mut buffer = BytesMut::new();
                let mut body = None;
                for part in message.as_bytes().chunks(step) {
                    buffer.extend_from_slice(part);
                    if body.is_none()
                        && let Some(request) = request(&buffer).unwrap()
                    {
                        buffer.advance(request.head);
                        body = Some(request.body);
                    }
                    if let Some(body) = &mut body {
                        body.consume(&mut buffer).unwrap();
                    }
                }
                assert!(body.unwrap().is_over(), "{fields}");
                assert_eq!(buffer, rest, "{fields}");
            }
        }
    }
}
