//! interface.md, `[limits] drain`: clients that say nothing, are in the middle of something, or hang.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::support::boundgate::Boundgate;
use super::support::client::{Client, Connection};
use super::support::frames::{GOAWAY, Raw};
use super::support::load::is_unsent;
use super::support::message::read_head;
use super::support::process::{PATIENCE, eventually};
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

/// Far more than a second, far less than `head_timeout` and `drain` are in these tests.
const SOON: Duration = Duration::from_secs(15);
const LONG: &str = "[limits]\nhead_timeout = \"50s\"\ndrain = \"50s\"\n";
const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: x\r\n";

fn hello() -> Server {
    Server::http(|_| Answer::ok("hello"))
}

/// An API that answers nothing, except that it switches protocols and echoes.
fn hung() -> Server {
    Server::script(|socket| {
        let mut reader = BufReader::new(socket.try_clone()?);
        let head = read_head(&mut reader)?;
        if head.values("upgrade").is_empty() {
            return reader.read_to_end(&mut Vec::new()).map(drop);
        }
        (&socket).write_all(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")?;
        std::io::copy(&mut reader, &mut &socket).map(drop)
    })
}

/// Begins the drain, and tells since when at the earliest it is on.
fn begin_drain(boundgate: &Boundgate) -> Instant {
    let began = Instant::now();
    boundgate.process.signal("TERM");
    boundgate.log_line(|line| line["event"] == "draining");
    began
}

fn connect(boundgate: &Boundgate) -> TcpStream {
    let socket = TcpStream::connect(boundgate.address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// A handshake of which the server has the first bytes; `finish` does the rest.
struct Half {
    socket: TcpStream,
    tls: ClientConnection,
    rest: Vec<u8>,
}

impl Half {
    fn begin(client: &Client, boundgate: &Boundgate) -> Half {
        let mut socket = connect(boundgate);
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::clone(&client.config), name).unwrap();
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).unwrap();
        let rest = hello.split_off(20);
        socket.write_all(&hello).unwrap();
        Half { socket, tls, rest }
    }

    fn finish(self) -> Connection {
        let Half { mut socket, mut tls, rest } = self;
        socket.write_all(&rest).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        Connection { stream: BufReader::new(StreamOwned::new(tls, socket)) }
    }
}

#[test]
fn an_interrupt_drains_as_well_and_the_second_one_changes_nothing() {
    let mut stage = Stage::new(hello(), LONG);
    let mut open = stage.connect();
    open.get("/", Some(&stage.token)).unwrap();
    stage.boundgate.process.signal("INT");
    stage.boundgate.log_line(|line| line["event"] == "draining");
    stage.boundgate.process.signal("INT");
    stage.boundgate.process.signal("HUP");
    let answer = open.get("/", Some(&stage.token)).unwrap();
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
    drop(open);
    assert_eq!(stage.boundgate.process.wait().code(), Some(0));
}

/// "idle connections after 1 s": those too that were opened ahead, before and after TLS.
#[test]
fn who_says_nothing_does_not_hold_it_up() {
    let stage = Stage::new(hello(), LONG);
    let mut silent = connect(&stage.boundgate);
    let mut silent_h2 = Raw::connect_silently(&stage.client(), stage.boundgate.address);
    stage.boundgate.wait_for_metric("boundgate_connections", &[], 2.0);
    let began = begin_drain(&stage.boundgate);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0, "it closes in order");
    assert!(began.elapsed() >= Duration::from_millis(900), "not at once: {:?}", began.elapsed());
    silent_h2.rest();
    assert_eq!(stage.boundgate.stop().code(), Some(0));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_handshake_that_is_under_way_completes_and_its_request_is_served() {
    let stage = Stage::new(hello(), LONG);
    let half = Half::begin(&stage.client(), &stage.boundgate);
    let mut silent = connect(&stage.boundgate);
    stage.boundgate.wait_for_metric("boundgate_connections", &[], 2.0);
    begin_drain(&stage.boundgate);
    assert_eq!(silent.read(&mut [0]).unwrap(), 0); // the second of idleness is over
    let answer = half.finish().get("/", Some(&stage.token)).unwrap();
    assert_eq!((answer.text(), answer.value("connection")), ("hello", Some("close")));
    assert_eq!(stage.boundgate.stop().code(), Some(0));
}

/// A WebSocket that is asked for in the drain still gets its time.
#[test]
fn a_tunnel_may_begin_in_the_drain() {
    let stage = Stage::new(hung(), "[limits]\ndrain = \"4s\"\n");
    let mut connection = stage.connect();
    let began = begin_drain(&stage.boundgate);
    connection.send(stage.head("GET /", UPGRADE)).unwrap();
    assert_eq!(connection.head().unwrap().status(), 101);
    connection.send("ping").unwrap();
    let mut echo = [0; 4];
    connection.stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"ping");
    let _ = connection.rest();
    assert!(began.elapsed() >= Duration::from_millis(3900), "{:?}", began.elapsed());
    let mut boundgate = stage.boundgate;
    assert_eq!(boundgate.process.wait().code(), Some(0));
}

