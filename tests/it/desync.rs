//! What the API reads, byte by byte: whatever a client made of its request, there is one way to read what went on (RFC 9112).

use std::io::{BufReader, Read, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::frames::{DATA, END_STREAM};
use super::support::message::read_request;
use super::support::outcome::{Frames, Outcome};
use super::support::server::Server;
use super::support::stage::Stage;

/// Everything that went over the connections to the API, in order.
type Wire = Arc<Mutex<Vec<u8>>>;

/// Reads and writes down.
struct Tap(TcpStream, Wire);

impl Read for Tap {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(buf)?;
        self.1.lock().unwrap().extend(&buf[..n]);
        Ok(n)
    }
}

fn stage(limits: &str) -> (Stage, Wire) {
    let wire = Wire::default();
    let tapped = Arc::clone(&wire);
    let api = Server::script(move |socket| {
        let mut stream = BufReader::new(Tap(socket.try_clone()?, Arc::clone(&tapped)));
        let mut socket = socket;
        while read_request(&mut stream)?.is_some() {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")?;
        }
        Ok(())
    });
    let more = format!("[limits]\n{limits}\n[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n");
    (Stage::new(api, &more), wire)
}

/// One request as it stood on the wire, read so strictly that there is nothing left to guess: its lines end in CRLF and have no other
/// control character, names are tokens, the framing is one `Content-Length` or one `Transfer-Encoding: chunked`, or none.
struct Request {
    start: String,
    fields: Vec<(String, String)>,
    content: Vec<u8>,
    trailers: Vec<(String, String)>,
}

impl Request {
    fn values(&self, name: &str) -> Vec<&str> {
        let own = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        self.fields.iter().filter(own).map(|(_, value)| value.as_str()).collect()
    }
}

fn strictly(mut wire: &[u8]) -> Vec<Request> {
    let mut requests = Vec::new();
    while !wire.is_empty() {
        let start = line(&mut wire);
        let words: Vec<&str> = start.split(' ').collect();
        assert!(words.len() == 3 && words[1].starts_with('/') && words[2] == "HTTP/1.1", "{start:?}");
        let fields = fields(&mut wire);
        let mut request = Request { start, fields, content: Vec::new(), trailers: Vec::new() };
        match (&request.values("content-length")[..], &request.values("transfer-encoding")[..]) {
            ([], []) => {}
            ([length], []) => {
                assert!(length.bytes().all(|b| b.is_ascii_digit()), "{length:?}");
                request.content = wire.split_off(..length.parse().unwrap()).unwrap().to_vec();
            }
            ([], ["chunked"]) => loop {
                let size = line(&mut wire);
                assert!(!size.is_empty() && size.bytes().all(|b| b.is_ascii_hexdigit()), "{size:?}");
                let size = usize::from_str_radix(&size, 16).unwrap();
                if size == 0 {
                    request.trailers = self::fields(&mut wire);
                    break;
                }
                request.content.extend(wire.split_off(..size).unwrap());
                assert_eq!(line(&mut wire), "");
            },
            other => panic!("{other:?}"),
        }
        assert_eq!(request.values("host").len(), 1);
        requests.push(request);
    }
    requests
}

fn fields(wire: &mut &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    loop {
        let line = line(wire);
        if line.is_empty() {
            return fields;
        }
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(
            !name.is_empty() && name.bytes().all(is_token) && value == value.trim_matches([' ', '\t']),
            "{line:?}"
        );
        fields.push((name.to_owned(), value.to_owned()));
    }
}

fn line(wire: &mut &[u8]) -> String {
    let end = wire.windows(2).position(|pair| pair == b"\r\n").expect("a line that ends");
    let line = wire.split_off(..end).unwrap();
    wire.split_off(..2).unwrap();
    assert!(line.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)), "{line:?}");
    String::from_utf8(line.to_vec()).unwrap()
}

