//! Bodies pass as they come: never collected, never held back, and with their trailers.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::support::boundgate::Boundgate;
use super::support::curl::Curl;
use super::support::frames::{DATA, END_STREAM};
use super::support::message::{Message, read_head};
use super::support::outcome::Frames;
use super::support::process::PATIENCE;
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

const MIB: usize = 1 << 20;
/// What a large body is here, and how much more memory the sidecar may have for it.
const LARGE: usize = 64 * MIB;
/// More than all sockets on the way hold.
const MORE: usize = 24 * MIB;
const ROOM: u64 = 16;

fn assert_small(boundgate: &Boundgate, before: u64, what: &str) {
    let after = boundgate.process.peak_memory();
    assert!(after < before + ROOM, "{what}: {before} MiB before, {after} MiB after");
}

/// A body in which every position can be told from its neighbours.
fn large() -> Vec<u8> {
    let pattern: Vec<u8> = (0..=250).collect();
    let mut body = pattern.repeat(LARGE / pattern.len() + 1);
    body.truncate(LARGE);
    body
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut chunks = Vec::with_capacity(body.len() + body.len() / 1000);
    for chunk in body.chunks(100_000) {
        chunks.extend(format!("{:x}\r\n", chunk.len()).bytes());
        chunks.extend([chunk, b"\r\n"].concat());
    }
    chunks.extend(b"0\r\n\r\n");
    chunks
}

#[test]
fn large_uploads_need_no_memory() {
    let stage = Stage::new(
        Server::http(|request| Answer::ok(if request.body == large() { "whole" } else { "damaged" })),
        "",
    );
    stage.connect().get("/", Some(&stage.token)).unwrap();
    let before = stage.boundgate.process.peak_memory();
    let body = large();
    for (lines, body) in [
        (format!("Content-Length: {LARGE}\r\n"), body.clone()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(&body)),
    ] {
        let mut connection = stage.connect();
        connection.send(stage.head("POST /", &lines)).unwrap();
        assert_eq!(connection.exchange(body).unwrap().text(), "whole", "{lines}");
        assert_small(&stage.boundgate, before, &lines);
    }
    let request = Request::post("https://localhost/")
        .header("authorization", format!("Bearer {}", stage.token))
        .body(Full::new(Bytes::from(body)));
    assert_eq!(stage.h2().send(request.unwrap()).unwrap().text(), "whole");
    assert_small(&stage.boundgate, before, "HTTP/2");
}

#[test]
fn large_downloads_need_no_memory() {
    let stage = Stage::new(
        Server::http(|request| match request.target() {
            "/length" => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
                Answer::raw([head.into_bytes(), large()].concat())
            }
            "/chunked" => {
                let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
                Answer::raw([head, chunked(&large())].concat())
            }
            "/until-close" => Answer::raw([b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), large()].concat()).close(),
            _ => Answer::ok(""),
        }),
        "",
    );
    stage.connect().get("/", Some(&stage.token)).unwrap();
    let before = stage.boundgate.process.peak_memory();
    let assert_whole = |answer: Message, what: &str| {
        assert!(answer.body == large(), "{what}: {} bytes", answer.body.len());
        assert_small(&stage.boundgate, before, what);
    };
    for target in ["/length", "/chunked", "/until-close"] {
        assert_whole(stage.connect().get(target, Some(&stage.token)).unwrap(), target);
    }
    assert_whole(stage.h2().get("/chunked", Some(&stage.token)).unwrap(), "HTTP/2");
}

/// Writes until nothing is taken any more; says how much was.
fn fill(mut write: impl FnMut(&[u8]) -> std::io::Result<usize>) -> usize {
    let (piece, mut taken) = (vec![b'x'; 64 * 1024], 0);
    while taken < LARGE {
        match write(&piece) {
            Ok(0) | Err(_) => return taken,
            Ok(length) => taken += length,
        }
    }
    taken
}

/// How long a socket that takes nothing is waited for: it decides nothing but how long these tests last.
const FULL: Duration = Duration::from_millis(500);

#[test]
fn an_upload_waits_for_an_api_that_does_not_read() {
    let (done, wait) = channel();
    let wait = Mutex::new(wait);
    let api = Server::script(move |_socket| {
        let _ = wait.lock().unwrap().recv_timeout(PATIENCE);
        Ok(())
    });
    let stage = Stage::new(api, "");
    let before = stage.boundgate.process.peak_memory();
    let mut connection = stage.connect();
    connection.send(stage.head("POST /", &format!("Content-Length: {LARGE}\r\n"))).unwrap();
    let stream = connection.stream.get_mut();
    stream.sock.set_write_timeout(Some(FULL)).unwrap();
    stream.sock.set_read_timeout(Some(FULL)).unwrap(); // rustls reads where it cannot write
    let taken = fill(|piece| stream.write(piece));
    assert!(taken < LARGE / 2, "the sidecar took {taken} bytes that nobody reads");
    assert_small(&stage.boundgate, before, "upload");
    done.send(()).unwrap();
}

