//! A worker's own connections to the upstream: no lock, no hash, the most recently used first.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::heard::Heard;
use crate::config::settings::{Upstream, UpstreamUrl};

/// Idle connections that a worker keeps.
const MAX_IDLE: usize = 256;
/// How long one is kept; most servers close earlier themselves.
const MAX_IDLE_TIME: Duration = Duration::from_secs(60);

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    Refused(io::Error),
    Timeout,
    Protocol(hyper::Error),
}

struct Idle {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// The idle connections of one worker.
pub(crate) struct Pool {
    idle: RefCell<Vec<Idle>>,
    /// The upstream that they lead to.
    url: RefCell<Option<UpstreamUrl>>,
}

/// A connection in use. It goes back to the pool when its answer has been read to the end, and is closed otherwise.
pub(super) struct Lease {
    pub(super) sender: SendRequest<RequestBody>,
    pool: Rc<Pool>,
}

impl Lease {
    /// Gives the connection back for the next request.
    pub(super) fn give_back(lease: Option<Lease>) {
        let Some(Lease { sender, pool, .. }) = lease else { return };
        let mut idle = pool.idle.borrow_mut();
        if !sender.is_closed() && idle.len() < MAX_IDLE {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool { idle: RefCell::new(Vec::new()), url: RefCell::new(None) }
    }

    /// An idle connection, if there is one that can take a request now.
    pub(super) fn reuse(self: &Rc<Self>, upstream: &Upstream) -> Option<Lease> {
        if self.url.borrow().as_ref() != Some(&upstream.url) {
            // A reload named another upstream.
            self.idle.borrow_mut().clear();
            *self.url.borrow_mut() = Some(upstream.url.clone());
        }
        let mut idle = self.idle.borrow_mut();
        let mut at = idle.len();
        while at > 0 {
            at -= 1;
            match idle.get(at) {
                Some(i) if i.sender.is_closed() => drop(idle.swap_remove(at)),
                Some(i) if i.sender.is_ready() => {
                    let sender = idle.swap_remove(at).sender;
                    return Some(Lease { sender, pool: self.clone() });
                }
                _ => {}
            }
        }
        None
    }

    /// A new connection, within `connect_timeout`.
    pub(super) async fn connect(self: &Rc<Self>, upstream: &Upstream) -> Result<Lease, ConnectError> {
        let UpstreamUrl::Http { host, port } = &upstream.url;
        let connecting = TcpStream::connect((host.as_str(), *port));
        let tcp = tokio::time::timeout(upstream.connect_timeout, connecting)
            .await
            .map_err(|_| ConnectError::Timeout)?
            .map_err(ConnectError::Refused)?;
        // Without it a small request waits for an acknowledgement.
        tcp.set_nodelay(true).map_err(ConnectError::Refused)?;
        let (sender, connection) = http1::Builder::new()
            .handshake(TokioIo::new(Heard::new(tcp)))
            .await
            .map_err(ConnectError::Protocol)?;
        tokio::task::spawn_local(async move {
            // Its errors reach whoever waits for an answer on it.
            let _ = connection.await;
        });
        Ok(Lease { sender, pool: self.clone() })
    }

    /// Closes what has idled too long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.idle
            .borrow_mut()
            .retain(|i| !i.sender.is_closed() && now.saturating_duration_since(i.since) < MAX_IDLE_TIME);
    }
}
