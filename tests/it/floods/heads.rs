//! Floods of heads: blocks without end, bombs of a few bytes, streams that never go on.

use super::{Beside, COST, cut_off, flood, frame, hanging, heard, hostile, stage};
use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, block, integer,
};
use crate::support::server::{Answer, Server};

const WHOLE: u8 = END_HEADERS | END_STREAM;

/// CVE-2024-27316 and its family: a header block that goes on for ever, of fields, of one field, or of nothing.
#[test]
fn continuation_floods_are_cut_off() {
    let stage = stage(hanging(), "");
    let one_field = [&[0, 1, b'x'][..], &{
        let mut length = Vec::new();
        integer(&mut length, 7, 1 << 30);
        length
    }]
    .concat();
    let fields = [&[0, 1, b'x', 1][..], b"y"].concat().repeat(3000);
    for (what, first, next) in [
        ("fields", fields.clone(), fields),
        ("one field", one_field, vec![b'y'; 16_000]),
        ("nothing", block("GET", &stage.token), Vec::new()),
    ] {
        cut_off(&stage, what, |raw| {
            raw.send(HEADERS, END_STREAM, 1, &first).unwrap();
            flood(raw, 20_000, |_| frame(CONTINUATION, 0, 1, &next));
        });
    }
}

/// CVE-2016-6581: a field of the table's size, named again and again with one byte each.
#[test]
fn an_hpack_bomb_is_431_and_takes_no_memory() {
    let stage = stage(hanging(), "");
    let beside = Beside::start(&stage);
    let memory = stage.boundgate.process.peak_memory();
    for _ in 0..5 {
        let mut raw = hostile(&stage);
        let mut bomb = block("GET", &stage.token);
        bomb.extend([0x40, 1, b'x']); // indexed from now on (RFC 7541 §6.2.1)
        integer(&mut bomb, 7, 4000);
        bomb.extend([b'y'; 4000]);
        bomb.extend([0x80 | 62; 10_000]); // 40 MB of it
        // Not what it says, but whether it says so: the answer comes from the HTTP/2 library, and may be a reset.
        let _ = raw.send(HEADERS, WHOLE, 1, &bomb);
        let _ = raw.send(HEADERS, WHOLE, 3, &block("GET", "none"));
        while raw.read().is_ok_and(|frame| !(frame.stream == 3 && frame.kind == DATA)) {}
    }
    let cost = stage.boundgate.process.peak_memory() - memory;
    assert!(cost < COST, "{cost} MiB");
    beside.end();
    assert!(stage.world.api.requests().iter().all(|request| request.target() == "/good"));
}

/// RFC 9113 §5.1.2: a hundred streams are open at once, and those that do not go on end with `stall_timeout`.
#[test]
fn idle_streams_end_and_their_connection_stays() {
    let stage = stage(Server::http(|_| Answer::ok("hello")), "stall_timeout = \"1s\"");
    let beside = Beside::start(&stage);
    let head = block("POST", &stage.token);
    let mut raws: Vec<_> = (0..3).map(|_| hostile(&stage)).collect();
    for raw in &mut raws {
        raw.0
            .send(
                (0..100)
                    .flat_map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &head))
                    .collect::<Vec<u8>>(),
            )
            .unwrap();
    }
    let labels = ["reason=\"client-timeout\""];
    stage.boundgate.wait_for_metric("boundgate_requests_total", &labels, 300.0);
    for raw in &mut raws {
        // Each is closed some seconds after its answer, and has room for another one then.
        (0..100).for_each(|_| drop(raw.read_until(RST_STREAM).unwrap()));
        raw.send(HEADERS, WHOLE, 201, &block("GET", &stage.token)).unwrap();
        while raw.read_until(DATA).unwrap().payload != b"hello" {}
    }
    beside.end();
}

/// Thousands of streams at once: those above a hundred are refused one by one, a client that does not hear it with its connection.
#[test]
fn thousands_of_streams_at_once_are_cut_off() {
    let stage = stage(hanging(), "");
    for method in ["GET", "POST"] {
        let head = block(method, &stage.token);
        let end = if method == "GET" { WHOLE } else { END_HEADERS };
        cut_off(&stage, method, |raw| {
            flood(raw, 10_000, |number| frame(HEADERS, end, 2 * number + 1, &head))
        });
    }
    let heard = heard(&stage);
    assert!(heard <= 200, "{heard} requests reached the API");
}