/// What a client may write in many ways is written in one.
#[test]
fn of_http1_one_reading_goes_on() {
    let (stage, wire) = stage("");
    let inside = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = inside.len();
    let chunked = format!("{length:x};ext=\"a\"\r\n{inside}\r\n0;last\r\nX-Sum: 1\r\nHost: forged\r\n\r\n");
    for (lines, body, content) in [
        (format!("Content-Length: {length}\r\n"), inside, inside),
        (format!("Content-Length: {length}\r\ncontent-length: {length}\r\n"), inside, inside),
        (format!("Content-Length:{length} \t\r\n"), inside, inside),
        (format!("Content-Length: 000{length}\r\n"), inside, inside),
        ("Transfer-Encoding: chunked\r\n".to_owned(), &chunked, inside),
        ("tRANSFER-eNCODING:\tCHUNKED \r\n".to_owned(), &chunked, inside),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n".to_owned(), &chunked, inside),
        (format!("Expect: 100-continue\r\nContent-Length: {length}\r\n"), inside, inside),
        (format!("Expect: y 100-continue\r\nContent-Length: {length}\r\n"), inside, inside),
        ("X-Value: \u{a0}ä\t\u{ff}\r\nX_Under-Score.x: 1\r\n".to_owned(), "", ""),
        // A name whose length is another one in eight bits (CVE-2021-40346).
        (format!("Content-Length0{}:\r\nContent-Length: {length}\r\n", "a".repeat(255)), inside, inside),
    ] {
        for method in ["GET", "POST", "HEAD", "OPTIONS", "DELETE"] {
            wire.lock().unwrap().clear();
            let head = stage.head(&format!("{method} /x"), &format!("{lines}Connection: close\r\n"));
            let mut connection = stage.connect();
            connection.send(head + body).unwrap();
            let answer = String::from_utf8(connection.rest().unwrap()).unwrap();
            assert!(answer.contains("HTTP/1.1 200 "), "{method} {lines:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{method} {lines:?}: {answer}");
            let seen = strictly(&wire.lock().unwrap());
            assert_eq!(seen.len(), 1, "{method} {lines:?}");
            assert_eq!(seen[0].start, format!("{method} /x HTTP/1.1"));
            assert_eq!(seen[0].content, content.as_bytes(), "{method} {lines:?}");
            assert!(seen[0].trailers.iter().all(|(name, _)| name == "x-sum"), "{:?}", seen[0].trailers);
        }
    }
}

/// RFC 9113 §8.2, §8.3: what HTTP/2 may hold is one request in HTTP/1.1, with one `Cookie`, without what would frame it.
#[test]
fn of_http2_one_reading_goes_on() {
    let (stage, wire) = stage("");
    let bearer = format!("Bearer {}", stage.token);
    let inside = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for method in ["GET", "POST", "DELETE", "HEAD"] {
        wire.lock().unwrap().clear();
        let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":authority", "LOCALHOST:443"),
            (":path", "/x?a=%0d%0aX-Injected:%201"),
            ("authorization", &bearer),
            ("cookie", "a=1"),
            ("te", "trailers"),
            ("cookie", "b=2; c=3"),
            ("x-odd", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
            ("expect", "100-continue"),
        ];
        frames.headers(1, &fields, 0).unwrap();
        for piece in inside.as_bytes().chunks(5) {
            frames.raw.send(DATA, 0, 1, piece).unwrap();
        }
        let trailers = [
            ("x-sum", "1"),
            ("host", "forged"),
            ("authorization", "Bearer forged"),
            ("content-length", "7"),
            ("x-forwarded-for", "forged"),
            ("cookie", "forged"),
        ];
        frames.headers(1, &trailers, END_STREAM).unwrap();
        let outcome = frames.outcome(1);
        assert!(matches!(outcome, Outcome::Answer(200, _)), "{method}: {outcome:?}");
        let seen = strictly(&wire.lock().unwrap());
        assert_eq!(seen.len(), 1, "{method}");
        assert_eq!(seen[0].start, format!("{method} /x?a=%0d%0aX-Injected:%201 HTTP/1.1"));
        assert_eq!(seen[0].values("cookie"), ["a=1; b=2; c=3"], "{method}");
        assert_eq!(seen[0].values("host"), ["LOCALHOST:443"]);
        assert_eq!(seen[0].content, inside.as_bytes(), "{method}");
        assert!(seen[0].fields.iter().all(|(name, _)| !name.starts_with(':') && name != "expect"));
        assert!(seen[0].trailers.iter().all(|(name, _)| name == "x-sum"), "{:?}", seen[0].trailers);
    }
}

