//! interface.md, `[limits] stream`: "keep | until-exp: WebSockets and other long exchanges end at the token's exp (plus leeway)", here over
//! HTTP/2 and with leeway; upgrades.rs has HTTP/1.1.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use serde_json::json;

use super::support::frames::{DATA, END_STREAM, HEADERS, RST_STREAM};
use super::support::h2c::H2c;
use super::support::issuer::now;
use super::support::message::read_head;
use super::support::outcome::{Frames, Outcome};
use super::support::server::Server;
use super::support::stage::Stage;

/// An API that streams events without an end to a GET, and answers nothing else.
fn endless() -> Server {
    Server::script(|mut socket: TcpStream| {
        let mut reader = BufReader::new(socket.try_clone()?);
        if read_head(&mut reader)?.method() != "GET" {
            return reader.read_to_end(&mut Vec::new()).map(drop);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
        loop {
            socket.write_all(b"data: 1\n\n")?; // fails once nobody reads any more
            std::thread::sleep(Duration::from_millis(50));
        }
    })
}

fn stage(api: Server, stream: &str, leeway: &str) -> Stage {
    Stage::with(api, |config| {
        config.issuer += &format!("\nleeway = \"{leeway}\"");
        config.more = format!("[limits]\nstream = \"{stream}\"\n");
    })
}

/// A request over HTTP/2 with a token for so many seconds.
fn open(stage: &Stage, method: &str, seconds: u64, flags: u8) -> Frames {
    let mut claims = stage.world.issuer.claims(&stage.world.pki.client_a);
    claims["exp"] = json!(now() + seconds);
    let bearer = format!("Bearer {}", stage.world.issuer.mint(&claims));
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let start = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    frames.headers(1, &[&start[..], &[("authorization", &bearer)]].concat(), flags).unwrap();
    frames
}

/// Reads until the stream is reset; fails the test where it ends as if it were whole.
fn wait_for_reset(frames: &mut Frames) {
    loop {
        let frame = frames.next().expect("the stream ends, not the connection");
        match frame.kind {
            RST_STREAM => return assert_ne!(frame.payload, [0; 4], "NO_ERROR"),
            HEADERS | DATA => assert_eq!(frame.flags & END_STREAM, 0, "it looks whole"),
            _ => {}
        }
    }
}

/// The least that such a token leaves: `exp` is a whole second, and the present one has begun.
fn assert_lasted(began: Instant, seconds: u64) {
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(seconds - 1) - Duration::from_millis(100), "{took:?}");
}

#[test]
fn events_over_http2_end_with_their_token() {
    let stage = stage(endless(), "until-exp", "0s");
    let began = Instant::now();
    wait_for_reset(&mut open(&stage, "GET", 3, END_STREAM));
    assert_lasted(began, 3);
    stage.boundgate.log_line(|line| line["reason"] == "token-expired" && line["status"] == 200);
}

#[test]
fn uploads_over_http2_end_with_their_token() {
    let stage = stage(endless(), "until-exp", "0s");
    let began = Instant::now();
    let mut upload = open(&stage, "POST", 3, 0);
    upload.raw.send(DATA, 0, 1, b"begin").unwrap();
    let outcome = upload.outcome(1);
    assert!(matches!(&outcome, Outcome::Answer(401, body) if body.contains("token-expired")), "{outcome:?}");
    assert_lasted(began, 3);
}

#[test]
fn the_leeway_counts() {
    let stage = stage(endless(), "until-exp", "3s");
    let began = Instant::now();
    wait_for_reset(&mut open(&stage, "GET", 1, END_STREAM));
    assert_lasted(began, 1 + 3);
}

#[test]
fn a_stream_of_an_http2_upstream_ends_with_its_token() {
    let api = H2c::start(100, |_, mut respond| async move {
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"first"), false).unwrap();
        std::future::poll_fn(|cx| stream.poll_reset(cx)).await.ok();
    });
    let url = format!("url = \"{}\"", api.url());
    let stage = Stage::with(endless(), |config| {
        config.upstream = url;
        config.issuer += "\nleeway = \"0s\"";
        config.more = "[limits]\nstream = \"until-exp\"\n".to_owned();
    });
    let began = Instant::now();
    wait_for_reset(&mut open(&stage, "GET", 3, END_STREAM));
    assert_lasted(began, 3);
}

/// And what is over in time is not touched: a token's end is no end of its connection.
#[test]
fn keep_ends_nothing() {
    let stage = stage(endless(), "keep", "0s");
    let began = Instant::now();
    let mut events = open(&stage, "GET", 2, END_STREAM);
    while began.elapsed() < Duration::from_secs(4) {
        let frame = events.next().unwrap();
        assert!(
            frame.kind != RST_STREAM && frame.flags & END_STREAM == 0 || frame.kind > HEADERS,
            "{frame:?}"
        );
    }
}
