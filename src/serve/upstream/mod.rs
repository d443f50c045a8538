//! A worker's own connections to the upstream: no lock, no hash, the most recently used first.

mod dial;
mod http1;
mod incoming;
pub(crate) mod io;
mod multiplexed;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;

use crate::state::upstream::Upstream;
use dial::{ConnectError, dial};
use http1::{Connection, Rest};
pub(super) use http1::{Content, Outgoing, SendError, turn};
pub(crate) use incoming::Fault;
pub(super) use incoming::Incoming;
use io::Io;
use multiplexed::Connections;
pub(super) use multiplexed::Stream;

/// Idle connections that a worker keeps.
const MAX_IDLE: usize = 256;
/// How long one is kept; most servers close earlier themselves.
const MAX_IDLE_TIME: Duration = Duration::from_secs(60);

/// The connections of one worker.
pub(crate) struct Pool {
    /// Of HTTP/1.1, each for one request at a time.
    idle: RefCell<Vec<Idle>>,
    /// Of HTTP/2.
    shared: Connections,
    /// Where all of them lead.
    upstream: RefCell<Option<Arc<Upstream>>>,
    /// How often that has changed.
    generation: Cell<u64>,
    /// When the worker last looked, which is as exact as idleness needs to be.
    swept: Cell<Instant>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection in use, or a part of a shared one.
pub(super) enum Lease {
    /// HTTP/1.1: it goes back to the pool when its answer has been read to the end, and is closed otherwise.
    Whole(Whole),
    /// HTTP/2: one stream, which is reset unless its answer was read to the end.
    Stream(#[expect(dead_code, reason = "held for its drop alone")] Stream),
}

/// A connection of HTTP/1.1 in use.
pub(super) struct Whole {
    connection: Connection,
    pool: Rc<Pool>,
    generation: u64,
}

impl Lease {
    /// Gives the connection back for the next request: its answer has been read to the end.
    pub(super) fn give_back(lease: Option<Lease>) {
        let Some(Lease::Whole(Whole { connection, pool, generation })) = lease else { return };
        match connection.rest() {
            Rest::Ready(connection) => pool.keep(connection, generation),
            Rest::Uploading(ends) => {
                tokio::task::spawn_local(async move {
                    if let Some(connection) = ends.await {
                        pool.keep(connection, generation);
                    }
                });
            }
            Rest::Over => {}
        }
    }
}

impl Whole {
    /// Sends a request and waits for the head of its answer. Whoever drops the future cancels the request.
    ///
    /// # Errors
    /// No answer came; the request is given back.
    pub(super) async fn send(
        &mut self,
        outgoing: Outgoing,
    ) -> Result<Response<http1::Content>, (SendError, Outgoing)> {
        self.connection.send(outgoing).await
    }

    /// The bare connection after a switch of protocols, with what was read of it beyond the answer's head, whose content must
    /// have been dropped.
    pub(super) fn into_bare(self) -> Option<(Io, Bytes)> {
        self.connection.into_bare()
    }
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool {
            idle: RefCell::default(),
            shared: Connections::new(),
            upstream: RefCell::new(None),
            generation: Cell::new(0),
            swept: Cell::new(Instant::now()),
        }
    }

    /// A connection of HTTP/1.1 that is there and can take a request now.
    pub(super) fn reuse(self: &Rc<Self>, upstream: &Arc<Upstream>) -> Option<Whole> {
        let generation = self.lead_to(upstream);
        loop {
            let Idle { connection, .. } = self.idle.borrow_mut().pop()?;
            if connection.is_ready() {
                return Some(self.lease(connection, generation));
            }
        }
    }

    /// A new connection of HTTP/1.1, within `limit`.
    pub(super) async fn connect(
        self: &Rc<Self>,
        upstream: &Arc<Upstream>,
        limit: Duration,
    ) -> Result<Whole, ConnectError> {
        let generation = self.lead_to(upstream);
        let io = dial(upstream, tokio::time::Instant::now() + limit).await?;
        Ok(self.lease(Connection::new(io), generation))
    }

    /// A stream of an HTTP/2 connection that is there.
    pub(super) fn stream(self: &Rc<Self>, upstream: &Arc<Upstream>) -> Option<Stream> {
        self.lead_to(upstream);
        self.shared.stream()
    }

    /// A stream of a new HTTP/2 connection, within `limit`, or of one that was made meanwhile.
    pub(super) async fn connect_shared(
        self: &Rc<Self>,
        upstream: &Arc<Upstream>,
        limit: Duration,
    ) -> Result<Stream, ConnectError> {
        let generation = self.lead_to(upstream);
        let deadline = tokio::time::Instant::now() + limit;
        let making = tokio::time::timeout_at(deadline, self.shared.making.lock());
        let _making = making.await.map_err(|_| ConnectError::Timeout)?;
        if let Some(stream) = self.shared.stream() {
            return Ok(stream);
        }
        let begin = async { Stream::begin(dial(upstream, deadline).await?).await };
        let begun = tokio::time::timeout_at(deadline, begin).await;
        let stream = begun.map_err(|_| ConnectError::Timeout)??;
        if generation == self.generation.get() {
            self.shared.add(&stream);
        }
        Ok(stream)
    }

    fn keep(&self, connection: Connection, generation: u64) {
        let mut idle = self.idle.borrow_mut();
        if generation == self.generation.get() && idle.len() < MAX_IDLE {
            idle.push(Idle { connection, since: self.swept.get() });
        }
    }

    /// No further request goes to the connection of this stream.
    pub(super) fn retire(&self, stream: &Stream) {
        self.shared.retire(stream);
    }

    /// Closes what has idled too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.swept.set(now);
        self.idle
            .borrow_mut()
            .retain(|i| now.saturating_duration_since(i.since) < MAX_IDLE_TIME && i.connection.is_ready());
        self.shared.sweep(now, MAX_IDLE_TIME);
    }

    /// After a reload that named another upstream, or other trust roots for it, no connection to the old one is used again.
    /// Says the generation of connections to this one.
    fn lead_to(&self, upstream: &Arc<Upstream>) -> u64 {
        if !self.upstream.borrow().as_ref().is_some_and(|current| Arc::ptr_eq(current, upstream)) {
            self.idle.borrow_mut().clear();
            self.shared.clear();
            self.generation.set(self.generation.get() + 1);
            *self.upstream.borrow_mut() = Some(upstream.clone());
        }
        self.generation.get()
    }

    fn lease(self: &Rc<Self>, connection: Connection, generation: u64) -> Whole {
        Whole { connection, pool: self.clone(), generation }
    }
}
