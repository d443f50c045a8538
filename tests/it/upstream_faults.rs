//! Upstreams that leave at once, that answer before the request is over, and requests that cannot be sent twice.

use std::io::{BufReader, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::frames::{DATA, END_STREAM, HEADERS, RST_STREAM};
use super::support::h2c;
use super::support::message::read_head;
use super::support::outcome::Frames;
use super::support::server::{self, Server};
use super::support::stage::Stage;

fn post(stage: &Stage, flags: u8) -> Frames {
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let bearer = format!("Bearer {}", stage.token);
    let start = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    frames.headers(1, &[&start[..], &[("authorization", &bearer)]].concat(), flags).unwrap();
    frames
}

/// Whether with a FIN or a RST: a connection that ends before a byte of an answer is a failure, and is not tried again and again.
#[test]
fn an_upstream_that_leaves_at_once() {
    for rude in [false, true] {
        let api = Server::script(move |socket| if rude { server::reset(&socket) } else { Ok(()) });
        let stage = Stage::new(api, "");
        for (method, body) in [("GET", ""), ("POST", ""), ("POST", "12345")] {
            let before = stage.world.api.connections();
            let lines = format!("Content-Length: {}\r\n", body.len());
            let answer = stage.exchange(&format!("{method} /"), &lines, body);
            let (status, reason) = answer.verdict();
            // A RST may come as early as the end of connect(2).
            let known = reason == "upstream-failed" || rude && reason == "upstream-refused";
            assert!(status == 502 && known, "{method} {body:?} {rude}: {status} {reason}");
            // A second one only where the first was gone before a byte of the request had gone out.
            let asked = stage.world.api.connections() - before;
            assert!((1..=2).contains(&asked), "{method} {body:?} {rude}: {asked} connections");
        }
    }
}

/// An API that begins its answer at once, and goes on with it until the request ends.
fn early(head: &'static str) -> Server {
    Server::script(move |mut socket| {
        let mut reader = BufReader::new(socket.try_clone()?);
        read_head(&mut reader)?;
        socket.write_all(head.as_bytes())?;
        let _ = reader.read_to_end(&mut Vec::new()); // an end is an end
        Ok(())
    })
}

const LIMITS: &str = "[limits]\nstall_timeout = \"1s\"\nrequest_body = \"1KiB\"\n";

/// An answer that is whole is whole, whatever becomes of the request.
#[test]
fn an_early_answer_to_a_client_that_stalls() {
    let stage = Stage::new(early("HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\n\r\nearly"), LIMITS);
    let answer = stage.exchange("POST /", "Content-Length: 10\r\n", "half.");
    assert_eq!((answer.status(), answer.text()), (409, "early"));
    let id = answer.value("x-request-id").unwrap();
    let line = stage.boundgate.log_line(|line| line["request_id"] == *id);
    assert_eq!((&line["decision"], &line["status"]), (&"accepted".into(), &409.into()), "{line}");
    let outcome = post(&stage, 0).outcome(1);
    assert_eq!(outcome.verdict().map(|(status, _)| status), Some(409));
}

/// interface.md: `client-timeout`, `body-too-large`: an answer that breaks off with its request is not the upstream's fault.
#[test]
fn an_answer_that_breaks_off_with_its_request_is_the_clients_doing() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let stage = Stage::new(early(head), LIMITS);
    let chunk = format!("7d0\r\n{}\r\n", "x".repeat(2000));
    for (rest, reason) in
        [("", "client-timeout"), (&*chunk, "body-too-large"), ("no size\r\n", "request-malformed")]
    {
        let mut connection = stage.connect();
        connection.send(stage.head("POST /", "Transfer-Encoding: chunked\r\n") + "1\r\na\r\n").unwrap();
        let answer = connection.head().unwrap();
        assert_eq!(answer.status(), 200);
        connection.send(rest).unwrap();
        let received = connection.rest().unwrap();
        assert!(!received.ends_with(b"0\r\n\r\n"), "{reason}: it must not look whole");
        let id = answer.value("x-request-id").unwrap();
        let line = stage.boundgate.log_line(|line| line["request_id"] == *id);
        assert_eq!((&line["reason"], &line["status"]), (&reason.into(), &200.into()), "{line}");
    }
    let mut frames = post(&stage, 0);
    frames.raw.send(DATA, 0, 1, b"a").unwrap();
    let end =
        std::iter::from_fn(|| frames.next()).find(|frame| frame.kind == RST_STREAM).expect("RST_STREAM");
    assert_ne!(end.payload, [0; 4], "NO_ERROR would say that all is well");
    let timeouts = ["reason=\"client-timeout\""];
    assert_eq!(stage.boundgate.metric("boundgate_requests_total", &timeouts), 2.0);
    assert_eq!(stage.boundgate.metric("boundgate_requests_total", &["reason=\"upstream-failed\""]), 0.0);
}

