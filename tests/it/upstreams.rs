//! interface.md, `[upstream]`: https and Unix sockets, and what a client is told when there is no connection.

use std::fs;
use std::io::{BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use time::OffsetDateTime;

use crate::support::boundgate::Boundgate;
use crate::support::h2::H2;
use crate::support::message::read_request;
use crate::support::pki::Authority;
use crate::support::server::{Answer, Server};
use crate::support::world::{Config, World};

/// A sidecar in front of an upstream with these lines.
fn in_front_of(world: &World, upstream: &str) -> Boundgate {
    let config = Config { upstream: upstream.to_owned(), ..world.config() };
    Boundgate::start(world.pki.path(), &config)
}

/// The status, the `reason` and the log's note of one good request.
fn verdict(world: &World, boundgate: &Boundgate) -> (u16, String, String) {
    let token = world.issuer.token(&world.pki.client_a);
    let client = world.client(Some(&world.pki.client_a));
    let answer = client.get(boundgate.address, "/x", Some(&token)).unwrap();
    let (status, reason) = answer.verdict();
    let id = answer.value("x-request-id").unwrap().to_owned();
    let line = boundgate.log_line(|line| line["request_id"] == id.as_str());
    (status, reason, line["note"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn an_https_upstream_of_its_own_ca() {
    let world = World::new();
    let api = Server::https(&world.pki.server, |request| match request.target() {
        "/close" => Answer::ok("over").close(),
        _ => Answer::ok("over TLS"),
    });
    for url in [api.url(), format!("https://localhost:{}", api.address.port())] {
        let boundgate = in_front_of(&world, &format!("url = \"{url}\"\nca = \"ca.pem\""));
        let token = world.issuer.token(&world.pki.client_a);
        let client = world.client(Some(&world.pki.client_a));
        let before = api.connections();
        let mut connection = client.connect(boundgate.address).unwrap();
        for (target, body) in [("/a", "over TLS"), ("/close", "over"), ("/b", "over TLS"), ("/c", "over TLS")]
        {
            let answer = connection.get(target, Some(&token)).unwrap();
            assert_eq!((answer.status(), answer.text()), (200, body));
        }
        assert_eq!(api.connections() - before, 2, "one is kept until the upstream closes it");
    }
    assert_eq!(api.requests()[0].value("x-auth-subject"), None);
    assert_eq!(api.requests()[0].value("host"), Some("localhost"), "the client's Host is kept");
}

#[test]
fn an_https_upstream_that_is_not_trusted_gets_no_request() {
    let world = World::new();
    let other = Authority::new(world.pki.path(), "other-ca");
    let expired = world.pki.authority.issue("expired", &["localhost", "127.0.0.1"], |params| {
        params.not_after = OffsetDateTime::now_utc() - time::Duration::minutes(1);
    });
    let elsewhere = world.pki.authority.issue("elsewhere", &["api.example.test"], |_| {});
    let stranger = other.issue("stranger", &["localhost", "127.0.0.1"], |_| {});
    for (identity, ca, note) in [
        (&stranger, "ca = \"ca.pem\"", "UnknownIssuer"),
        (&elsewhere, "ca = \"ca.pem\"", "not valid for name"),
        (&expired, "ca = \"ca.pem\"", "expired"),
        // `ca` is the only trust root, and without it they are the system's.
        (&world.pki.server, "ca = \"other-ca.pem\"", "UnknownIssuer"),
        (&world.pki.server, "", "UnknownIssuer"),
    ] {
        let api = Server::https(identity, |_| Answer::ok("never"));
        let boundgate = in_front_of(&world, &format!("url = \"{}\"\n{ca}", api.url()));
        let (status, reason, said) = verdict(&world, &boundgate);
        assert_eq!((status, reason.as_str()), (502, "upstream-failed"), "{said}");
        assert!(said.starts_with("TLS: ") && said.contains(note), "{note}: {said}");
        assert!(api.requests().is_empty());
    }
}

#[test]
fn an_upstream_that_speaks_no_tls() {
    let world = World::new();
    let boundgate = in_front_of(&world, &format!("url = \"https://{}\"\nca = \"ca.pem\"", world.api.address));
    let (status, reason, _) = verdict(&world, &boundgate);
    assert_eq!((status, reason.as_str()), (502, "upstream-failed"));
}

#[test]
fn an_upstream_behind_a_unix_socket() {
    let world = World::new();
    let socket = world.pki.path().join("api.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (accepted, connections) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            accepted.send(()).unwrap();
            let mut stream = BufReader::new(stream);
            while let Ok(Some(request)) = read_request(&mut stream) {
                let said = format!("{} of {}", request.text(), request.value("host").unwrap());
                let length = said.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{said}");
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    let boundgate = in_front_of(&world, &format!("url = \"unix:{}\"", socket.display()));
    let token = world.issuer.token(&world.pki.client_a);
    let mut connection = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    for _ in 0..3 {
        let answer = connection.exchange(format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 3\r\n\r\nabc"
        ));
        assert_eq!(answer.unwrap().text(), "abc of localhost");
    }
    drop(boundgate);
    assert_eq!(connections.try_iter().count(), 1, "the connection is kept");

    fs::remove_file(&socket).unwrap();
    let boundgate = in_front_of(&world, &format!("url = \"unix:{}\"", socket.display()));
    assert_eq!(verdict(&world, &boundgate).1, "upstream-refused");
}

#[test]
fn nobody_listens() {
    let world = World::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for scheme in ["http", "https", "h2c"] {
        let boundgate = in_front_of(&world, &format!("url = \"{scheme}://localhost:{port}\""));
        let (status, reason, _) = verdict(&world, &boundgate);
        assert_eq!((status, reason.as_str()), (502, "upstream-refused"), "{scheme}");
    }
    let boundgate = in_front_of(&world, "url = \"http://no-such-host.invalid\"");
    assert_eq!(verdict(&world, &boundgate).1, "upstream-refused");
}

/// `connect_timeout` covers TCP and TLS; `timeout` is for the head of the answer.
#[test]
fn an_upstream_that_does_not_answer() {
    let world = World::new();
    let full = full_listener();
    let silent = Server::script(|mut socket| {
        let mut heard = Vec::new();
        std::io::Read::read_to_end(&mut socket, &mut heard).map(drop)
    });
    let (full, silent) = (full.0.local_addr().unwrap(), silent.address);
    for (upstream, note) in [
        (format!("url = \"http://{full}\"\nconnect_timeout = \"300ms\""), "connect_timeout"),
        (format!("url = \"h2c://{full}\"\nconnect_timeout = \"300ms\""), "connect_timeout"),
        (format!("url = \"https://{silent}\"\nconnect_timeout = \"300ms\""), "connect_timeout"),
        (format!("url = \"http://{silent}\"\ntimeout = \"300ms\""), ""),
        (format!("url = \"h2c://{silent}\"\ntimeout = \"300ms\""), ""),
    ] {
        let boundgate = in_front_of(&world, &upstream);
        let start = Instant::now();
        let (status, reason, said) = verdict(&world, &boundgate);
        assert_eq!((status, reason.as_str()), (504, "upstream-timeout"), "{upstream}");
        assert!(said.ends_with(note), "{upstream}: {said}");
        assert!(start.elapsed() >= Duration::from_millis(300), "{upstream}: {:?}", start.elapsed());
    }
}

/// A listener whose backlog is full: the kernel drops what else wants to connect. The streams hold their places.
fn full_listener() -> (TcpListener, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let listener: TcpListener = socket.into();
    let address = listener.local_addr().unwrap();
    let place = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
    let places = std::iter::from_fn(|| place().ok()).take(64).collect();
    (listener, places)
}

/// RFC 9110 §10.1.4: `TE: trailers` is about one connection, and is named in `Connection` again.
#[test]
fn a_client_of_http2_gets_trailers_of_an_upstream_of_http1() {
    let world = World::new();
    let api = Server::http(|_| {
        Answer::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Status\r\n\r\n3\r\nabc\r\n0\r\nStatus: done\r\n\r\n",
        )
    });
    let boundgate = Boundgate::start(
        world.pki.path(),
        &Config { upstream: format!("url = \"{}\"", api.url()), ..world.config() },
    );
    let mut h2 = H2::connect(&world.client(Some(&world.pki.client_a)), boundgate.address).unwrap();
    let request = Request::get("https://localhost/t")
        .header("authorization", format!("Bearer {}", world.issuer.token(&world.pki.client_a)))
        .header("te", "trailers");
    let answer = h2.send(request.body(Full::<Bytes>::default()).unwrap()).unwrap();
    assert_eq!((answer.text(), &*answer.trailers), ("abc", &[("status".to_owned(), "done".to_owned())][..]));
    assert_eq!(api.requests()[0].value("te"), Some("trailers"));
    assert_eq!(api.requests()[0].value("connection"), Some("te"));
}

/// An answer that began before the reload ends on its connection, and no later request goes there.
#[test]
fn a_reload_leads_to_another_upstream() {
    let world = World::new();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let old = Server::script(move |socket| {
        let mut socket = BufReader::new(socket);
        while read_request(&mut socket)?.is_some() {
            socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nol")?;
            let _ = wait.lock().unwrap().recv();
            socket.get_mut().write_all(b"d!")?;
        }
        Ok(())
    });
    let config = Config { listener: "workers = 1".to_owned(), ..world.config() };
    let first = Config { upstream: format!("url = \"{}\"", old.url()), ..config.clone() };
    let boundgate = Boundgate::start(world.pki.path(), &first);
    let token = world.issuer.token(&world.pki.client_a);
    let client = world.client(Some(&world.pki.client_a));
    let mut open = client.connect(boundgate.address).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    open.send(&request).unwrap();
    let head = open.head().unwrap();
    assert_eq!(head.status(), 200);

    boundgate.rewrite(&config);
    boundgate.process.signal("HUP");
    boundgate.log_line(|line| line["event"] == "configuration reloaded");
    // This request, too, finds the pool on its way to the new one, before the old connection would come back to it.
    assert_eq!(client.get(boundgate.address, "/", Some(&token)).unwrap().text(), "hello");
    go_on.send(()).unwrap();
    let mut rest = [0; 4];
    std::io::Read::read_exact(&mut open.stream, &mut rest).unwrap();
    assert_eq!(&rest, b"old!");
    drop(go_on);
    for _ in 0..3 {
        assert_eq!(open.exchange(&request).unwrap().text(), "hello");
    }
    assert_eq!(old.connections(), 1);
}
