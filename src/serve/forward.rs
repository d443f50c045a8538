//! Towards the upstream. Only a [`Permit`] opens this door, and it is taken by value.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};

use super::body::{Progress, RequestBody, ResponseBody, UpstreamBody};
use super::exchange::Exchange;
use super::send::Way;
use super::upgrade::{Near, Switched, Wish};
use super::upload::Upload;
use super::upstream::{Incoming, Lease, Outgoing};
use super::worker::Connection;
use crate::config::settings::{Limits, Stream, UpstreamUrl};
use crate::decide::headers;
use crate::decide::onward::{self, Said, X_REQUEST_ID};
use crate::decide::path::RequestPath;
use crate::decide::policy::Permit;
use crate::decide::refusal::{Reason, Refusal};
use crate::state::Snapshot;

/// What follows the head of the upstream's answer, before the exchange is attached to it.
pub(super) enum Answer {
    Body(UpstreamBody),
    Switched(Switched),
}

impl Answer {
    /// For the client; the exchange lasts as long as the body or, by way of `near`, the tunnel.
    pub(super) fn with(self, exchange: Exchange, near: Near) -> ResponseBody {
        match self {
            Answer::Body(body) => body.with(exchange),
            Answer::Switched(switched) => {
                near.take(switched.with(exchange));
                ResponseBody::none()
            }
        }
    }
}

/// A request that is to go on, with all that was read from it.
pub(super) struct Onward<'a> {
    pub(super) connection: &'a Connection,
    pub(super) snapshot: &'a Snapshot,
    pub(super) path: RequestPath,
    pub(super) head: Parts,
    pub(super) body: Upload,
}

/// A request as the upstream's version of HTTP has it.
enum Sendable {
    Http1(Outgoing),
    Http2(Request<RequestBody>),
}

/// Sends the request and returns the answer's head with its body still to come.
///
/// # Errors
/// `body-too-large`, `client-timeout`, `request-malformed` for the body; `upstream-refused`, `upstream-failed`,
/// `upstream-timeout`; `token-expired` where `limits.stream` ends an exchange that has not been answered yet.
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
    let until = until(&permit, limits);
    let wish = Wish::of(&head, &body)?;
    let http2 = matches!(snapshot.upstream.url, UpstreamUrl::H2c(_));
    let settings = &snapshot.settings;
    let id = exchange.id;
    let said = Said {
        reserved: &snapshot.reserved,
        authorization: settings.forward.authorization,
        public: settings.listener.public_url.as_deref().and_then(|url| url.strip_prefix("https://")),
        peer: &connection.forwarded_for,
        request_id: &id,
        certificate: connection.client_headers(settings.forward.client_cert),
        http2,
    };
    let words = onward::rewrite(&mut head, &path, &permit, &said)?;
    let wish = wish.filter(|wish| !http2 || wish.is_extended_connect());
    match &wish {
        // With the `:protocol` that came (RFC 8441 §4).
        Some(_) if http2 => head.method = Method::CONNECT,
        Some(wish) => wish.set(&mut head.headers),
        None => {}
    }
    let (body, progress) = RequestBody::new(body, limits, &snapshot.reserved);
    if let Some(trace) = &mut exchange.trace {
        trace.onward(&head.method, &mut head.headers, &snapshot.upstream.url);
    }
    let request = match words {
        Some(words) => Sendable::Http1(Outgoing::new(head, Some(&words), body)),
        None => Sendable::Http2(Request::from_parts(head, body)),
    };
    let way = Way {
        pool: &connection.worker.pool,
        deadlines: &connection.worker.deadlines,
        upstream: &snapshot.upstream,
        limits: &snapshot.settings.upstream,
        progress: progress.as_deref(),
    };
    let sent = Instant::now();
    let answering = pin!(async {
        match (request, &wish) {
            (Sendable::Http1(outgoing), None) => {
                let (response, whole) = way.exchange_on_whole(outgoing).await?;
                answer((response.map(Incoming::Http1), Lease::Whole(whole)), progress.clone(), until)
            }
            (Sendable::Http2(request), None) => {
                let (response, stream) = way.exchange_on_stream(request).await?;
                answer((response.map(Incoming::Http2), Lease::Stream(stream)), progress.clone(), until)
            }
            // Boxed, as all that few requests need: each has room for what is not.
            (Sendable::Http1(outgoing), Some(wish)) => Box::pin(upgrade(&way, outgoing, wish, until)).await,
            (Sendable::Http2(request), Some(_)) => Box::pin(connect(&way, request, until)).await,
        }
    });
    let mut response = match until {
        None => answering.await?,
        Some(until) => tokio::time::timeout_at(until.into(), answering)
            .await
            .map_err(|_| Reason::TokenExpired.note("limits.stream = \"until-exp\""))??,
    };
    exchange.upstream_answered(sent.elapsed());
    exchange.answered(response.status().as_u16());
    response.headers_mut().insert(X_REQUEST_ID, request_id(exchange));
    Ok(response)
}

