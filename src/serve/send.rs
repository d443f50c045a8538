//! A request on its way to the upstream, and the head of the answer: on a kept connection where there is one, and a second
//! time only if nothing can have been done twice.

use std::error::Error as _;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::ext::Protocol;

use super::body::{Progress, RequestBody, Sending};
use super::upstream::{Lease, Pool};
use crate::config::settings;
use crate::decide::refusal::{Reason, Refusal};
use crate::state::upstream::Upstream;

/// Where a request goes, and how long that may take.
pub(super) struct Way<'a> {
    pub(super) pool: &'a Rc<Pool>,
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) limits: &'a settings::Upstream,
}

/// Sends on a kept connection, and once more on another one if the upstream closed it or did not take the request up, and
/// nothing can have been done twice (RFC 9110 §9.2.2, RFC 9113 §8.7).
pub(super) async fn exchange_heads(
    way: &Way<'_>,
    mut request: Request<RequestBody>,
    progress: Option<&Progress>,
) -> Result<(Response<Incoming>, Lease), Refusal> {
    let kept = way.pool.reuse(way.upstream);
    let was_kept = kept.is_some();
    let mut lease = match kept {
        Some(lease) => lease,
        None => way.connect().await?,
    };
    let spare = if was_kept || lease.is_shared() { spare(&request, lease.is_shared()) } else { None };
    let refused = match send(way, &mut lease, request, progress).await {
        Ok(response) => return Ok((response, lease)),
        Err(Failure::Unsent(unsent)) => Ok(*unsent),
        Err(Failure::Unprocessed(refusal)) => spare.ok_or(refusal),
        Err(Failure::Broken(refusal)) => spare.filter(|spare| was_kept && is_safe(spare)).ok_or(refusal),
        Err(Failure::Final(refusal)) => Err(refusal),
    };
    request = refused?;
    let mut lease = way.connect().await?;
    match send(way, &mut lease, request, progress).await {
        Ok(response) => Ok((response, lease)),
        Err(failure) => Err(failure.into()),
    }
}

impl Way<'_> {
    async fn connect(&self) -> Result<Lease, Refusal> {
        Ok(self.pool.connect(self.upstream, self.limits.connect_timeout).await?)
    }
}

/// The same request again, if it has no body. That of a connection of its own is only worth keeping where it is safe: there is
/// no telling what became of another.
fn spare(request: &Request<RequestBody>, shared: bool) -> Option<Request<RequestBody>> {
    if !request.body().is_empty() || !(shared || is_safe(request)) {
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

/// Whether it changes nothing (RFC 9110 §9.2.1).
fn is_safe(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Why no answer came.
pub(super) enum Failure {
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

/// Sends once and waits for the answer's head.
pub(super) async fn send(
    way: &Way<'_>,
    lease: &mut Lease,
    request: Request<RequestBody>,
    progress: Option<&Progress>,
) -> Result<Response<Incoming>, Failure> {
    if *request.method() == Method::CONNECT && !lease.takes_extended_connect() {
        let note = "a WebSocket over HTTP/2, for which the upstream has no SETTINGS_ENABLE_CONNECT_PROTOCOL";
        return Err(Failure::Final(Reason::UpstreamFailed.note(note)));
    }
    let outcome = within(way.limits.timeout, progress, lease.send(request)).await;
    let Some(outcome) = outcome else {
        // The whole connection may be dead, which no other request needs to find out for itself.
        way.pool.retire(lease);
        return Err(Failure::Final(Reason::UpstreamTimeout.into()));
    };
    let mut error = match outcome {
        Ok(response) => return Ok(response),
        Err(error) => error,
    };
    if let Some(unsent) = error.take_message() {
        return Err(Failure::Unsent(Box::new(unsent)));
    }
    if let Some(reason) = progress.and_then(|p| p.fault.get()) {
        return Err(Failure::Final(reason.into()));
    }
    let error = error.into_error();
    let refusal = Reason::UpstreamFailed.note(error.to_string());
    Err(match error.source().and_then(|source| source.downcast_ref::<h2::Error>()) {
        Some(cause) if is_unprocessed(cause) => {
            way.pool.retire(lease);
            Failure::Unprocessed(refusal)
        }
        Some(cause) => Failure::Final(Reason::UpstreamFailed.note(cause.to_string())),
        // An answer had begun.
        None if error.is_parse() => Failure::Final(refusal),
        None => Failure::Broken(refusal),
    })
}

/// The peer refused the stream, or began to close the connection before it came to it (RFC 9113 §8.7, §6.8): h2 reports a
/// GOAWAY only on streams above its last one.
fn is_unprocessed(cause: &h2::Error) -> bool {
    cause.is_remote() && (cause.is_go_away() || cause.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// Waits for the answer's head: `timeout` counts from the last byte of the request that went out, and does not run while the
/// client owes the next one.
async fn within<F: Future>(timeout: Duration, progress: Option<&Progress>, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut deadline = Instant::now() + timeout;
    loop {
        if let Ok(output) = tokio::time::timeout_at(deadline.into(), future.as_mut()).await {
            return Some(output);
        }
        match progress.map(|p| p.sending.get())? {
            Sending::Awaiting => deadline = Instant::now() + timeout,
            Sending::Sent(at) if at + timeout > deadline => deadline = at + timeout,
            Sending::Sent(_) => return None,
        }
    }
}
