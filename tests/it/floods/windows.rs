//! Flow control as a weapon: windows that stay shut, that open byte by byte, and content in crumbs.

use std::io::{BufReader, Write as _};
use std::time::{Duration, Instant};

use super::{Beside, COST, flood, frame, hostile, stage};
use crate::support::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PING, Raw, SETTINGS, WINDOW_UPDATE, block,
};
use crate::support::message::read_request;
use crate::support::process::PATIENCE;
use crate::support::server::{Answer, Server};

const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// An API with `/good`, and answers without end.
fn endless() -> Server {
    Server::script(|socket| {
        let mut socket = BufReader::new(socket);
        while let Some(request) = read_request(&mut socket)? {
            if request.target() == "/good" {
                socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")?;
                continue;
            }
            socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
            loop {
                socket.get_mut().write_all(&[b'x'; 1 << 16])?;
            }
        }
        Ok(())
    })
}

/// CVE-2019-9517 and its like: a hundred large answers that are asked for and never taken, behind a window of nothing or of one byte.
#[test]
fn answers_that_are_not_taken_are_bounded_in_memory_and_end_with_stall_timeout() {
    for window in [0, 1, 65_535] {
        let stage = stage(endless(), "stall_timeout = \"2s\"");
        let beside = Beside::start(&stage);
        let memory = stage.boundgate.process.peak_memory();
        let mut raw =
            Raw::connect(&stage.client(), stage.boundgate.address, &[(INITIAL_WINDOW_SIZE, window)]);
        let head = block("GET", &stage.token);
        for number in 0..100 {
            raw.send(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &head).unwrap();
        }
        let labels = ["reason=\"client-timeout\""];
        stage.boundgate.wait_for_metric("boundgate_requests_total", &labels, 100.0);
        let cost = stage.boundgate.process.peak_memory() - memory;
        assert!(cost < COST, "{window}: {cost} MiB");
        beside.end();
    }
}

/// CVE-2019-9511: a window that is opened by one byte at a time has an answer sent in frames of one byte.
#[test]
fn windows_that_open_byte_by_byte_are_cut_off() {
    let stage = stage(endless(), "");
    let beside = Beside::start(&stage);
    let mut raw = Raw::connect(&stage.client(), stage.boundgate.address, &[(INITIAL_WINDOW_SIZE, 0)]);
    raw.0.stream.get_ref().sock.set_write_timeout(Some(PATIENCE)).unwrap();
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &block("GET", &stage.token)).unwrap();
    flood(&mut raw, 200_000, |_| frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()));
    stage.boundgate.log_line(|line| line["reason"] == "request-malformed");
    beside.end();
}

/// An upload in frames of one byte, each with 255 bytes of padding: it arrives, or is cut off, in bounded memory.
#[test]
fn uploads_in_padded_crumbs_take_no_memory() {
    const PADDED: u8 = 0x8;
    let stage = stage(Server::http(|_| Answer::ok("hello")), "");
    let beside = Beside::start(&stage);
    let memory = stage.boundgate.process.peak_memory();
    let mut raw = hostile(&stage);
    raw.send(HEADERS, END_HEADERS, 1, &block("POST", &stage.token)).unwrap();
    let crumb = frame(DATA, PADDED, 1, &[&[254, b'x'][..], &[0; 254]].concat());
    let mut sent = 0;
    // Its window is a megabyte; what is not given back is waited for.
    while sent < 3000 && raw.0.send(crumb.repeat(100)).is_ok() {
        sent += 100;
    }
    let _ = raw.send(DATA, END_STREAM, 1, &[]);
    let answered = raw.read_until(DATA).is_ok();
    let cost = stage.boundgate.process.peak_memory() - memory;
    assert!(cost < COST, "{cost} MiB");
    beside.end();
    let uploads: Vec<_> =
        stage.world.api.requests().into_iter().filter(|request| request.target() == "/").collect();
    assert_eq!(uploads.len(), usize::from(answered));
    assert!(uploads.iter().all(|upload| upload.body.len() == sent), "without its padding");
}

/// A connection on which nothing but pings come has no request: `idle_timeout` ends it, even if each ping comes in two pieces.
#[test]
fn pings_are_no_requests() {
    let stage = stage(Server::http(|_| Answer::ok("hello")), "idle_timeout = \"2s\"");
    for cut in [0, 9, 12] {
        let mut raw = hostile(&stage);
        raw.read_until(SETTINGS).unwrap();
        let start = Instant::now();
        let ping = frame(PING, 0, 0, b"12345678");
        let mut alive = || raw.0.send(&ping[..cut]).and_then(|()| raw.0.send(&ping[cut..])).is_ok();
        while alive() {
            assert!(start.elapsed() < PATIENCE, "pings keep it open");
            std::thread::sleep(Duration::from_millis(100)); // their pace
        }
        assert!(start.elapsed() > Duration::from_millis(1500), "{:?}", start.elapsed());
    }
}
