//! The clock of a connection: what it waits for and since when. The worker looks at every clock four times a second, so that
//! no connection needs a timer of its own, and a request pays two cell writes for its timeouts.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::allowance::Allowance;
use super::streams::Delivery;
use crate::config::settings::Limits;

/// How often a worker looks at its connections' clocks: the most by which a timeout is late.
pub(crate) const SWEEP: Duration = Duration::from_millis(250);

/// A client whose requests come closer than this is not made to wait for new buffers with each: its connection is parked only after so
/// long without one, any other at once.
const LIVELY: Duration = Duration::from_secs(1);

/// What a connection waits for from its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The first byte of a handshake.
    Silent,
    /// The rest of the handshake, which has a deadline of its own.
    Handshake,
    /// The first byte of a request: `idle_timeout`.
    Idle,
    /// The rest of a head: `head_timeout`.
    Head,
    /// Nothing: a request is being answered.
    Busy,
}

/// Why a connection was ended by its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// No request within `idle_timeout`.
    Idle,
    /// No complete head within `head_timeout`.
    Head,
    /// The client did not read on within `stall_timeout`.
    Stall,
}

/// The clock of one connection.
pub(crate) struct Clock {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Since when there has been no request.
    idle_since: Cell<Instant>,
    /// Since when the socket takes no byte of ours.
    blocked: Cell<Option<Instant>>,
    exchanges: Cell<usize>,
    /// Open answers of an HTTP/2 connection, whose streams stall one by one behind their flow-control windows.
    deliveries: RefCell<Vec<Rc<Delivery>>>,
    /// That of the request that began last.
    begun: RefCell<Option<Rc<Delivery>>>,
    /// HTTP/1 only: whether only a look at the socket shows that the client leaves …
    watched: Cell<bool>,
    /// … and whether it is time for one.
    look: Cell<bool>,
    expired: Cell<Option<Expiry>>,
    closing: Cell<bool>,
    /// Whether the connection may be parked as soon as it has no request.
    parks: Cell<bool>,
    parking: Cell<bool>,
    /// HTTP/1 only: whether no part of a head can wait in hyper's buffer.
    whole: Cell<bool>,
    /// Whether it has had one.
    answered: Cell<bool>,
    /// Request bodies of an HTTP/1 connection whose end has not been read.
    unread: Cell<usize>,
    /// HTTP/2 only: what the client may ask for without use.
    allowance: Allowance,
    driver: RefCell<Option<Waker>>,
}

impl Clock {
    pub(crate) fn new() -> Rc<Clock> {
        Rc::new(Clock {
            phase: Cell::new(Phase::Silent),
            since: Cell::new(Instant::now()),
            idle_since: Cell::new(Instant::now()),
            blocked: Cell::new(None),
            exchanges: Cell::new(0),
            deliveries: RefCell::new(Vec::new()),
            begun: RefCell::new(None),
            watched: Cell::new(false),
            look: Cell::new(false),
            expired: Cell::new(None),
            closing: Cell::new(false),
            parks: Cell::new(true),
            parking: Cell::new(false),
            whole: Cell::new(true),
            answered: Cell::new(false),
            unread: Cell::new(0),
            allowance: Allowance::default(),
            driver: RefCell::new(None),
        })
    }

    /// Bytes of the client arrived: with the first ones its handshake begins.
    pub(crate) fn heard(&self) {
        if self.phase.get() == Phase::Silent {
            self.enter(Phase::Handshake);
        }
    }

    /// The handshake is over: from now on a request is waited for.
    pub(crate) fn established(&self) {
        self.enter(Phase::Idle);
        self.idle_since.set(self.since.get());
    }

