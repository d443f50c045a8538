//! Where a request ends (RFC 9112): one reading or none, and what the API gets has that one, whatever the client made of it.

use super::support::client::Connection;
use super::support::message::Message;
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

/// The API repeats what it was asked, so that an answer shows which request it belongs to.
fn stage() -> Stage {
    Stage::new(Server::http(|request| Answer::ok(&format!("{} {}", request.target(), request.text()))), "")
}

/// What every request at the API must be, to any reader: one `Host`, one framing, clean names and values.
pub(super) fn assert_one_meaning(seen: &Message) {
    assert_eq!(seen.values("host").len(), 1, "{seen:?}");
    let (lengths, codings) = (seen.values("content-length"), seen.values("transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "{seen:?}");
    assert!(lengths.iter().all(|length| length.bytes().all(|b| b.is_ascii_digit())), "{seen:?}");
    assert!(codings.iter().all(|coding| *coding == "chunked"), "{seen:?}");
    assert_eq!(seen.start.split(' ').count(), 3, "{seen:?}");
    assert!(seen.start.ends_with(" HTTP/1.1"), "{seen:?}");
    for (name, value) in &seen.fields {
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{seen:?}");
        assert!(!value.contains(['\r', '\n', '\0']), "{seen:?}");
    }
}

/// Sends these bytes and reads answers until the connection ends; the API must have got exactly `targets`, each with one meaning.
fn assert_forwards(
    stage: &Stage,
    what: &str,
    bytes: &str,
    statuses: &[u16],
    targets: &[&str],
) -> Vec<Message> {
    let before = stage.world.api.requests().len();
    let mut connection = stage.connect();
    connection.send(bytes).unwrap();
    let answers = all_answers(&mut connection);
    let got: Vec<u16> = answers.iter().map(Message::status).collect();
    assert_eq!(got, statuses, "{what}: {answers:?}");
    let seen = stage.world.api.requests().split_off(before);
    seen.iter().for_each(assert_one_meaning);
    assert_eq!(seen.iter().map(Message::target).collect::<Vec<_>>(), targets, "{what}: {seen:?}");
    seen
}

fn all_answers(connection: &mut Connection) -> Vec<Message> {
    std::iter::from_fn(|| connection.response().ok()).collect()
}

/// A complete request that a smuggler hides in another one's body. It has a good token, so only its place makes it harmless.
fn smuggled(stage: &Stage) -> String {
    stage.head("GET /smuggled", "Connection: close\r\n")
}

/// RFC 9112 §6.3: several equal lengths are one; standards.md: read so and re-framed.
#[test]
fn equal_lengths_are_one_length() {
    let stage = stage();
    let head = stage.head("POST /x", "Content-Length: 5\r\ncontent-length: 5\r\nConnection: close\r\n");
    let seen = assert_forwards(&stage, "equal", &(head + "12345"), &[200], &["/x"]);
    assert_eq!((seen[0].value("content-length"), seen[0].text()), (Some("5"), "12345"));
}

/// RFC 9112 §6.3: `Transfer-Encoding` overrides `Content-Length`, the length is taken off, and the connection closes after the answer.
#[test]
fn transfer_encoding_overrides_content_length_and_then_the_connection_closes() {
    let stage = stage();
    for lines in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: CHUNKED\r\nContent-Length: 4\r\nConnection: keep-alive\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    ] {
        // CL.TE and TE.CL: to whoever reads the length, the rest of the body is another request.
        let body = format!("5\r\n12345\r\n0\r\n\r\n{}", smuggled(&stage));
        let seen = assert_forwards(&stage, lines, &(stage.head("POST /x", lines) + &body), &[200], &["/x"]);
        assert_eq!((seen[0].values("content-length"), seen[0].text()), (vec![], "12345"), "{lines}");
        let inside = smuggled(&stage);
        let body = format!("{:x}\r\n{inside}\r\n0\r\n\r\n", inside.len());
        let seen = assert_forwards(&stage, lines, &(stage.head("POST /x", lines) + &body), &[200], &["/x"]);
        assert_eq!(seen[0].text(), inside, "{lines}");
    }
}

/// RFC 9112 §2.2: a bare LF ends a line; the API gets CRLF.
#[test]
fn bare_line_feeds_are_read_and_framed_anew() {
    let stage = stage();
    let head = stage.head("POST /x", "Content-Length: 5\r\nX-Kept: 1\r\nConnection: close\r\n");
    let seen = assert_forwards(&stage, "LF", &(head.replace("\r\n", "\n") + "12345"), &[200], &["/x"]);
    assert_eq!((seen[0].value("x-kept"), seen[0].text()), (Some("1"), "12345"));
    // Empty lines before a request are skipped (§2.2).
    let request = format!("\r\n\n{}", stage.head("GET /y", "Connection: close\r\n"));
    assert_forwards(&stage, "empty lines", &request, &[200], &["/y"]);
}

/// standards.md, "One meaning": refused, with nothing of it and nothing after it at the API.
#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let stage = stage();
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunkedx\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: x\r\nContent-Length: 5\r\n",
        // Obsolete line folding, bare CR, NUL, a space before the colon or the name (RFC 9112 §2.2, §5.1, §5.2).
        "X-Folded: a\r\n b\r\nContent-Length: 5\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X-Bare: a\rb\r\nContent-Length: 5\r\n",
        "X-Bare: a\rTransfer-Encoding: chunked\r\n",
        "X-Nul: a\0b\r\nContent-Length: 5\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\t: chunked\r\n",
        " Transfer-Encoding: chunked\r\n",
        "\u{b}Transfer-Encoding: chunked\r\n",
        "Content-Length : 5\r\n",
        "X-Name\u{e9}: 1\r\nContent-Length: 5\r\n",
        "No colon at all\r\nContent-Length: 5\r\n",
        ": empty name\r\nContent-Length: 5\r\n",
        // One Host that is one valid value (RFC 9112 §3.2).
        "Host: localhost\r\n",
        "Host: other\r\n",
    ] {
        for body in ["12345", "5\r\n12345\r\n0\r\n\r\n", "0\r\n\r\n"] {
            let bytes = stage.head("POST /x", lines) + body + &smuggled(&stage);
            let mut connection = stage.connect();
            connection.send(bytes).unwrap();
            let answers = all_answers(&mut connection);
            // A length beyond all numbers is 431 to the parser, everything else 400.
            let statuses: Vec<u16> = answers.iter().map(Message::status).collect();
            assert!(matches!(statuses[..], [400 | 431]), "{lines:?}: {answers:?}");
        }
    }
    for host in [
        "",
        "Host:\r\n",
        "Host: a, b\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: a@b\r\n",
        "Host: a:b\r\n",
    ] {
        let bytes = format!("GET /x HTTP/1.1\r\n{host}Authorization: Bearer {}\r\n\r\n", stage.token);
        assert_eq!(stage.connect().exchange(bytes).unwrap().status(), 400, "{host:?}");
    }
    assert!(stage.world.api.requests().is_empty(), "{:?}", stage.world.api.requests());
}

