//! One line a decision, written by a thread of its own behind a bounded queue, so that a slow standard output delays no request.
//!
//! A worker hands a typed [`Decision`] to its [`Sink`]; the log thread turns it into text. When the queue fills, lines of
//! accepted requests are dropped first, and counted. Everything besides decisions goes through `tracing` into the same thread, so that
//! standard output has one writer.

mod bounds;
mod events;
mod filter;
mod line;
mod queue;
mod thread;
mod value;

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use http::Method;
use prometheus_client::metrics::counter::Counter;
use tracing::level_filters::LevelFilter;

pub(crate) use bounds::loggable_path;
pub use filter::Filter;
pub use thread::LogGuard;

use crate::config::settings::LogFormat;
use crate::decide::refusal::Reason;
use crate::decide::token::Digest;
use queue::{Lane, Queue};

/// One decision, as a worker saw it.
#[derive(Debug)]
pub struct Decision {
    /// When the request was decided.
    pub time: SystemTime,
    /// Also in the answer and towards the upstream: 32 hexadecimal digits.
    pub request_id: [u8; 32],
    /// The trace that the request is part of (W3C Trace Context §3.2.2.3); `None` where tracing is off.
    pub trace_id: Option<[u8; 16]>,
    /// `None`: accepted.
    pub reason: Option<Reason>,
    /// What the operator reads besides.
    pub note: Option<Cow<'static, str>>,
    /// The connection's peer.
    pub peer: SocketAddr,
    /// `iss`, once verified.
    pub issuer: Option<Arc<str>>,
    /// `sub`, once verified.
    pub subject: Option<Arc<str>>,
    /// `client_id`, once verified.
    pub client_id: Option<Arc<str>>,
    /// SHA-256 of the token, if one was sent.
    pub token_thumbprint: Option<Digest>,
    /// SHA-256 of the connection's certificate, if there is one.
    pub certificate_thumbprint: Option<Digest>,
    /// The matched route's path as configured.
    pub route: Option<Arc<str>>,
    /// Request method; `None` where the head could not be read.
    pub method: Option<Method>,
    /// Request path without query.
    pub path: Option<Box<str>>,
    /// Status of the answer; 0 where none could be given.
    pub status: u16,
    /// Whether the token was remembered.
    pub cached: bool,
    /// From the request's head to the answer's end (or break).
    pub duration: Duration,
    /// From the request going out to the upstream's head.
    pub upstream_duration: Option<Duration>,
}

/// Starts the log thread, which writes to `out` until the guard is dropped.
///
/// # Errors
/// The thread cannot be started.
pub fn start(
    format: LogFormat,
    filter: Filter,
    out: impl io::Write + Send + 'static,
) -> io::Result<(Log, LogGuard)> {
    let queue = Arc::new(Queue::default());
    let manner: Manner = Arc::new(ArcSwap::from_pointee(Setting::new(format, filter)));
    let guard = thread::start(manner.clone(), queue.clone(), out)?;
    Ok((Log { manner, queue }, guard))
}

/// What is written and how: a reload may change it.
type Manner = Arc<ArcSwap<Setting>>;

struct Setting {
    format: LogFormat,
    filter: Filter,
    /// The filter's word on decisions, which is asked for at each.
    decisions: LevelFilter,
}

impl Setting {
    fn new(format: LogFormat, filter: Filter) -> Setting {
        Setting { format, decisions: filter.decisions(), filter }
    }
}

/// The log of this process.
#[derive(Clone)]
pub struct Log {
    manner: Manner,
    queue: Arc<Queue>,
}

impl Log {
    /// A sink for one worker. Its queue lives as long as the log.
    pub fn sink(&self) -> Sink {
        Sink { lane: self.queue.lane(), queue: self.queue.clone(), manner: self.manner.clone() }
    }

    /// Lines that could not be written.
    pub fn dropped(&self) -> Counter {
        self.queue.dropped().clone()
    }

    /// What turns the process's `tracing` events into lines of this log.
    pub fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        events::subscriber(self.manner.clone(), self.queue.clone())
    }

    /// Writes in another way from now on.
    pub fn change(&self, format: LogFormat, filter: Filter) {
        self.manner.store(Arc::new(Setting::new(format, filter)));
        // Each place that events come from remembers whether it is of interest.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Makes this log the place of all `tracing` events, unless the process already has one.
    pub fn install(&self) {
        // Fails only where another log of this process came first, which then keeps the events.
        let _ = tracing::subscriber::set_global_default(self.subscriber());
        if let Some(fault) = self.manner.load().filter.fault() {
            tracing::warn!(fault, "RUST_LOG is no filter: the configured level holds");
        }
    }
}

/// A worker's end of the log queue.
#[derive(Clone)]
pub struct Sink {
    lane: Arc<Lane>,
    queue: Arc<Queue>,
    manner: Manner,
}

impl Sink {
    /// Queues a line without ever waiting.
    pub fn decision(&self, mut decision: Decision) {
        if line::level(decision.reason) <= self.manner.load().decisions {
            bounds::bound(&mut decision);
            self.queue.push(&self.lane, decision);
        }
    }
}

#[cfg(test)]
mod tests;
