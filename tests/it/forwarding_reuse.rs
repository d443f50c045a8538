//! Connections to the API: kept, given up, and never trusted with a request that may have been done already (RFC 9110 §9.2.2).

use std::io::{BufReader, Write as _};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use super::support::client::Connection;
use super::support::message::read_request;
use super::support::process::PATIENCE;
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

/// What each connection was asked: its number and the method.
type Asked = Arc<Mutex<Vec<(usize, String)>>>;

/// An API whose every connection answers the first `answers(number)` requests, and breaks off at the next one.
fn fragile(answers: impl Fn(usize) -> usize + Send + Sync + 'static) -> (Server, Asked) {
    let (asked, next) = (Asked::default(), AtomicUsize::new(0));
    let record = Arc::clone(&asked);
    let server = Server::script(move |mut socket| {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let mut reader = BufReader::new(socket.try_clone()?);
        for _ in 0..answers(number) {
            let Some(request) = read_request(&mut reader)? else { return Ok(()) };
            record.lock().unwrap().push((number, request.method().to_owned()));
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")?;
        }
        if let Some(request) = read_request(&mut reader)? {
            record.lock().unwrap().push((number, request.method().to_owned()));
        }
        Ok(())
    });
    (server, asked)
}

fn verdict(stage: &Stage, connection: &mut Connection, method: &str, body: &str) -> (u16, String) {
    let lines = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    connection.exchange(stage.head(&format!("{method} /"), &lines) + body).unwrap().verdict()
}

fn failed() -> (u16, String) {
    (502, "upstream-failed".to_owned())
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn asked(asked: &Asked) -> Vec<(usize, String)> {
    asked.lock().unwrap().clone()
}

fn list(expected: &[(usize, &str)]) -> Vec<(usize, String)> {
    expected.iter().map(|(number, method)| (*number, (*method).to_owned())).collect()
}

#[test]
fn one_connection_serves_many_requests_whatever_they_are() {
    let stage = Stage::new(
        Server::http(|request| match request.target() {
            "/chunked" => Answer::raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n",
            ),
            "/empty" => Answer::raw("HTTP/1.1 204 No Content\r\n\r\n"),
            "/interim" => {
                Answer::raw("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
            _ if request.method() == "HEAD" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
            _ => Answer::ok(request.text()),
        }),
        "",
    );
    let mut connection = stage.connect();
    for _ in 0..3 {
        for target in ["/", "/chunked", "/empty", "/interim"] {
            connection.get(target, Some(&stage.token)).unwrap();
        }
        connection.send(stage.head("HEAD /", "")).unwrap();
        connection.head().unwrap();
        assert_eq!(verdict(&stage, &mut connection, "POST", "12345"), passed());
        let chunked = stage.head("PUT /", "Transfer-Encoding: chunked\r\n") + "1\r\na\r\n0\r\n\r\n";
        assert_eq!(connection.exchange(chunked).unwrap().text(), "a");
        let refused = connection.get("/", None).unwrap();
        assert_eq!(refused.status(), 401);
    }
    assert_eq!(stage.world.api.connections(), 1);
}

/// RFC 9112 §9.3, §9.6: after `close`, and without keep-alive in HTTP/1.0, there is no next request.
#[test]
fn a_connection_that_the_api_gives_up_is_not_used_again() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ] {
        // The API itself keeps it open: only what it says counts.
        let stage = Stage::new(Server::http(move |_| Answer::raw(answer)), "");
        let mut connection = stage.connect();
        for _ in 0..3 {
            assert_eq!(connection.get("/", Some(&stage.token)).unwrap().text(), "ok");
        }
        assert_eq!(stage.world.api.connections(), 3, "{answer:?}");
    }
}

/// Nothing has gone out on a connection that had ended before: every request may take a new one.
#[test]
fn what_the_api_closed_unsaid_costs_no_request() {
    let (tell, closed) = channel();
    let tell = Mutex::new(tell);
    let api = Server::script(move |mut socket| {
        let Some(request) = read_request(&mut BufReader::new(socket.try_clone()?))? else { return Ok(()) };
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")?;
        socket.shutdown(Shutdown::Both)?;
        tell.lock().unwrap().send(request.body).unwrap();
        Ok(())
    });
    let stage = Stage::new(api, "");
    let mut connection = stage.connect();
    for _ in 0..10 {
        assert_eq!(verdict(&stage, &mut connection, "POST", "12345"), passed());
        assert_eq!(closed.recv_timeout(PATIENCE).unwrap(), b"12345");
    }
    assert!(closed.try_recv().is_err(), "and none is done twice");
}