    /// Since when the client has been expected to begin something, if that is so: a handshake, or a request, where none is open, of
    /// none a byte has arrived, and the last answer is out.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let idle = matches!(self.phase.get(), Phase::Silent | Phase::Idle) && self.exchanges.get() == 0;
        (idle && self.blocked.get().is_none()).then(|| self.since.get())
    }

    /// Bytes of the client arrived that belong to a head, unless a body that was answered early is still on its way, or they are `empty` lines
    /// before one (RFC 9112 §2.2). Whatever they are, the connection is not parked now. `ends_head`: behind them no head can have begun.
    pub(crate) fn head_bytes(&self, ends_head: bool, empty: bool) {
        self.cancel_parking();
        self.whole.set(ends_head);
        if !empty && self.phase.get() == Phase::Idle && self.unread.get() == 0 {
            self.enter(Phase::Head);
        }
    }

    /// The head that was begun is complete (HTTP/2; in HTTP/1 the exchange begins at that moment). It may have been a ping in
    /// pieces, which is no request: idleness goes on.
    pub(crate) fn head_done(&self) {
        if self.phase.get() == Phase::Head {
            match self.exchanges.get() {
                0 => {
                    self.phase.set(Phase::Idle);
                    self.since.set(self.idle_since.get());
                }
                _ => self.enter(Phase::Busy),
            }
        }
    }

    /// An HTTP/2 head has begun while other requests are open.
    pub(crate) fn head_begun(&self) {
        if self.phase.get() != Phase::Head {
            self.enter(Phase::Head);
        }
    }

    /// The socket took bytes.
    pub(crate) fn wrote(&self) {
        self.blocked.set(None);
    }

    /// The socket takes no bytes at the moment.
    pub(crate) fn write_blocked(&self) {
        if self.blocked.get().is_none() {
            self.blocked.set(Some(Instant::now()));
        }
    }

    /// A request begins; it ends when the returned guard is dropped.
    pub(crate) fn exchange(self: &Rc<Self>, multiplexed: bool) -> ExchangeGuard {
        self.exchanges.set(self.exchanges.get() + 1);
        // In HTTP/2 the next head may have begun before this request's turn came, and still has its time.
        if !(multiplexed && self.phase.get() == Phase::Head) {
            self.phase.set(Phase::Busy);
        }
        let delivery = multiplexed.then(Rc::<Delivery>::default);
        self.deliveries.borrow_mut().extend(delivery.clone());
        self.begun.borrow_mut().clone_from(&delivery);
        ExchangeGuard { clock: self.clone(), delivery, ended: Cell::new(None) }
    }

    /// The delivery of the request that has begun since this was last asked for, over HTTP/2.
    pub(super) fn begun(&self) -> Option<Rc<Delivery>> {
        self.begun.take()
    }

    /// Requests that are open.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges.get()
    }

    /// Whether a request's body has not been read to its end.
    pub(crate) fn is_upload_open(&self) -> bool {
        self.unread.get() > 0
    }

    /// Marks the connection as expired if one of its waits is over; its driver is woken from then on.
    pub(crate) fn sweep(&self, now: Instant, limits: &Limits) {
        self.allowance.sweep();
        let over = |since: Instant, limit: Duration| now.saturating_duration_since(since) >= limit;
        let stalled = |since: Option<Instant>| since.is_some_and(|s| over(s, limits.stall_timeout));
        let expiry = match self.phase.get() {
            Phase::Idle if over(self.since.get(), limits.idle_timeout) => Some(Expiry::Idle),
            Phase::Head if over(self.since.get(), limits.head_timeout) => Some(Expiry::Head),
            _ if stalled(self.blocked.get()) => Some(Expiry::Stall),
            _ => None,
        };
        for delivery in self.deliveries.borrow().iter().filter(|delivery| stalled(delivery.waits_since())) {
            delivery.end();
        }
        // A later one counts: a connection that is asked to end for its idleness may begin a head and not finish it.
        if expiry.is_some() {
            self.expired.set(expiry);
        }
        // A head that began with the request before would be over its time by then.
        let calm = if self.whole.get() { LIVELY } else { limits.head_timeout.max(LIVELY) };
        let parks = self.idle_since().is_some_and(|since| over(since, calm))
            && !(self.parks.replace(true) & self.whole.replace(true));
        let looks = self.watched.take();
        self.look.set(looks);
        if parks || looks || self.expired.get().is_some() || self.closing.get() {
            self.wake();
        }
    }

    /// Whether the connection may let go of its buffers now.
    pub(crate) fn may_park(&self) -> bool {
        self.parks.get() && self.whole.get() && self.unread.get() == 0 && self.idle_since().is_some()
    }

    /// Parks the connection while this runs, unless the stream has a byte: then what runs is a request, whose body must not seem to end.
    pub(crate) fn parking<T>(&self, while_this: impl FnOnce() -> T) -> T {
        self.parking.set(true);
        let outcome = while_this();
        self.parking.set(false);
        outcome
    }

    /// A request, or some of it, is there.
    pub(crate) fn cancel_parking(&self) {
        self.parking.set(false);
    }

    /// Whether the stream is to end where it has no byte.
    pub(crate) fn is_parking(&self) -> bool {
        self.parking.get()
    }

    /// Whether it is time to look whether the client has left; the driver is woken when it is next.
    pub(crate) fn is_time_to_look(&self) -> bool {
        self.watched.set(true);
        self.look.take()
    }

    /// A request of HTTP/1 has a body …
    pub(crate) fn upload_began(&self) {
        self.unread.set(self.unread.get() + 1);
    }

    /// … and its end has been read.
    pub(crate) fn upload_ended(&self) {
        self.unread.set(self.unread.get() - 1);
    }

    /// The connection has been without a request, and one begins.
    pub(crate) fn unparked(&self) {
        let soon = self.answered.get() && self.since.get().elapsed() < LIVELY;
        self.parks.set(!soon);
    }

    /// The connection is to end with its open requests: its driver is woken until it has.
    pub(crate) fn close(&self) {
        self.closing.set(true);
    }

    /// Whether the connection is to end with its open requests.
    pub(crate) fn closing(&self) -> bool {
        self.closing.get()
    }

    /// Why the connection must end, if it must.
    pub(crate) fn expired(&self) -> Option<Expiry> {
        self.expired.get()
    }

    /// What is left to the client of what it may ask for without use.
    pub(crate) fn allowance(&self) -> &Allowance {
        &self.allowance
    }

    /// Remembers who drives the connection.
    pub(crate) fn driven_by(&self, waker: &Waker) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|w| w.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    /// Wakes the driver.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.driver.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    fn enter(&self, phase: Phase) {
        self.enter_at(phase, Instant::now());
    }

    fn enter_at(&self, phase: Phase, now: Instant) {
        self.phase.set(phase);
        self.since.set(now);
    }
}

