//! Bodies on their way through, frame by frame and never collected.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::exchange::Exchange;
use super::upload::Upload;
use super::upstream::{Fault, Incoming, Lease};
use crate::config::settings::Limits;
use crate::decide::headers::{self, Reserved};
use crate::decide::refusal::Reason;

/// Why a body ends before its end. It says nothing about the content.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// Of our own accord: a request body too large, too slow or broken off, an answer that outlasts its token.
    Refused(Reason),
    /// The upstream broke off in its answer.
    Upstream(Fault),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Refused(reason) => f.write_str(reason.name()),
            BodyError::Upstream(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BodyError {}

/// How far a request has gone out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sending {
    /// The client owes the next byte.
    Awaiting,
    /// Bytes were handed to the upstream's connection at this moment.
    Sent(Instant),
}

/// What the forwarding of a request sees of its body.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) sending: Cell<Sending>,
    pub(super) fault: Cell<Option<Reason>>,
}

/// A request body towards the upstream.
pub(super) enum RequestBody {
    /// There is none.
    Empty,
    /// The client's, watched.
    Client(Box<ClientBody>),
}

/// A client's request body: bounded in size and in the client's silence.
pub(super) struct ClientBody {
    incoming: Upload,
    left: Option<u64>,
    stall_timeout: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    progress: Rc<Progress>,
    reserved: Arc<Reserved>,
}

impl RequestBody {
    /// This body under these limits, its trailers without `reserved` names; and the view of its progress unless it is empty.
    pub(super) fn new(
        incoming: Upload,
        limits: &Limits,
        reserved: &Arc<Reserved>,
    ) -> (RequestBody, Option<Rc<Progress>>) {
        if incoming.is_end_stream() {
            return (RequestBody::Empty, None);
        }
        let progress = Rc::new(Progress { sending: Cell::new(Sending::Awaiting), fault: Cell::new(None) });
        let body = ClientBody {
            incoming,
            left: limits.request_body,
            stall_timeout: limits.stall_timeout,
            stall: None,
            progress: progress.clone(),
            reserved: reserved.clone(),
        };
        (RequestBody::Client(Box::new(body)), Some(progress))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, RequestBody::Empty)
    }
}

impl ClientBody {
    fn fail(&self, reason: Reason) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.progress.fault.set(Some(reason));
        Poll::Ready(Some(Err(BodyError::Refused(reason))))
    }

    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                self.progress.sending.set(Sending::Awaiting);
                let timeout = self.stall_timeout;
                let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                ready!(stall.as_mut().poll(cx));
                return self.fail(Reason::ClientTimeout);
            }
        };
        self.stall = None;
        self.progress.sending.set(Sending::Sent(Instant::now()));
        let mut frame = match frame {
            None => return Poll::Ready(None),
            Some(Err(_)) => return self.fail(Reason::RequestMalformed),
            Some(Ok(frame)) => frame,
        };
        if let Some(trailers) = frame.trailers_mut() {
            // A trailer must not bring back what the head may not say.
            self.reserved.strip_trailers(trailers);
        }
        if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
            match left.checked_sub(data.len() as u64) {
                Some(rest) => *left = rest,
                None => return self.fail(Reason::BodyTooLarge),
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Client(body) => body.poll_client(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Client(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Client(body) => body.incoming.size_hint(),
        }
    }
}

/// Bytes of an answer that are handed to HTTP/2 at once, about a frame: only once they have gone out more is asked for, which is how it is
/// seen that a client reads on.
const PIECE: usize = 16 * 1024;

/// An answer's body towards the client.
///
/// Boxed, since it is moved several times before it goes out.
pub(crate) struct ResponseBody(Option<Box<Open>>);

/// A body that is part of its exchange.
struct Open {
    source: Source,
    /// HTTP/2 only: what is left of a piece.
    rest: Option<Bytes>,
    exchange: Exchange,
}

enum Source {
    Own(Option<Bytes>),
    Upstream {
        incoming: Incoming,
        lease: Option<Lease>,
        upload: Option<Rc<Progress>>,
        until: Option<Pin<Box<Sleep>>>,
    },
}

