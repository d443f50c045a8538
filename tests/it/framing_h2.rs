//! From HTTP/2 to HTTP/1.1 (RFC 9113 §8.1.1, §8.2.1, §10.3): what would be another message there is none here.

use super::framing::assert_one_meaning;
use super::support::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS};
use super::support::outcome::{Frames, Outcome, block};
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

fn stage() -> Stage {
    Stage::new(Server::http(|request| Answer::ok(&format!("{} {}", request.target(), request.text()))), "")
}

/// A connection, and the start of a request that would pass.
fn connect(stage: &Stage) -> Frames {
    Frames::connect(&stage.client(), stage.boundgate.address)
}

type Fields<'a> = Vec<(&'a str, &'a str)>;

/// The fields of a good request, with this one instead of its namesake, or added.
fn with<'a>(good: &Fields<'a>, field: (&'a str, &'a str)) -> Fields<'a> {
    let mut fields = good.clone();
    match fields.iter_mut().find(|(name, _)| *name == field.0) {
        Some(place) => *place = field,
        None => fields.push(field),
    }
    fields
}

fn without<'a>(good: &Fields<'a>, name: &str) -> Fields<'a> {
    good.iter().filter(|(n, _)| *n != name).copied().collect()
}

fn good<'a>(bearer: &'a str, method: &'a str) -> Fields<'a> {
    vec![
        (":method", method),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/x"),
        ("authorization", bearer),
    ]
}

/// Refused by us, by a reset of the stream, or with the connection: never answered by the API.
fn assert_refused(outcome: &Outcome, what: &str) {
    let refused = matches!(outcome, Outcome::Answer(400, _) | Outcome::Reset(_) | Outcome::GoAway(_));
    assert!(refused, "{what}: {outcome:?}");
}

#[test]
fn fields_that_would_be_other_fields_in_http1_are_refused() {
    let stage = stage();
    let bearer = format!("Bearer {}", stage.token);
    let good = good(&bearer, "GET");
    let smuggle = "a\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut cases: Vec<Fields<'_>> = [
        // §8.2.2: connection-specific fields.
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("connection", "te"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        // §8.2.1: names and values.
        ("X-Upper", "1"),
        ("Transfer-Encoding", "chunked"),
        ("x-value", smuggle),
        ("x-value", "a\nb"),
        ("x-value", "a\rb"),
        ("x-value", "a\0b"),
        ("x-name\r\ntransfer-encoding", "chunked"),
        ("x-name: 1\r\nx-other", "1"),
        ("x name", "1"),
        ("x-name:", "1"),
        ("transfer-encoding ", "chunked"),
        ("", "1"),
        ("x-\u{e9}", "1"),
        // §8.3.1: pseudo-header fields.
        (":path", smuggle),
        (":path", "/x HTTP/1.1\r\nX-Injected: 1\r\nX-Rest:"),
        (":path", "/x y"),
        (":path", "/x\ty"),
        (":path", ""),
        (":path", "x"),
        (":path", "*"),
        (":path", "https://localhost/x"),
        (":authority", "localhost\r\nX-Injected: 1"),
        (":authority", "localhost localhost"),
        (":authority", "user@localhost"),
        (":authority", "localhost, other"),
        (":authority", "localhost/x"),
        (":authority", "localhost:x"),
        (":authority", "localhost:1:2"),
        (":authority", ""),
        (":method", "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\nGET"),
        (":method", "GE T"),
        (":method", ""),
        (":method", "CONNECT"),
        (":scheme", "https\r\nX-Injected: 1"),
        (":scheme", "ftp"),
        (":scheme", "https://localhost/smuggled?"),
        (":scheme", ""),
        (":status", "200"),
        (":protocol", "websocket"),
        (":unknown", "1"),
        // §8.3.1: `Host` must not contradict `:authority`.
        ("host", "other"),
        ("host", "localhost:1"),
        // RFC 9112 §6: one length, and it is a number.
        ("content-length", "+0"),
        ("content-length", "0, 0"),
        ("content-length", "5"),
        ("content-length", ""),
        ("content-length", "-1"),
    ]
    .into_iter()
    .map(|field| with(&good, field))
    .collect();
    cases.extend([":method", ":scheme", ":path"].map(|name| without(&good, name)));
    cases.push(without(&good, ":authority"));
    for name in [":method", ":scheme", ":authority", ":path"] {
        let again = good.iter().find(|(n, _)| *n == name).copied().unwrap();
        cases.push([vec![again], good.clone()].concat());
        let mut late = without(&good, name);
        late.push(again);
        cases.push(late);
    }
    cases.push([good.clone(), vec![("host", "localhost"), ("host", "localhost")]].concat());
    cases.push([good.clone(), vec![("content-length", "0"), ("content-length", "1")]].concat());
    for fields in cases {
        let mut frames = connect(&stage);
        frames.headers(1, &fields, END_STREAM).unwrap();
        assert_refused(&frames.outcome(1), &format!("{fields:?}"));
    }
    assert!(stage.world.api.requests().is_empty(), "{:?}", stage.world.api.requests());
}

