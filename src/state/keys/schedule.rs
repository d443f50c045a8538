//! When an issuer's keys are fetched and how long they serve: no I/O, no clock; the time is an argument.

use std::time::{Duration, Instant};

/// Fetches that requests may cause at once, and how long each then takes to be allowed again.
const BURST: u32 = 4;
const REFILL: Duration = Duration::from_secs(10);

/// The wait after the first failure of a row; it doubles with each up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// A server's `max-age` cannot ask for more frequent fetches than this.
const SHORTEST_MAX_AGE: Duration = Duration::from_secs(30);

/// Bounds of what a configuration may say, so that nothing here spins or overflows.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

/// The part of a wait that is left to chance, so that many replicas do not call at the same moment.
const REFRESH_SPREAD: f64 = 0.1;
const RETRY_SPREAD: f64 = 0.5;

/// The schedule of one issuer's keys.
///
/// A fetch is due `jwks_refresh` after the last one that succeeded, or after the server's `max-age` where that is shorter; soon after
/// one that failed; and whenever a request demands one within the limit. There is never more than one. Keys become stale when
/// they were due but could not be fetched, and serve `jwks_max_stale` longer (as RFC 9111 §5.2.1.2 uses the word).
#[derive(Debug)]
pub(in crate::state) struct Schedule {
    refresh: Duration,
    max_stale: Duration,
    limit: Limit,
    running: bool,
    due: Instant,
    failures: u32,
    /// When the keys that serve become stale; `None`: none serve.
    stale_from: Option<Instant>,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Step {
    /// Start a fetch.
    Fetch,
    /// Stop using the keys.
    Expire,
    /// Nothing before this moment, or before something happens.
    Wait(Option<Instant>),
}

/// What a request that needs newer keys gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Demand {
    /// A fetch of its own: start it.
    Start,
    /// The fetch that is running.
    Join,
    /// None: too many were demanded of late.
    Denied,
}

impl Schedule {
    /// A first fetch is due at once. `serving`: keys are in use already, which an earlier configuration had fetched.
    pub(in crate::state) fn new(
        refresh: Duration,
        max_stale: Duration,
        serving: bool,
        now: Instant,
    ) -> Schedule {
        Schedule {
            refresh: refresh.clamp(SHORTEST, LONGEST),
            max_stale: max_stale.min(LONGEST),
            limit: Limit { spent_until: now },
            running: false,
            due: now,
            failures: 0,
            stale_from: serving.then_some(now),
        }
    }

    /// Takes over new settings; a fetch that is running belongs to the old ones and no longer counts, and a new one is due.
    pub(in crate::state) fn change(&mut self, refresh: Duration, max_stale: Duration, now: Instant) {
        self.refresh = refresh.clamp(SHORTEST, LONGEST);
        self.max_stale = max_stale.min(LONGEST);
        self.running = false;
        self.due = now;
    }

    /// What is to be done; a fetch counts as started when this says so.
    pub(in crate::state) fn step(&mut self, now: Instant) -> Step {
        let expiry = self.stale_from.filter(|_| self.failures > 0).map(|from| from + self.max_stale);
        if expiry.is_some_and(|expiry| now >= expiry) {
            self.stale_from = None;
            return Step::Expire;
        }
        if self.running {
            return Step::Wait(expiry);
        }
        if now >= self.due {
            self.running = true;
            return Step::Fetch;
        }
        Step::Wait(Some(expiry.map_or(self.due, |expiry| expiry.min(self.due))))
    }

    /// A request needs newer keys; a fetch counts as started when this says so.
    pub(in crate::state) fn demand(&mut self, now: Instant) -> Demand {
        if self.running {
            return Demand::Join;
        }
        if !self.limit.allows(now) {
            return Demand::Denied;
        }
        self.running = true;
        Demand::Start
    }

