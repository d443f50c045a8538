//! A byte for the size of the pieces in which it arrives, then an upstream's answer: it is read alike in whatever pieces it comes, its
//! content ends where another reader ends it, and the client's has one framing and nothing of the other connection.
#![no_main]

use boundgate_fuzz::decide::headers;
use boundgate_fuzz::http1::{self, Answer};
use boundgate_fuzz::names::HOP_BY_HOP;
use http::{HeaderMap, Method, StatusCode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, bytes)) = data.split_first() else { return };
    let method = if how & 0x80 == 0 { Method::GET } else { Method::HEAD };
    let whole = http1::read(std::iter::once(bytes), &method);
    let pieces = http1::read(bytes.chunks(usize::from(how & 0x7f) + 1), &method);
    assert_eq!(whole, pieces);
    let Some(answer) = whole else { return };
    let mut fields = answer.fields.clone();
    if headers::settle_answer(&mut fields).is_err() {
        assert!(fields.contains_key("transfer-encoding") || fields.contains_key("content-length"));
        return;
    }
    assert!(fields.get_all("content-length").iter().count() <= 1);
    assert!(!(fields.contains_key("content-length") && fields.contains_key("transfer-encoding")));
    content(&answer, &fields, &method, bytes);
    headers::strip_response(&mut fields);
    assert!(HOP_BY_HOP.iter().all(|name| !fields.contains_key(*name)));
    fields.remove("content-length");
    for (name, value) in &fields {
        assert!(answer.fields.get_all(name).iter().any(|line| line == value), "{name}: nobody said so");
    }
});

/// What comes behind the head is content, or the rest, as RFC 9112 §6.3 has it.
fn content(answer: &Answer, settled: &HeaderMap, method: &Method, bytes: &[u8]) {
    let empty = [StatusCode::SWITCHING_PROTOCOLS, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    let length = settled.get("content-length").map(|length| length.to_str().unwrap());
    if *method == Method::HEAD || empty.contains(&answer.status) {
        assert!(answer.content.is_empty() && answer.is_whole);
    } else if settled.contains_key("transfer-encoding") {
        if answer.is_whole {
            let (content, rest) = chunks(&bytes[answer.head..]).expect("another reader finds the end too");
            assert_eq!((&content, rest), (&answer.content, &answer.rest[..]));
        }
    } else if let Some(length) = length {
        let length = length.parse::<usize>().unwrap();
        assert!(answer.content.len() <= length);
        assert_eq!(answer.is_whole, answer.content.len() == length);
        assert!(answer.is_whole || answer.rest.is_empty(), "nothing is left out");
        assert_eq!(answer.content, bytes[answer.head..][..answer.content.len()]);
    } else {
        assert!(answer.is_whole && answer.rest.is_empty() && !answer.persists, "until the connection closes");
    }
}

/// The content of chunks, and what stands behind their trailers (RFC 9112 §7.1).
fn chunks(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut content = Vec::new();
    loop {
        let (line, after) = line(bytes)?;
        let size = line.split(|byte| *byte == b';').next()?;
        let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 16).ok()?;
        bytes = after;
        if size == 0 {
            break;
        }
        content.extend(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
    loop {
        let (line, after) = line(bytes)?;
        bytes = after;
        if line.is_empty() {
            return Some((content, bytes));
        }
    }
}

/// A line without its end, and what follows it. In trailers a bare LF ends a line too (RFC 9112 §2.2).
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}