/// RFC 9110 §9.2.2, RFC 9113 §8.7: content that has gone out is not there any more, and what needs none is not safe for that.
#[test]
fn a_post_whose_stream_is_refused_is_sent_again_only_without_content() {
    for (content, expected, asked) in [("", 200, 2), ("12345", 502, 1)] {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let api = Server::script(move |socket| {
            let mut frames = h2c::Frames::begin(socket)?;
            loop {
                let stream = frames.request()?;
                match counter.fetch_add(1, Ordering::AcqRel) {
                    0 => frames.send(h2c::RST_STREAM, 0, stream, &7u32.to_be_bytes())?, // REFUSED_STREAM
                    _ => frames.send(h2c::HEADERS, h2c::WHOLE, stream, h2c::STATUS_200)?,
                }
            }
        });
        let url = format!("url = \"h2c://{}\"", api.address);
        let stage = Stage::with(api, |config| config.upstream = url);
        let lines = format!("Content-Length: {}\r\n", content.len());
        assert_eq!(stage.exchange("POST /", &lines, content).status(), expected, "{content:?}");
        assert_eq!(requests.load(Ordering::Acquire), asked, "{content:?}");
    }
}

/// interface.md, `[upstream] timeout`: "counted from the last byte of the request that went out".
#[test]
fn the_wait_for_an_answer_begins_with_the_end_of_the_request() {
    let stage = Stage::with(early(""), |config| config.upstream += "\ntimeout = \"2s\"");
    let mut connection = stage.connect();
    connection.send(stage.head("POST /", "Content-Length: 2\r\n") + "1").unwrap();
    std::thread::sleep(Duration::from_millis(2500)); // the client's own time is what is tested
    connection.send("2").unwrap();
    let sent = Instant::now();
    assert_eq!(connection.response().unwrap().verdict(), (504, "upstream-timeout".to_owned()));
    assert!(sent.elapsed() >= Duration::from_millis(1900), "{:?}", sent.elapsed());
    let mut frames = post(&stage, END_STREAM);
    assert!(std::iter::from_fn(|| frames.next()).any(|frame| frame.kind == HEADERS), "and over HTTP/2");
}

/// RFC 9112 §9.6: a connection on which the rest of a body would come next ends, and the answer says so; any other stays.
#[test]
fn a_failed_upload_ends_its_connection_and_says_so() {
    let api = Server::script(|socket| {
        let mut reader = BufReader::new(socket);
        let head = read_head(&mut reader)?;
        if head.target() == "/whole" {
            reader.read_exact(&mut [0; 5])?;
        }
        Ok(())
    });
    let stage = Stage::new(api, "");
    let mut connection = stage.connect();
    for path in ["/whole", "/whole"] {
        let head = stage.head(&format!("POST {path}"), "Content-Length: 5\r\n");
        let answer = connection.exchange(head + "12345").unwrap();
        assert_eq!(answer.verdict(), (502, "upstream-failed".to_owned()));
        assert_eq!(answer.value("connection"), None);
    }
    let head = stage.head("POST /part", "Content-Length: 1000000\r\n");
    let answer = connection.exchange(head + &"x".repeat(1000)).unwrap();
    assert_eq!(answer.verdict(), (502, "upstream-failed".to_owned()));
    assert_eq!(answer.value("connection"), Some("close"));
    assert_eq!(connection.rest().unwrap(), b"");
}
