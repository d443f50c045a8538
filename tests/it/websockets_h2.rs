//! RFC 8441: an extended CONNECT for a WebSocket is decided as the GET that it stands for, and becomes an upgrade towards HTTP/1.1 or an
//! extended CONNECT towards HTTP/2.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use h2::Reason;
use h2::ext::Protocol;
use http::{Method, Request, Response};
use serde_json::json;

use super::support::boundgate::Boundgate;
use super::support::frames::SETTINGS;
use super::support::h2c::H2c;
use super::support::issuer::now;
use super::support::message::{Message, read_request};
use super::support::outcome::Frames;
use super::support::process::PATIENCE;
use super::support::server::Server;
use super::support::stage::Stage;
use super::support::tunnel::{Client, connect};
use super::support::world::World;

/// What answers a key (RFC 6455 §4.2.2).
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// What happened at the API.
#[derive(Debug)]
enum Event {
    Asked(Message),
    /// The client's direction ended; the socket is still open as long as this is kept.
    Ended(String, TcpStream),
}

/// An API of HTTP/1.1 that switches, or does what the path says; then it says "welcome" and hears the client out.
fn api() -> (Server, Receiver<Event>) {
    let (tell, told): (Sender<Event>, Receiver<Event>) = channel();
    let tell = Mutex::new(tell);
    let server = Server::script(move |socket| {
        let mut socket = BufReader::new(socket);
        let Some(request) = read_request(&mut socket)? else { return Ok(()) };
        let answer = accept(request.value("sec-websocket-key").unwrap_or_default());
        let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
        let answer = match request.target() {
            "/refuse" => "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno".to_owned(),
            "/ok" => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(),
            "/empty" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            "/none" => format!("{switched}\r\n"),
            "/wrong" => format!("{switched}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
            "/other" => {
                format!("{switched}Sec-WebSocket-Accept: {answer}\r\n\r\n").replace("websocket", "h2c")
            }
            _ => format!("{switched}Sec-WebSocket-Accept: {answer}\r\nX-Kept: 1\r\n\r\nwelcome"),
        };
        let say = |event| drop(tell.lock().unwrap().send(event)); // not every test listens
        say(Event::Asked(request.clone()));
        socket.get_mut().write_all(answer.as_bytes())?;
        if request.target() == "/leave" {
            return socket.get_ref().shutdown(Shutdown::Both);
        }
        let mut heard = Vec::new();
        let _ = socket.read_to_end(&mut heard); // an end is an end, however rude
        say(Event::Ended(String::from_utf8(heard).unwrap(), socket.get_ref().try_clone()?));
        Ok(())
    });
    (server, told)
}

fn asked(told: &Receiver<Event>) -> Message {
    match told.recv_timeout(PATIENCE).expect("the API is asked") {
        Event::Asked(request) => request,
        event @ Event::Ended(..) => panic!("{event:?}"),
    }
}

fn ended(told: &Receiver<Event>) -> (String, TcpStream) {
    match told.recv_timeout(PATIENCE).expect("the API notices") {
        Event::Ended(heard, socket) => (heard, socket),
        event @ Event::Asked(_) => panic!("{event:?}"),
    }
}

/// RFC 8441 §3: nobody may ask before this is said.
#[test]
fn the_setting_is_sent() {
    let stage = Stage::new(api().0, "");
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let settings = frames.raw.read_until(SETTINGS).unwrap().payload;
    assert!(settings.chunks(6).any(|entry| entry == [0, 8, 0, 0, 0, 1]), "{settings:?}");
}

#[test]
fn it_is_an_upgrade_for_an_api_of_http1() {
    let (api, told) = api();
    let stage = Stage::new(api, "[forward.claims]\nX-Auth-Subject = \"sub\"\n");
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    let forged = [
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "chat"),
        ("x-auth-subject", "forged"),
        ("x-forwarded-for", "forged"),
    ];
    let mut tunnel = client.send(connect("websocket", "/a/../chat?x=1", &stage.token, &forged));
    let request = asked(&told);
    assert_eq!(request.start, "GET /chat?x=1 HTTP/1.1", "the path in its canonical form");
    for (name, value) in [
        ("host", "localhost"),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "chat"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        assert_eq!(request.value(name), Some(value), "{name}");
    }
    assert_ne!(request.value("x-auth-subject"), Some("forged"));
    let key = request.value("sec-websocket-key").unwrap();
    assert_eq!(STANDARD.decode(key).unwrap().len(), 16);
    assert_ne!(key, "dGhlIHNhbXBsZSBub25jZQ==");

    let head = &tunnel.head;
    assert_eq!((head.status().as_u16(), &head.headers()["x-kept"]), (200, &"1".parse().unwrap()));
    for gone in ["upgrade", "connection", "sec-websocket-accept", "content-length"] {
        assert!(!head.headers().contains_key(gone), "{gone}");
    }
    let id = head.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(client.read(&mut tunnel, 7), "welcome");
    // The exchange lasts as long as the tunnel, and the connection serves others meanwhile.
    let plain = client.get("/ok", &stage.token);
    assert_eq!(client.verdict(plain), (200, "ok".to_owned()));
    asked(&told);
    assert!(stage.boundgate.process.stdout.all().iter().all(|line| !line.contains(&id)));
    tunnel.up.send_data(Bytes::from_static(b"and mine"), true).unwrap();
    client.settle();
    let heard = told.iter().find_map(|event| match event {
        Event::Ended(heard, _) if !heard.is_empty() => Some(heard),
        _ => None,
    });
    assert_eq!(heard.unwrap(), "and mine");
    client.hear_out(&mut tunnel); // the API has closed in its turn
    let line = stage.boundgate.log_line(|line| line["request_id"] == *id);
    assert_eq!(
        (&line["decision"], &line["status"], &line["method"]),
        (&json!("accepted"), &json!(200), &json!("CONNECT"))
    );
}

