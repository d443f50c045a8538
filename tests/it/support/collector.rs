//! What traces are sent to: a server that takes every batch, and what stood in them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{self as otlp, span::SpanKind, status::StatusCode};
use prost::Message as _;

use super::message::Message;
use super::pki::Identity;
use super::server::{Answer, Server};

/// A collector that says yes to everything.
pub(crate) struct Collector(pub(crate) Server);

/// A span as it arrived, its identifiers in hexadecimal digits.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of a trace.
    pub(crate) parent: String,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Whether its status is an error.
    pub(crate) failed: bool,
    /// When it began and ended, in nanoseconds since 1970.
    pub(crate) times: (u64, u64),
    /// The attributes of its resource.
    pub(crate) resource: BTreeMap<String, String>,
}

impl Span {
    /// The attribute of this name, which is there.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl Collector {
    pub(crate) fn new() -> Collector {
        Collector(Server::http(|_| Answer::status(200, "application/x-protobuf", "")))
    }

    pub(crate) fn https(identity: &Identity) -> Collector {
        Collector(Server::https(identity, |_| Answer::status(200, "application/x-protobuf", "")))
    }

    /// Its address, as `OTEL_EXPORTER_OTLP_ENDPOINT` has it.
    pub(crate) fn endpoint(&self) -> (&'static str, String) {
        ("OTEL_EXPORTER_OTLP_ENDPOINT", self.0.url())
    }

    /// What was posted so far.
    pub(crate) fn batches(&self) -> Vec<Message> {
        self.0.requests()
    }

    /// The spans of all batches, in their order.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.batches().iter().flat_map(|batch| decode(&batch.body)).collect()
    }
}

fn decode(body: &[u8]) -> Vec<Span> {
    let batch = ExportTraceServiceRequest::decode(body).expect("an ExportTraceServiceRequest");
    let of_resource = |resource: otlp::ResourceSpans| {
        let attributes = attributes(resource.resource.unwrap().attributes);
        let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| read(span, attributes.clone())).collect::<Vec<_>>()
    };
    batch.resource_spans.into_iter().flat_map(of_resource).collect()
}

fn read(span: otlp::Span, resource: BTreeMap<String, String>) -> Span {
    Span {
        kind: span.kind(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        failed: span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error),
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: attributes(span.attributes),
        name: span.name,
        resource,
    }
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, String> {
    let count = list.len();
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let map: BTreeMap<_, _> = list.into_iter().map(|entry| (entry.key, text(entry.value))).collect();
    assert_eq!(map.len(), count, "an attribute stands once");
    map
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
