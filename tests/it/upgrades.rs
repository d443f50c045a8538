//! interface.md, "Towards the upstream": WebSocket and other HTTP/1.1 upgrades pass after the same checks, then without a timeout;
//! and `[limits] stream = "until-exp"`.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::boundgate::Boundgate;
use crate::support::client::Connection;
use crate::support::issuer::now;
use crate::support::message::{Message, read_request};
use crate::support::node;
use crate::support::pki::Identity;
use crate::support::process::Process;
use crate::support::server::{Answer, Server};
use crate::support::world::{Config, World};

/// RFC 6455 §1.3, with its own example of a key.
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Internal: 1\r\n\r\n";

/// A text frame (RFC 6455 §5.2) of a client, masked with zeros, and of a server, which masks nothing.
fn client_frame(text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat()
}

fn server_frame(text: &str) -> Vec<u8> {
    [&[0x81, text.len() as u8], text.as_bytes()].concat()
}

fn frame(from: &mut impl Read) -> io::Result<String> {
    let mut start = [0; 2];
    from.read_exact(&mut start)?;
    assert_eq!(start[0], 0x81, "a text frame");
    if start[1] & 0x80 != 0 {
        from.read_exact(&mut [0; 4])?;
    }
    let mut text = vec![0; usize::from(start[1] & 0x7f)];
    from.read_exact(&mut text)?;
    Ok(String::from_utf8(text).unwrap())
}

/// An API that switches and says so, echoes frame by frame, and tells of each request and of the end of each connection.
fn echo() -> (Server, Receiver<Option<Message>>) {
    let (tell, told) = mpsc::channel();
    let server = Server::script(move |socket| {
        let mut socket = BufReader::new(socket);
        let Some(request) = read_request(&mut socket)? else { return Ok(()) };
        let _ = tell.send(Some(request));
        // In one write: what follows the head is the tunnel's already.
        socket.get_mut().write_all(&[SWITCHED, &server_frame("welcome")].concat())?;
        while let Ok(text) = frame(&mut socket) {
            socket.get_mut().write_all(&server_frame(&text))?;
            if text == "leave" {
                break;
            }
        }
        let _ = tell.send(None);
        Ok(())
    });
    (server, told)
}

fn in_front_of(world: &World, api: &Server, limits: &str) -> Boundgate {
    let (upstream, more) = (format!("url = \"{}\"", api.url()), format!("[limits]\n{limits}"));
    let issuer = world.config().issuer + "\nleeway = \"0s\"";
    Boundgate::start(world.pki.path(), &Config { issuer, upstream, more, ..world.config() })
}

fn connect(world: &World, boundgate: &Boundgate) -> Connection {
    world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap()
}

/// A good request up to its fields, with a token for so many seconds.
fn start(world: &World, start: &str, seconds: u64) -> String {
    let mut claims = world.issuer.claims(&world.pki.client_a);
    claims["exp"] = json!(now() + seconds);
    let token = world.issuer.mint(&claims);
    format!("{start} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n")
}

/// A WebSocket that is open.
fn open(world: &World, boundgate: &Boundgate, seconds: u64) -> Connection {
    let mut connection = connect(world, boundgate);
    connection.send(start(world, "GET /chat", seconds) + HANDSHAKE).unwrap();
    assert_eq!(connection.head().unwrap().status(), 101);
    assert_eq!(frame(&mut connection.stream).unwrap(), "welcome");
    connection
}

fn say(connection: &mut Connection, text: &str) -> io::Result<String> {
    connection.send(client_frame(text))?;
    frame(&mut connection.stream)
}