    /// The fetch gave keys that serve from now on. `chance` is in 0..1.
    pub(in crate::state) fn succeeded(&mut self, max_age: Option<Duration>, now: Instant, chance: f64) {
        let interval = max_age.map_or(self.refresh, |age| self.refresh.min(age.max(SHORTEST_MAX_AGE)));
        self.running = false;
        self.failures = 0;
        self.due = now + interval.mul_f64(1.0 - REFRESH_SPREAD * chance);
        self.stale_from = Some(now + interval);
    }

    /// The fetch gave nothing that can be used. `chance` is in 0..1.
    pub(in crate::state) fn failed(&mut self, now: Instant, chance: f64) {
        let doubled = FIRST_RETRY.saturating_mul(1 << self.failures.min(8));
        self.running = false;
        self.failures = self.failures.saturating_add(1);
        self.due = now + doubled.min(LONGEST_RETRY).mul_f64(1.0 - RETRY_SPREAD * chance);
    }
}

/// The limit of fetches that requests cause (generic cell rate algorithm): the moment at which nothing of it is spent any more.
#[derive(Debug)]
struct Limit {
    spent_until: Instant,
}

impl Limit {
    fn allows(&mut self, now: Instant) -> bool {
        let spent_until = self.spent_until.max(now);
        let allowed = spent_until - now <= REFILL * (BURST - 1);
        if allowed {
            self.spent_until = spent_until + REFILL;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    const REFRESH: Duration = Duration::from_secs(600);
    const MAX_STALE: Duration = Duration::from_secs(3600);

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    /// A schedule whose first fetch has just succeeded.
    fn fetched(now: Instant) -> Schedule {
        let mut schedule = Schedule::new(REFRESH, MAX_STALE, false, now);
        assert_eq!(schedule.step(now), Step::Fetch);
        schedule.succeeded(None, now, 0.0);
        schedule
    }

    #[test]
    fn keys_are_fetched_at_once_and_then_every_jwks_refresh() {
        let t = Instant::now();
        let mut schedule = Schedule::new(REFRESH, MAX_STALE, false, t);
        assert_eq!(schedule.step(t), Step::Fetch);
        assert_eq!(schedule.step(t), Step::Wait(None), "one fetch at a time");
        schedule.succeeded(None, t + seconds(1), 0.0);
        assert_eq!(schedule.step(t + seconds(600)), Step::Wait(Some(t + seconds(601))));
        assert_eq!(schedule.step(t + seconds(601)), Step::Fetch);
    }

    #[test]
    fn chance_only_brings_a_fetch_forward() {
        let t = Instant::now();
        let mut schedule = fetched(t);
        schedule.succeeded(None, t, 0.999);
        let Step::Wait(Some(due)) = schedule.step(t) else { panic!("nothing is due yet") };
        assert!(due > t + seconds(540) && due < t + seconds(541), "{:?}", due - t);
    }

    #[test]
    fn max_age_shortens_the_interval_but_not_below_30_seconds_and_never_lengthens_it() {
        let t = Instant::now();
        for (max_age, expected) in [(5, 30), (120, 120), (6000, 600)] {
            let mut schedule = fetched(t);
            schedule.succeeded(Some(seconds(max_age)), t, 0.0);
            assert_eq!(schedule.step(t), Step::Wait(Some(t + seconds(expected))), "max-age={max_age}");
        }
        let mut short = Schedule::new(seconds(10), MAX_STALE, false, t);
        short.succeeded(Some(seconds(5)), t, 0.0);
        assert_eq!(short.step(t), Step::Wait(Some(t + seconds(10))), "a shorter jwks_refresh stands");
    }

    #[test]
    fn a_failed_fetch_is_tried_again_within_5_seconds_however_often_it_failed() {
        let mut t = Instant::now();
        let mut schedule = Schedule::new(REFRESH, MAX_STALE, false, t);
        let mut waits = Vec::new();
        for _ in 0..40 {
            assert_eq!(schedule.step(t), Step::Fetch);
            schedule.failed(t, 0.0);
            let Step::Wait(Some(due)) = schedule.step(t) else { panic!("it must be tried again") };
            waits.push((due - t).as_millis());
            t = due;
        }
        assert_eq!(waits[..6], [250, 500, 1000, 2000, 4000, 5000]);
        assert!(waits[6..].iter().all(|wait| *wait == 5000));
        schedule.succeeded(None, t, 0.0);
        schedule.failed(t, 0.999);
        let Step::Wait(Some(due)) = schedule.step(t) else { panic!("it must be tried again") };
        assert!(
            due - t >= Duration::from_millis(125),
            "a success starts the row anew, chance at most halves it"
        );
        assert!(due - t < Duration::from_millis(126));
    }

    #[test]
    fn stale_keys_serve_jwks_max_stale_longer_and_expire_once() {
        let t = Instant::now();
        let mut schedule = fetched(t);
        let mut now = t + REFRESH;
        let expired_at = loop {
            match schedule.step(now) {
                Step::Fetch => schedule.failed(now, 0.0),
                Step::Wait(next) => now = next.unwrap(),
                Step::Expire => break now,
            }
        };
        assert_eq!(expired_at, t + REFRESH + MAX_STALE);
        assert_ne!(schedule.step(now), Step::Expire, "once");
        schedule.demand(now);
        schedule.succeeded(None, now, 0.0);
        assert_eq!(schedule.step(now), Step::Wait(Some(now + REFRESH)), "it recovers by itself");
    }

    #[test]
    fn keys_do_not_expire_while_no_fetch_has_failed() {
        let t = Instant::now();
        let mut schedule = Schedule::new(REFRESH, Duration::ZERO, true, t);
        assert_eq!(schedule.step(t + seconds(1)), Step::Fetch);
        assert_eq!(schedule.step(t + seconds(2)), Step::Wait(None), "nor while one is running");
        schedule.failed(t + seconds(3), 0.0);
        assert_eq!(schedule.step(t + seconds(3)), Step::Expire);
    }

    #[test]
    fn keys_expire_during_a_fetch_that_follows_a_failed_one() {
        let t = Instant::now();
        let mut schedule = Schedule::new(REFRESH, seconds(10), true, t);
        assert_eq!(schedule.step(t), Step::Fetch);
        schedule.failed(t + seconds(5), 0.0);
        assert_eq!(schedule.step(t + seconds(6)), Step::Fetch);
        assert_eq!(schedule.step(t + seconds(6)), Step::Wait(Some(t + seconds(10))));
        assert_eq!(schedule.step(t + seconds(10)), Step::Expire);
        assert_eq!(schedule.demand(t + seconds(10)), Demand::Join);
    }

    #[test]
    fn requests_cause_four_fetches_and_then_one_in_10_seconds() {
        let t = Instant::now();
        let mut schedule = fetched(t);
        let mut started = Vec::new();
        for millisecond in 0..60_000 {
            let now = t + Duration::from_millis(millisecond);
            if schedule.demand(now) == Demand::Start {
                started.push(millisecond);
                schedule.succeeded(None, now, 0.0);
            }
        }
        assert_eq!(started, [0, 1, 2, 3, 10_000, 20_000, 30_000, 40_000, 50_000]);
    }

    #[test]
    fn requests_share_a_running_fetch_without_spending_the_limit() {
        let t = Instant::now();
        let mut schedule = Schedule::new(REFRESH, MAX_STALE, false, t);
        assert_eq!(schedule.step(t), Step::Fetch);
        assert!((0..100).all(|_| schedule.demand(t) == Demand::Join));
        schedule.succeeded(None, t, 0.0);
        assert_eq!(schedule.demand(t), Demand::Start);
    }

    #[test]
    fn new_settings_make_a_fetch_due_but_do_not_prolong_stale_keys() {
        let t = Instant::now();
        let mut schedule = fetched(t);
        assert_eq!(schedule.step(t + REFRESH), Step::Fetch);
        schedule.failed(t + REFRESH, 0.0);
        schedule.change(REFRESH, MAX_STALE, t + REFRESH + seconds(3599));
        assert_eq!(schedule.step(t + REFRESH + seconds(3599)), Step::Fetch);
        assert_eq!(schedule.step(t + REFRESH + MAX_STALE), Step::Expire);
    }
}
