//! The way of a request, as one function. Each check returns the value that the next one needs.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;

use super::answer;
use super::body::ResponseBody;
use super::exchange::Exchange;
use super::forward::{self, Onward};
use super::upgrade::Slot;
use super::worker::{Connection, unix_now};
use crate::decide::binding::{BoundToken, Require};
use crate::decide::headers;
use crate::decide::jwt::{self, Miss};
use crate::decide::path::RequestPath;
use crate::decide::policy::Permit;
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::route::Access;
use crate::decide::token::Token;
use crate::decide::verified::{Genuine, VerifiedToken};
use crate::metrics::CacheOutcome;
use crate::state::Snapshot;

/// Header fields that a request may have.
const MAX_FIELDS: usize = 100;

/// Answers one request; a refusal is an answer too. The tunnel of an upgrade is left in `slot`.
pub(crate) async fn handle(
    connection: Rc<Connection>,
    slot: Slot,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (head, body) = request.into_parts();
    let mut exchange = Exchange::begin(&connection, &head);
    let grpc = answer::is_grpc(&head.headers);
    match pass(&connection, head, body, &mut exchange).await {
        Ok(response) => Ok(response.map(|answer| answer.with(exchange, &slot))),
        Err(refusal) => Ok(answer::refusal(&refusal, exchange, grpc, connection.closing())),
    }
}

/// Every check in its order, then the upstream.
async fn pass(
    connection: &Connection,
    head: Parts,
    body: Incoming,
    exchange: &mut Exchange,
) -> Result<Response<forward::Answer>, Refusal> {
    let mut snapshot = connection.worker.snapshot();
    connection.admit(&snapshot.trust, unix_now())?;
    if head.headers.len() > MAX_FIELDS || size(&head) > snapshot.settings.limits.request_head {
        return Err(Reason::HeadTooLarge.into());
    }
    headers::check_head(&head)?;
    let path = RequestPath::read(head.uri.path())?;
    let demand = snapshot.settings.routes.demand(&head.method, &path);
    exchange.routed(&demand.route);
    let token = match demand.access {
        Access::Public => None,
        Access::Token => Some(prove(connection, &mut snapshot, &head.headers, exchange).await?),
    };
    let permit = Permit::grant(&demand, token)?;
    exchange.granted();
    forward::forward(permit, Onward { connection, snapshot: &snapshot, path, head, body }, exchange).await
}

/// Bytes of a head as HTTP/1.1 writes it.
fn size(head: &Parts) -> usize {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " HTTP/1.1\r\n ".len();
    head.headers
        .iter()
        .fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + ": \r\n".len())
}

/// From the header fields to a token that this client may use now.
async fn prove(
    connection: &Connection,
    snapshot: &mut Arc<Snapshot>,
    headers: &HeaderMap,
    exchange: &mut Exchange,
) -> Result<BoundToken, Refusal> {
    let token = Token::extract(headers)?;
    let digest = token.digest();
    exchange.carries(digest);
    let worker = &connection.worker;
    let genuine = match worker.remembered.get(&digest, &snapshot.issuers) {
        Some(genuine) => {
            worker.metrics.token_cache(CacheOutcome::Hit);
            exchange.genuine(&genuine, true);
            genuine
        }
        None => {
            worker.metrics.token_cache(CacheOutcome::Miss);
            let genuine = Arc::new(verify(connection, snapshot, token).await?);
            worker.remembered.insert(digest, genuine.clone());
            exchange.genuine(&genuine, false);
            genuine
        }
    };
    // The list was read with the token; a reload in between made a new generation, so it was verified anew.
    let issuer = snapshot.issuers.get(genuine.issuer()).ok_or(Reason::IssuerUnknown)?;
    let verified = VerifiedToken::check(genuine, issuer, unix_now())?;
    BoundToken::bind(verified, connection.client.as_ref(), snapshot.settings.require)
}

/// Verifies a token; where newer keys of its issuer could help, they are asked for once.
async fn verify(
    connection: &Connection,
    snapshot: &mut Arc<Snapshot>,
    token: Token<'_>,
) -> Result<Genuine, Refusal> {
    let issuer = match jwt::verify(token, &snapshot.issuers, &snapshot.settings.forward.claims) {
        Ok(genuine) => return Ok(genuine),
        Err(Miss::Refused(refusal)) => return Err(refusal),
        Err(Miss::Keys { issuer, .. }) => issuer,
    };
    if snapshot.settings.require == Require::Always && connection.client.is_none() {
        // It would be refused with any keys: whoever has no certificate causes no call.
        return Err(Reason::CertificateMissing.into());
    }
    let seen = snapshot.issuers.get(issuer).map_or(0, |i| i.keys.generation);
    connection.worker.control.refresh_keys(issuer, seen).await;
    *snapshot = connection.worker.snapshot();
    connection.admit(&snapshot.trust, unix_now())?;
    match jwt::verify(token, &snapshot.issuers, &snapshot.settings.forward.claims) {
        Ok(genuine) => Ok(genuine),
        Err(Miss::Refused(refusal)) | Err(Miss::Keys { otherwise: refusal, .. }) => Err(refusal),
    }
}