#[test]
fn a_download_waits_for_a_client_that_does_not_read() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let api = Server::script(move |mut socket| {
        read_head(&mut BufReader::new(socket.try_clone()?))?;
        write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n")?;
        socket.set_write_timeout(Some(FULL))?;
        let taken = fill(|piece| socket.write(piece));
        tell.lock().unwrap().send(taken).unwrap();
        Ok(())
    });
    let stage = Stage::new(api, "");
    let before = stage.boundgate.process.peak_memory();
    let mut connection = stage.connect();
    connection.send(stage.head("GET /", "")).unwrap();
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let bearer = format!("Bearer {}", stage.token);
    let start = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    frames.headers(1, &[&start[..], &[("authorization", &bearer)]].concat(), END_STREAM).unwrap();
    for _ in ["HTTP/1.1", "HTTP/2"] {
        let taken: usize = told.recv_timeout(PATIENCE).unwrap();
        assert!(taken < LARGE / 2, "the sidecar took {taken} bytes that nobody reads");
    }
    assert_small(&stage.boundgate, before, "download");
}

/// RFC 9110 §6.5, RFC 9113 §8.1.
#[test]
fn trailers_of_an_answer_pass_over_both_protocols() {
    let stage = Stage::new(
        Server::http(|_| {
            Answer::raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Other\r\n\r\n\
                 3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Other: a\r\nX-Other: b\r\nConnection: close\r\n\r\n",
            )
        }),
        "",
    );
    let expected = [("x-sum", "7"), ("x-other", "a"), ("x-other", "b")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let h1 = stage.exchange("GET /", "TE: trailers\r\n", "");
    let h2 = stage.h2().get("/", Some(&stage.token)).unwrap();
    for answer in [h1, h2] {
        assert_eq!((answer.text(), &answer.trailers[..]), ("abc", &expected[..]), "{}", answer.start);
    }
}

/// RFC 9110 §10.1.1: 100 says that the body is wanted, so it comes after the decision, and the API need not know of it.
#[test]
fn a_body_is_asked_for_only_once_the_request_is_accepted() {
    let stage =
        Stage::new(Server::http(|request| Answer::ok(request.text())), "[limits]\nrequest_body = \"10B\"\n");
    let lines = "Content-Length: 5\r\nExpect: 100-continue\r\n";
    let mut connection = stage.connect();
    assert_eq!(connection.exchange(stage.head("POST /", lines)).unwrap().start, "HTTP/1.1 100 Continue");
    assert_eq!(connection.exchange("12345").unwrap().text(), "12345");
    assert_eq!(stage.seen().value("expect"), None);
    let mut connection = stage.connect();
    let refused = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let answer = connection.exchange(refused).unwrap();
    assert_eq!(answer.verdict(), (401, "token-missing".to_owned()));
    // RFC 9112 §9.6: whoever will close says so; the body that was announced is never read.
    assert_eq!(answer.value("connection"), Some("close"));
    let large = stage.head("POST /", "Content-Length: 11\r\nExpect: 100-continue\r\n");
    assert_eq!(stage.connect().exchange(large).unwrap().verdict(), (413, "body-too-large".to_owned()));
    assert_eq!(stage.world.api.requests().len(), 1);
}

/// An API that sends one piece of its answer each time the test says so.
fn piecemeal(head: &'static str) -> (Server, Sender<&'static str>) {
    let (say, said) = channel::<&'static str>();
    let said = Mutex::new(said);
    let api = Server::script(move |mut socket| {
        read_head(&mut BufReader::new(socket.try_clone()?))?;
        socket.write_all(head.as_bytes())?;
        for piece in said.lock().unwrap().iter() {
            socket.write_all(piece.as_bytes())?;
        }
        Ok(())
    });
    (api, say)
}

