//! A worker's own connections to the upstream: no lock, no hash, the most recently used first.

mod dial;
mod heard;
pub(crate) mod io;
mod multiplexed;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::body::RequestBody;
use crate::config::settings::UpstreamUrl;
use crate::state::upstream::Upstream;
use dial::{ConnectError, dial};
use heard::Heard;
use io::Io;
use multiplexed::{Connections, Stream};

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
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A connection in use, or a part of a shared one.
pub(super) enum Lease {
    /// HTTP/1.1: it goes back to the pool when its answer has been read to the end, and is closed otherwise.
    Whole(Whole),
    /// HTTP/2: one stream, which is reset unless its answer was read to the end.
    Stream(Stream),
}

/// A connection of HTTP/1.1 in use.
pub(super) struct Whole {
    sender: SendRequest<RequestBody>,
    pool: Rc<Pool>,
    generation: u64,
}

/// The bare connection after an upgrade, with what was read of it beyond the answer's head.
pub(super) type Bare = oneshot::Receiver<http1::Parts<TokioIo<Heard<Io>>>>;

impl Lease {
    /// Sends a request. Whoever drops the future cancels the request.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        match self {
            Lease::Whole(whole) => whole.sender.try_send_request(request).await,
            Lease::Stream(stream) => {
                let answer = stream.sender().borrow_mut().try_send_request(request);
                answer.await
            }
        }
    }

    /// Gives the connection back for the next request.
    pub(super) fn give_back(lease: Option<Lease>) {
        let Some(Lease::Whole(Whole { sender, pool, generation })) = lease else { return };
        let mut idle = pool.idle.borrow_mut();
        if generation == pool.generation.get() && !sender.is_closed() && idle.len() < MAX_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }

    /// Whether an extended CONNECT may go there (RFC 8441 §3).
    pub(super) fn takes_extended_connect(&self) -> bool {
        matches!(self, Lease::Stream(stream) if stream.takes_extended_connect())
    }

    /// Whether other requests share the connection.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self, Lease::Stream(_))
    }
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool {
            idle: RefCell::default(),
            shared: Connections::new(),
            upstream: RefCell::new(None),
            generation: Cell::new(0),
        }
    }

    /// A connection that is there and can take a request now.
    pub(super) fn reuse(self: &Rc<Self>, upstream: &Arc<Upstream>) -> Option<Lease> {
        let generation = self.lead_to(upstream);
        if let UpstreamUrl::H2c(_) = upstream.url {
            return self.shared.stream().map(Lease::Stream);
        }
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            match idle.get(at) {
                Some(i) if i.sender.is_closed() => drop(idle.swap_remove(at)),
                Some(i) if i.sender.is_ready() => {
                    return Some(self.lease(idle.swap_remove(at).sender, generation));
                }
                _ => {}
            }
        }
        None
    }

    /// A new connection, within `limit`; over HTTP/2 also one that was made meanwhile.
    pub(super) async fn connect(
        self: &Rc<Self>,
        upstream: &Arc<Upstream>,
        limit: Duration,
    ) -> Result<Lease, ConnectError> {
        let generation = self.lead_to(upstream);
        let deadline = tokio::time::Instant::now() + limit;
        if let UpstreamUrl::H2c(_) = upstream.url {
            let making = tokio::time::timeout_at(deadline, self.shared.making.lock());
            let _making = making.await.map_err(|_| ConnectError::Timeout)?;
            if let Some(stream) = self.shared.stream() {
                return Ok(Lease::Stream(stream));
            }
            let begin = async { Stream::begin(dial(upstream, deadline).await?).await };
            let begun = tokio::time::timeout_at(deadline, begin).await;
            let stream = begun.map_err(|_| ConnectError::Timeout)??;
            if generation == self.generation.get() {
                self.shared.add(&stream);
            }
            return Ok(Lease::Stream(stream));
        }
        let (sender, connection) = begin(dial(upstream, deadline).await?).await?;
        tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for an answer on it.
            let _ = connection.await;
        });
        Ok(self.lease(sender, generation))
    }

    /// A new connection of HTTP/1.1 that can be had bare once the upstream has switched protocols on it.
    pub(super) async fn connect_for_upgrade(
        self: &Rc<Self>,
        upstream: &Arc<Upstream>,
        limit: Duration,
    ) -> Result<(Lease, Bare), ConnectError> {
        let generation = self.lead_to(upstream);
        let io = dial(upstream, tokio::time::Instant::now() + limit).await?;
        let (sender, connection) = begin(io).await?;
        let (bare, receiver) = oneshot::channel();
        tokio::task::spawn_local(async move {
            if let Ok(parts) = connection.without_shutdown().await {
                // Nobody waits for it where the upstream declined: then the connection just closes.
                let _ = bare.send(parts);
            }
        });
        Ok((self.lease(sender, generation), receiver))
    }

    /// No further request goes to the connection of this lease.
    pub(super) fn retire(&self, lease: &Lease) {
        if let Lease::Stream(stream) = lease {
            self.shared.retire(stream);
        }
    }

    /// Closes what has idled too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.idle
            .borrow_mut()
            .retain(|i| !i.sender.is_closed() && now.saturating_duration_since(i.since) < MAX_IDLE_TIME);
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

    fn lease(self: &Rc<Self>, sender: SendRequest<RequestBody>, generation: u64) -> Lease {
        Lease::Whole(Whole { sender, pool: self.clone(), generation })
    }
}

type Http1 = http1::Connection<TokioIo<Heard<Io>>, RequestBody>;

async fn begin(io: Io) -> Result<(SendRequest<RequestBody>, Http1), ConnectError> {
    let begun = http1::Builder::new().handshake(TokioIo::new(Heard::new(io))).await;
    begun.map_err(|error| ConnectError::Failed(error.to_string()))
}
