//! Where the content of an answer ends (RFC 9112 §6, §7), over the bytes that have arrived: no I/O.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;

use super::head;

/// Bytes of a chunk's size line, extensions included.
const SIZE_LINE: usize = 4 << 10;
/// Bytes of the trailer section.
const TRAILERS: usize = 16 << 10;

/// What the upstream sent is not HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed(pub(super) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// How an answer's content is delimited, and how much of it has come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoder {
    /// Bytes that are left (RFC 9112 §6.2).
    Length(u64),
    /// RFC 9112 §7.1.
    Chunked(Chunk),
    /// Until the connection closes (RFC 9112 §6.3, rule 8).
    Close,
}

/// Where in chunked content the next byte stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The CRLF after a chunk's data.
    DataEnd,
    Trailers,
    Over,
}

/// What stands next in the content.
#[derive(Debug)]
pub(super) enum Step {
    Data(Bytes),
    Trailers(HeaderMap),
    End,
    /// More bytes are needed.
    More,
}

impl Decoder {
    /// Whether the content has been read to its end; one that ends with the connection never has.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Decoder::Length(0) | Decoder::Chunked(Chunk::Over))
    }

    /// Bytes that are still to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Decoder::Length(left) => Some(*left),
            Decoder::Chunked(Chunk::Over) => Some(0),
            Decoder::Chunked(_) | Decoder::Close => None,
        }
    }

    /// Whether the content is whole if the connection closes here.
    pub(super) fn may_end(&self) -> bool {
        self.is_over() || *self == Decoder::Close
    }

    /// Takes what stands next out of `buffer`.
    ///
    /// # Errors
    /// Chunks that are none, or lines of them that are too long.
    pub(super) fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, Malformed> {
        match self {
            Decoder::Length(0) => Ok(Step::End),
            _ if buffer.is_empty() => Ok(if self.is_over() { Step::End } else { Step::More }),
            Decoder::Length(left) => Ok(Step::Data(take(buffer, left))),
            Decoder::Close => Ok(Step::Data(buffer.split().freeze())),
            Decoder::Chunked(chunk) => chunk.step(buffer),
        }
    }
}

impl Chunk {
    fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            match self {
                Chunk::Size => match size(buffer)? {
                    None => return Ok(Step::More),
                    Some(0) => *self = Chunk::Trailers,
                    Some(size) => *self = Chunk::Data(size),
                },
                Chunk::Data(_) if buffer.is_empty() => return Ok(Step::More),
                Chunk::Data(left) => {
                    let data = take(buffer, left);
                    if *left == 0 {
                        *self = Chunk::DataEnd;
                    }
                    return Ok(Step::Data(data));
                }
                Chunk::DataEnd => {
                    if !b"\r\n".starts_with(buffer.get(..2).unwrap_or(buffer)) {
                        return Err(Malformed("a chunk of the answer is longer than its size"));
                    }
                    if buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    buffer.advance(2);
                    *self = Chunk::Size;
                }
                Chunk::Trailers => match head::read_trailers(buffer)? {
                    None if buffer.len() > TRAILERS => {
                        return Err(Malformed("the answer's trailers are too large"));
                    }
                    None => return Ok(Step::More),
                    Some(trailers) => {
                        *self = Chunk::Over;
                        return Ok(if trailers.is_empty() { Step::End } else { Step::Trailers(trailers) });
                    }
                },
                Chunk::Over => return Ok(Step::End),
            }
        }
    }
}

/// As many bytes as have come, and no more than are left.
fn take(buffer: &mut BytesMut, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    *left -= length as u64;
    buffer.split_to(length).freeze()
}

/// A chunk's size line, once it is whole: hexadecimal digits, then perhaps extensions, which nobody reads (RFC 9112 §7.1.1).
fn size(buffer: &mut BytesMut) -> Result<Option<u64>, Malformed> {
    let Some(end) = buffer.iter().take(SIZE_LINE).position(|byte| *byte == b'\n') else {
        let too_long = buffer.len() >= SIZE_LINE;
        return if too_long { Err(Malformed("a chunk's size line is too long")) } else { Ok(None) };
    };
    let line = buffer.split_to(end + 1);
    let line = line.strip_suffix(b"\r\n").ok_or(Malformed("a chunk's size line does not end in CRLF"))?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at_checked(digits).unwrap_or_default();
    let extension = rest.trim_ascii_start();
    if !(rest.is_empty() || extension.is_empty() || extension.starts_with(b";")) || rest.contains(&b'\r') {
        return Err(Malformed("a chunk's size is no number"));
    }
    // Hexadecimal digits are ASCII; none at all is no number either, and more than 64 bits are too many.
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    let size = u64::from_str_radix(digits, 16).map_err(|_| Malformed("a chunk's size is no number"))?;
    Ok(Some(size))
}

#[cfg(test)]
mod tests;