/// When `limits.stream` ends an exchange under this permit. The wall clock is read once: what is set later does not move it.
fn until(permit: &Permit, limits: &Limits) -> Option<Instant> {
    let end = match limits.stream {
        Stream::Keep => return None,
        Stream::UntilExp => permit.token()?.token().expires_at()?,
    };
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(end))?;
    Instant::now().checked_add(end.duration_since(SystemTime::now()).unwrap_or_default())
}

pub(super) fn request_id(exchange: &Exchange) -> HeaderValue {
    HeaderValue::from_bytes(&exchange.id).unwrap_or(HeaderValue::from_static(""))
}

/// Sends a request that asks for another protocol, on a connection of its own: it may be the last one there.
async fn upgrade(
    way: &Way<'_>,
    outgoing: Outgoing,
    wish: &Wish,
    until: Option<Instant>,
) -> Result<Response<Answer>, Refusal> {
    let (response, whole) = way.exchange_on_new(outgoing).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return declined(
            wish.is_extended_connect(),
            (response.map(Incoming::Http1), Lease::Whole(whole)),
            until,
        );
    }
    let (head, content) = response.into_parts();
    drop(content);
    let mut response = Response::from_parts(head, ());
    let switched = Switched::take(&mut response, wish, whole, until)?;
    Ok(response.map(|()| Answer::Switched(switched)))
}

/// Passes an extended CONNECT on to an upstream of HTTP/2.
async fn connect(
    way: &Way<'_>,
    request: Request<RequestBody>,
    until: Option<Instant>,
) -> Result<Response<Answer>, Refusal> {
    let (mut response, stream) = way.exchange_on_stream(request).await?;
    if response.status() != StatusCode::OK {
        return declined(true, (response.map(Incoming::Http2), Lease::Stream(stream)), until);
    }
    let upgraded = hyper::upgrade::on(&mut response);
    let (head, _) = response.into_parts();
    let mut response = Response::from_parts(head, ());
    let switched = Switched::take_stream(&mut response, upgraded, stream, until).await?;
    Ok(response.map(|()| Answer::Switched(switched)))
}

/// What the upstream answers instead of switching. To an extended CONNECT success would say that it has (RFC 9113 §8.5).
fn declined(
    extended_connect: bool,
    (response, lease): (Response<Incoming>, Lease),
    until: Option<Instant>,
) -> Result<Response<Answer>, Refusal> {
    if extended_connect && response.status().is_success() {
        return Err(Reason::UpstreamFailed.note("the upstream did not switch to WebSocket"));
    }
    answer((response, lease), None, until)
}

fn answer(
    (response, lease): (Response<Incoming>, Lease),
    upload: Option<Rc<Progress>>,
    until: Option<Instant>,
) -> Result<Response<Answer>, Refusal> {
    let (mut head, incoming) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Reason::UpstreamFailed.note("the upstream switched protocols without being asked"));
    }
    headers::settle_answer(&mut head.headers)?;
    headers::strip_response(&mut head.headers);
    // The client's protocol is not the upstream's: hyper writes the version of its own connection.
    head.version = Version::default();
    Ok(Response::from_parts(head, Answer::Body(UpstreamBody { incoming, lease, upload, until })))
}