/// It passes by the rules of the GET that it stands for, and by those alone.
#[test]
fn it_is_decided_as_the_get_that_it_stands_for() {
    let (api, told) = api();
    let stage = Stage::new(
        api,
        "[[routes]]\npath = \"/connect\"\nmethods = [\"CONNECT\"]\naccess = \"public\"\n\n\
         [[routes]]\npath = \"/get\"\nmethods = [\"GET\"]\naccess = \"public\"\n\n\
         [[routes]]\npath = \"/scope\"\nmethods = [\"GET\"]\nscopes = [\"admin\"]\n",
    );
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    let foreign = stage.world.issuer.token(&stage.world.pki.client_b);
    for (target, token, expected) in [
        ("/chat", "", (401, "token-missing")),
        ("/connect", "", (401, "token-missing")),
        ("/chat", foreign.as_str(), (401, "thumbprint-mismatch")),
        ("/scope", stage.token.as_str(), (403, "scope-missing")),
        ("/get/%2e%2e/chat", "", (401, "token-missing")),
        ("/%00", stage.token.as_str(), (400, "path-invalid")),
    ] {
        let answered = client.send(connect("websocket", target, token, &[]));
        assert_eq!(client.verdict(answered), (expected.0, expected.1.to_owned()), "{target}");
    }
    assert_eq!(stage.world.api.connections(), 0, "the API hears nothing of it");
    assert_eq!(client.send(connect("websocket", "/get", "", &[])).head.status(), 200);
    assert_eq!(asked(&told).value("authorization"), None);
}

