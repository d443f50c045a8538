//! Towards the upstream. Only a [`Permit`] opens this door, and it is taken by value.

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HOST, TE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::Incoming;

use super::body::{Progress, RequestBody, Sending, UpstreamBody};
use super::exchange::Exchange;
use super::pool::{ConnectError, Lease};
use super::upload::Upload;
use super::worker::Connection;
use crate::config::settings::{ForwardAuthorization, Upstream};
use crate::decide::headers;
use crate::decide::path::RequestPath;
use crate::decide::policy::Permit;
use crate::decide::refusal::{Reason, Refusal};
use crate::state::Snapshot;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

/// The upstream's answer before the exchange is attached to it.
pub(super) type Answer = UpstreamBody;

/// A request that is to go on, with all that was read from it.
pub(super) struct Onward<'a> {
    pub(super) connection: &'a Connection,
    pub(super) snapshot: &'a Snapshot,
    pub(super) path: RequestPath,
    pub(super) head: Parts,
    pub(super) body: Upload,
}

/// Sends the request and returns the answer's head with its body still to come.
///
/// # Errors
/// `body-too-large`, `client-timeout`, `request-malformed` for the body; `upstream-refused`, `upstream-failed`,
/// `upstream-timeout`.
pub(super) async fn forward(
    permit: Permit,
    onward: Onward<'_>,
    exchange: &mut Exchange,
) -> Result<Response<Answer>, Refusal> {
    let Onward { connection, snapshot, path, mut head, body } = onward;
    let limits = &snapshot.settings.limits;
    let announced = http_body::Body::size_hint(&body).lower();
    if limits.request_body.is_some_and(|limit| announced > limit) {
        return Err(Reason::BodyTooLarge.into());
    }
    let host = host(&head)?;
    head.uri = target(&head.uri, &path)?;
    rewrite(&mut head, permit, connection, snapshot, host, exchange)?;
    let (body, progress) = RequestBody::new(body, limits, &snapshot.reserved);
    let upstream = &snapshot.settings.upstream;
    if let Some(trace) = &mut exchange.trace {
        trace.onward(&head.method, &mut head.headers, &upstream.url);
    }
    let sent = Instant::now();
    let (response, lease) = exchange_heads(connection, upstream, head, body, progress).await?;
    exchange.upstream_answered(sent.elapsed());
    answer(response, lease, exchange)
}

/// The one authority that the client named: `check_head` has seen that there is no second one that differs.
fn host(head: &Parts) -> Result<HeaderValue, Refusal> {
    if let Some(host) = head.headers.get(HOST) {
        return Ok(host.clone());
    }
    let authority = head.uri.authority().ok_or(Reason::RequestMalformed)?;
    HeaderValue::from_str(authority.as_str()).map_err(|_| Reason::RequestMalformed.into())
}

/// The target in origin form: the path in the form that was matched, the query as it came.
fn target(uri: &Uri, path: &RequestPath) -> Result<Uri, Refusal> {
    let target = match (uri.path_and_query(), uri.query()) {
        (Some(unchanged), _) if unchanged.path() == path.sent() => unchanged.clone(),
        (_, None) => PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(path.sent().as_bytes()))
            .map_err(|_| Reason::PathInvalid)?,
        (_, Some(query)) => PathAndQuery::from_maybe_shared(Bytes::from(format!("{}?{query}", path.sent())))
            .map_err(|_| Reason::PathInvalid)?,
    };
    Ok(Uri::from(target))
}

/// Takes off what a client may not say, then sets what Boundgate says.
fn rewrite(
    head: &mut Parts,
    permit: Permit,
    connection: &Connection,
    snapshot: &Snapshot,
    host: HeaderValue,
    exchange: &Exchange,
) -> Result<(), Refusal> {
    let settings = &snapshot.settings;
    let headers = &mut head.headers;
    snapshot.reserved.strip_request(headers);
    // The body is asked for here (100 Continue) as soon as the upstream's connection takes it.
    headers.remove(EXPECT);
    if headers.contains_key(TE) {
        // RFC 9110 §10.1.4: what is left of it is for the next hop.
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    if settings.forward.authorization == ForwardAuthorization::Remove {
        headers.remove(AUTHORIZATION);
    }
    if head.version == Version::HTTP_2 {
        join_cookies(headers);
    }
    head.version = Version::HTTP_11;
    let public = settings.listener.public_url.as_deref().and_then(|url| url.strip_prefix("https://"));
    let public = match public {
        Some(name) => HeaderValue::from_str(name).map_err(|_| Reason::RequestMalformed)?,
        None => host.clone(),
    };
    headers.insert(HOST, host);
    headers.insert(http::header::FORWARDED, forwarded(connection, &public)?);
    headers.insert(X_FORWARDED_FOR, connection.forwarded_for.clone());
    headers.insert(X_FORWARDED_PROTO, HTTPS);
    headers.insert(X_FORWARDED_HOST, public);
    headers.insert(X_REQUEST_ID, request_id(exchange));
    for (name, value) in permit.identity() {
        headers.insert(name.clone(), value.clone());
    }
    Ok(())
}

/// `Forwarded` (RFC 7239 §4, §6): an IPv6 address stands in brackets and quotes, a host with a port in quotes.
fn forwarded(connection: &Connection, host: &HeaderValue) -> Result<HeaderValue, Refusal> {
    let ip = connection.forwarded_for.to_str().unwrap_or("unknown");
    let host = host.to_str().map_err(|_| Reason::RequestMalformed)?;
    let text = if ip.contains(':') {
        format!("for=\"[{ip}]\";host=\"{host}\";proto=https")
    } else {
        format!("for={ip};host=\"{host}\";proto=https")
    };
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| Reason::RequestMalformed.into())
}

