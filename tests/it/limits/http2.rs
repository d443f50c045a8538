//! The same limits over HTTP/2, for clients that do not answer either.

use std::time::{Duration, Instant};

use super::{ALL_SHORT, after_a_second, halting, hello, large, stage};
use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, block,
};
use crate::support::h2::H2;

/// RFC 9113 §6.5.2
const INITIAL_WINDOW_SIZE: u16 = 0x4;

#[test]
fn head_timeout_ends_a_header_block_that_never_ends() {
    let stage = stage("head_timeout = \"1s\"", hello());
    let mut raw = stage.raw(&[]);
    raw.read_until(SETTINGS).unwrap();
    let start = Instant::now();
    raw.send(HEADERS, END_STREAM, 1, &block("GET", &stage.token)).unwrap(); // without END_HEADERS
    raw.rest();
    after_a_second(start);
    stage.client_timeout(408);
    assert_eq!(stage.world.api.requests(), []);
}

#[test]
fn head_timeout_ends_one_among_streams_that_work() {
    let stage = stage("head_timeout = \"1s\"", halting());
    let mut raw = stage.raw(&[]);
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &block("GET", &stage.token)).unwrap();
    assert_eq!(raw.read_until(DATA).unwrap().payload, b"one");
    raw.send(HEADERS, END_STREAM, 3, &block("GET", &stage.token)).unwrap();
    let rest = raw.rest();
    assert!(!rest.iter().any(|frame| frame.payload == b"two"), "it ended before the API went on");
    stage.client_timeout(408);
}

#[test]
fn idle_timeout_ends_a_connection_without_streams() {
    let stage = stage("idle_timeout = \"1s\"", hello());
    let mut used = stage.raw(&[]);
    let mut unused = stage.raw(&[]);
    let start = Instant::now();
    used.send(HEADERS, END_STREAM | END_HEADERS, 1, &block("GET", &stage.token)).unwrap();
    assert_eq!(used.read_until(DATA).unwrap().payload, b"hello");
    // Neither answers the ping that comes with GOAWAY (RFC 9113 §6.8).
    assert!(used.rest().iter().any(|frame| frame.kind == GOAWAY));
    after_a_second(start);
    assert!(unused.rest().iter().any(|frame| frame.kind == GOAWAY));
    assert_eq!(stage.boundgate.metric("boundgate_requests_total", &[]), 1.0, "idleness is no refusal");
}

#[test]
fn a_silent_client_whose_certificate_is_no_longer_admitted_is_cut_off() {
    let stage = stage("", hello());
    let mut raw = stage.raw(&[]);
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &block("GET", &stage.token)).unwrap();
    assert_eq!(raw.read_until(DATA).unwrap().payload, b"hello");
    stage.trust_another_authority();
    raw.send(HEADERS, END_STREAM | END_HEADERS, 3, &block("GET", &stage.token)).unwrap();
    let answer = raw.read_until(DATA).unwrap();
    assert!(String::from_utf8_lossy(&answer.payload).contains("certificate-not-admitted"), "{answer:?}");
    raw.rest();
    assert_eq!(stage.world.api.requests().len(), 1);
}

#[test]
fn stall_timeout_ends_a_body_that_stops() {
    let stage = stage("stall_timeout = \"1s\"", hello());
    let mut raw = stage.raw(&[]);
    let start = Instant::now();
    raw.send(HEADERS, END_HEADERS, 1, &block("POST", &stage.token)).unwrap();
    raw.send(DATA, 0, 1, b"half").unwrap();
    let answer = raw.read_until(DATA).unwrap();
    after_a_second(start);
    assert!(String::from_utf8_lossy(&answer.payload).contains("client-timeout"), "{answer:?}");
    stage.client_timeout(408);
    assert_eq!(stage.world.api.requests(), [], "the API had no whole request");
    // The connection is as good as before.
    raw.send(HEADERS, END_STREAM | END_HEADERS, 3, &block("GET", &stage.token)).unwrap();
    assert_eq!(raw.read_until(DATA).unwrap().payload, b"hello");
}