/// The upstream's answer body with the connection that it comes on.
pub(super) struct UpstreamBody {
    pub(super) incoming: Incoming,
    pub(super) lease: Lease,
    /// The request's body, which may still be on its way.
    pub(super) upload: Option<Rc<Progress>>,
    /// Here it breaks off, at the end of the token.
    pub(super) until: Option<Instant>,
}

impl UpstreamBody {
    /// For the client; the exchange lasts as long as the body.
    pub(super) fn with(self, exchange: Exchange) -> ResponseBody {
        let UpstreamBody { incoming, lease, upload, until } = self;
        let mut lease = Some(lease);
        if incoming.is_end_stream() {
            Lease::give_back(lease.take());
        }
        let until = until.map(|until| Box::pin(tokio::time::sleep_until(until.into())));
        let source = Source::Upstream { incoming, lease, upload, until };
        ResponseBody(Some(Box::new(Open { source, rest: None, exchange })))
    }
}

impl ResponseBody {
    /// A text of our own.
    pub(super) fn own(text: Bytes, exchange: Exchange) -> ResponseBody {
        let source = Source::Own(Some(text).filter(|t| !t.is_empty()));
        ResponseBody(Some(Box::new(Open { source, rest: None, exchange })))
    }

    /// None at all, of an exchange that goes on elsewhere.
    pub(super) fn none() -> ResponseBody {
        ResponseBody(None)
    }
}

/// Why an answer broke off: by the upstream, or because the request cannot be completed, whose connection is then given up.
fn broken(error: Fault, upload: Option<&Progress>, exchange: &mut Exchange) -> BodyError {
    match upload.and_then(|upload| upload.fault.get()) {
        Some(reason) => {
            exchange.broke_off(reason, "the request broke off while it was being answered");
            BodyError::Refused(reason)
        }
        None => {
            exchange.broke_off(Reason::UpstreamFailed, "the upstream broke off in its answer");
            BodyError::Upstream(error)
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(open) = &mut self.get_mut().0 else { return Poll::Ready(None) };
        let Open { source, rest, exchange } = &mut **open;
        exchange.guard().asked();
        if let Source::Upstream { until: Some(until), .. } = source
            && until.as_mut().poll(cx).is_ready()
        {
            exchange.broke_off(Reason::TokenExpired, "limits.stream = \"until-exp\"");
            return Poll::Ready(Some(Err(BodyError::Refused(Reason::TokenExpired))));
        }
        let mut frame = match source {
            _ if rest.is_some() => rest.take().map(|rest| Ok(Frame::data(rest))),
            Source::Own(text) => text.take().map(|t| Ok(Frame::data(t))),
            Source::Upstream { incoming, lease, upload, .. } => {
                match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    Some(Err(error)) => Some(Err(broken(error, upload.as_deref(), exchange))),
                    mut frame => {
                        let trailers = frame.as_mut().and_then(|f| f.as_mut().ok()?.trailers_mut());
                        // After trailers nobody asks for the end.
                        let is_last = trailers.is_some() || incoming.is_end_stream();
                        if let Some(trailers) = trailers {
                            headers::strip_response_trailers(trailers);
                        }
                        if is_last || frame.is_none() {
                            Lease::give_back(lease.take());
                        }
                        frame.map(|f| f.map_err(BodyError::Upstream))
                    }
                }
            }
        };
        if exchange.multiplexed()
            && let Some(Ok(whole)) = &frame
            && let Some(mut piece) = whole.data_ref().filter(|data| data.len() > PIECE).cloned()
        {
            *rest = Some(piece.split_off(PIECE));
            frame = Some(Ok(Frame::data(piece)));
        }
        if let Some(frame) = &frame {
            let data = frame.as_ref().ok().and_then(Frame::data_ref);
            exchange.guard().yielded(data.map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let Some(Open { source, rest, .. }) = self.0.as_deref() else { return true };
        let has_ended = match source {
            Source::Own(text) => text.is_none(),
            Source::Upstream { incoming, .. } => incoming.is_end_stream(),
        };
        has_ended && rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.as_deref() {
            None => SizeHint::with_exact(0),
            // Asked for before the first piece alone.
            Some(Open { rest: Some(_), .. }) => SizeHint::default(),
            Some(Open { source: Source::Own(text), .. }) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64))
            }
            Some(Open { source: Source::Upstream { incoming, .. }, .. }) => incoming.size_hint(),
        }
    }
}
