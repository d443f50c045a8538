//! Lines: a decision or an event in either format. Each ends with a newline and holds no other.

use std::time::SystemTime;

use tracing::Level;

use super::Decision;
use super::value::{self, Clock, Value};
use crate::config::settings::LogFormat;
use crate::decide::refusal::Reason;
use crate::metrics::Verdict;

/// A decision's level: an operator who asks for warnings reads what fails behind Boundgate, not what it refuses.
pub(super) const fn level(reason: Option<Reason>) -> Level {
    match Verdict::of(reason) {
        Verdict::Accepted | Verdict::Refused => Level::INFO,
        Verdict::Failed => Level::WARN,
    }
}

/// Writes the line of a decision.
pub(super) fn decision(format: LogFormat, decision: &Decision, clock: &mut Clock, out: &mut String) {
    let level = level(decision.reason);
    match format {
        LogFormat::Json => {
            json_start(level, decision.time, clock, out);
            json_field("event", Value::Text("decision"), out);
            for (key, value) in fields(decision) {
                out.push_str(key.json);
                value.json(out);
            }
            out.push_str("}\n");
        }
        LogFormat::Text => {
            text_start(level, decision.time, clock, out);
            let fields = fields(decision);
            for (key, width) in COLUMNS {
                let value =
                    fields.iter().find(|field| field.0.name == key).map_or(Value::Missing, |field| field.1);
                text_column(value, width, out);
            }
            for (key, value) in fields {
                if COLUMNS.iter().all(|column| column.0 != key.name) {
                    text_field(key.name, value, out);
                }
            }
            out.push('\n');
        }
    }
}

/// A field's name, and how it stands in JSON between two values.
#[derive(Clone, Copy)]
struct Key {
    name: &'static str,
    json: &'static str,
}

macro_rules! key {
    ($name:literal) => {
        Key { name: $name, json: concat!(",\"", $name, "\":") }
    };
}

/// What a line tells of a decision, in the order of JSON. The set of keys is the same in every line.
fn fields(decision: &Decision) -> [(Key, Value<'_>); 18] {
    [
        (key!("request_id"), std::str::from_utf8(&decision.request_id).ok().into()),
        (key!("trace_id"), decision.trace_id.as_ref().map_or(Value::Missing, |id| Value::Hex(id))),
        (key!("decision"), Verdict::of(decision.reason).name().into()),
        (key!("reason"), decision.reason.map(Reason::name).into()),
        (key!("note"), decision.note.as_deref().into()),
        (key!("issuer"), decision.issuer.as_deref().into()),
        (key!("sub"), decision.subject.as_deref().into()),
        (key!("client_id"), decision.client_id.as_deref().into()),
        (
            key!("token_thumbprint"),
            decision.token_thumbprint.as_ref().map_or(Value::Missing, |digest| Value::Hex(digest)),
        ),
        (
            key!("certificate_thumbprint"),
            decision.certificate_thumbprint.as_ref().map_or(Value::Missing, Value::Base64Url),
        ),
        (key!("route"), decision.route.as_deref().into()),
        (key!("method"), decision.method.as_ref().map(http::Method::as_str).into()),
        (key!("path"), decision.path.as_deref().into()),
        (
            key!("status"),
            if decision.status == 0 { Value::Missing } else { Value::Unsigned(decision.status.into()) },
        ),
        (key!("peer"), Value::Peer(decision.peer)),
        (key!("cached"), Value::Bool(decision.cached)),
        (key!("duration_seconds"), Value::Seconds(decision.duration)),
        (
            key!("upstream_duration_seconds"),
            decision.upstream_duration.map_or(Value::Missing, Value::Seconds),
        ),
    ]
}

/// The fields that text shows without their keys, first and in this order, with their widths.
const COLUMNS: [(&str, usize); 7] = [
    ("decision", 8),
    ("reason", 25),
    ("method", 7),
    ("path", 24),
    ("status", 3),
    ("duration_seconds", 9),
    ("request_id", 32),
];

/// Begins the line of an event besides decisions.
pub(super) fn start(
    format: LogFormat,
    level: Level,
    time: SystemTime,
    message: &str,
    target: &str,
    out: &mut String,
) {
    let mut clock = Clock::default();
    match format {
        LogFormat::Json => {
            json_start(level, time, &mut clock, out);
            json_field("event", Value::Text(message), out);
            json_field("target", Value::Text(target), out);
        }
        LogFormat::Text => {
            text_start(level, time, &mut clock, out);
            out.push(' ');
            value::sentence(message, out);
        }
    }
}

/// A further field of an event.
pub(super) fn field(format: LogFormat, key: &str, value: Value<'_>, out: &mut String) {
    match format {
        LogFormat::Json => json_field(key, value, out),
        LogFormat::Text => text_field(key, value, out),
    }
}

/// Ends the line of an event.
pub(super) fn end(format: LogFormat, out: &mut String) {
    out.push_str(match format {
        LogFormat::Json => "}\n",
        LogFormat::Text => "\n",
    });
}

fn json_start(level: Level, time: SystemTime, clock: &mut Clock, out: &mut String) {
    out.push_str("{\"time\":\"");
    clock.push(time, out);
    out.push_str("\",\"level\":\"");
    out.push_str(match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    });
    out.push('"');
}

fn json_field(key: &str, value: Value<'_>, out: &mut String) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
    value.json(out);
}

fn text_start(level: Level, time: SystemTime, clock: &mut Clock, out: &mut String) {
    clock.push(time, out);
    out.push_str(match level {
        Level::ERROR => " ERROR",
        Level::WARN => "  WARN",
        Level::INFO => "  INFO",
        Level::DEBUG => " DEBUG",
        Level::TRACE => " TRACE",
    });
}

fn text_column(value: Value<'_>, width: usize, out: &mut String) {
    out.push(' ');
    let start = out.len();
    value.text(out);
    let written = out.get(start..).map_or(0, |column| column.chars().count());
    (written..width).for_each(|_| out.push(' '));
}

fn text_field(key: &str, value: Value<'_>, out: &mut String) {
    if !matches!(value, Value::Missing) {
        out.push(' ');
        // The unit stands with the value.
        out.push_str(if let Value::Seconds(_) = value { key.trim_end_matches("_seconds") } else { key });
        out.push('=');
        value.text(out);
    }
}