/// Each piece is awaited before the next one is sent: nothing in between waits for more.
#[test]
fn server_sent_events_arrive_one_by_one() {
    const EVENTS: [&str; 3] = ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"];
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let (api, say) = piecemeal(head);
    let stage = Stage::new(api, "");
    let mut connection = stage.connect();
    connection.send(stage.head("GET /", "")).unwrap();
    assert_eq!(connection.head().unwrap().value("content-type"), Some("text/event-stream"));
    for event in EVENTS {
        say.send(event).unwrap();
        let mut chunk = vec![0; format!("{:x}\r\n{event}\r\n", event.len()).len()];
        connection.stream.read_exact(&mut chunk).unwrap();
        assert!(String::from_utf8(chunk).unwrap().contains(event));
    }
    let (api, say) = piecemeal(head);
    let stage = Stage::new(api, "");
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let bearer = format!("Bearer {}", stage.token);
    let start = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    frames.headers(1, &[&start[..], &[("authorization", &bearer)]].concat(), END_STREAM).unwrap();
    for event in EVENTS {
        say.send(event).unwrap();
        let data = std::iter::from_fn(|| frames.next()).find(|frame| frame.kind == DATA);
        assert_eq!(String::from_utf8(data.unwrap().payload).unwrap(), event);
    }
}

/// An upload passes as it comes too: the API has the first piece before the client sends the second.
#[test]
fn an_upload_arrives_piece_by_piece() {
    let (tell, told): (Sender<u8>, Receiver<u8>) = channel();
    let tell = Mutex::new(tell);
    let api = Server::script(move |mut socket: TcpStream| {
        let mut reader = BufReader::new(socket.try_clone()?);
        read_head(&mut reader)?;
        for _ in 0..3 {
            let mut byte = [0];
            reader.read_exact(&mut byte)?;
            tell.lock().unwrap().send(byte[0]).unwrap();
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    });
    let stage = Stage::new(api, "");
    let mut connection = stage.connect();
    connection.send(stage.head("POST /", "Content-Length: 3\r\n")).unwrap();
    for byte in *b"abc" {
        connection.send([byte]).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(byte));
    }
    assert_eq!(connection.response().unwrap().status(), 200);
}

/// An API that answers before it has read the body, and closes: the client gets the answer, not a broken connection.
#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let api = Server::script(|mut socket| {
        read_head(&mut BufReader::with_capacity(4096, socket.try_clone()?))?;
        socket.write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly")
    });
    let stage = Stage::new(api, "");
    let sent = |answer: Message| assert_eq!((answer.status(), answer.text()), (413, "early"));
    let mut connection = stage.connect();
    connection.send(stage.head("POST /", &format!("Content-Length: {MORE}\r\n"))).unwrap();
    let _ = connection.send(&large()[..MORE]);
    sent(connection.response().unwrap());
    let file = stage.world.pki.path().join("body");
    std::fs::write(&file, &large()[..MORE]).unwrap();
    let (url, data) = (format!("https://{}/", stage.boundgate.address), format!("@{}", file.display()));
    for version in ["--http1.1", "--http2"] {
        let curl = Curl::to(&url, &stage.world.pki.authority.certificate).token(&stage.token);
        let curl = curl.identity(&stage.world.pki.client_a);
        sent(curl.args(&[version, "--data-binary", &data, "-H", "Expect:"]).run().unwrap());
    }
}

/// The same for a refusal of ours.
#[test]
fn a_refusal_reaches_a_client_that_still_sends() {
    let stage = Stage::new(Server::http(|_| Answer::ok("")), "[limits]\nrequest_body = \"1MiB\"\n");
    let file = stage.world.pki.path().join("body");
    std::fs::write(&file, &large()[..MORE]).unwrap();
    let (url, data) = (format!("https://{}/", stage.boundgate.address), format!("@{}", file.display()));
    for (token, lines, expected) in [
        ("none", "Expect:", (401, "token-malformed")),
        (stage.token.as_str(), "Expect:", (413, "body-too-large")),
        (stage.token.as_str(), "Transfer-Encoding: chunked", (413, "body-too-large")),
    ] {
        let body = if lines == "Expect:" { large()[..MORE].to_vec() } else { chunked(&large()[..MORE]) };
        let mut connection = stage.connect();
        let framing = if lines == "Expect:" { format!("Content-Length: {MORE}") } else { lines.to_owned() };
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n"
        );
        connection.send(head).unwrap();
        let _ = connection.send(body);
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(connection.response().unwrap().verdict(), expected, "{token} {lines}");
        for version in ["--http1.1", "--http2"] {
            let curl = Curl::to(&url, &stage.world.pki.authority.certificate).token(token);
            let curl = curl.identity(&stage.world.pki.client_a);
            let answer = curl.args(&[version, "--data-binary", &data, "-H", lines, "-H", "Expect:"]).run();
            assert_eq!(answer.unwrap().verdict(), expected, "{version} {lines}");
        }
    }
}
