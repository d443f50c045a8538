//! HTTP/2 floods (RFC 9113 §10.5): the abuser is cut off, memory stays bounded, and a good client on the same worker does not notice.

mod heads;
mod windows;

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use super::support::beside::Beside;
use super::support::frames::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, block,
};
use super::support::process::PATIENCE;
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

const ACK: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const UNKNOWN: u8 = 0x42;

/// MiB that a flood may cost, whatever its length.
const COST: u64 = 64;

/// All on one worker.
fn stage(api: Server, limits: &str) -> Stage {
    Stage::with(api, |config| {
        config.listener = "workers = 1".to_owned();
        config.more = format!("[limits]\n{limits}\n");
    })
}

/// An API that answers `/good` at once and everything else never.
fn hanging() -> Server {
    Server::http(|request| {
        if request.target() != "/good" {
            std::thread::sleep(PATIENCE); // longer than the test
        }
        Answer::ok("hello")
    })
}

fn hostile(stage: &Stage) -> Raw {
    let raw = Raw::connect(&stage.client(), stage.boundgate.address, &[]);
    raw.0.stream.get_ref().sock.set_write_timeout(Some(PATIENCE)).unwrap();
    raw
}

/// A frame as it is on the wire.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Sends what `next` makes of 0, 1, 2 … until the server has had enough, and sees to it that it has before `most`.
fn flood(raw: &mut Raw, most: u32, next: impl Fn(u32) -> Vec<u8>) {
    let numbers: Vec<u32> = (0..most).collect();
    for batch in numbers.chunks(200) {
        if raw.0.send(batch.iter().flat_map(|number| next(*number)).collect::<Vec<u8>>()).is_err() {
            return;
        }
    }
    while raw.read().map_err(not_in_time).is_ok_and(|frame| frame.kind != GOAWAY) {} // all had room in the socket's buffers
}

fn not_in_time(error: io::Error) {
    assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it is not cut off");
}

/// Runs an attack beside a good client: it is over with the connection, is told in log and metrics, and costs little memory.
fn cut_off(stage: &Stage, what: &str, attack: impl FnOnce(&mut Raw)) {
    let beside = Beside::start(stage);
    let (labels, name) = (["reason=\"request-malformed\""], "boundgate_requests_total");
    let told = stage.boundgate.metric(name, &labels);
    let memory = stage.boundgate.process.peak_memory();
    let mut raw = hostile(stage);
    attack(&mut raw);
    drop(raw);
    stage.boundgate.wait_for_metric(name, &labels, told + 1.0);
    let cost = stage.boundgate.process.peak_memory() - memory;
    assert!(cost < COST, "{what}: {cost} MiB");
    beside.end();
}

/// CVE-2019-9512 (ping), CVE-2019-9515 (settings), CVE-2019-9513 (priority), CVE-2019-9518 (empty DATA), and their like.
#[test]
fn control_frames_without_end_are_cut_off() {
    let stage = stage(hanging(), "");
    let one = 1_u32.to_be_bytes();
    for (what, bytes) in [
        ("ping", frame(PING, 0, 0, b"12345678")),
        ("acknowledged pings that nobody sent", frame(PING, ACK, 0, b"12345678")),
        ("settings", frame(SETTINGS, 0, 0, &[])),
        ("settings that change", frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0x10, 0])),
        ("priority", frame(PRIORITY, 0, 5, &[0, 0, 0, 0, 16])),
        ("window updates", frame(WINDOW_UPDATE, 0, 0, &one)),
        ("unknown frames", frame(UNKNOWN, 0, 0, b"?")),
        ("unknown frames of a stream", frame(UNKNOWN, 0xff, 7, &[])),
    ] {
        cut_off(&stage, what, |raw| flood(raw, 200_000, |_| bytes.clone()));
    }
    cut_off(&stage, "empty DATA", |raw| {
        raw.send(HEADERS, END_HEADERS, 1, &block("POST", &stage.token)).unwrap();
        flood(raw, 200_000, |_| frame(DATA, 0, 1, &[]));
    });
}

