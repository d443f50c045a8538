//! A worker: one thread, one single-threaded runtime, its connections and their clocks.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, watch};

use super::accept::{self, Accepted, Room};
use super::connection;
use super::server::{Parts, Phase};
use crate::log::Sink;
use crate::metrics;
use crate::serve::Worker;
use crate::serve::clock::{Clock, SWEEP};
use crate::state::introspect::Forget;

/// How long a connection without a request stays open in a drain.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// The acceptor's end of a worker.
#[derive(Clone)]
pub(super) struct Mailbox {
    sender: mpsc::UnboundedSender<Accepted>,
    load: Arc<AtomicUsize>,
}

impl Mailbox {
    /// Connections that the worker has, those on their way included.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// Gives it a connection. The queue is bounded by the global limit of connections.
    pub(super) fn put(&self, accepted: Accepted) {
        self.load.fetch_add(1, Ordering::Relaxed);
        // A worker ends only after the acceptor.
        let _ = self.sender.send(accepted);
    }
}

/// What connections come in through.
pub(super) type Door = (TcpListener, Room);

/// Starts a worker thread, the acceptor on it where it is given the door. It ends when the phase says so, or when it drains and its
/// last connection has gone.
pub(super) fn spawn(
    index: usize,
    parts: &Parts,
    metrics: Arc<metrics::Worker>,
    log: Sink,
    phase: watch::Receiver<Phase>,
    door: Option<Door>,
) -> io::Result<(Mailbox, JoinHandle<()>)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let load = Arc::new(AtomicUsize::new(0));
    let mailbox = Mailbox { sender, load: load.clone() };
    let Parts { shared, control, tracer } = parts.clone();
    let accepting = door.map(|door| (door, vec![mailbox.clone()], phase.clone()));
    let forgetting = control.introspector().forgetting();
    let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        let runtime = match Builder::new_current_thread().enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "a worker has no runtime"),
        };
        let worker = Worker::new(shared, control, metrics, log, tracer);
        runtime.block_on(async {
            if let Some(((listener, room), workers, phase)) = accepting {
                tokio::task::spawn_local(accept::run(listener, workers, room, phase));
            }
            run(Rc::new(Hall::new(worker, load)), receiver, forgetting, phase).await;
        });
    })?;
    Ok((mailbox, thread))
}

/// A worker's connections.
pub(super) struct Hall {
    pub(super) worker: Rc<Worker>,
    clocks: RefCell<HashMap<u64, Rc<Clock>>>,
    next: Cell<u64>,
    load: Arc<AtomicUsize>,
    draining: Cell<Option<Instant>>,
}

impl Hall {
    fn new(worker: Rc<Worker>, load: Arc<AtomicUsize>) -> Hall {
        Hall { worker, clocks: RefCell::default(), next: Cell::new(0), load, draining: Cell::new(None) }
    }

    /// Whether connections are to end.
    pub(super) fn draining(&self) -> bool {
        self.draining.get().is_some()
    }

    /// Whether a connection that has been idle since then is to end now.
    pub(super) fn has_drained(&self, idle_since: Instant) -> bool {
        self.draining.get().is_some_and(|began| idle_since.max(began).elapsed() >= DRAIN_IDLE)
    }

    fn enter(self: &Rc<Self>, clock: Rc<Clock>) -> Seat {
        let id = self.next.get();
        self.next.set(id + 1);
        self.clocks.borrow_mut().insert(id, clock);
        self.worker.metrics().connection_opened();
        Seat { hall: self.clone(), id }
    }

    fn sweep(&self) {
        let snapshot = self.worker.snapshot();
        let now = Instant::now();
        for clock in self.clocks.borrow().values() {
            clock.sweep(now, &snapshot.settings.limits);
        }
        if self.draining() {
            // Each looks whether it has been idle for long enough.
            self.wake_all();
        }
    }

    fn wake_all(&self) {
        self.clocks.borrow().values().for_each(|clock| clock.wake());
    }
}

/// A connection's place among the worker's; it is left on drop.
struct Seat {
    hall: Rc<Hall>,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hall.clocks.borrow_mut().remove(&self.id);
        self.hall.worker.metrics().connection_closed();
        self.hall.load.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn run(
    hall: Rc<Hall>,
    mut mail: mpsc::UnboundedReceiver<Accepted>,
    mut forgetting: mpsc::Receiver<Forget>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut closed = false;
    loop {
        tokio::select! {
            accepted = mail.recv(), if !closed => match accepted {
                Some(accepted) => begin(&hall, accepted),
                None => closed = true,
            },
            Some(order) = forgetting.recv() => hall.worker.forget(order),
            _ = sweep.tick() => {
                hall.worker.sweep();
                hall.sweep();
            }
            _ = phase.changed() => match *phase.borrow_and_update() {
                Phase::Serving => {}
                Phase::Draining => {
                    hall.draining.set(Some(Instant::now()));
                    hall.wake_all();
                }
                Phase::Over => return,
            }
        }
        if hall.draining() && closed && hall.load.load(Ordering::Relaxed) == 0 {
            return;
        }
    }
}

fn begin(hall: &Rc<Hall>, accepted: Accepted) {
    let Accepted { socket, peer, permit } = accepted;
    let clock = Clock::new();
    let seat = hall.enter(clock.clone());
    let hall = hall.clone();
    tokio::task::spawn_local(async move {
        connection::run(&hall, socket, peer, clock).await;
        drop((seat, permit));
    });
}
