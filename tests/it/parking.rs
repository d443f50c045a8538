//! Connections without a request hold no buffers of HTTP (`listen/http1.rs`), which no client can tell.

use std::io::{BufReader, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::support::message::{read_head, read_request};
use super::support::process::PATIENCE;
use super::support::server::Server;
use super::support::stage::Stage;

/// Long enough for a lively connection to be parked too.
const PAUSE: Duration = Duration::from_millis(1600);

fn pause() {
    std::thread::sleep(PAUSE); // what happens in a pause is what the test is about
}

/// A server that answers each request with its method, path and body.
fn echo() -> Server {
    Server::script(|socket| {
        let mut socket = BufReader::new(socket);
        while let Some(request) = read_request(&mut socket)? {
            let text = format!("{} {}", request.start, request.text());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
            socket.get_mut().write_all((head + &text).as_bytes())?;
        }
        Ok(())
    })
}

/// Soon after an answer, long after it, several requests at once, and in pieces that come late.
#[test]
fn requests_come_at_any_time() {
    let stage = Stage::new(echo(), "");
    let mut connection = stage.connect();
    let get = |path: &str| stage.head(&format!("GET {path}"), "");
    for round in 0..3 {
        pause();
        for path in ["/a", "/b", "/c"] {
            let answer = connection.exchange(get(path)).unwrap();
            assert_eq!(answer.text(), format!("GET {path} HTTP/1.1 "), "round {round}");
        }
        connection.send(get("/1") + &get("/2") + &get("/3")).unwrap();
        for path in ["/1", "/2", "/3"] {
            assert_eq!(connection.response().unwrap().text(), format!("GET {path} HTTP/1.1 "));
        }
    }
    let head = stage.head("POST /late", "Content-Length: 5\r\n");
    let (first, second) = head.split_at(head.len() / 2);
    for piece in [first, second, "he", "llo"] {
        connection.send(piece).unwrap();
        pause();
    }
    assert_eq!(connection.response().unwrap().text(), "POST /late HTTP/1.1 hello");
    assert_eq!(connection.exchange(get("/after")).unwrap().text(), "GET /after HTTP/1.1 ");
}

/// Empty lines before a request are none of it (RFC 9112 §2.2), whenever they come; and they keep no connection open.
#[test]
fn empty_lines_are_passed_over() {
    let stage = Stage::new(echo(), "[limits]\nhead_timeout = \"1s\"\nidle_timeout = \"5s\"\n");
    let get = |path: &str| stage.head(&format!("GET {path}"), "");
    for empty in ["\r\n", "\n", "\r", "\r\n\r\n\r\n"] {
        let mut connection = stage.connect();
        for path in ["/a", "/b"] {
            assert_eq!(connection.exchange(get(path)).unwrap().text(), format!("GET {path} HTTP/1.1 "));
            std::thread::sleep(Duration::from_millis(100)); // not with the request before
            connection.send(empty).unwrap();
            pause();
        }
        assert_eq!(connection.exchange(get("/c")).unwrap().text(), "GET /c HTTP/1.1 ", "{empty:?}");
    }
    let mut connection = stage.connect();
    let start = Instant::now();
    while connection.send("\r\n").is_ok() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100)); // the drip
    }
    assert!(start.elapsed() < PATIENCE, "it drips for ever");
}

/// The beginning of a head may come with the request before it, whose end it makes look like idleness.
#[test]
fn half_a_head_behind_a_request_is_waited_for() {
    let stage = Stage::new(echo(), "");
    let half = stage.head("GET /second", "");
    let (first, second) = half.split_at(half.len() / 2);
    for (request, answer) in [
        (stage.head("GET /first", ""), "GET /first HTTP/1.1 "),
        (stage.head("POST /first", "Content-Length: 5\r\n") + "hello", "POST /first HTTP/1.1 hello"),
        (stage.head("POST /first", "Content-Length: 4\r\n") + "\r\n\r\n", "POST /first HTTP/1.1 \r\n\r\n"),
    ] {
        let mut connection = stage.connect();
        for _ in 0..2 {
            assert_eq!(connection.exchange(request.clone() + first).unwrap().text(), answer);
            pause();
            assert_eq!(connection.exchange(second).unwrap().text(), "GET /second HTTP/1.1 ");
        }
    }
}

/// Refusals are answered at once, and hyper takes a rest after sixteen of them, with the next heads in its buffer.
#[test]
fn many_requests_at_once_are_all_answered() {
    let stage = Stage::new(echo(), "");
    for count in 1..=70 {
        let mut connection = stage.connect();
        connection.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(count)).unwrap();
        for number in 1..=count {
            let answer = connection.response().unwrap_or_else(|error| panic!("{number} of {count}: {error}"));
            assert_eq!(answer.verdict(), (401, "token-missing".to_owned()));
        }
    }
}

/// The API answers before it has read the body, and the client sends the rest of it much later: that is not a request.
#[test]
fn what_is_left_of_a_body_is_no_request() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen_there = Arc::clone(&seen);
    let api = Server::script(move |socket| {
        let mut socket = BufReader::new(socket);
        let head = read_head(&mut socket)?;
        seen_there.lock().unwrap().push(head.start);
        socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")?;
        std::thread::sleep(4 * PAUSE);
        Ok(())
    });
    let stage = Stage::new(api, "[limits]\nidle_timeout = \"2s\"\nstall_timeout = \"2s\"\n");
    let smuggled = stage.head("GET /smuggled", "");
    for framing in
        [format!("Content-Length: {}\r\n", smuggled.len()), "Transfer-Encoding: chunked\r\n".to_owned()]
    {
        let mut connection = stage.connect();
        let answer = connection.exchange(stage.head("POST /x", &framing)).unwrap();
        assert_eq!(answer.text(), "early");
        pause();
        let _ = connection.send(&smuggled);
        let rest = connection.rest().unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&rest), "", "{framing}");
    }
    assert!(seen.lock().unwrap().iter().all(|start| start.contains(" /x ")), "{seen:?}");
}

/// The end of a parked connection is answered with ours.
#[test]
fn a_client_may_leave_in_the_meantime() {
    let stage = Stage::new(echo(), "");
    for requests in [0, 1, 2] {
        let mut connection = stage.connect();
        for _ in 0..requests {
            connection.exchange(stage.head("GET /", "")).unwrap();
        }
        pause();
        connection.stream.get_mut().conn.send_close_notify();
        connection.stream.get_mut().flush().unwrap();
        assert_eq!(connection.rest().unwrap(), b"", "{requests}");
    }
    stage.boundgate.wait_for_metric("boundgate_connections", &[], 0.0);
}
