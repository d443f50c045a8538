//! The one acceptor: it takes a connection only while there is room, so that what is above the limit waits in the kernel's
//! backlog, and gives it to the worker with the fewest.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::worker::Mailbox;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: i32 = 4096;
/// How long the acceptor waits when the process is out of descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

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
pub(super) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restart need not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts until `stop` turns true; then the listener closes, with an empty backlog.
pub(super) async fn accept(
    listener: std::net::TcpListener,
    workers: Vec<Mailbox>,
    room: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let permit = tokio::select! {
            biased;
            _ = stop.wait_for(|&stop| stop) => break,
            permit = room.clone().acquire_owned() => permit.map_err(io::Error::other)?,
        };
        let accepted = tokio::select! {
            biased;
            accepted = accept_one(&listener) => accepted,
            _ = stop.wait_for(|&stop| stop) => break,
        };
        match accepted {
            Ok((socket, peer)) => hand_over(&workers, Accepted { socket, peer, permit }),
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(error = %error, "no connection can be accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    empty(&listener, &workers, &room);
    Ok(())
}

/// What the kernel has completed belongs to us: it is taken before the listener closes and would reset it.
fn empty(listener: &TcpListener, workers: &[Mailbox], room: &Arc<Semaphore>) {
    let mut now = Context::from_waker(Waker::noop());
    while let Ok(permit) = room.clone().try_acquire_owned() {
        let Poll::Ready(Ok((socket, peer))) = listener.poll_accept(&mut now) else { return };
        let Ok(socket) = socket.into_std() else { continue };
        hand_over(workers, Accepted { socket, peer, permit });
    }
}

async fn accept_one(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = listener.accept().await?;
    // The worker registers it with its own runtime.
    Ok((socket.into_std()?, peer))
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
