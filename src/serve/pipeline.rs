//! The way of a request, as one function. Each check returns the value that the next one needs.

use std::convert::Infallible;
use std::rc::Rc;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use super::answer;
use super::body::ResponseBody;
use super::exchange::Exchange;
use super::forward::{self, Onward};
use super::prove::prove;
use super::upgrade::{Near, Slot};
use super::upload::Upload;
use super::websocket;
use super::worker::Connection;
use crate::decide::headers;
use crate::decide::path::RequestPath;
use crate::decide::policy::Permit;
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::route::Access;

/// Header fields that a request may have.
const MAX_FIELDS: usize = 100;

/// Answers one request; a refusal is an answer too. The tunnel of an HTTP/1.1 upgrade is left in `slot`.
pub(crate) async fn handle(
    connection: Rc<Connection>,
    slot: Slot,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let (mut head, body) = request.into_parts();
    let body = Upload::new(body, connection.clock(), connection.multiplexed);
    let mut exchange = Exchange::begin(&connection, &head);
    let grpc = answer::is_grpc(&head.headers);
    let near = websocket::unfold(&mut head).map_or(Near::Connection(slot), Near::Stream);
    match pass(&connection, head, body, &mut exchange).await {
        Ok(response) => Ok(response.map(|answer| answer.with(exchange, near))),
        Err(refusal) => {
            // Nobody reads on in the body of a request that was refused or failed, so the connection ends with the answer, and says so
            // (RFC 9112 §9.6).
            let unread = connection.clock().is_upload_open();
            Ok(answer::refusal(&refusal, exchange, grpc, connection.closing() || unread))
        }
    }
}

/// Every check in its order, then the upstream.
async fn pass(
    connection: &Connection,
    head: Parts,
    body: Upload,
    exchange: &mut Exchange,
) -> Result<Response<forward::Answer>, Refusal> {
    let mut snapshot = connection.worker.snapshot();
    connection.admit(&snapshot.trust, exchange.began())?;
    if head.headers.len() > MAX_FIELDS || size(&head) > snapshot.settings.limits.request_head {
        return Err(Reason::HeadTooLarge.into());
    }
    headers::check_head(&head).inspect_err(|_| connection.doubt())?;
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
    let line = head.method.as_str().len() + target + "  HTTP/1.1\r\n\r\n".len();
    head.headers
        .iter()
        .fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + ": \r\n".len())
}
