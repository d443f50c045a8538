//! HTTP/1.1 towards the client. Without a request a connection is *parked*: hyper and its buffers are not there, and only the TLS session
//! waits for a byte.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use hyper::server::conn::http1::{Builder, Parts};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;

use super::connection::{End, FAREWELL, Next, drive, note};
use super::io::{ClientIo, is_empty_lines};
use super::lent::Lent;
use super::worker::Hall;
use crate::config::settings::Limits;
use crate::decide::refusal::Reason;
use crate::serve::clock::{Clock, Expiry};
use crate::serve::upgrade::Slot;
use crate::serve::{Connection, answer, pipeline};

/// What hyper reads above `request_head`: a head that is not far above it is answered where the request is decided, with a reason.
const BEYOND: usize = 16 << 10;

/// Serves the connection to its end.
pub(super) async fn serve(
    hall: &Rc<Hall>,
    connection: Rc<Connection>,
    mut io: Box<ClientIo>,
    limits: &Limits,
) {
    let mut end = End::new(hall, &connection);
    while wait(&mut io, &mut end).await {
        connection.clock().unparked();
        // Boxed, so that a parked connection holds nothing of it.
        match Box::pin(talk(hall, &connection, io, limits, &mut end)).await {
            Some(parked) => {
                connection.rest();
                io = parked;
            }
            None => return,
        }
    }
    let _ = drive(&mut pin!(io.shutdown()), &mut end, |_| {}).await;
}

/// Waits for the first byte of the next request; false if the connection is to end, or has ended, before it.
async fn wait(io: &mut ClientIo, end: &mut End<'_>) -> bool {
    poll_fn(|cx| {
        // First, because a request that has arrived is not idleness.
        if let Poll::Ready(more) = io.poll_more(cx) {
            return Poll::Ready(more);
        }
        match end.next(cx) {
            Next::GoOn => Poll::Pending,
            Next::Ask | Next::Cut => Poll::Ready(false),
        }
    })
    .await
}

/// Serves requests until the connection has ended, or is idle and given back to be parked.
async fn talk(
    hall: &Rc<Hall>,
    connection: &Rc<Connection>,
    io: Box<ClientIo>,
    limits: &Limits,
    end: &mut End<'_>,
) -> Option<Box<ClientIo>> {
    let slot = Slot::default();
    let for_service = (hall.clone(), connection.clone(), slot.clone());
    let service = service_fn(move |request| {
        let (hall, connection, slot) = for_service.clone();
        // hyper may have had it in its buffer, and looks for the stream's end before this is polled.
        connection.clock().cancel_parking();
        async move {
            let mut answer = pipeline::handle(connection, slot, request).await?;
            if hall.draining() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let buffer = limits.request_head.saturating_add(BEYOND);
    let (lent, io) = Lent::twice(io);
    // Without `half_close` hyper reads on while a request is open, each time into a new buffer, to see whether the client leaves.
    let mut http = Builder::new();
    let http = http.max_buf_size(buffer).half_close(true).serve_connection(TokioIo::new(lent), service);
    let mut talk = Talk { http, io, clock: connection.clock() };
    let outcome = drive(&mut talk, end, |talk| Pin::new(&mut talk.get_mut().http).graceful_shutdown()).await;
    let Talk { http, io, .. } = talk;
    let Parts { io: lent, read_buf, .. } = http.into_parts();
    drop(lent);
    let mut io = io.back()?;
    let parked = io.unpark();
    match outcome {
        // Empty lines before a request are passed over (RFC 9112 §2.2).
        Some(Ended::Http(_)) if parked && is_empty_lines(&read_buf) => return Some(io),
        // It came with the end of the request before it, and had its time since.
        Some(Ended::Http(_)) if parked => head_timed_out(connection, io).await,
        Some(Ended::Http(Ok(()))) => {
            if let Some(tunnel) = slot.take() {
                tunnel.run(io.into_tunnel(), read_buf).await;
            }
        }
        Some(Ended::ClientLeft) => io.break_off().await,
        Some(Ended::Http(Err(error))) => {
            note_unreadable(connection, &error);
            io.break_off().await;
        }
        None if connection.clock().expired() == Some(Expiry::Head) => head_timed_out(connection, io).await,
        None => {}
    }
    None
}

/// Ends the connection for a head that is not complete in its time.
async fn head_timed_out(connection: &Connection, mut io: Box<ClientIo>) {
    let id = note(connection, Reason::ClientTimeout, "the head did not arrive in time", None);
    let farewell = async {
        io.write_all(&answer::head_timeout(&id)).await?;
        io.shutdown().await
    };
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// hyper's connection, which ends as soon as it may be parked, and where the client leaves before it has its answer.
struct Talk<'a, H> {
    http: H,
    io: Lent,
    clock: &'a Clock,
}

/// How a connection ended by itself.
enum Ended {
    Http(hyper::Result<()>),
    ClientLeft,
}

impl<H: Future<Output = hyper::Result<()>> + Unpin> Future for Talk<'_, H> {
    type Output = Ended;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let Talk { http, io, clock } = self.get_mut();
        let mut http = Pin::new(http);
        match http.as_mut().poll(cx) {
            // Only now: while hyper is at work, a request may have left its buffer and not begun, or an answer ended and not gone out.
            Poll::Pending if clock.may_park() => clock.parking(|| http.poll(cx)).map(Ended::Http),
            Poll::Pending if clock.exchanges() > 0 => {
                // A request's body is read by hyper, but only as fast as the upstream takes it.
                let left = if clock.is_upload_open() { io.poll_hung_up() } else { io.poll_left(cx) };
                left.map(|()| Ended::ClientLeft)
            }
            outcome => outcome.map(Ended::Http),
        }
    }
}

/// hyper has answered what it could not read with a bare 400 or 431; here it is counted and logged.
fn note_unreadable(connection: &Connection, error: &hyper::Error) {
    if error.is_parse_too_large() {
        let said = "the head is larger than request_head or has too many fields";
        // A target of 64 KiB is beyond what hyper reads, whatever the limit, and it has a status of its own for it.
        let target = error.to_string().contains("URI").then_some(414);
        note(connection, Reason::HeadTooLarge, said, target);
    } else if error.is_parse() {
        note(connection, Reason::RequestMalformed, "the HTTP parser could not read it", None);
    } else {
        tracing::debug!(peer = %connection.peer(), %error, "HTTP/1 connection ended");
    }
}