#[test]
fn a_websocket_passes_after_the_same_checks() {
    let world = World::new();
    let (api, told) = echo();
    let boundgate = in_front_of(&world, &api, "");
    let mut connection = connect(&world, &boundgate);
    let refused =
        connection.exchange(format!("GET /chat HTTP/1.1\r\nHost: localhost\r\n{HANDSHAKE}")).unwrap();
    assert_eq!(refused.verdict(), (401, "token-missing".to_owned()));
    assert_eq!(api.connections(), 0, "the upstream hears nothing of it");

    // The first frame comes with the request: it is the tunnel's as well.
    let request = start(&world, "GET /chat", 300) + "X-Auth-Subject: forged\r\n" + HANDSHAKE;
    connection.send([request.as_bytes(), &client_frame("early")].concat()).unwrap();
    let head = connection.head().unwrap();
    assert_eq!(head.status(), 101);
    assert_eq!(head.value("upgrade"), Some("websocket"));
    assert!(head.value("connection").unwrap().eq_ignore_ascii_case("upgrade"));
    assert_eq!(head.value("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let id = head.value("x-request-id").unwrap().to_owned();
    for expected in ["welcome", "early"] {
        assert_eq!(frame(&mut connection.stream).unwrap(), expected);
    }
    assert_eq!(say(&mut connection, "hello").unwrap(), "hello");

    let request = told.recv().unwrap().unwrap();
    assert_eq!(request.value("upgrade"), Some("websocket"));
    assert_eq!(request.value("connection"), Some("upgrade"));
    assert_eq!(request.value("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!(request.values("x-auth-subject"), ["forged"], "no claim is forwarded under this name here");
    assert_eq!(request.value("x-request-id"), Some(id.as_str()));

    // The exchange lasts as long as the tunnel.
    assert!(boundgate.process.stdout.all().iter().all(|line| !line.contains(&id)));
    drop(connection);
    assert_eq!(told.recv().unwrap(), None, "a client that leaves ends its request upstream");
    let line = boundgate.log_line(|line| line["request_id"] == *id);
    assert_eq!((line["decision"].as_str(), line["status"].as_u64()), (Some("accepted"), Some(101)));
}

/// A client and a server that no one here wrote, with TLS towards the upstream as well.
#[test]
fn the_ws_library_passes() {
    if !node::available() {
        return;
    }
    let world = World::new();
    let script = || {
        let mut node = Command::new("node");
        node.arg(node::folder().join("websocket.mjs"));
        node
    };
    let files = |identity: &Identity| {
        [
            OsStr::new("--cert"),
            identity.certificate.as_ref(),
            OsStr::new("--key"),
            identity.private_key.as_ref(),
        ]
        .map(OsStr::to_owned)
    };
    let server = Process::spawn(script().arg("serve").args(files(&world.pki.server)));
    let port: u16 = server.stdout.find(|line| line.parse().ok()).unwrap();
    let upstream = format!("url = \"https://localhost:{port}\"\nca = \"ca.pem\"");
    let boundgate = Boundgate::start(world.pki.path(), &Config { upstream, ..world.config() });
    let talk = |token: &str| {
        let mut client = script();
        client.arg("talk").arg(format!("wss://localhost:{}/chat", boundgate.address.port()));
        client.arg("--ca").arg(&world.pki.authority.certificate).args(files(&world.pki.client_a));
        let mut client = Process::spawn(client.env("TOKEN", token));
        let said = client.stdout.find(|line| serde_json::from_str::<Value>(line).ok());
        let status = client.wait();
        said.unwrap_or_else(|| panic!("{status}\n{}", client.output()))
    };
    let talked = talk(&world.issuer.token(&world.pki.client_a));
    assert_eq!(
        talked,
        json!({"text": "hello", "bytes": 1 << 20, "pong": "still there?", "closed": [1000, "bye"]})
    );
    assert_eq!(talk(&world.issuer.token(&world.pki.client_b)), json!({"refused": 401}));
}

#[test]
fn an_upstream_that_leaves_ends_the_tunnel() {
    let world = World::new();
    let (api, _told) = echo();
    let boundgate = in_front_of(&world, &api, "");
    let mut connection = open(&world, &boundgate, 300);
    assert_eq!(say(&mut connection, "leave").unwrap(), "leave");
    assert_eq!(connection.rest().unwrap(), b"");
}

/// A side that has said everything still hears the other.
#[test]
fn one_direction_ends_before_the_other() {
    let world = World::new();
    let api = Server::script(|socket| {
        let mut socket = BufReader::new(socket);
        read_request(&mut socket)?;
        socket.get_mut().write_all(b"HTTP/1.1 101 Go\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n")?;
        let mut all = String::new();
        socket.read_to_string(&mut all)?;
        write!(socket.get_mut(), "heard {all}")
    });
    let boundgate = in_front_of(&world, &api, "");
    let mut connection = connect(&world, &boundgate);
    connection
        .send(start(&world, "POST /attach", 300) + "Connection: upgrade\r\nUpgrade: tcp\r\n\r\n")
        .unwrap();
    assert_eq!(connection.head().unwrap().status(), 101);
    connection.send("all of it").unwrap();
    let tls = connection.stream.get_mut();
    tls.conn.send_close_notify();
    tls.flush().unwrap();
    tls.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(connection.rest().unwrap(), b"heard all of it");
}

#[test]
fn no_timeout_runs_in_a_tunnel() {
    let world = World::new();
    let (api, _told) = echo();
    let limits = "head_timeout = \"300ms\"\nidle_timeout = \"300ms\"\nstall_timeout = \"300ms\"";
    let boundgate = in_front_of(&world, &api, limits);
    let mut connection = open(&world, &boundgate, 300);
    thread::sleep(Duration::from_millis(1500)); // silence is what is tested
    assert_eq!(say(&mut connection, "still here").unwrap(), "still here");
}

#[test]
fn an_upstream_may_decline() {
    let world = World::new();
    let api = Server::http(|_| Answer::status(403, "text/plain", "no"));
    let boundgate = in_front_of(&world, &api, "");
    let mut connection = connect(&world, &boundgate);
    for _ in 0..2 {
        let answer = connection.exchange(start(&world, "GET /chat", 300) + HANDSHAKE).unwrap();
        assert_eq!((answer.status(), answer.text()), (403, "no"));
    }
}

/// RFC 9110 §7.8: only to what was asked for.
#[test]
fn a_switch_that_was_not_asked_for_is_a_failure() {
    let world = World::new();
    let api = Server::http(|request| match request.target() {
        "/other" => Answer::raw("HTTP/1.1 101 Go\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
        "/none" => Answer::raw("HTTP/1.1 101 Go\r\n\r\n"),
        _ => Answer::raw(SWITCHED),
    });
    let boundgate = in_front_of(&world, &api, "");
    for (target, fields) in [
        ("GET /plain", "\r\n"),
        ("GET /ignored", "Upgrade: websocket\r\n\r\n"), // without `Connection: upgrade` it says nothing
        ("GET /other", HANDSHAKE),
        ("GET /none", HANDSHAKE),
        ("POST /body", &HANDSHAKE.replace("\r\n\r\n", "\r\nContent-Length: 1\r\n\r\nx")),
    ] {
        let answer = connect(&world, &boundgate).exchange(start(&world, target, 300) + fields).unwrap();
        assert_eq!(answer.verdict(), (502, "upstream-failed".to_owned()), "{target}");
    }
    let bodied = api.requests().into_iter().find(|request| request.target() == "/body").unwrap();
    assert_eq!(bodied.values("upgrade"), [""; 0], "no switch in the middle of a request");
}

/// A tunnel of HTTP/2 would carry requests past every check.
#[test]
fn http2_is_not_asked_for() {
    let world = World::new();
    let boundgate = in_front_of(&world, &world.api, "");
    let fields = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    let answer = connect(&world, &boundgate).exchange(start(&world, "GET /", 300) + fields).unwrap();
    assert_eq!(answer.text(), "hello");
    let request = &world.api.requests()[0];
    for gone in ["upgrade", "connection", "http2-settings"] {
        assert_eq!(request.values(gone), [""; 0], "{gone}");
    }
}

/// interface.md, `[limits]`: "until-exp: WebSockets and other long exchanges end at the token's exp (plus leeway)".
#[test]
fn a_tunnel_ends_with_its_token() {
    let world = World::new();
    let (api, told) = echo();
    let boundgate = in_front_of(&world, &api, "stream = \"until-exp\"");
    let begun = Instant::now();
    let mut connection = open(&world, &boundgate, 3);
    assert_eq!(say(&mut connection, "hello").unwrap(), "hello");
    assert_eq!(connection.rest().unwrap(), b"");
    assert!(begun.elapsed() >= Duration::from_millis(1900), "{:?}", begun.elapsed());
    assert!(told.recv().unwrap().is_some());
    assert_eq!(told.recv().unwrap(), None);
    boundgate.log_line(|line| line["reason"] == "token-expired" && line["status"] == 101);
}

#[test]
fn every_long_exchange_ends_with_its_token() {
    let world = World::new();
    let (hold, held) = mpsc::channel::<TcpStream>();
    let hold = Mutex::new(hold);
    let api = Server::script(move |socket| {
        let mut reader = BufReader::new(socket.try_clone()?);
        if reader.fill_buf()?.starts_with(b"GET") {
            read_request(&mut reader)?;
            (&socket).write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")?;
        }
        let _ = hold.lock().unwrap().send(socket);
        Ok(())
    });
    let boundgate = in_front_of(&world, &api, "stream = \"until-exp\"");
    let mut events = connect(&world, &boundgate);
    events.send(start(&world, "GET /events", 3) + "\r\n").unwrap();
    let mut upload = connect(&world, &boundgate);
    upload.send(start(&world, "POST /upload", 3) + "Content-Length: 1000\r\n\r\nbegin").unwrap();
    let mut silent = connect(&world, &boundgate);
    silent.send(start(&world, "PUT /silent", 3) + "Content-Length: 0\r\n\r\n").unwrap();

    assert_eq!(events.head().unwrap().status(), 200);
    assert_eq!(events.rest().unwrap(), b"9\r\ndata: 1\n\n\r\n", "without the chunk that ends it");
    for mut unanswered in [upload, silent] {
        assert_eq!(unanswered.response().unwrap().verdict(), (401, "token-expired".to_owned()));
    }
    // and all of it upstream too
    for mut socket in held.iter().take(3) {
        let _ = socket.read_to_end(&mut Vec::new());
    }
}

/// interface.md, `[limits] drain`: a tunnel has until then.
#[test]
fn a_drain_gives_tunnels_its_time() {
    let world = World::new();
    let (api, told) = echo();
    let boundgate = in_front_of(&world, &api, "drain = \"3s\"");
    let mut connection = open(&world, &boundgate, 300);
    boundgate.process.signal("TERM");
    boundgate.log_line(|line| line["event"] == "draining");
    let begun = Instant::now();
    assert_eq!(say(&mut connection, "still here").unwrap(), "still here");
    assert!(connection.rest().is_ok_and(|rest| rest.is_empty()) || begun.elapsed() > Duration::from_secs(1));
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(told.recv().unwrap().is_some());
    assert_eq!(told.recv().unwrap(), None);
    boundgate.log_line(|line| line["status"] == 101);
    let mut boundgate = boundgate;
    assert_eq!(boundgate.process.wait().code(), Some(0));
}
