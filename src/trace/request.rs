//! The spans of one request, named and described as OpenTelemetry's semantic conventions for HTTP have it.
//!
//! They say what the log says, without its personal data: no `sub`, no `client_id`, no query, and a path cut in the same way.

use std::borrow::Cow;
use std::time::{Instant, SystemTime};

use http::{HeaderMap, Method};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::{Tracer, context};
use crate::config::settings::UpstreamUrl;
use crate::decide::refusal::Reason;
use crate::log::{self, Decision};
use crate::metrics::Verdict;

/// A request whose spans have begun. They are handed on when they end.
#[derive(Debug)]
pub(crate) struct Request {
    tracer: SdkTracer,
    decision: Span,
    call: Option<Span>,
    /// Whether the client's context goes on.
    continued: bool,
    time: SystemTime,
    start: Instant,
}

impl Tracer {
    /// Begins the span of the decision, as part of the client's trace if it sent one along.
    pub(crate) fn begin(&self, method: &Method, headers: &HeaderMap, time: SystemTime) -> Request {
        let parent = context::read(headers);
        let continued = parent.is_some();
        let parent =
            parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder =
            self.0.span_builder(method_name(method)).with_kind(SpanKind::Server).with_start_time(time);
        let decision = self.0.build_with_context(builder, &parent);
        Request { tracer: self.0.clone(), decision, call: None, continued, time, start: Instant::now() }
    }
}

impl Request {
    /// The trace that it belongs to, recorded or not.
    pub(crate) fn trace_id(&self) -> [u8; 16] {
        self.decision.span_context().trace_id().to_bytes()
    }

    /// Begins the span of the call to the upstream, which learns of it from `headers`.
    pub(crate) fn onward(&mut self, method: &Method, headers: &mut HeaderMap, upstream: &UpstreamUrl) {
        let builder = self
            .tracer
            .span_builder(method_name(method))
            .with_kind(SpanKind::Client)
            .with_start_time(self.now());
        let parent = Context::new().with_remote_span_context(self.decision.span_context().clone());
        let mut call = self.tracer.build_with_context(builder, &parent);
        if call.is_recording() {
            call.set_attribute(KeyValue::new("http.request.method", method_attribute(method)));
            match upstream {
                UpstreamUrl::Http(server) | UpstreamUrl::Https { server, .. } | UpstreamUrl::H2c(server) => {
                    call.set_attribute(KeyValue::new("server.address", server.host.clone()));
                    call.set_attribute(KeyValue::new("server.port", i64::from(server.port)));
                }
                UpstreamUrl::Unix(path) => {
                    call.set_attribute(KeyValue::new("server.address", path.display().to_string()));
                }
            }
        }
        context::write(headers, call.span_context(), self.continued);
        self.call = Some(call);
    }

    /// The head of the upstream's answer has come.
    pub(crate) fn upstream_answered(&mut self, status: u16) {
        let now = self.now();
        let Some(mut call) = self.call.take() else { return };
        call.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 400 {
            fail(&mut call, status.to_string());
        }
        call.end_with_timestamp(now);
    }

    /// Ends all spans with what has become of the request.
    pub(crate) fn end(mut self, decision: &Decision) {
        let now = self.now();
        if let Some(mut call) = self.call.take() {
            // No answer came; without a reason the client did not wait for one.
            fail(&mut call, decision.reason.map_or("cancelled", Reason::name));
            call.end_with_timestamp(now);
        }
        if self.decision.is_recording() {
            describe(&mut self.decision, decision);
        }
        self.decision.end_with_timestamp(now);
    }

    /// Wall-clock time that never runs backwards within a request.
    fn now(&self) -> SystemTime {
        self.time.checked_add(self.start.elapsed()).unwrap_or(self.time)
    }
}

fn describe(span: &mut Span, decision: &Decision) {
    let verdict = Verdict::of(decision.reason);
    if let Some(method) = &decision.method {
        if let Some(route) = &decision.route {
            span.update_name(format!("{} {route}", method_name(method)));
        }
        span.set_attribute(KeyValue::new("http.request.method", method_attribute(method)));
    }
    if let Some(path) = &decision.path {
        span.set_attribute(KeyValue::new("url.path", log::loggable_path(path).into_owned()));
    }
    span.set_attribute(KeyValue::new("url.scheme", "https"));
    span.set_attribute(KeyValue::new("network.peer.address", decision.peer.ip().to_canonical().to_string()));
    span.set_attribute(KeyValue::new("boundgate.decision", verdict.name()));
    if let Some(reason) = decision.reason {
        span.set_attribute(KeyValue::new("boundgate.reason", reason.name()));
    }
    if let Some(route) = &decision.route {
        span.set_attribute(KeyValue::new("http.route", route.clone()));
    }
    if let Some(issuer) = &decision.issuer {
        span.set_attribute(KeyValue::new("boundgate.issuer", issuer.clone()));
    }
    if decision.status != 0 {
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(decision.status)));
    }
    // A refusal is the client's error, not the server's, as a status below 500 is.
    match decision.reason {
        Some(reason) if verdict == Verdict::Failed || decision.status >= 500 => fail(span, reason.name()),
        None if decision.status >= 500 => fail(span, decision.status.to_string()),
        _ => {}
    }
}

fn fail(span: &mut Span, kind: impl Into<Cow<'static, str>>) {
    span.set_attribute(KeyValue::new("error.type", kind.into()));
    span.set_status(Status::error(""));
}

/// As spans are named: a method that HTTP does not know is a client's text.
fn method_name(method: &Method) -> &'static str {
    known(method).unwrap_or("HTTP")
}

/// As `http.request.method` has it.
fn method_attribute(method: &Method) -> &'static str {
    known(method).unwrap_or("_OTHER")
}

fn known(method: &Method) -> Option<&'static str> {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    METHODS.into_iter().find(|known| method.as_str() == *known)
}
