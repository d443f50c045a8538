//! Counters, registered beforehand, per worker and summed when scraped.
//!
//! A [`Worker`] is written by its own thread alone; the [`Registry`] reads all of them, adds what the control thread counts, and
//! renders the text of `/metrics`.

mod introspection;
mod registry;
mod worker;

pub use introspection::{BreakerState, Introspections};
pub use registry::{FileTime, Registry};
pub use worker::Worker;

use crate::decide::refusal::Reason;

/// How a handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// A full handshake.
    Full,
    /// A resumed session.
    Resumed,
    /// The client's certificate was refused, or is missing where one is required.
    CertificateRefused,
    /// Not within `head_timeout`.
    Timeout,
    /// Anything else.
    Failed,
}

impl Handshake {
    const ALL: [Handshake; 5] = [
        Handshake::Full,
        Handshake::Resumed,
        Handshake::CertificateRefused,
        Handshake::Timeout,
        Handshake::Failed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Handshake::Full => "full",
            Handshake::Resumed => "resumed",
            Handshake::CertificateRefused => "certificate-refused",
            Handshake::Timeout => "timeout",
            Handshake::Failed => "failed",
        }
    }
}

/// Whether a token was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOutcome {
    /// It was.
    Hit,
    /// It was not.
    Miss,
    /// It was, as one that its issuer had found inactive, or that was refused for another reason.
    NegativeHit,
}

impl CacheOutcome {
    const ALL: [CacheOutcome; 3] = [CacheOutcome::Hit, CacheOutcome::Miss, CacheOutcome::NegativeHit];

    const fn name(self) -> &'static str {
        match self {
            CacheOutcome::Hit => "hit",
            CacheOutcome::Miss => "miss",
            CacheOutcome::NegativeHit => "negative-hit",
        }
    }
}

/// How a piece of the control thread's work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Ok,
    /// It did not, and what was in force stays so.
    Failed,
}

impl Outcome {
    const ALL: [Outcome; 2] = [Outcome::Ok, Outcome::Failed];

    const fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Failed => "failed",
        }
    }
}

/// What became of a span of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanOutcome {
    /// The collector took it.
    Exported,
    /// The collector did not.
    Failed,
    /// Too many waited already.
    Dropped,
}

impl SpanOutcome {
    const ALL: [SpanOutcome; 3] = [SpanOutcome::Exported, SpanOutcome::Failed, SpanOutcome::Dropped];

    const fn name(self) -> &'static str {
        match self {
            SpanOutcome::Exported => "exported",
            SpanOutcome::Failed => "failed",
            SpanOutcome::Dropped => "dropped",
        }
    }
}

/// What became of a request: the `decision` of logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forwarded and answered by the upstream.
    Accepted,
    /// Refused by Boundgate.
    Refused,
    /// Permitted, but the upstream gave no answer.
    Failed,
}

impl Verdict {
    /// The verdict that a reason amounts to; none: accepted.
    pub const fn of(reason: Option<Reason>) -> Verdict {
        match reason {
            None => Verdict::Accepted,
            Some(Reason::UpstreamRefused | Reason::UpstreamFailed | Reason::UpstreamTimeout) => {
                Verdict::Failed
            }
            Some(_) => Verdict::Refused,
        }
    }

    /// The word of logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Accepted => "accepted",
            Verdict::Refused => "refused",
            Verdict::Failed => "failed",
        }
    }
}