/// RFC 9113 §8.1.1: a length that is not the content's is malformed. The API may have seen a beginning, but never an end.
#[test]
fn a_length_that_is_not_the_contents_is_no_request() {
    let stage = stage();
    let bearer = format!("Bearer {}", stage.token);
    let inside = format!("12345GET /smuggled HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n\r\n");
    for (length, content) in [("5", "123"), ("5", inside.as_str()), ("0", "123"), ("5", "")] {
        let mut frames = connect(&stage);
        frames.headers(1, &with(&good(&bearer, "POST"), ("content-length", length)), 0).unwrap();
        frames.raw.send(DATA, END_STREAM, 1, content.as_bytes()).unwrap();
        assert_refused(&frames.outcome(1), &format!("{length} for {content:?}"));
    }
    // The worker's next request must not meet the rest of an old one.
    let mut frames = connect(&stage);
    frames.headers(1, &good(&bearer, "GET"), END_STREAM).unwrap();
    assert_eq!(frames.outcome(1), Outcome::Answer(200, "/x ".to_owned()));
    assert_eq!(stage.world.api.requests().len(), 1, "{:?}", stage.world.api.requests());
}

/// A body that looks like requests is a body, with and without a length, in one frame and in many.
#[test]
fn content_is_framed_anew_whatever_it_holds() {
    let stage = stage();
    let bearer = format!("Bearer {}", stage.token);
    let content = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = content.len().to_string();
    let announced = with(&good(&bearer, "POST"), ("content-length", &length));
    let mut frames = connect(&stage);
    for (stream, fields, piece) in [(1, &announced, 7), (3, &good(&bearer, "POST"), 7), (5, &announced, 1000)]
    {
        frames.headers(stream, fields, 0).unwrap();
        for piece in content.as_bytes().chunks(piece) {
            frames.raw.send(DATA, 0, stream, piece).unwrap();
        }
        frames.raw.send(DATA, END_STREAM, stream, &[]).unwrap();
        assert_eq!(frames.outcome(stream), Outcome::Answer(200, format!("/x {content}")));
    }
    let seen = stage.world.api.requests();
    seen.iter().for_each(assert_one_meaning);
    let lengths: Vec<_> = seen.iter().map(|request| request.value("content-length")).collect();
    assert_eq!(lengths, [Some(length.as_str()), None, Some(length.as_str())]);
    assert_eq!(seen[1].value("transfer-encoding"), Some("chunked"));
    assert!(seen.iter().all(|request| request.text() == content));
}

/// RFC 9113 §8.3.1: `Host` stands in for `:authority`, and beside it if it says the same.
#[test]
fn host_may_stand_in_for_authority() {
    let stage = stage();
    let bearer = format!("Bearer {}", stage.token);
    let good = good(&bearer, "GET");
    let mut frames = connect(&stage);
    let alone = with(&without(&good, ":authority"), ("host", "localhost"));
    for (stream, fields) in [(1, &alone), (3, &with(&good, ("host", "localhost")))] {
        frames.headers(stream, fields, END_STREAM).unwrap();
        assert_eq!(frames.outcome(stream), Outcome::Answer(200, "/x ".to_owned()));
        assert_one_meaning(&stage.seen());
        assert_eq!(stage.seen().value("host"), Some("localhost"));
    }
}

