//! Answers with a meaning of their own: without a body, without a length, before the last one, in an older HTTP.

use super::support::frames::END_STREAM;
use super::support::message::Message;
use super::support::outcome::{Frames, Outcome};
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

/// An API with one answer.
fn stage(answer: &'static str) -> Stage {
    Stage::new(Server::http(move |_| Answer::raw(answer)), "")
}

/// A connection on which the first answer was this, and that is good for another request with the same one.
fn twice(stage: &Stage, method: &str) -> [Message; 2] {
    let mut connection = stage.connect();
    [(); 2].map(|()| {
        connection.send(stage.head(&format!("{method} /"), "")).unwrap();
        if method == "HEAD" { connection.head() } else { connection.response() }.unwrap()
    })
}

fn h2(stage: &Stage, method: &str) -> Outcome {
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let bearer = format!("Bearer {}", stage.token);
    let fields = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/"),
        ("authorization", bearer.as_str()),
    ];
    frames.headers(1, &fields, END_STREAM).unwrap();
    frames.outcome(1)
}

/// RFC 9110 §9.3.2, §8.6: HEAD has the length of what GET would send, and no content.
#[test]
fn head_has_a_length_and_no_content() {
    let stage = stage("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nX-Kept: 1\r\n\r\n");
    for answer in twice(&stage, "HEAD") {
        assert_eq!((answer.value("content-length"), answer.value("x-kept")), (Some("12345"), Some("1")));
    }
    assert_eq!(h2(&stage, "HEAD"), Outcome::Answer(200, String::new()));
    assert!(stage.world.api.requests().iter().all(|request| request.method() == "HEAD"));
}

/// Nobody knows the length, so none is said: 0 would be a lie.
#[test]
fn head_without_a_length_gets_none() {
    for answer in
        ["HTTP/1.1 200 OK\r\nX-Kept: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
    {
        let stage = stage(answer);
        for answer in twice(&stage, "HEAD") {
            assert_eq!(answer.value("content-length"), None, "{answer:?}");
        }
        assert_eq!(h2(&stage, "HEAD"), Outcome::Answer(200, String::new()));
    }
}

/// RFC 9110 §8.6: the client would read a length that nobody has checked.
#[test]
fn head_with_a_length_that_is_none_is_garbage() {
    for length in ["five", "5, 6", "5\r\nContent-Length: 6"] {
        let stage = stage(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").leak());
        for answer in twice(&stage, "HEAD") {
            assert_eq!((answer.status(), answer.values("content-length").len()), (502, 1), "{length}");
        }
    }
}

/// RFC 9112 §6.3: these end with their head, whatever their fields say; RFC 9110 §8.6: 204 has no length at all.
#[test]
fn no_content_and_not_modified_end_with_their_head() {
    for (answer, status) in [
        ("HTTP/1.1 204 No Content\r\nX-Kept: 1\r\n\r\n", 204),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX-Kept: 1\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nX-Kept: 1\r\n\r\n", 304),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 12345\r\nX-Kept: 1\r\n\r\n", 304),
        ("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nX-Kept: 1\r\n\r\n", 304),
    ] {
        let stage = stage(answer);
        for found in twice(&stage, "GET") {
            assert_eq!((found.status(), found.value("x-kept")), (status, Some("1")), "{answer:?}");
            assert_eq!(found.values("transfer-encoding"), [""; 0], "{answer:?}");
            assert!(status != 204 || found.value("content-length").is_none(), "{answer:?}");
        }
        assert_eq!(h2(&stage, "GET"), Outcome::Answer(status, String::new()), "{answer:?}");
    }
}

/// RFC 9110 §15.2: interim answers are not the answer. The client did not ask for any, so it gets none.
#[test]
fn interim_answers_are_skipped() {
    let stage = stage(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast",
    );
    for answer in twice(&stage, "GET") {
        assert_eq!((answer.text(), answer.value("link")), ("last", None));
    }
    assert_eq!(h2(&stage, "GET"), Outcome::Answer(200, "last".to_owned()));
}

/// RFC 9112 §6.3: what has no length lasts until the connection ends; the client gets it framed.
#[test]
fn an_answer_without_length_is_framed_anew() {
    for answer in ["HTTP/1.1 200 OK\r\n\r\nall of it", "HTTP/1.0 200 OK\r\n\r\nall of it"] {
        let stage = Stage::new(Server::http(move |_| Answer::raw(answer).close()), "");
        for answer in twice(&stage, "GET") {
            assert_eq!((answer.text(), answer.value("transfer-encoding")), ("all of it", Some("chunked")));
            assert!(answer.start.starts_with("HTTP/1.1 200"), "{}", answer.start);
        }
        assert_eq!(h2(&stage, "GET"), Outcome::Answer(200, "all of it".to_owned()));
    }
}

/// RFC 9112 §6.3: `Transfer-Encoding` overrides a length, which is taken off; equal lengths are one.
#[test]
fn an_answer_has_one_framing() {
    let body = "Transfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n0\r\n\r\n";
    for (head, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", body),
        ("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n", body),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 9\r\n", "\r\nall of it"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9, 9\r\n", "\r\nall of it"),
    ] {
        let answer: &'static str = format!("{head}{body}").leak();
        let stage = stage(answer);
        for found in twice(&stage, "GET") {
            assert_eq!(found.text(), "all of it", "{answer:?}");
            let framings = found.values("content-length").len() + found.values("transfer-encoding").len();
            assert_eq!(framings, 1, "{answer:?}: {found:?}");
        }
        let found = stage.h2().get("/", Some(&stage.token)).unwrap();
        assert_eq!(found.text(), "all of it", "{answer:?}");
        assert!(found.values("content-length").len() <= 1);
    }
}

/// RFC 9112 §9.3, appendix C.2.2: an HTTP/1.0 client gets no chunks, and its connection is kept only if it asks.
#[test]
fn a_client_of_http_1_0_is_answered_in_its_language() {
    let stage = Stage::new(
        Server::http(|request| match request.target() {
            "/chunked" => Answer::raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
            ),
            _ => Answer::ok("hello"),
        }),
        "",
    );
    let head = |target: &str, lines: &str| stage.head(target, lines).replacen("HTTP/1.1", "HTTP/1.0", 1);
    for target in ["GET /length", "GET /chunked"] {
        let mut connection = stage.connect();
        connection.send(head(target, "")).unwrap();
        let answer = connection.response().unwrap();
        assert_eq!((answer.text(), answer.values("transfer-encoding").len()), ("hello", 0), "{target}");
        assert_eq!(connection.rest().unwrap(), b"", "{target}: it closes");
        assert!(stage.seen().start.ends_with("HTTP/1.1"), "our own version towards the API");
    }
    let mut connection = stage.connect();
    for _ in 0..2 {
        connection.send(head("GET /length", "Connection: keep-alive\r\n")).unwrap();
        assert_eq!(connection.response().unwrap().text(), "hello");
    }
    // RFC 9112 §6.1: no transfer codings in HTTP/1.0.
    let chunked = head("POST /", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n";
    assert_eq!(stage.connect().exchange(chunked).unwrap().status(), 400);
    // A status and its phrase pass as the API says them.
    let stage = self::stage("HTTP/1.1 299 Nonstandard Words\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(stage.exchange("GET /", "", "").start, "HTTP/1.1 299 Nonstandard Words");
}