/// A kept connection breaks at the request: what is safe goes out once more, on a new one.
#[test]
fn what_is_safe_is_tried_once_more_on_a_new_connection() {
    let (api, log) = fragile(|_| 1);
    let stage = Stage::new(api, "");
    let mut connection = stage.connect();
    for method in ["GET", "GET", "OPTIONS"] {
        assert_eq!(verdict(&stage, &mut connection, method, ""), passed());
    }
    let expected = [(0, "GET"), (0, "GET"), (1, "GET"), (1, "OPTIONS"), (2, "OPTIONS")];
    assert_eq!(asked(&log), list(&expected));
}

#[test]
fn what_may_have_been_done_is_not_done_twice() {
    for (method, body) in [("POST", "12345"), ("POST", ""), ("PATCH", "1"), ("DELETE", ""), ("GET", "body")] {
        let (api, log) = fragile(|_| 1);
        let stage = Stage::new(api, "");
        let mut connection = stage.connect();
        assert_eq!(verdict(&stage, &mut connection, "GET", ""), passed());
        assert_eq!(verdict(&stage, &mut connection, method, body), failed(), "{method}");
        assert_eq!(asked(&log), list(&[(0, "GET"), (0, method)]));
        assert_eq!(
            verdict(&stage, &mut connection, method, body),
            passed(),
            "{method}, and the next one passes"
        );
    }
}

#[test]
fn a_new_connection_that_breaks_is_the_end_of_it() {
    let (api, log) = fragile(|number| usize::from(number == 0));
    let stage = Stage::new(api, "");
    let mut connection = stage.connect();
    assert_eq!(verdict(&stage, &mut connection, "GET", ""), passed());
    assert_eq!(verdict(&stage, &mut connection, "GET", ""), failed());
    assert_eq!(asked(&log), list(&[(0, "GET"), (0, "GET"), (1, "GET")]), "once more, not again and again");
    assert_eq!(verdict(&stage, &mut connection, "GET", ""), failed());
    assert_eq!(asked(&log).len(), 4, "a new one is tried once");
}

/// An answer that had begun may have followed from something done.
#[test]
fn after_the_first_byte_of_an_answer_nothing_is_tried_again() {
    let (garbage, count) = ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", AtomicUsize::new(0));
    let stage = Stage::new(
        Server::http(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 => Answer::ok("hello"),
            _ => Answer::raw(garbage).close(),
        }),
        "",
    );
    let mut connection = stage.connect();
    assert_eq!(verdict(&stage, &mut connection, "GET", ""), passed());
    assert_eq!(verdict(&stage, &mut connection, "GET", ""), failed());
    assert_eq!(stage.world.api.requests().len(), 2);
}

/// What the API sends beyond its answer is nobody's: the next client must not get it.
#[test]
fn bytes_after_an_answer_are_no_answer() {
    let smuggled =
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let stage = Stage::new(Server::http(move |_| Answer::raw(smuggled)), "");
    let mut connection = stage.connect();
    for _ in 0..20 {
        let answer = connection.get("/", Some(&stage.token)).unwrap();
        assert_ne!(answer.text(), "evil");
        connection.get("/", None).unwrap(); // time for the sidecar to notice, and no way to the API
    }
}

/// A client that leaves in the middle of an answer leaves no rest of it to the next one.
#[test]
fn an_answer_that_nobody_reads_to_its_end_takes_its_connection_with_it() {
    let large = "x".repeat(8 << 20);
    let stage = Stage::new(
        Server::http(move |request| match request.target() {
            "/large" => Answer::ok(&large),
            target => Answer::ok(target),
        }),
        "",
    );
    for _ in 0..5 {
        let mut leaving = stage.connect();
        leaving.send(stage.head("GET /large", "")).unwrap();
        leaving.head().unwrap();
        drop(leaving);
        assert_eq!(stage.connect().get("/small", Some(&stage.token)).unwrap().text(), "/small");
    }
}

/// After a reload with another upstream, requests of open connections go there, kept connections or not.
#[test]
fn a_reload_leads_to_the_new_api_from_the_next_request_on() {
    let stage = Stage::new(Server::http(|_| Answer::ok("old")), "");
    let other = Server::http(|_| Answer::ok("new"));
    let mut connection = stage.connect();
    assert_eq!(connection.get("/", Some(&stage.token)).unwrap().text(), "old");
    let mut config = stage.world.config();
    config.upstream = format!("url = \"{}\"", other.url());
    stage.boundgate.rewrite(&config);
    stage.boundgate.process.signal("HUP");
    stage.boundgate.log_line(|line| line["event"] == "configuration reloaded");
    for _ in 0..2 {
        assert_eq!(connection.get("/", Some(&stage.token)).unwrap().text(), "new");
    }
    assert_eq!((stage.world.api.requests().len(), other.connections()), (1, 1));
}
