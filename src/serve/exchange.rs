//! A request and its answer, from the head to the last byte: whatever happens in between, it is counted and logged exactly once.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::Method;
use http::request::Parts;

use super::clock::ExchangeGuard;
use super::ids::RequestId;
use super::worker::{Connection, unix};
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::token::Digest;
use crate::decide::verified::Genuine;
use crate::log::Decision;
use crate::trace;

/// An open exchange. Dropping it writes its line and counts it.
pub(crate) struct Exchange {
    connection: Rc<Connection>,
    guard: ExchangeGuard,
    pub(crate) id: RequestId,
    /// Its spans, where tracing is on.
    pub(crate) trace: Option<Box<trace::Request>>,
    time: SystemTime,
    start: Instant,
    method: Method,
    path: Box<str>,
    route: Option<Arc<str>>,
    token: Option<Digest>,
    genuine: Option<Arc<Genuine>>,
    cached: bool,
    granted: bool,
    reason: Option<Reason>,
    note: Option<Cow<'static, str>>,
    status: u16,
    upstream: Option<Duration>,
}

impl Exchange {
    pub(crate) fn begin(connection: &Rc<Connection>, head: &Parts) -> Exchange {
        let time = SystemTime::now();
        let tracer = connection.worker.tracer.as_ref();
        Exchange {
            connection: connection.clone(),
            guard: connection.clock.exchange(connection.multiplexed),
            id: connection.worker.ids.next(),
            trace: tracer.map(|tracer| Box::new(tracer.begin(&head.method, &head.headers, time))),
            time,
            start: Instant::now(),
            method: head.method.clone(),
            path: head.uri.path().into(),
            route: None,
            token: None,
            genuine: None,
            cached: false,
            granted: false,
            reason: None,
            note: None,
            status: 0,
            upstream: None,
        }
    }

    /// When it began, in seconds since 1970.
    pub(crate) fn began(&self) -> u64 {
        unix(self.time)
    }

    /// The route that holds for it.
    pub(crate) fn routed(&mut self, route: &Arc<str>) {
        self.route = Some(route.clone());
    }

    /// The token that it carries.
    pub(crate) fn carries(&mut self, token: Digest) {
        self.token = Some(token);
    }

    /// The token turned out to be genuine, by memory or anew.
    pub(crate) fn genuine(&mut self, genuine: &Arc<Genuine>, cached: bool) {
        self.genuine = Some(genuine.clone());
        self.cached = cached;
    }

    /// It is refused by memory.
    pub(crate) fn recalled(&mut self) {
        self.cached = true;
    }

    /// Every check has passed.
    pub(crate) fn granted(&mut self) {
        self.granted = true;
    }

    /// The upstream answered.
    pub(crate) fn upstream_answered(&mut self, took: Duration) {
        self.upstream = Some(took);
        self.connection.worker.metrics.upstream(took);
    }

    /// The answer's status is known: it is the upstream's.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
        if let Some(trace) = &mut self.trace {
            trace.upstream_answered(status);
        }
    }

    /// It was refused, or failed.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.reason = Some(refusal.reason);
        self.note.clone_from(&refusal.note);
        self.status = refusal.reason.status();
    }

    /// The answer broke off after its head had been sent.
    pub(crate) fn broke_off(&mut self, reason: Reason, note: &'static str) {
        self.reason = Some(reason);
        self.note = Some(note.into());
    }

    /// Whether the answer is to have no content (RFC 9110 §9.3.2).
    pub(crate) fn wants_no_content(&self) -> bool {
        self.method == Method::HEAD
    }

    /// Whether the connection carries several requests at once (HTTP/2).
    pub(crate) fn multiplexed(&self) -> bool {
        self.connection.multiplexed
    }

    /// For the response body.
    pub(crate) fn guard(&self) -> &ExchangeGuard {
        &self.guard
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.reason.is_none() && self.guard.stalled() {
            self.broke_off(Reason::ClientTimeout, "the client did not read on");
        } else if self.status == 0 {
            self.note = Some("the client left before the answer".into());
            if !self.granted {
                self.reason = Some(Reason::ClientTimeout);
            }
        }
        if self.multiplexed() {
            let allowance = self.connection.clock.allowance();
            match self.upstream {
                Some(_) => allowance.answered(),
                None if self.status == 0 => allowance.reset(),
                None => {}
            }
        }
        let now = Instant::now();
        self.guard.ended(now);
        let duration = now.saturating_duration_since(self.start);
        let worker = &self.connection.worker;
        let genuine = self.genuine.as_ref();
        worker.metrics.request(self.reason, duration);
        let decision = Decision {
            time: self.time,
            request_id: self.id,
            trace_id: self.trace.as_ref().map(|trace| trace.trace_id()),
            reason: self.reason,
            note: self.note.take(),
            peer: self.connection.peer,
            issuer: genuine.map(|g| g.issuer_name().clone()),
            subject: genuine.and_then(|g| g.subject().cloned()),
            client_id: genuine.and_then(|g| g.client_id().cloned()),
            token_thumbprint: self.token,
            certificate_thumbprint: self.connection.certificate_thumbprint(),
            route: self.route.take(),
            method: Some(std::mem::take(&mut self.method)),
            path: Some(std::mem::take(&mut self.path)),
            status: self.status,
            cached: self.cached,
            duration,
            upstream_duration: self.upstream,
        };
        if let Some(trace) = self.trace.take() {
            trace.end(&decision);
        }
        worker.log.decision(decision);
    }
}
