//! A request on its way to the upstream, and the head of the answer: on a kept connection where there is one, and a second
//! time only if nothing can have been done twice.

use std::error::Error as _;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response};
use hyper::ext::Protocol;

use super::body::{Progress, RequestBody, Sending};
use super::deadlines::Deadlines;
use super::upstream::{self, Content, Outgoing, Pool, SendError, Stream, Whole};
use crate::config::settings;
use crate::decide::refusal::{Reason, Refusal};
use crate::state::upstream::Upstream;

/// Where a request goes, and how long that may take.
pub(super) struct Way<'a> {
    pub(super) pool: &'a Rc<Pool>,
    pub(super) deadlines: &'a Deadlines,
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) limits: &'a settings::Upstream,
    /// How far the request's body has gone out, if it has one.
    pub(super) progress: Option<&'a Progress>,
}

/// Over HTTP/1.1.
impl Way<'_> {
    /// On a kept connection, and once more on another one if the upstream closed it and nothing can have been done twice
    /// (RFC 9110 §9.2.2).
    pub(super) async fn exchange_on_whole(
        &self,
        mut outgoing: Outgoing,
    ) -> Result<(Response<Content>, Whole), Refusal> {
        // Before a connection is looked at, not after: what comes on it in between would be taken for the answer.
        upstream::turn().await;
        if let Some(mut kept) = self.pool.reuse(self.upstream) {
            let (error, unsent) = match self.send(&mut kept, outgoing).await? {
                Ok(response) => return Ok((response, kept)),
                Err(failed) => failed,
            };
            outgoing = unsent;
            match error {
                SendError::Unsent => {}
                SendError::Unanswered(_) if !outgoing.has_content() && is_safe(outgoing.method()) => {
                    outgoing.rewind();
                }
                error => return Err(self.refusal(error)),
            }
        }
        Box::pin(self.exchange_on_new(outgoing)).await
    }

    /// On a new connection, which for an upgrade may be the last request there.
    pub(super) async fn exchange_on_new(
        &self,
        outgoing: Outgoing,
    ) -> Result<(Response<Content>, Whole), Refusal> {
        let mut whole = self.pool.connect(self.upstream, self.limits.connect_timeout).await?;
        match self.send(&mut whole, outgoing).await? {
            Ok(response) => Ok((response, whole)),
            Err((error, _)) => Err(self.refusal(error)),
        }
    }

    async fn send(
        &self,
        whole: &mut Whole,
        outgoing: Outgoing,
    ) -> Result<Result<Response<Content>, (SendError, Outgoing)>, Refusal> {
        let sent = self.within(pin!(whole.send(outgoing))).await;
        sent.ok_or(Reason::UpstreamTimeout.into())
    }

    fn refusal(&self, error: SendError) -> Refusal {
        match error {
            SendError::Unsent => {
                Reason::UpstreamFailed.note("the upstream closed a new connection before the request")
            }
            SendError::Upload => self.fault().unwrap_or(Reason::RequestMalformed).into(),
            SendError::Unanswered(fault) | SendError::Answer(fault) => match self.fault() {
                Some(reason) => reason.into(),
                None => Reason::UpstreamFailed.note(fault.to_string()),
            },
        }
    }

    /// What was wrong with the client's body.
    fn fault(&self) -> Option<Reason> {
        self.progress.and_then(|progress| progress.fault.get())
    }
}

