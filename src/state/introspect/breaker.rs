//! The circuit breaker of one introspection endpoint: no I/O, no clock; the time is an argument.
//!
//! After some failures in a row it opens: calls are not made but counted as failed at once, so that a dead server costs no request
//! its patience. After a pause one call goes through as a probe; it closes the breaker, or opens it again for longer. The longest
//! pause is shorter than the 5 s within which a failed call is to be tried again.
//!
//! While all of the failures are those of one client, it holds up that client alone: they may be its tokens' doing. The first failure
//! of another one shows that they are the server's, and an answer to another one that they are not.

use std::time::{Duration, Instant};

use super::Client;
use crate::metrics::BreakerState;

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// The first pause; it doubles with each probe that fails, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// The part of a pause that is left to chance, so that replicas do not probe at the same moment.
const SPREAD: f64 = 0.5;

/// Whether calls are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// They are.
    Closed,
    /// One is being made, to see whether the server is back.
    HalfOpen,
    /// They are not, before this moment.
    Open(Instant),
}

impl From<State> for BreakerState {
    fn from(state: State) -> BreakerState {
        match state {
            State::Closed => BreakerState::Closed,
            State::HalfOpen => BreakerState::HalfOpen,
            State::Open(_) => BreakerState::Open,
        }
    }
}

/// Whose calls are not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// Nobody's.
    Nobodys,
    /// Those of the one client whose calls have failed.
    OneClients,
    /// Everybody's.
    Everybodys,
}

#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    failures: u32,
    /// The client of every failure since the last answer; `None` where there are several, or no failures.
    only: Option<Client>,
}