/// Spellings of `chunked` that RFC 9110 §5.5 makes plain: whitespace around a value is no part of it.
#[test]
fn whitespace_around_a_value_is_no_part_of_it() {
    let stage = stage();
    for lines in [
        "Transfer-Encoding:chunked\r\n",
        "Transfer-Encoding:   chunked\r\n",
        "Transfer-Encoding:\tchunked\r\n",
        "Transfer-Encoding: chunked \t\r\n",
        "tRANSFER-eNCODING: ChUnKeD\r\n",
    ] {
        let bytes = stage.head("POST /x", &format!("{lines}Connection: close\r\n")) + "3\r\nabc\r\n0\r\n\r\n";
        let seen = assert_forwards(&stage, lines, &bytes, &[200], &["/x"]);
        assert_eq!(seen[0].text(), "abc");
    }
}

/// RFC 9112 §7.1: extensions are dropped, sizes are hexadecimal digits and nothing else.
#[test]
fn chunks_are_read_strictly_and_framed_anew() {
    let stage = stage();
    let head = stage.head("POST /x", "Transfer-Encoding: chunked\r\nConnection: close\r\n");
    for body in [
        "5;a=b\r\n12345\r\n0\r\n\r\n",
        "5;a=\"\\\"x;y\"\r\n12345\r\n0;last\r\n\r\n",
        "2\r\n12\r\n03\r\n345\r\n000\r\n\r\n",
        "5 \r\n12345\r\n0\r\n\r\n",
    ] {
        let seen = assert_forwards(&stage, body, &(head.clone() + body), &[200], &["/x"]);
        assert_eq!(seen[0].text(), "12345", "{body}");
    }
    for body in [
        "5\n12345\n0\n\n",
        "5;a\n12345\r\n0\r\n\r\n",
        "5\r\n1234567\r\n0\r\n\r\n",
        "5\r\n12345X\r\n0\r\n\r\n",
        "0x5\r\n12345\r\n0\r\n\r\n",
        "+5\r\n12345\r\n0\r\n\r\n",
        " 5\r\n12345\r\n0\r\n\r\n",
        "5 5\r\n12345\r\n0\r\n\r\n",
        "-1\r\n12345\r\n0\r\n\r\n",
        "10000000000000005\r\n12345\r\n0\r\n\r\n",
        "\r\n12345\r\n0\r\n\r\n",
        "g\r\n12345\r\n0\r\n\r\n",
    ] {
        let before = stage.world.api.requests().len();
        let mut connection = stage.connect();
        connection.send(head.clone() + body + &smuggled(&stage)).unwrap();
        let answers = all_answers(&mut connection);
        assert_eq!(answers.len(), 1, "{body:?}: {answers:?}");
        assert_eq!(answers[0].verdict(), (400, "request-malformed".to_owned()), "{body:?}");
        // The API may have seen its beginning, but no end of it, and nothing after it.
        assert_eq!(stage.world.api.requests().len(), before, "{body:?}");
    }
    // An extension or a trailer without end is cut off, with bounded memory.
    for flood in [format!("5;{}", "x".repeat(1 << 20)), format!("0\r\nX-Sum: {}", "x".repeat(1 << 20))] {
        let before = stage.world.api.requests().len();
        let mut connection = stage.connect();
        let _ = connection.send(head.clone() + &flood); // it is cut off while it is sent
        let answer = connection.response();
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 400));
        assert_eq!(stage.world.api.requests().len(), before);
    }
}

