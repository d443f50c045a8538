//! One line a decision, written by a thread of its own behind a bounded queue, so that a slow standard output delays no request.
//!
//! A worker hands a typed [`Decision`] to its [`Sink`]; the log thread turns it into text. When the queue fills, lines of
//! accepted requests are dropped first, and counted.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::decide::refusal::Reason;
use crate::decide::token::Digest;

/// One decision, as a worker saw it.
#[derive(Debug)]
pub struct Decision {
    /// When the request's head was complete.
    pub time: std::time::SystemTime,
    /// Also in the answer and towards the upstream: 32 hexadecimal digits.
    pub request_id: [u8; 32],
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

/// A worker's end of the log queue.
#[derive(Clone)]
pub struct Sink {
    _todo: (),
}

impl Sink {
    /// Queues a line without ever waiting.
    pub fn decision(&self, decision: Decision) {
        let _ = decision;
        todo!()
    }
}
