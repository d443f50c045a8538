//! Towards the upstream. Only a [`Permit`] opens this door, and it is taken by value.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, EXPECT, HOST, TE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;

use super::body::{RequestBody, ResponseBody, UpstreamBody};
use super::exchange::Exchange;
use super::send::{self, Way};
use super::upgrade::{Near, Switched, Wish};
use super::upload::Upload;
use super::upstream::Lease;
use super::worker::Connection;
use crate::config::settings::{ForwardAuthorization, Limits, Stream, UpstreamUrl};
use crate::decide::headers;
use crate::decide::path::RequestPath;
use crate::decide::policy::{ForwardedJwt, Permit};
use crate::decide::refusal::{Reason, Refusal};
use crate::state::Snapshot;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

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
    let host = host(&head)?;
    head.uri = target(&head.uri, &path)?;
    rewrite(&mut head, permit, connection, snapshot, host, exchange)?;
    let h2c = matches!(snapshot.upstream.url, UpstreamUrl::H2c(_));
    let wish = wish.filter(|wish| !h2c || wish.is_extended_connect());
    fit(&mut head, &snapshot.upstream.url, wish.as_ref())?;
    let (body, progress) = RequestBody::new(body, limits, &snapshot.reserved);
    if let Some(trace) = &mut exchange.trace {
        trace.onward(&head.method, &mut head.headers, &snapshot.upstream.url);
    }
    let request = Request::from_parts(head, body);
    let way = Way {
        pool: &connection.worker.pool,
        upstream: &snapshot.upstream,
        limits: &snapshot.settings.upstream,
    };
    let sent = Instant::now();
    let answering = async {
        match &wish {
            None => answer(send::exchange_heads(&way, request, progress.as_deref()).await?, until),
            Some(_) if h2c => connect(&way, request, until).await,
            Some(wish) => upgrade(&way, request, wish, until).await,
        }
    };
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
    // The body is asked for here (100 Continue) once the request is accepted and the upstream's connection takes it. hyper's server can
    // send no interim answer besides that one, and none at all over HTTP/2: those of the upstream end at Boundgate.
    headers.remove(EXPECT);
    match (settings.forward.authorization, permit.jwt()) {
        (ForwardAuthorization::Keep, _) | (ForwardAuthorization::Phantom, ForwardedJwt::AsItCame) => {}
        (ForwardAuthorization::Phantom, ForwardedJwt::Instead(jwt)) => {
            headers.insert(AUTHORIZATION, jwt.clone());
        }
        (ForwardAuthorization::Remove, _) | (ForwardAuthorization::Phantom, ForwardedJwt::None) => {
            headers.remove(AUTHORIZATION);
        }
    }
    if head.version == Version::HTTP_2 {
        join_cookies(headers);
    }
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
    // A public route is forwarded without a decision, hence without a word about who asks.
    let certificate = permit.token().map(|_| connection.client_headers(settings.forward.client_cert));
    for (name, value) in certificate.unwrap_or_default().iter().chain(permit.identity()) {
        headers.insert(name.clone(), value.clone());
    }
    Ok(())
}

/// Makes it a request of the upstream's version of HTTP.
fn fit(head: &mut Parts, url: &UpstreamUrl, wish: Option<&Wish>) -> Result<(), Refusal> {
    let headers = &mut head.headers;
    if let UpstreamUrl::H2c(_) = url {
        // Scheme and authority are pseudo-header fields (RFC 9113 §8.3.1).
        let host = headers.remove(HOST).ok_or(Reason::RequestMalformed)?;
        let authority = Authority::try_from(host.as_bytes()).map_err(|_| Reason::RequestMalformed)?;
        let mut parts = std::mem::take(&mut head.uri).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority);
        head.uri = Uri::from_parts(parts).map_err(|_| Reason::RequestMalformed)?;
        head.version = Version::HTTP_2;
        if wish.is_some() {
            // With the `:protocol` that came (RFC 8441 §4).
            head.method = Method::CONNECT;
        }
        return Ok(());
    }
    head.version = Version::HTTP_11;
    if headers.contains_key(TE) {
        // It is about this connection (RFC 9110 §10.1.4).
        headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(wish) = wish {
        wish.set(headers);
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

/// Sends a request that asks for another protocol, on a connection of its own: it may be the last one there.
async fn upgrade(
    way: &Way<'_>,
    request: Request<RequestBody>,
    wish: &Wish,
    until: Option<Instant>,
) -> Result<Response<Answer>, Refusal> {
    let connecting = way.pool.connect_for_upgrade(way.upstream, way.limits.connect_timeout);
    let (mut lease, bare) = connecting.await?;
    let mut response = send::send(way, &mut lease, request, None).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return declined(wish.is_extended_connect(), (response, lease), until);
    }
    let switched = Switched::take(&mut response, wish, bare, until).await?;
    Ok(response.map(|_| Answer::Switched(switched)))
}

/// Passes an extended CONNECT on to an upstream of HTTP/2.
async fn connect(
    way: &Way<'_>,
    request: Request<RequestBody>,
    until: Option<Instant>,
) -> Result<Response<Answer>, Refusal> {
    let (mut response, lease) = send::exchange_heads(way, request, None).await?;
    if response.status() != StatusCode::OK {
        return declined(true, (response, lease), until);
    }
    let switched = Switched::take_stream(&mut response, lease, until).await?;
    Ok(response.map(|_| Answer::Switched(switched)))
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
    answer((response, lease), until)
}

fn answer(
    (response, lease): (Response<Incoming>, Lease),
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
    Ok(Response::from_parts(head, Answer::Body(UpstreamBody { incoming, lease, until })))
}
