//! Counters, registered beforehand, per worker and summed when scraped.

use std::time::Duration;

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

/// Whether a token was remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheOutcome {
    /// It was.
    Hit,
    /// It was not.
    Miss,
}

/// The counters of one worker; only that worker writes them.
#[derive(Debug, Default)]
pub struct Worker {
    _todo: (),
}

impl Worker {
    /// A decision and how long its request took.
    pub fn request(&self, reason: Option<Reason>, duration: Duration) {
        let _ = (reason, duration);
        todo!()
    }

    /// How long the upstream took to its head.
    pub fn upstream(&self, duration: Duration) {
        let _ = duration;
        todo!()
    }

    /// A connection was opened (handed to this worker).
    pub fn connection_opened(&self) {
        todo!()
    }

    /// A connection was closed.
    pub fn connection_closed(&self) {
        todo!()
    }

    /// A handshake ended.
    pub fn handshake(&self, outcome: Handshake) {
        let _ = outcome;
        todo!()
    }

    /// A token was looked up in the worker's cache.
    pub fn token_cache(&self, outcome: CacheOutcome) {
        let _ = outcome;
        todo!()
    }
}