/// The first request of HTTP/2 in the drain is answered, and GOAWAY comes with it (RFC 9113 §6.8).
#[test]
fn http2_hears_of_it_with_the_answer() {
    let stage = Stage::new(hello(), LONG);
    let mut h2 = stage.h2();
    let mut raw = Raw::connect(&stage.client(), stage.boundgate.address, &[]);
    let began = begin_drain(&stage.boundgate);
    let answer = h2.get("/", Some(&stage.token)).unwrap();
    assert_eq!((answer.text(), answer.value("connection")), ("hello", None), "RFC 9113 §8.2.2");
    raw.read_until(GOAWAY).unwrap();
    // Those that cross it are answered; the first one that is not has certainly not gone out.
    let unsent = loop {
        match h2.get("/", Some(&stage.token)) {
            Ok(answer) => assert_eq!(answer.text(), "hello"),
            Err(error) => break error,
        }
        assert!(began.elapsed() < SOON, "it goes on");
    };
    assert!(is_unsent(&unsent), "{unsent}");
    assert_eq!(stage.boundgate.stop().code(), Some(0));
}

/// Whatever hangs, the process ends with `drain`.
#[test]
fn who_hangs_is_cut_at_the_end_of_the_drain() {
    let introspection = Server::script(|mut socket| socket.read_to_end(&mut Vec::new()).map(drop));
    let stage = Stage::with(hung(), |config| {
        config.issuer += &format!(
            "\n[issuers.introspection]\nendpoint = \"{}\"\nclient_id = \"b\"\nclient_secret = \"s\"\ntimeout = \"50s\"",
            introspection.url()
        );
        config.more = LONG.replace("drain = \"50s\"", "drain = \"2s\"");
    });
    let mut hanging: Vec<_> = [
        stage.head("GET /", ""),
        stage.head("POST /", "Content-Length: 10\r\n") + "half.",
        stage.head("GET /", UPGRADE),
        stage.head("GET /", "").replace(&stage.token, "opaque"),
        "GET / HTTP/1.1\r\nHost: lo".to_owned(),
    ]
    .into_iter()
    .map(|bytes| {
        let mut connection = stage.connect();
        connection.send(bytes).unwrap();
        connection
    })
    .collect();
    let half = Half::begin(&stage.client(), &stage.boundgate);
    eventually("the API and the authorization server are asked", || {
        stage.world.api.connections() == 3 && introspection.connections() == 1
    });
    let began = begin_drain(&stage.boundgate);
    let mut boundgate = stage.boundgate;
    assert_eq!(boundgate.process.wait().code(), Some(0));
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2), "{took:?}");
    assert!(took < SOON, "{took:?}");
    assert!(!boundgate.process.output().contains("panicked"), "{}", boundgate.process.output());
    for connection in &mut hanging {
        let _ = connection.rest(); // an end is an end
    }
    drop(half);
}
