//! W3C Trace Context: where in a distributed trace a request stands.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The context that a client sent along, if it is valid (§3.2): one `traceparent`, whose trace and parent are not zero. Of flags,
/// `sampled` alone has a meaning to us. `tracestate` stays where it is, other systems' text that is passed on and not read.
pub(super) fn read(headers: &HeaderMap) -> Option<SpanContext> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let context = parse(lines.next()?.as_bytes())?;
    lines.next().is_none().then_some(context)
}

/// Names `context` as the parent of what comes next. A `tracestate` belongs to the trace that it came with (§3.3.1).
pub(super) fn write(headers: &mut HeaderMap, context: &SpanContext, continued: bool) {
    let flags = context.trace_flags().to_u8();
    let text = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(TRACEPARENT, value);
    }
    if !continued {
        headers.remove(TRACESTATE);
    }
}

/// `version "-" trace-id "-" parent-id "-" trace-flags`, all in lower-case hexadecimal digits; a version after 00 may have more to say
/// behind another dash (§3.2.4).
fn parse(text: &[u8]) -> Option<SpanContext> {
    let ([a, b, b'-', rest @ ..], _) = text.split_at_checked(55)? else { return None };
    let [version] = hex(&[*a, *b])?;
    let (trace, rest) = rest.split_at_checked(32)?;
    let (parent, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
    let [flags] = hex(rest.strip_prefix(b"-")?)?;
    let ends_well = match (version, text.get(55)) {
        (0xff, _) => false,
        (_, None) => true,
        (version, Some(next)) => version > 0 && *next == b'-',
    };
    let context = SpanContext::new(
        TraceId::from_bytes(hex(trace)?),
        SpanId::from_bytes(hex(parent)?),
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    (ends_well && context.is_valid()).then_some(context)
}

/// Exactly `N` bytes, each in two lower-case digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    fn read_one(text: &str) -> Option<SpanContext> {
        read(&headers(&[("traceparent", text)]))
    }

    #[test]
    fn a_valid_traceparent_is_read() {
        // W3C Trace Context §3.2
        let context = read_one(&format!("00-{TRACE}-{PARENT}-01")).unwrap();
        assert_eq!(context.trace_id().to_string(), TRACE);
        assert_eq!(context.span_id().to_string(), PARENT);
        assert!(context.is_sampled() && context.is_remote());
        assert!(!read_one(&format!("00-{TRACE}-{PARENT}-00")).unwrap().is_sampled());
    }

    #[test]
    fn unknown_flags_are_not_passed_on() {
        let context = read_one(&format!("00-{TRACE}-{PARENT}-ff")).unwrap();
        assert_eq!(context.trace_flags(), TraceFlags::SAMPLED);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        // W3C Trace Context §3.2.4
        for end in ["", "-", "-what-the-future-will-bring"] {
            assert!(read_one(&format!("cc-{TRACE}-{PARENT}-01{end}")).is_some(), "{end:?}");
        }
    }

    #[test]
    fn every_other_spelling_is_no_context() {
        let zero = |digits: usize| "0".repeat(digits);
        for text in [
            "",
            "00",
            &format!("ff-{TRACE}-{PARENT}-01"),
            &format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            &format!("0G-{TRACE}-{PARENT}-01"),
            &format!("+0-{TRACE}-{PARENT}-01"),
            &format!("00-{TRACE}-{PARENT}-0G"),
            &format!("00-{TRACE}-{PARENT}-1"),
            &format!("00-{TRACE}-{PARENT}-01-"),
            &format!("00-{TRACE}-{PARENT}-01-more"),
            &format!("cc-{TRACE}-{PARENT}-01more"),
            &format!("00-{}-{PARENT}-01", zero(32)),
            &format!("00-{TRACE}-{}-01", zero(16)),
            &format!("00-{PARENT}-{TRACE}-01"),
            &format!("00-{TRACE}_{PARENT}-01"),
            &format!("00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01"),
            &format!("00-{TRACE}-{PARENT}é01"),
        ] {
            assert!(read_one(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn two_contexts_are_none() {
        let text = format!("00-{TRACE}-{PARENT}-01");
        assert!(read(&headers(&[("traceparent", &text), ("traceparent", &text)])).is_none());
    }

    #[test]
    fn a_state_goes_on_with_its_own_trace_only() {
        // W3C Trace Context §3.3.1
        let context = read_one(&format!("00-{TRACE}-{PARENT}-01")).unwrap();
        let before =
            headers(&[("traceparent", "of the client"), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        let mut continued = before.clone();
        write(&mut continued, &context, true);
        assert_eq!(continued["traceparent"], format!("00-{TRACE}-{PARENT}-01"));
        assert_eq!(continued.get_all("tracestate").iter().count(), 2);
        let mut restarted = before;
        write(&mut restarted, &context, false);
        assert!(restarted.get("tracestate").is_none());
    }
}
