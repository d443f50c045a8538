//! The head of an upstream's answer: what the client gets has one framing and nothing of the other connection.
#![no_main]

use boundgate_fuzz::decide::headers;
use boundgate_fuzz::names::HOP_BY_HOP;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Response::new(&mut fields);
    if !parsed.parse(data).is_ok_and(|status| status.is_complete()) {
        return;
    }
    let mut answer = HeaderMap::new();
    for field in parsed.headers.iter() {
        let Ok(value) = HeaderValue::from_bytes(field.value) else { return };
        answer.append(HeaderName::from_bytes(field.name.as_bytes()).unwrap(), value);
    }
    let sent = answer.clone();
    if headers::settle_answer(&mut answer).is_err() {
        assert!(sent.contains_key("transfer-encoding"));
        return;
    }
    assert!(answer.get_all("content-length").iter().count() <= 1);
    assert!(!(answer.contains_key("content-length") && answer.contains_key("transfer-encoding")));
    headers::strip_response(&mut answer);
    assert!(HOP_BY_HOP.iter().all(|name| !answer.contains_key(*name)));
    for (name, value) in &answer {
        assert!(sent.get_all(name).iter().any(|line| line == value), "{name}: nobody said so");
    }
});