/// Reads until the stream is reset, and returns how many bytes of its answer came before that; what comes of others is passed over.
fn read_until_reset(raw: &mut Raw, stream: u32) -> usize {
    let mut read = 0;
    loop {
        let frame = raw.read().unwrap();
        match frame.kind {
            DATA if frame.stream == stream => read += frame.payload.len(),
            RST_STREAM if frame.stream == stream => return read,
            _ => {}
        }
    }
}

#[test]
fn stall_timeout_ends_an_answer_behind_a_window_that_is_never_opened() {
    let stage = stage("stall_timeout = \"1s\"", hello());
    let mut raw = stage.raw(&[(INITIAL_WINDOW_SIZE, 0)]);
    let start = Instant::now();
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &block("GET", &stage.token)).unwrap();
    assert_eq!(read_until_reset(&mut raw, 1), 0);
    after_a_second(start);
    stage.client_timeout(200);
}

#[test]
fn stall_timeout_ends_an_answer_behind_a_window_that_is_opened_no_further() {
    let stage = stage("stall_timeout = \"1s\"", large());
    let mut raw = stage.raw(&[]);
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &block("GET", &stage.token)).unwrap();
    assert_eq!(read_until_reset(&mut raw, 1), 65_535, "the window of the start (RFC 9113 §6.9.2)");
    stage.client_timeout(200);
}

/// A client may leave one answer lying and go on with others.
#[test]
fn stall_timeout_ends_one_stream_alone() {
    let stage = stage("stall_timeout = \"1s\"", halting());
    let mut raw = stage.raw(&[(INITIAL_WINDOW_SIZE, 0)]);
    for stream in [1, 3] {
        raw.send(HEADERS, END_STREAM | END_HEADERS, stream, &block("GET", &stage.token)).unwrap();
    }
    // Enough for all of the second answer, whose end comes after the first has stalled.
    raw.send(WINDOW_UPDATE, 0, 3, &100_u32.to_be_bytes()).unwrap();
    let (mut text, mut reset) = (Vec::new(), false);
    loop {
        let frame = raw.read().unwrap();
        assert!(frame.kind != DATA || frame.stream == 3);
        reset |= frame.kind == RST_STREAM && frame.stream == 1;
        if frame.stream == 3 && frame.kind == DATA {
            text.extend(frame.payload);
        }
        if frame.stream == 3 && frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!((text, reset), (b"onetwo".to_vec(), true));
    stage.client_timeout(200);
}

#[test]
fn stall_timeout_does_not_end_an_answer_that_is_read_slowly() {
    let stage = stage("stall_timeout = \"2s\"", large());
    let mut raw = stage.raw(&[]);
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &block("GET", &stage.token)).unwrap();
    let (mut read, slice) = (0, 2_000_u32);
    while read < 65_535 {
        read += raw.read_until(DATA).unwrap().payload.len();
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) {
        std::thread::sleep(Duration::from_millis(100)); // the slow reader
        for stream in [0, 1] {
            raw.send(WINDOW_UPDATE, 0, stream, &slice.to_be_bytes()).unwrap();
        }
        assert_eq!(raw.read().unwrap().kind, DATA);
    }
}

#[test]
fn a_window_that_is_opened_in_time_is_no_stall() {
    let stage = stage("stall_timeout = \"5s\"", hello());
    let mut raw = stage.raw(&[(INITIAL_WINDOW_SIZE, 0)]);
    raw.send(HEADERS, END_STREAM | END_HEADERS, 1, &block("GET", &stage.token)).unwrap();
    raw.read_until(HEADERS).unwrap();
    for letter in "hello".chars() {
        raw.send(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).unwrap();
        let frame = raw.read_until(DATA).unwrap();
        assert_eq!((frame.stream, frame.payload), (1, letter.to_string().into_bytes()));
    }
}

#[test]
fn a_silent_upstream_stream_does_not_count() {
    let stage = stage(ALL_SHORT, halting());
    let mut h2 = H2::connect(&stage.client, stage.boundgate.address).unwrap();
    assert_eq!(h2.get("/", Some(&stage.token)).unwrap().text(), "onetwo");
}
