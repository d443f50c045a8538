//! One connection: hyper's HTTP/1.1 or HTTP/2 with our limits, ended by its clock, by a drain, or by a certificate that is no
//! longer admitted.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::handshake::{self, Established};
use super::http1;
use super::io::ClientIo;
use super::worker::Hall;
use crate::config::settings::Limits;
use crate::decide::refusal::Reason;
use crate::log::Decision;
use crate::serve::Connection;
use crate::serve::clock::{Clock, Expiry};
use crate::serve::pipeline;
use crate::serve::streams::StreamExecutor;
use crate::serve::upgrade::Slot;

/// Requests that one HTTP/2 connection may have open (RFC 9113 §5.1.2 recommends no less than 100).
const STREAMS: u32 = 100;
/// Streams that may be reset for the client's errors, ever (CVE-2025-8671): what is still on its way to a stream that was reset for
/// its upload's size counts too, a window of it in frames of a kilobyte.
const ERRORS: usize = 1024;
/// Bytes of an answer that wait for the client's window, a stream. h2's own 400 KiB would be 40 MiB a connection.
const UNSENT: usize = 64 * 1024;
/// For the last words on a connection that is being closed.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);
/// The end of an HTTP/2 answer may still wait in h2 for the client's window when nothing of the exchange is left here: so long
/// such a connection is not dropped.
const FLUSH: Duration = Duration::from_secs(5);

/// Runs a connection from its socket to its end.
pub(super) async fn run(hall: &Rc<Hall>, socket: TcpStream, peer: SocketAddr, clock: Rc<Clock>) {
    let snapshot = hall.worker.snapshot();
    let metrics = hall.worker.metrics();
    // Boxed, so that what a handshake needs is not kept for as long as the connection.
    let shaking = Box::pin(handshake::shake(socket, peer, clock.clone(), &snapshot, metrics));
    let established = tokio::select! {
        biased;
        established = shaking => established,
        () = silence_in_a_drain(hall, &clock) => None,
    };
    let Some(Established { tls, client, http2 }) = established else { return };
    let limits = snapshot.settings.limits.clone();
    drop(snapshot);
    clock.established();
    // Boxed, because it goes from hand to hand, and a future holds what it is given twice.
    let io = Box::new(ClientIo::new(tls, clock.clone(), http2));
    let connection = Connection::new(hall.worker.clone(), peer, client, clock, http2);
    if http2 {
        Box::pin(serve_http2(hall, connection, TokioIo::new(io), &limits)).await;
    } else {
        http1::serve(hall, connection, io, &limits).await;
    }
}