impl Breaker {
    pub(super) fn new() -> Breaker {
        Breaker { state: State::Closed, failures: 0, only: None }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn pause(&self) -> Pause {
        match (self.state, self.only) {
            (State::Closed, _) => Pause::Nobodys,
            (_, Some(_)) => Pause::OneClients,
            (_, None) => Pause::Everybodys,
        }
    }

    /// Whether a call would be made now for this client.
    pub(super) fn admits(&self, client: Client, now: Instant) -> bool {
        match self.state {
            State::Closed => true,
            State::HalfOpen => !self.concerns(client),
            State::Open(until) => !self.concerns(client) || now >= until,
        }
    }

    fn concerns(&self, client: Client) -> bool {
        self.only.is_none_or(|only| only == client)
    }

    /// A call is made that was admitted. Whether it is the probe: the first one after a pause.
    pub(super) fn begin(&mut self, client: Client) -> bool {
        let probe = self.state != State::Closed && self.concerns(client);
        if probe {
            self.state = State::HalfOpen;
        }
        probe
    }

    /// A call was answered: whatever was said, the server is there.
    pub(super) fn answered(&mut self) {
        *self = Breaker::new();
    }

    /// A call for this client failed. Those that were made before the breaker opened prolong nothing. `chance` is in 0..1.
    pub(super) fn failed(&mut self, client: Client, probe: bool, now: Instant, chance: f64) {
        let is_anothers = !self.concerns(client);
        if self.failures == 0 {
            self.only = Some(client);
        } else if is_anothers {
            self.only = None;
        }
        let opens = match self.state {
            State::Closed => self.failures + 1 >= FAILURES,
            State::HalfOpen => probe || is_anothers,
            State::Open(_) => is_anothers,
        };
        if opens || self.state == State::Closed {
            self.failures += 1;
        }
        if opens {
            let pauses = self.failures.saturating_sub(FAILURES).min(8);
            let pause = FIRST_PAUSE.saturating_mul(1 << pauses).min(LONGEST_PAUSE);
            self.state = State::Open(now + pause.mul_f64(1.0 - SPREAD * chance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Client = Client::Certificate([1; 32]);
    const B: Client = Client::Certificate([2; 32]);

    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::new();
        for _ in 0..FAILURES {
            assert!(breaker.admits(A, now));
            assert!(!breaker.begin(A));
            breaker.failed(A, false, now, 0.0);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        for _ in 0..10 {
            (1..FAILURES).for_each(|_| breaker.failed(A, false, now, 0.0));
            assert!(breaker.admits(A, now));
            breaker.answered();
        }
        assert!(!open(now).admits(A, now));
    }

    #[test]
    fn after_a_pause_one_call_goes_through_and_decides() {
        let now = Instant::now();
        let mut breaker = open(now);
        let later = now + FIRST_PAUSE;
        assert!(!breaker.admits(A, later - Duration::from_millis(1)) && breaker.admits(A, later));
        breaker.begin(A);
        assert!(!breaker.admits(A, later), "one probe at a time");
        breaker.answered();
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn pauses_grow_and_stay_below_five_seconds() {
        let mut now = Instant::now();
        let mut breaker = open(now);
        let mut pauses = Vec::new();
        for _ in 0..40 {
            let State::Open(until) = breaker.state() else { unreachable!("every probe fails") };
            pauses.push((until - now).as_millis());
            now = until;
            assert!(breaker.begin(A));
            breaker.failed(A, true, now, 0.0);
        }
        assert_eq!(pauses[..5], [500, 1000, 2000, 4000, 4000]);
        assert!(pauses.iter().all(|pause| *pause <= 4000));
    }

    #[test]
    fn a_late_failure_of_an_earlier_call_changes_nothing() {
        let now = Instant::now();
        let mut breaker = open(now);
        let before = breaker.state();
        breaker.failed(A, false, now + Duration::from_millis(400), 0.0);
        assert_eq!(breaker.state(), before);
        breaker.begin(A);
        breaker.failed(A, false, now, 0.0);
        assert_eq!(breaker.state(), State::HalfOpen, "the probe alone decides");
    }

    #[test]
    fn chance_only_shortens_a_pause() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        (0..FAILURES).for_each(|_| breaker.failed(A, false, now, 0.999));
        let State::Open(until) = breaker.state() else { unreachable!("it is open") };
        assert!((until - now).as_millis() >= 250 && (until - now).as_millis() < 260);
    }
    #[test]
    fn the_failures_of_one_client_hold_up_no_other() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert_eq!(breaker.pause(), Pause::OneClients);
        assert!(!breaker.admits(A, now) && breaker.admits(B, now));
        assert!(!breaker.begin(B), "not a probe");
        assert!(!breaker.admits(A, now), "and A waits on");
        breaker.answered();
        assert!(breaker.admits(A, now) && breaker.pause() == Pause::Nobodys);
    }

    #[test]
    fn one_failure_of_another_client_holds_up_everybody() {
        let now = Instant::now();
        let mut breaker = open(now);
        // Long after the pause: it begins anew.
        let later = now + LONGEST_PAUSE;
        breaker.failed(B, false, later, 0.0);
        assert_eq!(breaker.pause(), Pause::Everybodys);
        assert!(!breaker.admits(A, later) && !breaker.admits(B, later));
        let before = breaker.state();
        breaker.failed(B, false, later + FIRST_PAUSE, 0.0);
        assert_eq!(breaker.state(), before, "a late one prolongs nothing");

        // While A's probe is on its way.
        let mut breaker = open(now);
        assert!(breaker.begin(A));
        breaker.failed(B, false, later, 0.0);
        assert!(!breaker.admits(B, later) && !breaker.admits(A, later));
        breaker.answered();
        assert!(breaker.admits(A, later), "an answer to it closes the breaker all the same");
    }

    #[test]
    fn failures_of_several_clients_count_together() {
        let now = Instant::now();
        let mut breaker = Breaker::new();
        for n in 1..FAILURES {
            breaker.failed(if n % 2 == 0 { A } else { B }, false, now, 0.0);
            assert!(breaker.admits(A, now) && breaker.admits(B, now));
        }
        breaker.failed(A, false, now, 0.0);
        assert!(!breaker.admits(A, now) && !breaker.admits(B, now));
    }
}
