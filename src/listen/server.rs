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
    acceptor: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts one worker for each pair of counters and log sink, and the acceptor.
    ///
    /// # Errors
    /// A thread or a runtime could not be made.
    pub(super) fn start(
        listener: TcpListener,
        parts: &Parts,
        workers: Vec<(Arc<metrics::Worker>, Sink)>,
    ) -> io::Result<Server> {
        let address = listener.local_addr()?;
        let room = Room::new(parts.shared.clone());
        let (phase, watch_phase) = watch::channel(Phase::Serving);
        let mut mailboxes = Vec::new();
        let mut threads = Vec::new();
        for (index, (metrics, log)) in workers.into_iter().enumerate() {
            let (mailbox, thread) = worker::spawn(index, parts, metrics, log, watch_phase.clone())?;
            mailboxes.push(mailbox);
            threads.push(thread);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let acceptor = std::thread::Builder::new().name("acceptor".into()).spawn(move || {
            if let Err(error) = runtime.block_on(accept::accept(listener, mailboxes, room, watch_phase)) {
                tracing::error!(%error, "the listener has failed");
            }
        })?;
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
        let _ = self.acceptor.join();
        for worker in self.workers {
            let _ = worker.join();
        }
    }
}
