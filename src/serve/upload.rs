//! A client's request body, which is read on for a while even where nobody wants it any more.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::clock::Clock;

/// How long a client may go on sending what nobody reads.
const LINGER: Duration = Duration::from_secs(30);
/// After how long without a frame it seems to have stopped.
const SILENCE: Duration = Duration::from_secs(5);

/// A request body. Dropped before its end over HTTP/2, the rest of it is read and thrown away for a while: otherwise a reset would
/// follow the answer at once (RFC 9113 §8.1), at which clients that still send forget the answer (curl 7.88 among them).
/// Over HTTP/1 the connection is closed instead, in its own stages.
pub(super) struct Upload {
    /// There until it is dropped.
    incoming: Option<Incoming>,
    multiplexed: bool,
    /// There until its end has been seen, over HTTP/1: what is left of a body must never be read as the next request.
    unread: Option<Rc<Clock>>,
}

impl Upload {
    pub(super) fn new(incoming: Incoming, clock: &Rc<Clock>, multiplexed: bool) -> Upload {
        let unread = (!multiplexed && !incoming.is_end_stream()).then(|| clock.clone());
        if let Some(clock) = &unread {
            clock.upload_began();
        }
        Upload { incoming: Some(incoming), multiplexed, unread }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        let ended = frame.is_none() || incoming.is_end_stream();
        if let Some(clock) = this.unread.take_if(|_| ended) {
            clock.upload_ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let unread = self.incoming.take().filter(|incoming| self.multiplexed && !incoming.is_end_stream());
        if let Some(incoming) = unread
            && tokio::runtime::Handle::try_current().is_ok()
        {
            tokio::task::spawn_local(timeout(LINGER, discard(incoming)));
        }
    }
}

async fn discard(mut body: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(SILENCE, body.frame()).await {}
}