/// RFC 9112 §9.3.2: answers come in the order of the requests, and each to its own.
#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let stage = stage();
    let mut connection = stage.connect();
    let mut bytes = String::new();
    for number in 0..50 {
        let body = format!("body {number}");
        bytes += &match number % 3 {
            0 => stage.head(&format!("GET /{number}"), ""),
            1 => {
                stage.head(&format!("POST /{number}"), &format!("Content-Length: {}\r\n", body.len())) + &body
            }
            _ => {
                let head = stage.head(&format!("PUT /{number}"), "Transfer-Encoding: chunked\r\n");
                format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
            }
        };
        if number % 10 == 9 {
            bytes += "GET /refused HTTP/1.1\r\nHost: localhost\r\n\r\n";
        }
    }
    connection.send(bytes).unwrap();
    for number in 0..50 {
        let body = if number % 3 == 0 { String::new() } else { format!("body {number}") };
        assert_eq!(connection.response().unwrap().text(), format!("/{number} {body}"));
        if number % 10 == 9 {
            assert_eq!(connection.response().unwrap().verdict(), (401, "token-missing".to_owned()));
        }
    }
}

/// RFC 9110 §10.1.1: who gets a final answer instead of 100 may send the body all the same; it is no request.
#[test]
fn the_body_of_a_refused_request_is_never_read_as_a_request() {
    let stage = stage();
    let inside = smuggled(&stage);
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut connection = stage.connect();
        let length = inside.len() + 1;
        connection
            .send(format!("POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{expect}\r\n"))
            .unwrap();
        assert_eq!(connection.response().unwrap().status(), 401);
        let _ = connection.send(format!("{inside}!")); // it may be closed by now
        assert!(connection.response().is_err(), "{expect}: a body is no request");
    }
    assert!(stage.world.api.requests().is_empty());
}
