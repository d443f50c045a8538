//! What the control thread counts of introspections. Every label comes from the configuration or from a list of words.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::worker::BOUNDS;

/// How calls end: what was answered, or why no answer came that can be used.
const OUTCOMES: [&str; 11] = [
    "active",
    "inactive",
    "refused",
    "timeout",
    "connect",
    "tls",
    "status",
    "redirect",
    "too-large",
    "invalid",
    "keys",
];

/// Whether calls to an issuer's introspection are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They are.
    Closed,
    /// One is, to see whether the server is back.
    HalfOpen,
    /// They are not.
    Open,
}

type Issuer = [(&'static str, String); 1];

/// The metrics of introspections.
#[derive(Debug)]
pub struct Introspections {
    calls: Family<[(&'static str, String); 2], Counter>,
    duration: Family<Issuer, Histogram, fn() -> Histogram>,
    in_flight: Family<Issuer, Gauge>,
    breaker: Family<Issuer, Gauge>,
}

impl Introspections {
    pub(super) fn new(registry: &mut Registry) -> Introspections {
        let introspections = Introspections {
            calls: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            in_flight: Family::default(),
            breaker: Family::default(),
        };
        let Introspections { calls, duration, in_flight, breaker } = &introspections;
        registry.register("introspections", "Introspection calls to issuers", calls.clone());
        registry.register(
            "introspection_duration_seconds",
            "From an introspection call's begin to its end",
            duration.clone(),
        );
        registry.register(
            "introspections_in_flight",
            "Introspection calls that are being made",
            in_flight.clone(),
        );
        registry.register(
            "introspection_breaker_state",
            "Whether introspection calls are made: 0 all, 1 only a probe, 2 none",
            breaker.clone(),
        );
        introspections
    }

    /// An issuer whose tokens are introspected, so that its series stand at 0 before its first call.
    pub fn announce(&self, issuer: &str) {
        for outcome in OUTCOMES {
            drop(self.calls.get_or_create(&labels(issuer, outcome)));
        }
        drop(self.duration.get_or_create(&of(issuer)));
        drop(self.in_flight.get_or_create(&of(issuer)));
        drop(self.breaker.get_or_create(&of(issuer)));
    }

    /// A call ended so, after so long.
    pub fn called(&self, issuer: &str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&labels(issuer, outcome)).inc();
        self.duration.get_or_create(&of(issuer)).observe(took.as_secs_f64());
    }

    /// So many calls are being made.
    pub fn in_flight(&self, issuer: &str, calls: usize) {
        self.in_flight.get_or_create(&of(issuer)).set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    /// The breaker is in this state.
    pub fn breaker(&self, issuer: &str, state: BreakerState) {
        self.breaker.get_or_create(&of(issuer)).set(match state {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        });
    }
}

fn of(issuer: &str) -> Issuer {
    [("issuer", issuer.to_owned())]
}

fn labels(issuer: &str, outcome: &'static str) -> [(&'static str, String); 2] {
    [("issuer", issuer.to_owned()), ("outcome", outcome.to_owned())]
}
