//! `traceparent` fields, one a line: what goes on is well-formed, and is the client's trace only if it sent one that is.
#![no_main]

use boundgate_fuzz::traceparent;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(4) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append("traceparent", value);
    }
    let lines = headers.len();
    let Some(trace) = traceparent(&mut headers) else { return };
    let sent = std::str::from_utf8(&data[..55]).unwrap();
    assert_eq!((lines, &sent[3..35]), (1, trace.as_str()));
    assert!(trace.bytes().any(|digit| digit != b'0'), "{trace}");
    let written = headers["traceparent"].to_str().unwrap();
    let fields: Vec<&str> = written.split('-').collect();
    assert_eq!(fields.iter().map(|field| field.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{written}");
    assert!(written.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{written}");
    assert_eq!(traceparent(&mut headers).as_ref(), Some(&trace));
});
