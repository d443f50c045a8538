//! Connections of HTTP/2 with prior knowledge (RFC 9113 §3.3), each shared by many requests.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;

use super::dial::ConnectError;
use super::io::Io;
use crate::serve::body::RequestBody;
use crate::serve::local::LocalExecutor;

/// Requests on one connection, unless the upstream allows fewer; beyond them there is another connection.
const STREAMS: usize = 100;
/// What one answer may have under way to a client that reads slowly.
const STREAM_WINDOW: u32 = 128 << 10;
/// What all of them may have: slow readers can never hold up the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;
/// Stands for the number of streams that the peer allows as long as it has not told it, which it does in 32 bits.
const UNKNOWN: usize = usize::MAX - 1;
/// How often a new connection is looked at for the peer's settings.
const GLANCE: Duration = Duration::from_millis(1);
/// Bytes of an answer's head.
const HEAD: u32 = 256 << 10;

type Driver = http2::Connection<TokioIo<Io>, RequestBody, LocalExecutor>;

/// The HTTP/2 connections of one worker.
pub(super) struct Connections {
    all: RefCell<Vec<Rc<Connection>>>,
    /// Held while one is made, so that requests which come together share it.
    pub(super) making: Mutex<()>,
}

/// One of them. It closes when it is out of the list and its last stream has ended.
struct Connection {
    sender: RefCell<SendRequest<RequestBody>>,
    /// Polled by a task of its own; here it is asked for the peer's limit.
    driver: Rc<RefCell<Option<Driver>>>,
    open: Cell<usize>,
    used: Cell<Instant>,
}

/// The right to one request.
pub(in crate::serve) struct Stream {
    connection: Rc<Connection>,
}

impl Connections {
    pub(super) fn new() -> Connections {
        Connections { all: RefCell::default(), making: Mutex::new(()) }
    }

    /// A stream of the first connection that has room, so that the last ones can run dry.
    pub(super) fn stream(&self) -> Option<Stream> {
        let all = self.all.borrow();
        let connection = all.iter().find(|connection| connection.has_room())?;
        Some(Stream::new(connection))
    }

    /// Adds a connection to those that are there.
    pub(super) fn add(&self, stream: &Stream) {
        self.all.borrow_mut().push(stream.connection.clone());
    }

    /// No further request goes to the connection of this stream.
    pub(super) fn retire(&self, stream: &Stream) {
        self.all.borrow_mut().retain(|connection| !Rc::ptr_eq(connection, &stream.connection));
    }

    /// Drops all; open streams still end on theirs.
    pub(super) fn clear(&self) {
        self.all.borrow_mut().clear();
    }

    /// Closes what has idled too long.
    pub(super) fn sweep(&self, now: Instant, limit: Duration) {
        self.all.borrow_mut().retain(|connection| {
            let idle = now.saturating_duration_since(connection.used.get());
            !connection.is_closed() && (connection.open.get() > 0 || idle < limit)
        });
    }
}

impl Connection {
    fn is_closed(&self) -> bool {
        self.sender.borrow().is_closed()
    }

    fn has_room(&self) -> bool {
        let open = self.open.get();
        // Where nothing runs one request may always wait, even for a peer that allows none at the moment.
        !self.is_closed() && (open == 0 || open < self.peer_limit().min(STREAMS))
    }

    /// SETTINGS_MAX_CONCURRENT_STREAMS (RFC 9113 §6.5.2).
    fn peer_limit(&self) -> usize {
        let limit = |driver: &Driver| driver.current_max_send_streams();
        self.driver.try_borrow().ok().and_then(|driver| driver.as_ref().map(limit)).unwrap_or(0)
    }

    /// Waits for the peer's settings: before them there is no telling how many streams it allows.
    async fn settled(&self) -> Result<(), ConnectError> {
        while self.peer_limit() == UNKNOWN {
            // hyper tells nobody when they come, and a connection is made rarely.
            tokio::time::sleep(GLANCE).await;
        }
        if self.is_closed() { Err(ConnectError::Failed("no HTTP/2 settings".to_owned())) } else { Ok(()) }
    }
}

impl Stream {
    /// The first stream of a new connection, once the peer's settings are there.
    pub(super) async fn begin(io: Io) -> Result<Stream, ConnectError> {
        let (sender, driver) = http2::Builder::new(LocalExecutor)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD)
            .initial_max_send_streams(UNKNOWN)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|error| ConnectError::Failed(error.to_string()))?;
        let driver = Rc::new(RefCell::new(Some(driver)));
        tokio::task::spawn_local(drive(driver.clone()));
        let connection = Rc::new(Connection {
            sender: RefCell::new(sender),
            driver,
            open: Cell::new(0),
            used: Cell::new(Instant::now()),
        });
        connection.settled().await?;
        Ok(Stream::new(&connection))
    }

    fn new(connection: &Rc<Connection>) -> Stream {
        connection.open.set(connection.open.get() + 1);
        Stream { connection: connection.clone() }
    }

    /// SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 §3).
    pub(in crate::serve) fn takes_extended_connect(&self) -> bool {
        let enabled = Driver::is_extended_connect_protocol_enabled;
        self.connection.driver.try_borrow().is_ok_and(|driver| driver.as_ref().is_some_and(enabled))
    }

    /// Sends a request. Whoever drops the future cancels the request.
    pub(in crate::serve) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let answer = self.connection.sender.borrow_mut().try_send_request(request);
        answer.await
    }
}

/// Runs a connection to its end. Its errors reach whoever waits for an answer on it.
async fn drive(driver: Rc<RefCell<Option<Driver>>>) {
    let ended = std::future::poll_fn(|cx| match &mut *driver.borrow_mut() {
        Some(driver) => Pin::new(driver).poll(cx),
        None => Poll::Ready(Ok(())),
    });
    let _ = ended.await;
    // Only with it go the requests that it had not sent yet.
    driver.take();
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.open.set(self.connection.open.get() - 1);
        self.connection.used.set(Instant::now());
    }
}