/// An open request of a connection.
pub(crate) struct ExchangeGuard {
    clock: Rc<Clock>,
    /// HTTP/2 only: over HTTP/1.1 the connection itself stalls.
    delivery: Option<Rc<Delivery>>,
    /// When the request ended, where that is known.
    ended: Cell<Option<Instant>>,
}

impl ExchangeGuard {
    /// The request ended at this moment; the guard is dropped next.
    pub(crate) fn ended(&self, now: Instant) {
        self.ended.set(Some(now));
    }

    /// The connection asks the response body for more, or needs no more.
    pub(crate) fn asked(&self) {
        if let Some(delivery) = &self.delivery {
            delivery.asked();
        }
    }

    /// The response body yielded a frame with so many bytes: from now on the client is to read.
    pub(crate) fn yielded(&self, bytes: usize) {
        if let Some(delivery) = &self.delivery {
            delivery.yielded();
            self.clock.allowance.piece(bytes);
        }
    }

    /// Whether the client did not read on.
    pub(crate) fn stalled(&self) -> bool {
        let alone = self.delivery.as_ref().is_some_and(|delivery| delivery.is_over());
        alone || self.clock.expired() == Some(Expiry::Stall)
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        let clock = &self.clock;
        clock.exchanges.set(clock.exchanges.get() - 1);
        if let Some(delivery) = &self.delivery {
            clock.deliveries.borrow_mut().retain(|d| !Rc::ptr_eq(d, delivery));
        }
        if clock.exchanges.get() == 0 {
            clock.answered.set(true);
            let now = self.ended.get().unwrap_or_else(Instant::now);
            clock.idle_since.set(now);
            if clock.phase.get() == Phase::Busy {
                clock.enter_at(Phase::Idle, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between the look that found nothing and the one that parks, the next request may have come, and its body not yet.
    #[test]
    fn a_byte_ends_the_parking() {
        let clock = Clock::new();
        clock.established();
        clock.unparked();
        assert!(clock.may_park());
        clock.parking(|| {
            assert!(clock.is_parking());
            clock.head_bytes(false, false);
            assert!(!clock.is_parking());
        });
        assert!(!clock.may_park() && !clock.is_parking());
    }
}