/// HTTP/2 may split `Cookie` into several fields; HTTP/1.1 knows one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut all = headers.get_all(COOKIE).iter();
    if all.next().is_none() || all.next().is_none() {
        return;
    }
    let joined =
        headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    if let Ok(cookie) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        headers.insert(COOKIE, cookie);
    }
}

pub(super) fn request_id(exchange: &Exchange) -> HeaderValue {
    HeaderValue::from_bytes(&exchange.id).unwrap_or(HeaderValue::from_static(""))
}

/// Sends on a kept connection, and once more on a new one if the kept one turns out to have been closed and nothing can have
/// been done twice (RFC 9110 §9.2.2).
async fn exchange_heads(
    connection: &Connection,
    upstream: &Upstream,
    head: Parts,
    body: RequestBody,
    progress: Option<Rc<Progress>>,
) -> Result<(Response<Incoming>, Lease), Refusal> {
    let pool = &connection.worker.pool;
    let mut request = Request::from_parts(head, body);
    if let Some(mut lease) = pool.reuse(upstream) {
        let spare = spare(&request);
        match send(&mut lease, request, progress.as_deref(), upstream.timeout).await {
            Ok(response) => return Ok((response, lease)),
            Err(Failure::Unsent(unsent)) => request = *unsent,
            Err(Failure::Broken(refusal)) => match spare {
                Some(spare) => request = spare,
                None => return Err(refusal),
            },
            Err(Failure::Final(refusal)) => return Err(refusal),
        }
    }
    let mut lease = pool.connect(upstream).await.map_err(|error| match error {
        ConnectError::Refused(error) => Reason::UpstreamRefused.note(error.to_string()),
        ConnectError::Timeout => Reason::UpstreamTimeout.note("no connection within connect_timeout"),
        ConnectError::Protocol(error) => Reason::UpstreamFailed.note(error.to_string()),
    })?;
    match send(&mut lease, request, progress.as_deref(), upstream.timeout).await {
        Ok(response) => Ok((response, lease)),
        Err(Failure::Broken(refusal) | Failure::Final(refusal)) => Err(refusal),
        Err(Failure::Unsent(_)) => {
            Err(Reason::UpstreamFailed.note("the upstream closed a new connection before the request"))
        }
    }
}

/// The same request again, if it is safe (RFC 9110 §9.2.1) and has no body.
fn spare(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_empty() {
        return None;
    }
    let mut spare = Request::new(RequestBody::Empty);
    spare.method_mut().clone_from(request.method());
    spare.uri_mut().clone_from(request.uri());
    spare.headers_mut().clone_from(request.headers());
    Some(spare)
}

/// Why no answer came.
enum Failure {
    /// Not a byte of the request went out.
    Unsent(Box<Request<RequestBody>>),
    /// The connection broke before the first byte of an answer.
    Broken(Refusal),
    /// Anything else.
    Final(Refusal),
}

async fn send(
    lease: &mut Lease,
    request: Request<RequestBody>,
    progress: Option<&Progress>,
    timeout: Duration,
) -> Result<Response<Incoming>, Failure> {
    let sending = lease.sender.try_send_request(request);
    let Some(outcome) = within(timeout, progress, sending).await else {
        return Err(Failure::Final(Reason::UpstreamTimeout.into()));
    };
    let mut error = match outcome {
        Ok(response) => return Ok(response),
        Err(error) => error,
    };
    if let Some(unsent) = error.take_message() {
        return Err(Failure::Unsent(Box::new(unsent)));
    }
    let error = error.into_error();
    if let Some(reason) = progress.and_then(|p| p.fault.get()) {
        return Err(Failure::Final(reason.into()));
    }
    let refusal = Reason::UpstreamFailed.note(error.to_string());
    // A parse error means that an answer had begun; what broke off before one may be sent again where that is safe.
    Err(if error.is_parse() { Failure::Final(refusal) } else { Failure::Broken(refusal) })
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

fn answer(
    response: Response<Incoming>,
    lease: Lease,
    exchange: &mut Exchange,
) -> Result<Response<Answer>, Refusal> {
    let (mut head, incoming) = response.into_parts();
    headers::settle_answer(&mut head.headers)?;
    headers::strip_response(&mut head.headers);
    head.headers.insert(X_REQUEST_ID, request_id(exchange));
    // The client's protocol is not the upstream's: hyper writes the version of its own connection.
    head.version = Version::default();
    exchange.answered(head.status.as_u16());
    Ok(Response::from_parts(head, UpstreamBody { incoming, lease }))
}
