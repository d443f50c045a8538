//! How exchanges end before their end: a client that leaves ends its request upstream, an upstream that breaks off is an error.

use std::io::{BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::support::frames::{DATA, END_STREAM, HEADERS, RST_STREAM};
use super::support::message::read_head;
use super::support::outcome::{Frames, Outcome};
use super::support::process::PATIENCE;
use super::support::server::{Answer, Server, reset};
use super::support::stage::Stage;

/// What happened at the API.
#[derive(Debug, PartialEq)]
enum Event {
    /// The head of a request arrived, and `answer` was sent.
    Asked,
    /// The connection ended after this many more bytes.
    Ended(usize),
}

/// An API that says when it is asked, answers with these bytes, and says when the connection ends.
fn api(answer: &'static str) -> (Server, Receiver<Event>) {
    let (tell, told): (Sender<Event>, Receiver<Event>) = channel();
    let tell = Mutex::new(tell);
    let say = move |event| tell.lock().unwrap().send(event).unwrap();
    let server = Server::script(move |mut socket| {
        let mut reader = BufReader::new(socket.try_clone()?);
        read_head(&mut reader)?;
        socket.write_all(answer.as_bytes())?;
        say(Event::Asked);
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest); // an end is an end, however rude
        say(Event::Ended(rest.len()));
        Ok(())
    });
    (server, told)
}

fn next(told: &Receiver<Event>) -> Event {
    told.recv_timeout(PATIENCE).expect("the API notices")
}

/// A request over HTTP/2 that stays open.
fn open(stage: &Stage, flags: u8) -> Frames {
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let bearer = format!("Bearer {}", stage.token);
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/"),
        ("authorization", bearer.as_str()),
    ];
    frames.headers(1, &fields, flags).unwrap();
    frames
}

const NO_ANSWER: &str = "";
const ENDLESS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// The interface: a client that leaves ends its request upstream, whether it waits, sends or reads.
#[test]
fn a_client_that_leaves_ends_its_request_over_http1() {
    for (answer, lines, body) in [
        (NO_ANSWER, "", ""),
        (NO_ANSWER, "Content-Length: 10\r\n", "12345"),
        (NO_ANSWER, "Content-Length: 5\r\n", "12345"),
        (ENDLESS, "", ""),
        (ENDLESS, "Content-Length: 10\r\n", "12345"),
    ] {
        let (api, told) = api(answer);
        let stage = Stage::new(api, "");
        let mut connection = stage.connect();
        connection.send(stage.head("POST /", lines) + body).unwrap();
        assert_eq!(next(&told), Event::Asked);
        if answer == ENDLESS {
            assert_eq!(connection.head().unwrap().status(), 200);
        }
        drop(connection);
        assert_eq!(next(&told), Event::Ended(body.len()), "{answer:?} {lines:?}");
    }
}

/// What it has sent behind its request, and nobody has read yet, hides nothing.
#[test]
fn a_client_that_leaves_behind_other_bytes_ends_its_request() {
    let more = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5000);
    for answer in [NO_ANSWER, ENDLESS] {
        for behind in ["\r\n", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &more] {
            let (api, told) = api(answer);
            let stage = Stage::new(api, "");
            let mut connection = stage.connect();
            connection.send(stage.head("GET /", "")).unwrap();
            assert_eq!(next(&told), Event::Asked);
            connection.send(behind).unwrap();
            drop(connection);
            assert_eq!(next(&told), Event::Ended(0), "{answer:?} {behind:.20?}");
        }
    }
}

/// Nor does an upstream that does not take the request's body.
#[test]
fn a_client_that_leaves_an_upload_that_waits_ends_it() {
    let deaf = Server::script(|socket| {
        read_head(&mut BufReader::with_capacity(1, &socket))?;
        std::thread::sleep(2 * PATIENCE); // it never reads on
        Ok(())
    });
    let stage = Stage::new(deaf, "");
    let mut connection = stage.connect();
    connection.stream.get_ref().sock.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    connection.send(stage.head("POST /", "Content-Length: 1000000000\r\n")).unwrap();
    while connection.send([b'x'; 65536]).is_ok() {}
    // An end of the stream would wait behind what the sidecar does not read.
    reset(&connection.stream.get_ref().sock).unwrap();
    drop(connection);
    stage.boundgate.log_line(|line| line["note"] == "the client left before the answer");
}

/// The same for one stream of a connection that goes on (RFC 9113 §5.4.2), and for the whole connection.
#[test]
fn a_client_that_leaves_ends_its_request_over_http2() {
    for answer in [NO_ANSWER, ENDLESS] {
        for upload in [false, true] {
            for whole in [false, true] {
                let (api, told) = api(answer);
                let stage = Stage::new(api, "");
                let mut frames = open(&stage, if upload { 0 } else { END_STREAM });
                assert_eq!(next(&told), Event::Asked);
                if answer == ENDLESS {
                    while frames.next().expect("an answer").kind != HEADERS {}
                }
                if whole {
                    drop(frames);
                } else {
                    frames.raw.send(RST_STREAM, 0, 1, &CANCEL).unwrap();
                }
                let what = format!("{answer:?}, upload {upload}, the connection {whole}");
                assert!(matches!(next(&told), Event::Ended(_)), "{what}");
            }
        }
    }
}

