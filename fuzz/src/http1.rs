//! HTTP/1.1 towards the upstream, without its connection: how a request's head is written and how an answer is read.

#[path = "../../src/serve/upstream/http1/decode.rs"]
mod decode;
#[path = "../../src/serve/upstream/http1/head.rs"]
mod head;
#[path = "../../src/serve/upstream/http1/request.rs"]
mod request;

use bytes::BytesMut;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version};

use crate::decide::onward::Words;
use decode::Step;
use request::Framing;

/// An answer up to where it ended, broke off or could not be read further.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub version: Version,
    pub status: StatusCode,
    pub fields: HeaderMap,
    /// Bytes up to the end of the head.
    pub head: usize,
    pub content: Vec<u8>,
    pub trailers: HeaderMap,
    /// The connection may serve for another request.
    pub persists: bool,
    /// The content has ended, or may end with the connection.
    pub is_whole: bool,
    /// The content is none.
    pub is_broken: bool,
    /// Bytes behind it.
    pub rest: Vec<u8>,
}

/// Reads the answer to a request of this method, which arrives in these pieces; `None` where no head is.
pub fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>, method: &Method) -> Option<Answer> {
    let (mut buffer, mut reader, mut arrived) = (BytesMut::new(), head::Reader::default(), 0);
    let mut pieces = pieces.fuse();
    let head = loop {
        match reader.read(&mut buffer, method).ok()? {
            Some(head) => break head,
            None => {
                let piece = pieces.next()?;
                arrived += piece.len();
                buffer.extend_from_slice(piece);
            }
        }
    };
    let (parts, mut decoder) = (head.parts, head.decoder);
    let mut answer = Answer {
        version: parts.version,
        status: parts.status,
        fields: parts.headers,
        head: arrived - buffer.len(),
        persists: head.persists,
        ..Answer::default()
    };
    loop {
        match decoder.step(&mut buffer) {
            Ok(Step::Data(data)) => answer.content.extend(data),
            Ok(Step::Trailers(trailers)) => answer.trailers = trailers,
            Ok(Step::More) => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => break,
            },
            Ok(Step::End) => break,
            Err(_) => {
                answer.is_broken = true;
                return Some(answer);
            }
        }
    }
    answer.is_whole = decoder.may_end();
    pieces.for_each(|piece| buffer.extend_from_slice(piece));
    answer.rest = buffer.to_vec();
    Some(answer)
}

/// The head of a request, and what is said besides, with content of a known length, of one that is not known, or without content.
pub fn write(head: &Parts, words: Option<&Words<'_>>, content: Option<Option<u64>>) -> Vec<u8> {
    let framing = match content {
        None => Framing::None,
        Some(Some(length)) => Framing::Length(length),
        Some(None) => Framing::Chunked,
    };
    let mut text = Vec::new();
    request::write(head, words, framing, &mut text);
    text
}
