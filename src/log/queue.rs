//! The queue between the threads that have something to say and the log thread.
//!
//! Each worker has a lane of its own, whose lock nobody else wants but the log thread, for the moment of a swap. While there is traffic
//! the log thread looks around by itself; only after a silence it sleeps, and the first line then wakes it: one system call a silence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::Decision;

/// Decisions that a lane holds.
const LANE: usize = 8192;
/// From here on a lane takes no more accepted requests: the rest is for refusals and failures.
const LANE_ACCEPTED: usize = LANE / 2;
/// Lines of events that wait at once.
pub(super) const EVENTS: usize = 1024;

/// A worker's decisions that wait to be written.
#[derive(Default)]
pub(super) struct Lane {
    decisions: Mutex<Vec<Decision>>,
}

impl Lane {
    /// Takes what waits and leaves an empty vector in its place, so that neither side allocates in the long run.
    pub(super) fn swap(&self, empty: &mut Vec<Decision>) {
        std::mem::swap(&mut *lock(&self.decisions), empty);
    }
}

/// Everything that waits to be written.
#[derive(Default)]
pub(super) struct Queue {
    lanes: Mutex<Vec<Arc<Lane>>>,
    events: Mutex<Vec<String>>,
    dropped: Counter,
    writer: OnceLock<Thread>,
    asleep: AtomicBool,
    closing: AtomicBool,
}

impl Queue {
    /// A new lane, which lives as long as the queue.
    pub(super) fn lane(&self) -> Arc<Lane> {
        let lane = Arc::new(Lane::default());
        lock(&self.lanes).push(lane.clone());
        lane
    }

    /// Lines that could not be written.
    pub(super) fn dropped(&self) -> &Counter {
        &self.dropped
    }

    /// Queues a decision, or drops it where the lane has no room for its kind.
    pub(super) fn push(&self, lane: &Lane, decision: Decision) {
        let limit = if decision.reason.is_none() { LANE_ACCEPTED } else { LANE };
        self.offer(&lane.decisions, limit, decision);
    }

    /// Queues the line of an event, or drops it where too many wait.
    pub(super) fn push_event(&self, line: String) {
        self.offer(&self.events, EVENTS, line);
    }

    fn offer<T>(&self, waiting: &Mutex<Vec<T>>, limit: usize, item: T) {
        let mut waiting = lock(waiting);
        if waiting.len() >= limit {
            drop(waiting);
            self.dropped.inc();
            return;
        }
        waiting.push(item);
        drop(waiting);
        // Relaxed suffices: the log thread falls asleep after a look at everything that waits. Either that look came after the push and
        // has seen it, or before; then the lock that it released has made `asleep` visible here.
        if self.asleep.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    fn wake(&self) {
        if self.asleep.swap(false, Ordering::AcqRel)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }
}

/// The log thread's side.
impl Queue {
    /// The calling thread is the one to wake.
    pub(super) fn written_by_this_thread(&self) {
        let _ = self.writer.set(thread::current());
    }

    pub(super) fn lanes(&self) -> Vec<Arc<Lane>> {
        lock(&self.lanes).clone()
    }

    pub(super) fn take_events(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.events))
    }

    /// Sleeps for this long, or until the log is closed.
    pub(super) fn pause(&self, duration: Duration) {
        if !self.is_closing() {
            thread::park_timeout(duration);
        }
    }

    /// Sleeps until something is queued or the log is closed.
    pub(super) fn sleep(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        if self.is_empty() {
            while self.asleep.load(Ordering::Acquire) && !self.is_closing() {
                thread::park();
            }
        }
        self.asleep.store(false, Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        lock(&self.events).is_empty() && self.lanes().iter().all(|lane| lock(&lane.decisions).is_empty())
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Asks the log thread to write what waits and to end.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        // Whether asleep or in a pause: an unpark is kept until the next park.
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

/// A thread that panicked while it held a lock left a vector that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_line_after_a_silence_wakes_the_sleeper() {
        for round in 0..200 {
            let queue = Arc::new(Queue::default());
            let sleeper = {
                let queue = queue.clone();
                thread::spawn(move || {
                    queue.written_by_this_thread();
                    queue.sleep();
                    queue.take_events()
                })
            };
            // Sometimes before it sleeps, sometimes while it falls asleep, sometimes when it has.
            (0..round * 50).for_each(|_| std::hint::spin_loop());
            while round % 2 == 0 && !queue.asleep.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            queue.push_event("line".to_owned());
            assert_eq!(sleeper.join().unwrap(), ["line"]);
        }
    }

    #[test]
    fn a_close_wakes_the_sleeper() {
        let queue = Arc::new(Queue::default());
        let sleeper = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.written_by_this_thread();
                queue.sleep();
            })
        };
        while !queue.asleep.load(Ordering::Relaxed) {
            thread::yield_now();
        }
        queue.close();
        sleeper.join().unwrap();
    }
}
