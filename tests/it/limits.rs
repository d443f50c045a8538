//! `[limits]`: who is slow, silent or one too many is cut off; who waits for a slow API is not.

mod http2;

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::support::boundgate::Boundgate;
use super::support::client::{Client, Connection};
use super::support::frames::Raw;
use super::support::pki::Authority;
use super::support::process::PATIENCE;
use super::support::server::{Answer, Server};
use super::support::world::{Config, World};

/// A sidecar with these limits, in front of this API.
struct Stage {
    world: World,
    boundgate: Boundgate,
    client: Client,
    token: String,
}

fn stage(limits: &str, api: Server) -> Stage {
    let world = World { api, ..World::new() };
    let config = Config { more: format!("[limits]\n{limits}\n"), ..world.config() };
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    Stage { world, boundgate, client, token }
}

fn hello() -> Server {
    Server::http(|_| Answer::ok("hello"))
}

impl Stage {
    /// A client that speaks HTTP/2 frame by frame.
    fn raw(&self, settings: &[(u16, u32)]) -> Raw {
        Raw::connect(&self.client, self.boundgate.address, settings)
    }

    /// A connection on which the head of an answer has come, and nothing of its content has been read.
    fn answering(&self) -> Connection {
        let mut connection = self.client.connect(self.boundgate.address).unwrap();
        let token = &self.token;
        connection
            .send(format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"))
            .unwrap();
        assert_eq!(connection.head().unwrap().status(), 200);
        connection
    }

    /// Replaces the authority of clients by one that has issued no certificate here.
    fn trust_another_authority(&self) {
        let next = Authority::new(self.world.pki.path(), "next-ca");
        fs::rename(next.certificate, &self.world.pki.authority.certificate).unwrap();
        self.boundgate.reload();
    }

    /// Waits for the line of a client that was too slow, and holds the count against it.
    fn client_timeout(&self, status: u16) {
        let line = self.boundgate.log_line(|line| line["reason"] == "client-timeout");
        assert_eq!((&line["decision"], &line["status"]), (&"refused".into(), &status.into()), "{line}");
        let labels = ["decision=\"refused\"", "reason=\"client-timeout\""];
        assert_eq!(self.boundgate.metric("boundgate_requests_total", &labels), 1.0);
    }
}

/// Asserts that something has lasted for about as long as a limit of 1 s says, however busy the machine.
fn after_a_second(start: Instant) {
    let lasted = start.elapsed();
    assert!(lasted >= Duration::from_millis(700), "cut off before its time: {lasted:?}");
    assert!(lasted < PATIENCE / 2, "{lasted:?}");
}

#[test]
fn head_timeout_ends_a_handshake() {
    let stage = stage("head_timeout = \"1s\"", hello());
    let start = Instant::now();
    for bytes in [&b""[..], &[0x16, 3, 1, 0x01, 0x00, 1, 0, 0, 0xfc, 3, 3]] {
        let mut socket = TcpStream::connect(stage.boundgate.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(bytes).unwrap();
        let end = socket.read(&mut [0; 64]);
        assert!(matches!(end, Ok(0) | Err(_)) && !timed_out(&end), "{bytes:?}: {end:?}");
    }
    after_a_second(start);
    stage.boundgate.wait_for_metric("boundgate_handshakes_total", &["outcome=\"timeout\""], 2.0);
}

#[test]
fn head_timeout_of_a_handshake_is_not_extended_byte_by_byte() {
    let stage = stage("head_timeout = \"1s\"", hello());
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(stage.client.config.clone(), name).unwrap();
    let mut hello = Vec::new();
    tls.write_tls(&mut hello).unwrap();
    let mut socket = TcpStream::connect(stage.boundgate.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let start = Instant::now();
    // The pace of the drip: what is read is the end.
    let mut drips = hello.iter().take(hello.len() - 1);
    while drips.next().is_some_and(|byte| socket.write_all(&[*byte]).is_ok()) {
        if !timed_out(&socket.read(&mut [0; 64])) {
            break;
        }
    }
    assert!(drips.len() > 0, "it drips to its end");
    after_a_second(start);
    stage.boundgate.wait_for_metric("boundgate_handshakes_total", &["outcome=\"timeout\""], 1.0);
}

fn timed_out<T>(outcome: &io::Result<T>) -> bool {
    outcome.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn head_timeout_ends_half_a_head() {
    let stage = stage("head_timeout = \"1s\"", hello());
    let mut connection = stage.client.connect(stage.boundgate.address).unwrap();
    assert_eq!(connection.get("/", Some(&stage.token)).unwrap().status(), 200);
    let start = Instant::now();
    let answer = connection.exchange("GET / HTTP/1.1\r\nHost: local").unwrap();
    after_a_second(start);
    assert_eq!(answer.verdict(), (408, "client-timeout".to_owned()));
    assert_eq!(connection.rest().unwrap(), b"");
    drop(connection);
    stage.client_timeout(408);
    assert_eq!(stage.world.api.requests().len(), 1);
}

#[test]
fn head_timeout_ends_half_a_head_that_came_with_the_request_before_it() {
    let stage = stage("head_timeout = \"1s\"", hello());
    let mut connection = stage.client.connect(stage.boundgate.address).unwrap();
    let (token, start) = (&stage.token, Instant::now());
    let whole = format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    assert_eq!(connection.exchange(format!("{whole}GET / HTTP/1.1\r\nHost: local")).unwrap().status(), 200);
    let answer = connection.response().unwrap();
    after_a_second(start);
    assert_eq!(answer.verdict(), (408, "client-timeout".to_owned()));
    drop(connection);
    stage.client_timeout(408);
    assert_eq!(stage.world.api.requests().len(), 1);
}

#[test]
fn head_timeout_is_not_extended_byte_by_byte() {
    let stage = stage("head_timeout = \"1s\"", hello());
    let mut connection = stage.client.connect(stage.boundgate.address).unwrap();
    connection.stream.get_ref().sock.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let start = Instant::now();
    connection.send("GET / HTTP/1.1\r\nX: ").unwrap();
    while connection.send("x").is_ok() {
        // The pace of the drip: what is read is the farewell.
        if connection.stream.read(&mut [0; 64]).is_ok() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it drips for ever");
    }
    after_a_second(start);
    drop(connection);
    stage.client_timeout(408);
}

#[test]
fn idle_timeout_ends_a_kept_alive_connection() {
    let stage = stage("idle_timeout = \"1s\"", hello());
    let mut used = stage.client.connect(stage.boundgate.address).unwrap();
    let mut unused = stage.client.connect(stage.boundgate.address).unwrap();
    let start = Instant::now();
    assert_eq!(used.get("/", Some(&stage.token)).unwrap().status(), 200);
    assert_eq!(used.rest().unwrap(), b"", "no answer to what was not asked");
    after_a_second(start);
    assert_eq!(unused.rest().unwrap(), b"");
    assert_eq!(stage.boundgate.metric("boundgate_requests_total", &[]), 1.0, "idleness is no refusal");
}

#[test]
fn stall_timeout_ends_a_body_that_stops() {
    let stage = stage("stall_timeout = \"1s\"", hello());
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let mut connection = stage.client.connect(stage.boundgate.address).unwrap();
        let start = Instant::now();
        let answer = connection
            .exchange(format!(
                "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{framing}\r\n\r\n3\r\n",
                stage.token
            ))
            .unwrap();
        after_a_second(start);
        assert_eq!(answer.verdict(), (408, "client-timeout".to_owned()));
        assert_eq!(connection.rest().unwrap(), b"", "the rest of the body is not waited for");
        let id = answer.value("x-request-id").unwrap();
        let line = stage.boundgate.log_line(|line| line["request_id"] == id);
        assert_eq!((&line["reason"], &line["status"]), (&"client-timeout".into(), &408.into()), "{line}");
    }
    assert_eq!(stage.world.api.requests(), [], "the API had no whole request");
}

/// An API whose answers are larger than all buffers on their way.
fn large() -> Server {
    let body = "x".repeat(64 << 20);
    Server::http(move |_| Answer::ok(&body))
}

#[test]
fn stall_timeout_ends_an_answer_that_is_not_read() {
    let stage = stage("stall_timeout = \"1s\"", large());
    let mut connection = stage.answering();
    stage.client_timeout(200);
    let rest = connection.rest().unwrap();
    assert!(rest.len() < 64 << 20, "the answer has ended early");
}

#[test]
fn stall_timeout_does_not_end_an_answer_that_is_read_very_slowly() {
    let stage = stage("stall_timeout = \"2s\"", large());
    let mut connection = stage.answering();
    let mut part = vec![0; 20_000];
    for _ in 0..60 {
        connection.stream.read_exact(&mut part).unwrap();
        std::thread::sleep(Duration::from_millis(100)); // the slow reader
    }
    // It would learn of its end only after what the kernel holds.
    assert_eq!(stage.boundgate.metric("boundgate_connections", &[]), 1.0);
}

#[test]
fn stall_timeout_does_not_end_an_answer_that_is_read_slowly() {
    let stage = stage("stall_timeout = \"2s\"", large());
    let mut connection = stage.answering();
    let (mut read, mut part) = (0, vec![0; 4 << 20]);
    while read < 64 << 20 {
        let end = part.len().min((64 << 20) - read);
        connection.stream.read_exact(&mut part[..end]).unwrap();
        read += end;
        std::thread::sleep(Duration::from_millis(250)); // the slow reader
    }
}

/// An API whose answer is silent in between for longer than every limit.
fn halting() -> Server {
    Server::script(|mut socket| {
        let mut head = [0; 4096];
        let _ = socket.read(&mut head)?;
        socket.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")?;
        std::thread::sleep(Duration::from_millis(2500)); // silence is what it is about
        socket.write_all(b"3\r\ntwo\r\n0\r\n\r\n")?;
        socket.shutdown(Shutdown::Write)
    })
}

const ALL_SHORT: &str = "head_timeout = \"1s\"\nidle_timeout = \"1s\"\nstall_timeout = \"1s\"";

#[test]
fn a_silent_upstream_stream_does_not_count() {
    let stage = stage(ALL_SHORT, halting());
    let answer = stage.client.get(stage.boundgate.address, "/", Some(&stage.token)).unwrap();
    assert_eq!(answer.text(), "onetwo");
}

#[test]
fn a_slow_upstream_head_does_not_count_either() {
    let slow = Server::http(|_| {
        std::thread::sleep(Duration::from_millis(2500)); // slowness is what it is about
        Answer::ok("late")
    });
    let stage = stage(ALL_SHORT, slow);
    let answer = stage.client.get(stage.boundgate.address, "/", Some(&stage.token)).unwrap();
    assert_eq!(answer.text(), "late");
}

#[test]
fn above_connections_new_ones_wait_until_one_closes() {
    let stage = stage("connections = 2", hello());
    let connect = || stage.client.connect(stage.boundgate.address).unwrap();
    let (mut first, mut second) = (connect(), connect());
    for connection in [&mut first, &mut second] {
        assert_eq!(connection.get("/", Some(&stage.token)).unwrap().status(), 200);
    }
    let (client, address, token) = (stage.client.clone(), stage.boundgate.address, stage.token.clone());
    let (answered, answer) = mpsc::channel();
    std::thread::spawn(move || answered.send(client.get(address, "/", Some(&token)).unwrap().status()));
    let early = answer.recv_timeout(Duration::from_millis(700));
    assert_eq!(early, Err(mpsc::RecvTimeoutError::Timeout), "the third waits");
    assert_eq!(stage.boundgate.metric("boundgate_connections", &[]), 2.0);
    assert_eq!(second.get("/", Some(&stage.token)).unwrap().status(), 200, "the others go on");
    drop(first);
    assert_eq!(answer.recv_timeout(PATIENCE), Ok(200), "and is served once one has gone");
}
