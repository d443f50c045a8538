//! The one acceptor: it takes a connection only while there is room, so that what is above the limit waits in the kernel's
//! backlog, and gives it to the worker with the fewest.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep_until;

use super::last_call;
use super::server::Phase;
use super::worker::Mailbox;
use crate::state::Shared;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 4096;
/// Bytes that the kernel takes of us beyond what it has sent: without a bound it takes megabytes, and says that a slow client has read
/// on only when it has read a third of them.
const UNSENT: u32 = 128 * 1024;
/// How long the acceptor waits when the process is out of descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);
/// How often that is told, while it lasts.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// How often a full house looks whether the limit has been raised.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A connection on its way to a worker. Dropping the permit makes room for the next one.
pub(super) struct Accepted {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) permit: OwnedSemaphorePermit,
}

/// Binds the listener; `[::]` takes IPv4 too.
///
/// # Errors
/// The address is in use, or not this host's.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    // What is accepted inherits both.
    socket.set_tcp_nodelay(true)?;
    if let Err(error) = socket.set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "slow readers cannot be told from those who have stopped before they have read much");
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts, and says where that fails.
pub(super) async fn run(
    listener: TcpListener,
    workers: Vec<Mailbox>,
    room: Room,
    phase: watch::Receiver<Phase>,
) {
    if let Err(error) = accept(listener, workers, room, phase).await {
        tracing::error!(%error, "the listener has failed");
    }
}

/// Accepts until the drain; then the listener closes with an empty backlog, and what was taken out of it is handed over as
/// there is room.
async fn accept(
    listener: TcpListener,
    workers: Vec<Mailbox>,
    mut room: Room,
    mut phase: watch::Receiver<Phase>,
) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "unsound only for a type that gives a descriptor it does not own; its successor is unsafe"
    )]
    let listener = AsyncFd::with_interest(listener, Interest::READABLE)?;
    let mut told: Option<Instant> = None;
    loop {
        let permit = tokio::select! {
            biased;
            _ = phase.wait_for(|&phase| phase != Phase::Serving) => break,
            permit = room.enter() => permit?,
        };
        let accepted = tokio::select! {
            biased;
            accepted = accept_one(&listener) => accepted,
            _ = phase.wait_for(|&phase| phase != Phase::Serving) => break,
        };
        match accepted {
            Ok((socket, peer)) => hand_over(&workers, Accepted { socket, peer, permit }),
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                if told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
                    tracing::warn!(%error, "no connection can be accepted for the moment");
                    told = Some(Instant::now());
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    let waiting = close(listener, &workers, &mut room).await?;
    for (socket, peer) in waiting {
        let permit = tokio::select! {
            _ = phase.wait_for(|&phase| phase == Phase::Over) => break,
            permit = room.enter() => permit?,
        };
        hand_over(&workers, Accepted { socket, peer, permit });
    }
    Ok(())
}

/// Closes the listener without a reset for anybody, and returns those for whom there is no room yet.
async fn close(
    listener: AsyncFd<TcpListener>,
    workers: &[Mailbox],
    room: &mut Room,
) -> io::Result<VecDeque<(TcpStream, SocketAddr)>> {
    let mut waiting = VecDeque::new();
    let end = Instant::now() + last_call::begin(listener.get_ref());
    loop {
        tokio::select! {
            biased;
            () = sleep_until(end.into()) => break,
            accepted = accept_one(&listener) => match accepted {
                Ok(accepted) => waiting.push_back(accepted),
                Err(error) if is_the_peers(&error) => {}
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            permit = room.enter(), if !waiting.is_empty() => {
                let permit = permit?;
                let Some((socket, peer)) = waiting.pop_front() else { continue };
                hand_over(workers, Accepted { socket, peer, permit });
            }
        }
    }
    waiting.extend(empty(&listener.into_inner()));
    Ok(waiting)
}

/// What the kernel has completed belongs to us, even above the limit: the close would reset it. The kernel itself is asked, for
/// the runtime may not have heard of the last ones yet.
fn empty(listener: &TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let mut waiting = Vec::new();
    loop {
        match listener.accept() {
            Ok((socket, peer)) if socket.set_nonblocking(true).is_ok() => waiting.push((socket, peer)),
            Ok(_) => {}
            Err(error) if is_the_peers(&error) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return waiting,
            Err(error) => {
                tracing::warn!(%error, "connections are left in the backlog");
                return waiting;
            }
        }
    }
}

/// Room for `[limits] connections`, which a reload may change.
pub(super) struct Room {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    /// Places there are, free and taken.
    size: usize,
}

impl Room {
    pub(super) fn new(shared: Arc<Shared>) -> Room {
        Room { shared, places: Arc::new(Semaphore::new(0)), size: 0 }
    }

    /// A place, once there is one. Where the limit has become smaller, places are given up as connections leave them.
    async fn enter(&mut self) -> io::Result<OwnedSemaphorePermit> {
        loop {
            let limit = self.shared.load().settings.limits.connections;
            if self.size < limit {
                self.places.add_permits(limit - self.size);
                self.size = limit;
            }
            // The usual case, without a timer.
            if self.size == limit
                && let Ok(place) = self.places.clone().try_acquire_owned()
            {
                return Ok(place);
            }
            let place = tokio::time::timeout(LOOK_EVERY, self.places.clone().acquire_owned()).await;
            match place {
                Ok(place) if self.size > limit => {
                    place.map_err(io::Error::other)?.forget();
                    self.size -= 1;
                }
                Ok(place) => return place.map_err(io::Error::other),
                Err(_) => {}
            }
        }
    }
}

async fn accept_one(listener: &AsyncFd<TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    // Not tokio's own listener: it would register the socket here, and its worker's runtime is where it belongs.
    let (socket, peer) = listener.async_io(Interest::READABLE, TcpListener::accept).await?;
    socket.set_nonblocking(true)?;
    Ok((socket, peer))
}

/// Errors of one connection that was gone before it was accepted; accept(2) reports them on the listener.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn hand_over(workers: &[Mailbox], accepted: Accepted) {
    if let Some(worker) = workers.iter().min_by_key(|w| w.load()) {
        worker.put(accepted);
    }
}