/// CVE-2023-44487: requests that are reset as soon as they are sent, in numbers that no limit of open streams holds.
#[test]
fn rapid_reset_is_cut_off_and_the_api_hears_little_of_it() {
    let stage = stage(hanging(), "");
    for token in [stage.token.as_str(), "none"] {
        let head = block("GET", token);
        cut_off(&stage, "rapid reset", |raw| {
            flood(raw, 50_000, |number| {
                let stream = 2 * number + 1;
                [frame(HEADERS, END_HEADERS | END_STREAM, stream, &head), cancel(stream)].concat()
            });
        });
    }
    let heard = heard(&stage);
    assert!(heard <= 200, "{heard} requests reached the API");
}

/// The same at a pace at which each request has reached the API before it is reset.
#[test]
fn resets_of_what_the_api_works_on_are_cut_off() {
    let stage = stage(hanging(), "");
    let head = block("GET", &stage.token);
    cut_off(&stage, "reset", |raw| {
        for first in (1..20_000).step_by(40) {
            let streams = (first..first + 40).step_by(2);
            let begin =
                streams.clone().flat_map(|stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &head));
            let begun = heard(&stage);
            let asked = raw.0.send(begin.collect::<Vec<u8>>()).and_then(|()| {
                eventually_or(Duration::from_millis(200), || heard(&stage) >= begun + 20);
                raw.0.send(streams.flat_map(cancel).collect::<Vec<u8>>())
            });
            if asked.is_err() {
                return;
            }
        }
        panic!("it is not cut off");
    });
    let heard = heard(&stage);
    assert!((400..1000).contains(&heard), "{heard} requests reached the API");
}

fn cancel(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// How many requests of the hostile client have reached the API.
fn heard(stage: &Stage) -> usize {
    stage.world.api.requests().iter().filter(|request| request.target() != "/good").count()
}

/// Waits until it holds, but no longer than that: who is cut off is not heard any more.
fn eventually_or(limit: Duration, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() && start.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(1)); // the API does not announce what it hears
    }
}

/// CVE-2025-8671: the client has the server do the resetting, by errors of one stream each.
#[test]
fn made_you_reset_is_cut_off_and_the_api_hears_little_of_it() {
    let stage = stage(hanging(), "");
    let head = block("GET", &stage.token);
    let provocations: [fn(u32) -> Vec<u8>; 4] = [
        |stream| frame(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()), // §6.9: an increment of 0
        |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()), // §6.9.1: above 2^31-1
        |stream| frame(DATA, END_STREAM, stream, b"x"), // §5.1: a stream that the client has ended
        |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &block("GET", "again")), // §5.1: another head for it
    ];
    for provoke in provocations {
        cut_off(&stage, "made you reset", |raw| {
            flood(raw, 50_000, |number| {
                let stream = 2 * number + 1;
                [frame(HEADERS, END_HEADERS | END_STREAM, stream, &head), provoke(stream)].concat()
            });
        });
    }
    let heard = heard(&stage);
    assert!(heard <= 2400, "{heard} requests reached the API");
}

/// What a client cancels among what it lets finish is no abuse, however often.
#[test]
fn who_cancels_every_other_request_is_served() {
    let stage = stage(Server::http(|_| Answer::ok("hello")), "");
    let mut raw = hostile(&stage);
    let head = block("GET", &stage.token);
    for number in 0..1500 {
        let (asked, cancelled) = (4 * number + 1, 4 * number + 3);
        raw.send(HEADERS, END_HEADERS | END_STREAM, cancelled - 2, &head).unwrap();
        raw.send(HEADERS, END_HEADERS | END_STREAM, cancelled, &head).unwrap();
        raw.send(RST_STREAM, 0, cancelled, &8_u32.to_be_bytes()).unwrap();
        while raw.read_until(DATA).unwrap().stream != asked {}
    }
}