#[test]
fn every_other_connect_is_refused() {
    let stage = Stage::new(api().0, "");
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    for protocol in ["WebSocket", "connect-udp", "connect-ip", "h2c", "websocket, h2c", ""] {
        let answered = client.send(connect(protocol, "/chat", &stage.token, &[]));
        assert_eq!(client.verdict(answered), (400, "request-malformed".to_owned()), "{protocol:?}");
    }
    let two_hosts = connect("websocket", "/chat", &stage.token, &[("host", "other")]);
    let answered = client.send(two_hosts);
    assert_eq!(client.verdict(answered), (400, "request-malformed".to_owned()));
    let mut plain = Request::builder().method(Method::CONNECT).uri("localhost:443").body(()).unwrap();
    let bearer = format!("Bearer {}", stage.token);
    plain.headers_mut().insert("authorization", bearer.parse().unwrap());
    let answered = client.send(plain);
    assert_eq!(client.verdict(answered), (400, "request-malformed".to_owned()));
    assert_eq!(stage.world.api.connections(), 0);
}

#[test]
fn an_api_may_decline_but_neither_pretend_nor_mistake() {
    let stage = Stage::new(api().0, "");
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    for (target, expected) in [
        ("/refuse", (403, "no")),
        ("/ok", (502, "upstream-failed")),
        ("/empty", (502, "upstream-failed")),
        ("/none", (502, "upstream-failed")),
        ("/wrong", (502, "upstream-failed")),
        ("/other", (502, "upstream-failed")),
    ] {
        let answered = client.send(connect("websocket", target, &stage.token, &[]));
        assert_eq!(client.verdict(answered), (expected.0, expected.1.to_owned()), "{target}");
    }
}

/// RFC 8441 §5: END_STREAM is the end of one direction; a reset is the end of everything, however the API takes it.
#[test]
fn a_reset_ends_the_tunnel_at_once() {
    let (api, told) = api();
    let stage = Stage::new(api, "");
    for whole in [false, true] {
        let mut client = Client::connect(&stage.world, &stage.boundgate);
        let mut tunnel = client.send(connect("websocket", "/chat", &stage.token, &[]));
        asked(&told);
        assert_eq!(client.read(&mut tunnel, 7), "welcome");
        let id = tunnel.head.headers()["x-request-id"].to_str().unwrap().to_owned();
        if whole {
            drop(client);
        } else {
            tunnel.up.send_reset(Reason::CANCEL);
            client.settle();
        }
        let (_, _socket) = ended(&told); // kept open: the API does not close in its turn
        stage.boundgate.log_line(|line| line["request_id"] == *id);
    }
}

#[test]
fn an_api_that_leaves_ends_the_stream() {
    let stage = Stage::new(api().0, "");
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    let mut tunnel = client.send(connect("websocket", "/leave", &stage.token, &[]));
    assert_eq!(client.read(&mut tunnel, 7), "welcome");
    client.hear_out(&mut tunnel);
}

/// interface.md, `[limits]`: "until-exp: WebSockets and other long exchanges end at the token's exp (plus leeway)".
#[test]
fn it_ends_with_its_token() {
    let (api, told) = api();
    let stage = Stage::with(api, |config| {
        config.issuer += "\nleeway = \"0s\"";
        config.more = "[limits]\nstream = \"until-exp\"\n".to_owned();
    });
    let mut claims = stage.world.issuer.claims(&stage.world.pki.client_a);
    claims["exp"] = json!(now() + 3);
    let token = stage.world.issuer.mint(&claims);
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    let mut tunnel = client.send(connect("websocket", "/chat", &token, &[]));
    asked(&told);
    assert_eq!(client.read(&mut tunnel, 7), "welcome");
    client.hear_out(&mut tunnel);
    ended(&told);
    stage.boundgate.log_line(|line| line["reason"] == "token-expired" && line["status"] == 200);
}

/// interface.md, `[limits] drain`: it has until then, and no timeout ends it before.
#[test]
fn a_drain_gives_it_its_time() {
    let (api, told) = api();
    let limits =
        "head_timeout = \"300ms\"\nidle_timeout = \"300ms\"\nstall_timeout = \"300ms\"\ndrain = \"3s\"\n";
    let mut stage = Stage::new(api, &format!("[limits]\n{limits}"));
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    let mut tunnel = client.send(connect("websocket", "/chat", &stage.token, &[]));
    asked(&told);
    assert_eq!(client.read(&mut tunnel, 7), "welcome");
    let begun = Instant::now();
    stage.boundgate.process.signal("TERM");
    client.hear_out(&mut tunnel);
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    ended(&told);
    assert_eq!(stage.boundgate.process.wait().code(), Some(0));
}