/// Whether a method changes nothing (RFC 9110 §9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Over HTTP/2.
impl Way<'_> {
    /// On a kept connection, and once more on another one if the upstream did not take the request up, or broke the connection and
    /// nothing can have been done twice (RFC 9110 §9.2.2, RFC 9113 §8.7).
    pub(super) async fn exchange_on_stream(
        &self,
        request: Request<RequestBody>,
    ) -> Result<(Response<hyper::body::Incoming>, Stream), Refusal> {
        let kept = self.pool.stream(self.upstream);
        let was_kept = kept.is_some();
        let mut stream = match kept {
            Some(stream) => stream,
            None => Box::pin(self.stream()).await?,
        };
        let spare = spare(&request);
        let request = match self.send_on_stream(&mut stream, request).await {
            Ok(response) => return Ok((response, stream)),
            Err(Failure::Unsent(unsent)) => *unsent,
            Err(Failure::Unprocessed(refusal)) => spare.ok_or(refusal)?,
            Err(Failure::Broken(refusal)) => {
                spare.filter(|spare| was_kept && is_safe(spare.method())).ok_or(refusal)?
            }
            Err(Failure::Final(refusal)) => return Err(refusal),
        };
        let mut stream = Box::pin(self.stream()).await?;
        let response = self.send_on_stream(&mut stream, request).await.map_err(Refusal::from)?;
        Ok((response, stream))
    }

    async fn stream(&self) -> Result<Stream, Refusal> {
        Ok(self.pool.connect_shared(self.upstream, self.limits.connect_timeout).await?)
    }

    /// Sends once and waits for the answer's head.
    async fn send_on_stream(
        &self,
        stream: &mut Stream,
        request: Request<RequestBody>,
    ) -> Result<Response<hyper::body::Incoming>, Failure> {
        if *request.method() == Method::CONNECT && !stream.takes_extended_connect() {
            let note =
                "a WebSocket over HTTP/2, for which the upstream has no SETTINGS_ENABLE_CONNECT_PROTOCOL";
            return Err(Failure::Final(Reason::UpstreamFailed.note(note)));
        }
        let Some(outcome) = self.within(pin!(stream.send(request))).await else {
            // The whole connection may be dead, which no other request needs to find out for itself.
            self.pool.retire(stream);
            return Err(Failure::Final(Reason::UpstreamTimeout.into()));
        };
        let mut error = match outcome {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if let Some(unsent) = error.take_message() {
            return Err(Failure::Unsent(Box::new(unsent)));
        }
        if let Some(reason) = self.fault() {
            return Err(Failure::Final(reason.into()));
        }
        let error = error.into_error();
        let refusal = Reason::UpstreamFailed.note(error.to_string());
        Err(match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
            Some(cause) if is_unprocessed(cause) => {
                self.pool.retire(stream);
                Failure::Unprocessed(refusal)
            }
            Some(cause) => Failure::Final(Reason::UpstreamFailed.note(cause.to_string())),
            None => Failure::Broken(refusal),
        })
    }
}

/// Why no answer came on a stream.
enum Failure {
    /// Not a byte of the request went out.
    Unsent(Box<Request<RequestBody>>),
    /// The upstream says that it did nothing (RFC 9113 §8.7).
    Unprocessed(Refusal),
    /// The connection broke before the first byte of an answer.
    Broken(Refusal),
    /// Anything else.
    Final(Refusal),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        match failure {
            Failure::Unprocessed(refusal) | Failure::Broken(refusal) | Failure::Final(refusal) => refusal,
            Failure::Unsent(_) => {
                Reason::UpstreamFailed.note("the upstream closed a new connection before the request")
            }
        }
    }
}

/// The same request again, if it has no body.
fn spare(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    if !request.body().is_empty() {
        return None;
    }
    let mut spare = Request::new(RequestBody::Empty);
    spare.method_mut().clone_from(request.method());
    spare.uri_mut().clone_from(request.uri());
    *spare.version_mut() = request.version();
    if let Some(protocol) = request.extensions().get::<Protocol>() {
        spare.extensions_mut().insert(protocol.clone());
    }
    spare.headers_mut().clone_from(request.headers());
    Some(spare)
}

/// The peer refused the stream, or began to close the connection before it came to it (RFC 9113 §8.7, §6.8): h2 reports a
/// GOAWAY only on streams above its last one.
fn is_unprocessed(cause: &h2::Error) -> bool {
    cause.is_remote() && (cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM))
}

impl Way<'_> {
    /// Waits for the answer's head: `timeout` counts from the last byte of the request that went out, and does not run while the
    /// client owes the next one.
    async fn within<F: Future>(&self, mut future: Pin<&mut F>) -> Option<F::Output> {
        let timeout = self.limits.timeout;
        let mut deadline = Instant::now() + timeout;
        loop {
            if let Some(output) = self.deadlines.before(deadline, future.as_mut()).await {
                return Some(output);
            }
            match self.progress.map(|p| p.sending.get())? {
                Sending::Awaiting => deadline = Instant::now() + timeout,
                Sending::Sent(at) if at + timeout > deadline => deadline = at + timeout,
                Sending::Sent(_) => return None,
            }
        }
    }
}