/// RFC 9112 §6.3 lets a list of equal lengths be read as one; here it is refused. §2.3, §3: versions and targets that are none.
#[test]
fn what_some_servers_would_forgive_is_refused() {
    let (stage, wire) = stage("");
    let token = format!("Authorization: Bearer {}\r\n", stage.token);
    let good = format!("Host: localhost\r\n{token}");
    for request in [
        format!("POST /x HTTP/1.1\r\n{good}Content-Length: 5, 5\r\n\r\nhello"),
        format!("POST /x HTTP/1.1\r\n{good}Content-Length: 5,\r\n\r\nhello"),
        format!("POST /x HTTP/1.1\r\n{good}Content-Length: \r\nContent-Length: 5\r\n\r\nhello"),
        format!("POST /x HTTP/1.0\r\n{good}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        format!("GET /x HTTP/1.2\r\n{good}\r\n"),
        format!("GET /x HTTP/2.0\r\n{good}\r\n"),
        format!("GET /x http/1.1\r\n{good}\r\n"),
        format!("GET /x HTTP/1.1 \r\n{good}\r\n"),
        format!("GET /x\tHTTP/1.1\r\n{good}\r\n"),
        format!("GET @localhost/x HTTP/1.1\r\n{good}\r\n"),
        format!("GET :8080/x HTTP/1.1\r\n{good}\r\n"),
        format!("GET https:/x HTTP/1.1\r\n{good}\r\n"),
        format!("GET https:///x HTTP/1.1\r\n{good}\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("GET /x HTTP/1.1\r\n:authority: localhost\r\n{good}\r\n"),
    ] {
        let mut connection = stage.connect();
        connection.send(&request).unwrap();
        match connection.response() {
            Ok(answer) => assert_eq!(answer.status(), 400, "{request:?}: {answer:?}"),
            // Who begins HTTP/2 would not understand an answer.
            Err(error) => assert!(request.starts_with("PRI"), "{request:?}: {error}"),
        }
        assert!(connection.response().is_err(), "{request:?}: it goes on");
    }
    assert!(wire.lock().unwrap().is_empty());
}

/// A fragment is no part of a target (RFC 9112 §3.2), and servers differ in what they make of it (CVE-2023-45539): the rule that is
/// checked and the API see the same, without it.
#[test]
fn a_fragment_is_seen_by_nobody_or_refused() {
    let (stage, wire) = stage("");
    for (target, is_public) in [
        ("/public/x#/../../admin", true),
        ("/admin#/public/x", false),
        ("/admin/..#/public/x", false),
        ("/public/..#/public/x", false),
        ("/public/x?a#b", true),
        ("/#/public/x", false),
    ] {
        wire.lock().unwrap().clear();
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let h1 = stage.connect().exchange(request).unwrap().status();
        let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
        let fields =
            [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", target)];
        frames.headers(1, &fields, END_STREAM).unwrap();
        let h2 = match frames.outcome(1) {
            Outcome::Answer(status, _) => status,
            _ => 400,
        };
        let allowed: &[u16] = if is_public { &[200, 400] } else { &[401, 400] };
        assert!(allowed.contains(&h1) && allowed.contains(&h2), "{target}: {h1}, {h2}");
        for seen in strictly(&wire.lock().unwrap()) {
            assert!(seen.start.starts_with("GET /public/x") && !seen.start.contains('#'), "{}", seen.start);
        }
    }
}

/// RFC 9112 §7.1.2: trailers whose lines end in a bare LF never end to a strict reader. They are waited for as long as a client is
/// waited for at all, and the API has no end of that request.
#[test]
fn bare_line_feeds_in_trailers_end_nothing() {
    let (stage, wire) = stage("stall_timeout = \"1s\"");
    let head = stage.head("POST /x", "Transfer-Encoding: chunked\r\n");
    for trailers in ["0\r\nX-Sum: 1\n\n", "0\r\n\nGET /smuggled HTTP/1.1\n\n", "0\r\nX-Sum: 1\n\r\n"] {
        let mut connection = stage.connect();
        connection.send(format!("{head}5\r\nhello\r\n{trailers}")).unwrap();
        let answer = connection.response().unwrap();
        assert!(matches!(answer.status(), 400 | 408), "{trailers:?}: {answer:?}");
        assert!(connection.response().is_err());
    }
    std::thread::sleep(Duration::from_millis(100)); // for what must not come
    assert!(!String::from_utf8_lossy(&wire.lock().unwrap()).contains("0\r\n\r\n"), "the API had an end");
}

/// RFC 9113 §8.2.2: `TE` says `trailers` and nothing else.
#[test]
fn te_of_http2_is_trailers_alone() {
    let (stage, wire) = stage("");
    let bearer = format!("Bearer {}", stage.token);
    for te in ["chunked", "trailers, chunked", "trailers;q=0.5", "trailers, deflate", "Trailers x"] {
        let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/x"),
            ("authorization", &bearer),
            ("te", te),
        ];
        frames.headers(1, &fields, END_STREAM).unwrap();
        let outcome = frames.outcome(1);
        assert!(!matches!(outcome, Outcome::Answer(200, _)), "{te}: {outcome:?}");
    }
    assert!(wire.lock().unwrap().is_empty());
}