/// An API of HTTP/2 that echoes a tunnel, and tells of each request.
fn h2c_api(enabled: bool) -> (H2c, Receiver<Request<()>>) {
    let (tell, told) = channel();
    let mut builder = h2::server::Builder::new();
    if enabled {
        builder.enable_connect_protocol();
    }
    let api = H2c::with(builder, move |request, mut respond| {
        let tell = tell.clone();
        async move {
            let (head, mut up) = request.into_parts();
            let refuse = head.uri.path() == "/refuse";
            let status = if refuse { 403 } else { 200 };
            tell.send(Request::from_parts(head, ())).unwrap();
            let answer = Response::builder().status(status).header("x-kept", "1").body(()).unwrap();
            let mut down = respond.send_response(answer, false).unwrap();
            if refuse {
                return down.send_data(Bytes::from_static(b"no"), true).unwrap();
            }
            while let Some(Ok(data)) = up.data().await {
                up.flow_control().release_capacity(data.len()).unwrap();
                down.send_data(data, false).unwrap();
            }
            let _ = down.send_data(Bytes::new(), true);
        }
    });
    (api, told)
}

fn in_front_of(world: &World, api: &H2c) -> Boundgate {
    let mut config = world.config();
    config.upstream = format!("url = \"{}\"", api.url());
    Boundgate::start(world.pki.path(), &config)
}

#[test]
fn it_stays_an_extended_connect_for_an_api_of_http2() {
    let (api, told) = h2c_api(true);
    let world = World::new();
    let boundgate = in_front_of(&world, &api);
    let token = world.issuer.token(&world.pki.client_a);
    let mut client = Client::connect(&world, &boundgate);
    for _ in 0..2 {
        let forged = [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
        let mut tunnel = client.send(connect("websocket", "/chat?x=1", &token, &forged));
        let request = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::CONNECT, "http://localhost/chat?x=1".to_owned())
        );
        assert_eq!(request.extensions().get::<Protocol>().unwrap().as_str(), "websocket");
        assert_eq!(request.headers()["sec-websocket-version"], "13");
        assert_eq!(request.headers()["x-forwarded-proto"], "https");
        assert!(!request.headers().contains_key("sec-websocket-key"));
        assert_eq!(
            (tunnel.head.status().as_u16(), tunnel.head.headers().contains_key("x-kept")),
            (200, true)
        );
        for word in ["one", "two", "three"] {
            tunnel.up.send_data(Bytes::from(word), false).unwrap();
            assert_eq!(client.read(&mut tunnel, word.len()), word);
        }
        tunnel.up.send_data(Bytes::new(), true).unwrap();
        client.hear_out(&mut tunnel);
    }
    let declined = client.send(connect("websocket", "/refuse", &token, &[]));
    assert_eq!(client.verdict(declined), (403, "no".to_owned()));
    assert_eq!(api.connections(), 1, "tunnels share it with everything else");
}

/// RFC 8441 §3: who has not said that it takes one, is sent none.
#[test]
fn an_api_of_http2_that_knows_nothing_of_it_is_not_asked() {
    let (api, told) = h2c_api(false);
    let world = World::new();
    let boundgate = in_front_of(&world, &api);
    let token = world.issuer.token(&world.pki.client_a);
    let mut client = Client::connect(&world, &boundgate);
    let answered = client.send(connect("websocket", "/chat", &token, &[]));
    assert_eq!(client.verdict(answered), (502, "upstream-failed".to_owned()));
    assert!(told.try_recv().is_err());
    let plain = client.get("/ok", &token);
    assert_eq!(client.verdict(plain).0, 200, "the connection serves on");
}
