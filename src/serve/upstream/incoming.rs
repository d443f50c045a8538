//! The content of an answer, of whichever version of HTTP.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::http1;

/// What an upstream answers after the head.
pub(in crate::serve) enum Incoming {
    Http1(http1::Content),
    Http2(hyper::body::Incoming),
}

/// Why it ended before its end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Over HTTP/1.1.
    Http1(http1::Fault),
    /// Over HTTP/2.
    Http2(hyper::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Http1(fault) => fault.fmt(f),
            Fault::Http2(fault) => fault.fmt(f),
        }
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.get_mut() {
            Incoming::Http1(body) => Pin::new(body).poll_frame(cx).map_err(Fault::Http1),
            Incoming::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Fault::Http2),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Incoming::Http1(body) => body.is_end_stream(),
            Incoming::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Incoming::Http1(body) => body.size_hint(),
            Incoming::Http2(body) => body.size_hint(),
        }
    }
}
