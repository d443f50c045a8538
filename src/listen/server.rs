//! The listener's life: start, serve, drain, over.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::accept::Room;
use super::{accept, worker};
use crate::log::Sink;
use crate::metrics;
use crate::state::Shared;
use crate::state::control::Control;
use crate::trace::Tracer;

/// Where the workers are in their life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Serving,
    /// The listener closes, open requests are finished, idle connections end.
    Draining,
    /// What is still open is cut.
    Over,
}

/// What the listener needs from the rest of the process.
#[derive(Clone)]
pub(super) struct Parts {
    /// The newest snapshot.
    pub(super) shared: Arc<Shared>,
    /// The control thread.
    pub(super) control: Control,
    /// What begins spans, where tracing is on.
    pub(super) tracer: Option<Tracer>,
}

/// A listener that serves.
pub(super) struct Server {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    /// A single worker accepts for itself: to hand a connection from thread to thread costs more than to accept it.
    acceptor: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts one worker for each pair of counters and log sink, and the acceptor, on a thread of its own where there are several.
    ///
    /// # Errors
    /// A thread or a runtime could not be made.
    pub(super) fn start(
        listener: TcpListener,
        parts: &Parts,
        workers: Vec<(Arc<metrics::Worker>, Sink)>,
    ) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let mut door = Some((listener, Room::new(parts.shared.clone())));
        let alone = workers.len() == 1;
        let (phase, watch_phase) = watch::channel(Phase::Serving);
        let mut mailboxes = Vec::new();
        let mut threads = Vec::new();
        for (index, (metrics, log)) in workers.into_iter().enumerate() {
            let its_own = if alone { door.take() } else { None };
            let (mailbox, thread) = worker::spawn(index, parts, metrics, log, watch_phase.clone(), its_own)?;
            mailboxes.push(mailbox);
            threads.push(thread);
        }
        let spawn = |(listener, room)| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let accept = move || runtime.block_on(accept::run(listener, mailboxes, room, watch_phase));
            std::thread::Builder::new().name("acceptor".into()).spawn(accept)
        };
        let acceptor = door.map(spawn).transpose()?;
        Ok(Server { address, phase, acceptor, workers: threads })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the listener, lets open requests finish within `limit`, cuts the rest. Blocks until all threads have ended.
    pub(super) fn drain(self, limit: Duration) {
        let _ = self.phase.send(Phase::Draining);
        let deadline = Instant::now() + limit;
        while self.workers.iter().any(|w| !w.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.phase.send(Phase::Over);
        if let Some(acceptor) = self.acceptor {
            let _ = acceptor.join();
        }
        for worker in self.workers {
            let _ = worker.join();
        }
    }
}
