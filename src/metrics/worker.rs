//! What one worker counts, without a lock and without a locked instruction on a request's way.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::{CacheOutcome, Handshake};
use crate::decide::refusal::Reason;

/// Accepted requests, then each reason in the order of its table.
const REQUEST_KINDS: usize = 1 + Reason::ALL.len();

/// The counters of one worker; only that worker writes them (except for connections, which the acceptor may count).
// Aligned so that no two workers write to one cache line.
#[derive(Debug)]
#[repr(align(128))]
pub struct Worker {
    requests: [Counter; REQUEST_KINDS],
    handshakes: [Counter; Handshake::ALL.len()],
    token_cache: [Counter; CacheOutcome::ALL.len()],
    request_duration: Histogram,
    upstream_duration: Histogram,
    opened: AtomicU64,
    closed: AtomicU64,
    created: Instant,
    heartbeat: AtomicU64,
}

impl Default for Worker {
    fn default() -> Self {
        Worker {
            requests: counters(),
            handshakes: counters(),
            token_cache: counters(),
            request_duration: Histogram::default(),
            upstream_duration: Histogram::default(),
            opened: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            created: Instant::now(),
            heartbeat: AtomicU64::new(0),
        }
    }
}

impl Worker {
    /// A decision and how long its request took.
    pub fn request(&self, reason: Option<Reason>, duration: Duration) {
        count(&self.requests, request_kind(reason));
        self.request_duration.observe(duration);
    }

    /// How long the upstream took to its head.
    pub fn upstream(&self, duration: Duration) {
        self.upstream_duration.observe(duration);
    }

    /// A connection was opened (handed to this worker). Any thread may call this.
    pub fn connection_opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// A connection was closed. Any thread may call this.
    pub fn connection_closed(&self) {
        self.closed.fetch_add(1, Relaxed);
    }

    /// A handshake ended.
    pub fn handshake(&self, outcome: Handshake) {
        count(&self.handshakes, outcome as usize);
    }

    /// A token was looked up in the worker's cache.
    pub fn token_cache(&self, outcome: CacheOutcome) {
        count(&self.token_cache, outcome as usize);
    }

    /// The worker's thread still runs its tasks. To be called about once a second.
    pub fn beat(&self) {
        self.heartbeat.store(self.created.elapsed().as_secs(), Relaxed);
    }

    /// How long ago [`Worker::beat`] was last called (or the worker created), to the second.
    pub fn silent_for(&self) -> Duration {
        self.created.elapsed().saturating_sub(Duration::from_secs(self.heartbeat.load(Relaxed)))
    }

    /// Connections open at this moment.
    pub fn connections(&self) -> u64 {
        self.opened.load(Relaxed).saturating_sub(self.closed.load(Relaxed))
    }

    pub(super) fn requests(&self, reason: Option<Reason>) -> u64 {
        read(&self.requests, request_kind(reason))
    }

    pub(super) fn handshakes(&self, outcome: Handshake) -> u64 {
        read(&self.handshakes, outcome as usize)
    }

    pub(super) fn token_lookups(&self, outcome: CacheOutcome) -> u64 {
        read(&self.token_cache, outcome as usize)
    }

    pub(super) fn request_duration(&self) -> &Histogram {
        &self.request_duration
    }

    pub(super) fn upstream_duration(&self) -> &Histogram {
        &self.upstream_duration
    }

    /// A worker that fell silent this long ago.
    #[cfg(test)]
    #[allow(clippy::expect_used)]
    pub(crate) fn silent_since(ago: Duration) -> Worker {
        Worker {
            created: Instant::now().checked_sub(ago).expect("a machine that is up so long"),
            ..Worker::default()
        }
    }
}

const fn request_kind(reason: Option<Reason>) -> usize {
    match reason {
        None => 0,
        Some(reason) => 1 + reason as usize,
    }
}

/// A counter that one thread writes and any thread reads.
///
/// With a single writer no update can be lost between a relaxed load and a relaxed store. Both are plain moves, where `fetch_add` would
/// be a locked instruction.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Counter {
    fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

fn counters<const N: usize>() -> [Counter; N] {
    std::array::from_fn(|_| Counter::default())
}

fn count(counters: &[Counter], index: usize) {
    if let Some(counter) = counters.get(index) {
        counter.add(1);
    }
}

fn read(counters: &[Counter], index: usize) -> u64 {
    counters.get(index).map_or(0, Counter::get)
}

/// Upper bounds of a histogram's buckets, in seconds; one more bucket takes the rest.
pub(super) const BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Durations by size.
#[derive(Debug)]
pub(super) struct Histogram {
    buckets: [Counter; BOUNDS.len() + 1],
    nanoseconds: Counter,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { buckets: counters(), nanoseconds: Counter::default() }
    }
}

impl Histogram {
    fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        count(&self.buckets, BOUNDS.partition_point(|&bound| bound < seconds));
        self.nanoseconds.add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many durations fell into each bucket, not cumulative.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Counter::get)
    }

    /// All durations together, in seconds.
    pub(super) fn sum(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.get()).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let worker = Worker::default();
        for (times, &reason) in Reason::ALL.iter().enumerate() {
            (0..=times).for_each(|_| worker.request(Some(reason), Duration::ZERO));
        }
        worker.request(None, Duration::ZERO);
        for (times, &reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(worker.requests(Some(reason)), times as u64 + 1, "{}", reason.name());
        }
        assert_eq!(worker.requests(None), 1);
    }

    #[test]
    fn the_declared_order_of_labels_is_the_order_of_their_counters() {
        for (index, outcome) in Handshake::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, outcome) in CacheOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }

    #[test]
    fn a_duration_falls_into_the_bucket_whose_upper_bound_includes_it() {
        let histogram = Histogram::default();
        for duration in [
            Duration::ZERO,
            Duration::from_micros(500),
            Duration::from_micros(501),
            Duration::from_secs(10),
            Duration::from_secs(11),
            Duration::MAX,
        ] {
            histogram.observe(duration);
        }
        let counts: Vec<_> = histogram.counts().collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    }

    #[test]
    fn a_beat_ends_the_silence() {
        let worker = Worker::silent_since(Duration::from_secs(60));
        assert!(worker.silent_for() >= Duration::from_secs(60));
        worker.beat();
        assert!(worker.silent_for() < Duration::from_secs(2));
    }
}