/// An upload that breaks off is no complete request at the API, so nothing acts on half of it.
#[test]
fn an_upload_that_breaks_off_is_never_complete_at_the_api() {
    let stage = Stage::new(Server::http(|_| Answer::ok("complete")), "");
    for (lines, body) in [
        ("Content-Length: 10\r\n", "12345"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n0\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\n123"),
    ] {
        let mut connection = stage.connect();
        connection.send(stage.head("POST /", lines) + body).unwrap();
        connection.stream.get_mut().conn.send_close_notify();
        let _ = connection.send("");
        let _ = connection.response(); // the sidecar is done with it
    }
    let mut frames = open(&stage, 0);
    frames.raw.send(DATA, 0, 1, b"12345").unwrap();
    frames.raw.send(RST_STREAM, 0, 1, &CANCEL).unwrap();
    assert_eq!(stage.connect().get("/", Some(&stage.token)).unwrap().text(), "complete");
    let seen = stage.world.api.requests();
    assert_eq!(seen.iter().map(|request| request.method()).collect::<Vec<_>>(), ["GET"], "{seen:?}");
}

/// RFC 9112 §8, RFC 9113 §8.1: an answer that breaks off must look broken to the client, never complete.
#[test]
fn an_answer_that_breaks_off_is_an_error_for_the_client() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n\r\n",
    ] {
        let stage = Stage::new(Server::http(move |_| Answer::raw(answer).close()), "");
        assert!(stage.connect().get("/", Some(&stage.token)).is_err(), "{answer:?}");
        let mut frames = open(&stage, END_STREAM);
        let mut whole = Vec::new();
        let end = loop {
            let frame = frames.next().expect("the stream ends, not the connection");
            match frame.kind {
                DATA => whole.extend(frame.payload),
                RST_STREAM => break frame.payload,
                _ => {}
            }
            assert!(frame.kind != DATA || frame.flags & END_STREAM == 0, "{answer:?}");
        };
        assert_ne!(end, [0; 4], "{answer:?}: NO_ERROR would say that all is well");
        assert_eq!(whole, b"half", "{answer:?}");
        let reason = |line: &serde_json::Value| line["reason"] == "upstream-failed" && line["status"] == 200;
        stage.boundgate.log_line(reason);
    }
}

/// Before its head is whole there is still a status to say so with.
#[test]
fn what_is_no_answer_is_502() {
    for answer in [
        "",
        "SSH-2.0-not-http\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.1 99 Too Low\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    ] {
        let stage = Stage::new(Server::http(move |_| Answer::raw(answer).close()), "");
        let expected = (502, "upstream-failed".to_owned());
        assert_eq!(stage.connect().get("/", Some(&stage.token)).unwrap().verdict(), expected, "{answer:?}");
        let verdict = open(&stage, END_STREAM).outcome(1);
        assert_eq!(verdict.verdict(), Some(expected), "{answer:?}");
        assert!(matches!(verdict, Outcome::Answer(..)));
    }
}

/// After an upgrade the two directions end one by one: what the client says after the API's last word still arrives.
#[test]
fn one_direction_of_a_tunnel_may_end_before_the_other() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let api = Server::script(move |mut socket| {
        let mut reader = BufReader::new(socket.try_clone()?);
        read_head(&mut reader)?;
        socket.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nlast word",
        )?;
        socket.shutdown(Shutdown::Write)?;
        let mut rest = String::new();
        reader.read_to_string(&mut rest)?;
        tell.lock().unwrap().send(rest).unwrap();
        Ok(())
    });
    let stage = Stage::new(api, "");
    let mut connection = stage.connect();
    connection.send(stage.head("GET /", "Connection: upgrade\r\nUpgrade: x\r\n")).unwrap();
    assert_eq!(connection.head().unwrap().status(), 101);
    assert_eq!(connection.rest().unwrap(), b"last word");
    connection.send("and mine").unwrap();
    connection.stream.get_mut().conn.send_close_notify();
    connection.send("").unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("and mine".to_owned()));
}

/// A body that is still being read when the process ends must not be in its way.
#[test]
fn an_open_upload_does_not_hold_up_the_end_of_the_process() {
    let (api, told) = api(NO_ANSWER);
    let mut stage = Stage::new(api, "[limits]\ndrain = \"1s\"\n");
    let _open = open(&stage, 0);
    assert_eq!(next(&told), Event::Asked);
    stage.boundgate.process.signal("TERM");
    assert!(stage.boundgate.process.wait().success());
    assert!(!stage.boundgate.process.output().contains("panicked"), "{}", stage.boundgate.process.output());
}
