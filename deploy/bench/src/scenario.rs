//! The rows of the table: what is measured, of whom, and what Boundgate is to reach.

use crate::client::{Protocol, Sessions};
use crate::measure::Load::{self, *};
use crate::system::Kind::{self, *};

pub struct Scenario {
    /// On the command line.
    pub name: &'static str,
    pub title: &'static str,
    pub unit: &'static str,
    /// The first one is what the goals are about.
    pub subjects: &'static [Subject],
    /// The label of the subject that is subtracted from all others of its round.
    pub baseline: Option<&'static str>,
    pub goals: &'static [Goal],
}

/// One system under one load.
pub struct Subject {
    pub label: &'static str,
    pub system: Kind,
    pub load: Load,
}

pub enum Goal {
    /// At most so many times what the subject with this label needs.
    Ratio(f64, &'static str),
    /// No more than what the subject with this label needs.
    NotAbove(&'static str),
    /// At most this, in the scenario's unit.
    Value(f64),
}

const CPU: &str = "CPU µs/request";
const CPU_BYTES: &str = "CPU µs/MiB";
const MIB: usize = 1024 * 1024;

/// All four systems under one load.
macro_rules! all {
    ($load:expr) => {
        &[subject(Boundgate, $load), subject(Nginx, $load), subject(Envoy, $load), subject(Haproxy, $load)]
    };
}

const fn subject(system: Kind, load: Load) -> Subject {
    Subject { label: system.name(), system, load }
}

const fn variant(label: &'static str, load: Load) -> Subject {
    Subject { label, system: Boundgate, load }
}

const fn scenario(
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    subjects: &'static [Subject],
    goals: &'static [Goal],
) -> Scenario {
    Scenario { name, title, unit, subjects, baseline: None, goals }
}

pub const SCENARIOS: &[Scenario] = &[
    scenario(
        "hot",
        "kept-alive HTTP/1.1, one token",
        CPU,
        all!(Hot { tokens: 1 }),
        &[Goal::Ratio(0.80, "nginx")],
    ),
    scenario(
        "tokens",
        "kept-alive HTTP/1.1, 10,000 tokens",
        CPU,
        all!(Hot { tokens: 10_000 }),
        &[Goal::Ratio(0.85, "nginx")],
    ),
    scenario("h2", "HTTP/2, 4 connections × 8 streams", CPU, all!(Http2), &[Goal::Ratio(0.85, "nginx")]),
    scenario("cold", "every ES256 token new", CPU, all!(Cold), &[Goal::Ratio(0.50, "Envoy")]),
    scenario(
        "opaque",
        "opaque token, cached",
        CPU,
        &[subject(Boundgate, Opaque), variant("with a JWT", Hot { tokens: 1 })],
        &[Goal::Ratio(1.05, "with a JWT")],
    ),
    scenario(
        "full",
        "full handshake + request",
        CPU,
        all!(Handshake { sessions: Sessions::Never }),
        &[Goal::Ratio(0.23, "nginx"), Goal::Ratio(0.55, "Envoy")],
    ),
    scenario(
        "resumed",
        "resumed handshake + request",
        CPU,
        all!(Handshake { sessions: Sessions::Resumed }),
        &[Goal::Ratio(0.27, "nginx")],
    ),
    Scenario {
        baseline: Some("direct"),
        ..scenario(
            "latency",
            "p99 latency added at 2,000 requests/s",
            "µs",
            &[
                subject(Boundgate, Latency),
                subject(Nginx, Latency),
                subject(Envoy, Latency),
                subject(Haproxy, Latency),
                variant("direct", LatencyDirect),
            ],
            &[Goal::NotAbove("nginx")],
        )
    },
    scenario(
        "down-1m",
        "1 MiB download",
        CPU_BYTES,
        all!(Download { bytes: MIB }),
        &[Goal::Ratio(1.0, "nginx")],
    ),
    scenario("up-1m", "1 MiB upload", CPU_BYTES, all!(Upload { bytes: MIB }), &[Goal::Ratio(1.0, "nginx")]),
    scenario(
        "down-100m",
        "100 MiB download",
        CPU_BYTES,
        all!(Download { bytes: 100 * MIB }),
        &[Goal::Ratio(1.0, "nginx")],
    ),
    scenario(
        "up-100m",
        "100 MiB upload",
        CPU_BYTES,
        all!(Upload { bytes: 100 * MIB }),
        &[Goal::Ratio(1.0, "nginx")],
    ),
    scenario("rest", "memory at rest", "MiB", all!(Rest), &[Goal::Value(8.0)]),
    scenario(
        "idle-h1",
        "idle TLS connection, HTTP/1.1",
        "KiB",
        all!(Idle { protocol: Protocol::Http1 }),
        &[Goal::Value(16.0)],
    ),
    scenario(
        "idle-h2",
        "idle TLS connection, HTTP/2",
        "KiB",
        all!(Idle { protocol: Protocol::Http2 }),
        &[Goal::Value(24.0)],
    ),
    scenario(
        "workers",
        "2 workers",
        CPU,
        &[subject(Boundgate, Workers(2)), variant("1 worker", Workers(1))],
        &[Goal::Ratio(1.05, "1 worker")],
    ),
    scenario(
        "spread",
        "connections of the busiest of 2 workers",
        "of half",
        &[subject(Boundgate, Spread)],
        &[Goal::Value(1.05)],
    ),
    scenario(
        "many",
        "10,000 open connections, 100 active",
        CPU,
        &[subject(Boundgate, Many { idle: 9_900 }), variant("100 open", Many { idle: 0 })],
        &[Goal::Ratio(1.10, "100 open")],
    ),
    scenario("start", "start to first accepted request", "ms", all!(Start), &[Goal::Value(50.0)]),
];