/// Waits until a drain is on and the client has not begun its handshake for a second.
async fn silence_in_a_drain(hall: &Hall, clock: &Clock) {
    poll_fn(|cx| {
        clock.driven_by(cx.waker());
        let drained = clock.idle_since().is_some_and(|since| hall.has_drained(since));
        if drained { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn serve_http2(hall: &Hall, connection: Rc<Connection>, io: TokioIo<Box<ClientIo>>, limits: &Limits) {
    let for_service = connection.clone();
    // HTTP/2 has no upgrades of a connection (RFC 9113 §8.6), but a stream may become a WebSocket (RFC 8441).
    let slot = Slot::default();
    // Boxed, because what hyper and tokio make of it is moved several times, and is there until the answer has gone out.
    let service =
        service_fn(move |request| Box::pin(pipeline::handle(for_service.clone(), slot.clone(), request)));
    // What is above the limit, and not far above it, is answered where the request is decided: h2 itself would say 431 without a
    // reason, a count or a line of the log. It counts 32 bytes more a field than HTTP/1.1 has (RFC 9113 §6.5.2).
    let head = u32::try_from(limits.request_head.saturating_mul(2)).unwrap_or(u32::MAX);
    let mut http = http2::Builder::new(StreamExecutor(connection.clock().clone()))
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(STREAMS as usize)
        .max_local_error_reset_streams(ERRORS)
        .max_send_buf_size(UNSENT)
        .max_header_list_size(head)
        .enable_connect_protocol()
        .serve_connection(io, service);
    let outcome = drive(&mut http, &mut End::new(hall, &connection), |http| http.graceful_shutdown()).await;
    if connection.clock().allowance().exceeded() {
        note(
            &connection,
            Reason::RequestMalformed,
            "more control frames or resets than answers account for",
            None,
        );
    } else if let Some(Err(error)) = outcome {
        note_unreadable_frames(&connection, &error);
    }
    if connection.clock().expired() == Some(Expiry::Head) {
        note(&connection, Reason::ClientTimeout, "the head did not arrive in time", None);
    }
}

/// Drives a connection until it has ended, or is to be dropped: `None`. `ask` asks it to end by itself.
pub(super) async fn drive<C: Future + Unpin>(
    http: &mut C,
    end: &mut End<'_>,
    ask: fn(Pin<&mut C>),
) -> Option<C::Output> {
    poll_fn(|cx| {
        if end.comes_with_the_answer() {
            ask(Pin::new(&mut *http));
        }
        loop {
            if let Poll::Ready(outcome) = Pin::new(&mut *http).poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            match end.next(cx) {
                Next::GoOn => return Poll::Pending,
                Next::Ask => ask(Pin::new(&mut *http)),
                Next::Cut => return Poll::Ready(None),
            }
        }
    })
    .await
}

/// What ends a connection besides its peer.
pub(super) struct End<'a> {
    hall: &'a Hall,
    connection: &'a Connection,
    asked: Option<Instant>,
}

/// What becomes of a connection that has done what it could.
pub(super) enum Next {
    GoOn,
    /// It is asked to end by itself, once.
    Ask,
    /// It is dropped.
    Cut,
}

impl<'a> End<'a> {
    pub(super) fn new(hall: &'a Hall, connection: &'a Connection) -> Self {
        End { hall, connection, asked: None }
    }

    /// Whether the connection is asked to end before it writes an answer, so that the client learns of it with the answer.
    fn comes_with_the_answer(&mut self) -> bool {
        let draining = self.hall.draining() && self.connection.clock().exchanges() > 0;
        let now = self.asked.is_none() && (draining || self.connection.closing());
        if now {
            self.asked = Some(Instant::now());
        }
        now
    }

    /// To be called after the connection has read what is there: a request that has arrived is not idleness.
    pub(super) fn next(&mut self, cx: &mut Context<'_>) -> Next {
        let clock: &Clock = self.connection.clock();
        clock.driven_by(cx.waker());
        if let Some(Expiry::Head | Expiry::Stall) = clock.expired() {
            return Next::Cut;
        }
        let idle = clock.idle_since();
        match self.asked {
            None if clock.expired().is_some() || self.connection.closing() || self.drained(idle) => {
                self.asked = Some(Instant::now());
                Next::Ask
            }
            // An HTTP/2 client may never answer the ping that comes with GOAWAY.
            Some(at) if at.elapsed() >= FAREWELL && idle.is_some_and(|since| since.elapsed() >= FLUSH) => {
                Next::Cut
            }
            _ => Next::GoOn,
        }
    }

    /// Whether a drain ends the connection now: with its open request, or after a second without one. A head that is on its way
    /// is waited for, because hyper takes a connection for idle until the head is complete.
    fn drained(&self, idle: Option<Instant>) -> bool {
        match idle {
            Some(since) => self.hall.has_drained(since),
            None => self.hall.draining() && self.connection.clock().exchanges() > 0,
        }
    }
}

/// h2 has answered what it could not read with GOAWAY (RFC 9113 §5.4.1); here it is counted and logged.
fn note_unreadable_frames(connection: &Connection, error: &hyper::Error) {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    if cause.is_some_and(|cause| cause.is_go_away() && cause.is_library()) {
        note(connection, Reason::RequestMalformed, "what the client sent is not HTTP/2", None);
    } else {
        tracing::debug!(peer = %connection.peer(), %error, "HTTP/2 connection ended");
    }
}

/// Counts and logs what ended a connection without a request of its own; `status` where what was sent is not the reason's. Returns the
/// identifier that stands in the log.
pub(super) fn note(
    connection: &Connection,
    reason: Reason,
    note: &'static str,
    status: Option<u16>,
) -> [u8; 32] {
    let worker = connection.worker();
    worker.metrics().request(Some(reason), Duration::ZERO);
    let request_id = worker.request_id();
    worker.log().decision(Decision {
        time: SystemTime::now(),
        request_id,
        trace_id: None,
        reason: Some(reason),
        note: Some(note.into()),
        peer: connection.peer(),
        issuer: None,
        subject: None,
        client_id: None,
        token_thumbprint: None,
        certificate_thumbprint: connection.certificate_thumbprint(),
        route: None,
        method: None,
        path: None,
        status: status.unwrap_or_else(|| reason.status()),
        cached: false,
        duration: Duration::ZERO,
        upstream_duration: None,
    });
    request_id
}
