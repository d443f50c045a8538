//! A request on its way out: its head, and its content frame by frame.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Method};
use http_body::{Body as _, Frame};

use super::request::{self, Framing};
use super::wire::{Buffer, Waiting, Wire};
use crate::decide::onward::Words;
use crate::serve::body::RequestBody;

/// Bytes that wait for the upstream before the client's body is asked for more.
const HIGH_WATER: usize = 64 << 10;

/// Fields for which a map has room that is kept for the answer: an unusual request's is not.
const FEW_FIELDS: usize = 24;

/// A request on its way out. It can begin anew on another connection as long as no byte of it went out.
pub(in crate::serve) struct Outgoing {
    method: Method,
    framing: Framing,
    body: RequestBody,
    waiting: Waiting,
    ended: bool,
    /// The map that its fields were in, for those of the answer.
    pub(super) fields: HeaderMap,
}

/// How the sending of a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it is out.
    Whole,
    /// The upstream takes no more of it.
    Cut,
    /// The client's body broke off, or is not what its head announced.
    Broken,
}

impl Outgoing {
    /// This head with `words` in it, and this body.
    pub(in crate::serve) fn new(head: Parts, words: Option<&Words<'_>>, body: RequestBody) -> Outgoing {
        let framing = framing(&head, &body);
        let mut bytes = Buffer::new();
        request::write(&head, words, framing, &mut bytes.0);
        let ended = framing == Framing::None;
        let mut fields = head.headers;
        if fields.capacity() <= FEW_FIELDS {
            fields.clear();
        } else {
            fields = HeaderMap::new();
        }
        Outgoing { method: head.method, framing, body, waiting: Waiting::new(bytes), ended, fields }
    }

    pub(in crate::serve) fn method(&self) -> &Method {
        &self.method
    }

    pub(in crate::serve) fn has_content(&self) -> bool {
        self.framing != Framing::None
    }

    /// The same request again, which must have no content.
    pub(in crate::serve) fn rewind(&mut self) {
        debug_assert!(!self.has_content());
        self.waiting.rewind();
    }

    /// Writes what is there, until all is out.
    pub(super) fn poll(&mut self, wire: &Wire, cx: &mut Context<'_>) -> Poll<Sent> {
        loop {
            let content = self.gather(cx);
            ready!(wire.poll_write(cx, &mut self.waiting));
            if wire.is_deaf() {
                return Poll::Ready(Sent::Cut);
            }
            match content {
                Content::Ended => return Poll::Ready(Sent::Whole),
                Content::Broken => return Poll::Ready(Sent::Broken),
                Content::Owed => return Poll::Pending,
                Content::MayFollow => {}
            }
        }
    }

    /// Takes frames from the client as long as there are some and not too much waits: small ones go out together.
    fn gather(&mut self, cx: &mut Context<'_>) -> Content {
        while !self.ended {
            if self.waiting.length() >= HIGH_WATER {
                return Content::MayFollow;
            }
            let taken = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Content::Owed,
                Poll::Ready(Some(Ok(frame))) => self.push(frame),
                Poll::Ready(Some(Err(_))) => None,
                Poll::Ready(None) => self.end(),
            };
            if taken.is_none() {
                return Content::Broken;
            }
        }
        Content::Ended
    }

    /// `None` where a frame is more than was announced.
    fn push(&mut self, frame: Frame<Bytes>) -> Option<()> {
        match frame.into_data() {
            Ok(data) => match &mut self.framing {
                Framing::None => return data.is_empty().then_some(()),
                Framing::Length(left) => {
                    *left = left.checked_sub(data.len() as u64)?;
                    self.waiting.push(data);
                }
                // A chunk of no bytes would be the last one.
                Framing::Chunked if data.is_empty() => {}
                Framing::Chunked => {
                    self.waiting.push(Bytes::from(format!("{:x}\r\n", data.len())));
                    self.waiting.push(data);
                    self.waiting.push(Bytes::from_static(b"\r\n"));
                }
            },
            Err(frame) => {
                // Only chunked content has a place for trailers (RFC 9112 §7.1.2).
                if let (Framing::Chunked, Ok(trailers)) = (self.framing, frame.into_trailers()) {
                    let mut end = b"0\r\n".to_vec();
                    request::write_trailers(&trailers, &mut end);
                    self.waiting.push(end.into());
                    self.ended = true;
                }
            }
        }
        Some(())
    }

    /// `None` where less has come than was announced.
    fn end(&mut self) -> Option<()> {
        match self.framing {
            Framing::Length(left) if left > 0 => return None,
            Framing::None | Framing::Length(_) => {}
            Framing::Chunked => self.waiting.push(Bytes::from_static(b"0\r\n\r\n")),
        }
        self.ended = true;
        Some(())
    }
}

/// What becomes of the client's body.
enum Content {
    /// All of it was taken.
    Ended,
    /// It broke off, or is not what its head announced.
    Broken,
    /// The client owes the next byte.
    Owed,
    MayFollow,
}

fn framing(head: &Parts, body: &RequestBody) -> Framing {
    if body.is_empty() {
        return Framing::None;
    }
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    announced.or(body.size_hint().exact()).map_or(Framing::Chunked, Framing::Length)
}