/// RFC 9113 §8.1: what comes after the content is trailers, and they have no pseudo-header fields.
#[test]
fn trailers_are_no_second_head() {
    let stage = stage();
    let bearer = format!("Bearer {}", stage.token);
    let head = with(&good(&bearer, "POST"), ("trailer", "x-sum, x-value"));
    for trailers in [
        vec![("x-value", "a\r\n\r\nGET /smuggled HTTP/1.1")],
        vec![("X-Sum", "1")],
        vec![("x-sum\r\nx", "1")],
    ] {
        let mut frames = connect(&stage);
        frames.headers(1, &head, 0).unwrap();
        frames.raw.send(DATA, 0, 1, b"abc").unwrap();
        frames.headers(1, &trailers, END_STREAM).unwrap();
        assert_refused(&frames.outcome(1), &format!("{trailers:?}"));
    }
    assert!(stage.world.api.requests().is_empty(), "{:?}", stage.world.api.requests());
    // Malformed too, but all that is done with them is to drop them.
    let mut frames = connect(&stage);
    frames.headers(1, &head, 0).unwrap();
    frames.headers(1, &[(":method", "DELETE"), (":path", "/smuggled")], END_STREAM).unwrap();
    assert_eq!(frames.outcome(1), Outcome::Answer(200, "/x ".to_owned()));
    let seen = stage.seen();
    assert_eq!((seen.method(), seen.trailers.len()), ("POST", 0));
    let mut frames = connect(&stage);
    frames.headers(1, &head, 0).unwrap();
    frames.headers(1, &[("x-sum", "1"), ("x-unlisted", "2")], END_STREAM).unwrap();
    assert_eq!(frames.outcome(1), Outcome::Answer(200, "/x ".to_owned()));
    assert_eq!(stage.seen().value("x-sum"), None, "a trailer is no header");
    assert!(stage.seen().trailers.contains(&("x-sum".to_owned(), "1".to_owned())));
}

/// RFC 9113 §6.10: nothing may come between the frames of a header block; a block in pieces is one head.
#[test]
fn a_head_in_pieces_is_one_head() {
    let stage = stage();
    let bearer = format!("Bearer {}", stage.token);
    let block = block(&good(&bearer, "GET"));
    let mut frames = connect(&stage);
    frames.raw.send(HEADERS, END_STREAM, 1, &block[..5]).unwrap();
    for piece in block[5..].chunks(300) {
        frames.raw.send(CONTINUATION, 0, 1, piece).unwrap();
    }
    frames.raw.send(CONTINUATION, END_HEADERS, 1, &[]).unwrap();
    assert_eq!(frames.outcome(1), Outcome::Answer(200, "/x ".to_owned()));
    let mut frames = connect(&stage);
    frames.raw.send(HEADERS, END_STREAM, 1, &block[..5]).unwrap();
    frames.raw.send(HEADERS, END_HEADERS | END_STREAM, 3, &block).unwrap();
    assert!(matches!(frames.outcome(3), Outcome::GoAway(_)), "an open block is followed by its rest");
    assert_eq!(stage.world.api.requests().len(), 1);
}

/// Requests of one connection run side by side, and each gets its own answer.
#[test]
fn answers_of_one_connection_are_never_mixed_up() {
    let stage = stage();
    let bearer = format!("Bearer {}", stage.token);
    let mut frames = connect(&stage);
    let paths: Vec<String> = (0..40).map(|number| format!("/{number}")).collect();
    for (stream, path) in (1..).step_by(2).zip(&paths) {
        frames.headers(stream, &with(&good(&bearer, "GET"), (":path", path)), END_STREAM).unwrap();
    }
    let mut answers = vec![String::new(); paths.len()];
    let mut open = paths.len();
    while open > 0 {
        let frame = frames.next().expect("the connection stays");
        if frame.kind == DATA {
            let answer = &mut answers[(frame.stream as usize - 1) / 2];
            answer.push_str(std::str::from_utf8(&frame.payload).unwrap());
            open -= usize::from(frame.flags & END_STREAM);
        }
    }
    for (path, answer) in paths.iter().zip(answers) {
        assert_eq!(answer, format!("{path} "));
    }
    assert_eq!(stage.world.api.requests().len(), paths.len());
}
