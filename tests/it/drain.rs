//! The end of a sidecar's life: SIGTERM, `drain_delay`, `drain`.

use std::io::{self, ErrorKind, Read as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::support::boundgate::Boundgate;
use super::support::client::Client;
use super::support::h2::H2;
use super::support::load::{Load, Stop};
use super::support::process::PATIENCE;
use super::support::server::{Answer, Server};
use super::support::world::{Config, World};

/// A world whose API answers `/held` only when it is told to.
struct Held {
    world: World,
    arrived: Receiver<()>,
    release: Sender<()>,
}

impl Held {
    fn new() -> Held {
        let (arriving, arrived) = channel();
        let (release, released) = channel();
        let gate = (Mutex::new(arriving), Mutex::new(released));
        let api = Server::http(move |request| {
            if request.target() == "/held" {
                gate.0.lock().unwrap().send(()).unwrap();
                let _ = gate.1.lock().unwrap().recv(); // or the test is over
            }
            Answer::ok("hello")
        });
        Held { world: World { api, ..World::new() }, arrived, release }
    }

    fn start(&self, limits: &str) -> Boundgate {
        Boundgate::start(self.world.pki.path(), &with_limits(self.world.config(), limits))
    }
}

fn with_limits(config: Config, limits: &str) -> Config {
    Config { more: format!("[limits]\n{limits}\n"), ..config }
}

/// The time at which nobody listens any more.
fn wait_until_refused(boundgate: &Boundgate) -> Instant {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(boundgate.address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Instant::now(),
            _ => assert!(Instant::now() < deadline, "it goes on listening"),
        }
        thread::sleep(Duration::from_millis(5)); // nothing announces it
    }
}

fn wait_until_not_ready(boundgate: &Boundgate) {
    let deadline = Instant::now() + PATIENCE;
    while boundgate.ask("/readyz").unwrap().status() == 200 {
        assert!(Instant::now() < deadline, "it goes on being ready");
        thread::sleep(Duration::from_millis(5)); // readiness is asked for, not announced
    }
}

#[test]
fn during_the_delay_readyz_says_no_and_everything_is_accepted() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &with_limits(world.config(), "drain_delay = \"6s\""));
    let (client, token) = (world.client(Some(&world.pki.client_a)), world.issuer.token(&world.pki.client_a));
    let mut kept = client.connect(boundgate.address).unwrap();
    kept.get("/", Some(&token)).unwrap();

    let began = Instant::now();
    boundgate.process.signal("TERM");
    wait_until_not_ready(&boundgate);
    let readiness = boundgate.ask("/readyz").unwrap().json();
    assert_eq!((&readiness["ready"], &readiness["draining"]), (&false.into(), &true.into()), "{readiness}");
    let answers =
        [kept.get("/", Some(&token)).unwrap(), client.get(boundgate.address, "/", Some(&token)).unwrap()];
    assert!(began.elapsed() < Duration::from_secs(6), "the machine is too slow for this test");
    for answer in answers {
        assert_eq!((answer.status(), answer.value("connection")), (200, None));
    }

    assert!(wait_until_refused(&boundgate) - began > Duration::from_millis(5900));
    assert_eq!(boundgate.stop().code(), Some(0), "a second SIGTERM changes nothing");
}

#[test]
fn then_the_listener_closes_idle_connections_end_and_open_requests_finish() {
    let held = Held::new();
    let boundgate = held.start("drain = \"60s\"");
    let pki = &held.world.pki;
    let (client, token) = (held.world.client(Some(&pki.client_a)), held.world.issuer.token(&pki.client_a));
    let mut idle = client.connect(boundgate.address).unwrap();
    idle.get("/", Some(&token)).unwrap();
    let mut fresh = client.connect(boundgate.address).unwrap();
    let mut open = client.connect(boundgate.address).unwrap();
    open.send(format!("GET /held HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"))
        .unwrap();
    held.arrived.recv_timeout(PATIENCE).unwrap();

    let began = Instant::now();
    boundgate.process.signal("TERM");
    wait_until_refused(&boundgate);
    for connection in [&mut idle, &mut fresh] {
        assert_eq!(connection.rest().unwrap(), b"", "it ends in order");
        assert!(began.elapsed() >= Duration::from_secs(1), "not at once");
    }
    assert!(began.elapsed() < Duration::from_secs(15), "an open request holds no idle connection");
    assert_eq!(boundgate.ask("/readyz").unwrap().status(), 503);

    held.release.send(()).unwrap();
    let answer = open.response().unwrap();
    assert_eq!((answer.status(), answer.text(), answer.value("connection")), (200, "hello", Some("close")));
    assert_eq!(open.rest().unwrap(), b"");
    assert_eq!(boundgate.stop().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(30), "it does not wait for the end of the drain");
}

#[test]
fn an_answer_in_the_drain_says_that_the_connection_closes() {
    let world = World::new();
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    for (token, status) in [(Some(&*token), 200), (None, 401)] {
        let boundgate = Boundgate::start(world.pki.path(), &world.config());
        let mut busy = client.connect(boundgate.address).unwrap();
        boundgate.process.signal("TERM");
        let last = loop {
            // Without a pause: it is at no moment idle for a second.
            let answer = busy.get("/", token).unwrap();
            assert_eq!(answer.status(), status);
            if answer.value("connection").is_some() {
                break answer;
            }
        };
        assert_eq!(last.value("connection"), Some("close"));
        assert_eq!(busy.rest().unwrap(), b"");
        assert_eq!(boundgate.stop().code(), Some(0));
    }
}

#[test]
fn a_head_that_is_on_its_way_is_waited_for() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let mut slow = client.connect(boundgate.address).unwrap();
    // The second request: a connection that has had one is another matter to hyper.
    slow.get("/", Some(&token)).unwrap();
    slow.send("GET / HTTP/1.1\r\nHost: local").unwrap();
    let mut idle = client.connect(boundgate.address).unwrap();
    boundgate.process.signal("TERM");
    idle.rest().unwrap();
    let answer = slow.exchange(format!("host\r\nAuthorization: Bearer {token}\r\n\r\n")).unwrap();
    assert_eq!((answer.status(), answer.value("connection")), (200, Some("close")));
    assert_eq!(boundgate.stop().code(), Some(0));
}

#[test]
fn http2_is_told_with_goaway() {
    const GOAWAY: u8 = 0x7; // RFC 9113 §6.8
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let mut config = (*world.client(Some(&world.pki.client_a)).config).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = Client { config: Arc::new(config) };
    let mut idle = client.connect(boundgate.address).unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    idle.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..]].concat()).unwrap();

    let began = Instant::now();
    boundgate.process.signal("TERM");
    // This client answers no ping.
    let frames = idle.rest().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "not at once");
    let mut rest = &frames[..];
    let mut farewell = None;
    while let [l1, l2, l3, kind, _, _, _, _, _, payload @ ..] = rest {
        let length = usize::from(*l1) << 16 | usize::from(*l2) << 8 | usize::from(*l3);
        if *kind == GOAWAY {
            farewell = Some(payload[4..8].to_vec());
        }
        rest = &payload[length..];
    }
    assert_eq!(farewell, Some(vec![0; 4]), "GOAWAY with NO_ERROR");
    assert_eq!(boundgate.stop().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "a silent client does not hold it up");
}

#[test]
fn open_http2_requests_finish() {
    let held = Held::new();
    let boundgate = held.start("");
    let pki = &held.world.pki;
    let (client, token) = (held.world.client(Some(&pki.client_a)), held.world.issuer.token(&pki.client_a));
    let address = boundgate.address;
    let open = thread::spawn(move || {
        let mut h2 = H2::connect(&client, address).unwrap();
        h2.get("/held", Some(&token)).map_err(|error| error.to_string())
    });
    held.arrived.recv_timeout(PATIENCE).unwrap();
    boundgate.process.signal("TERM");
    wait_until_refused(&boundgate);
    held.release.send(()).unwrap();
    assert_eq!(open.join().unwrap().unwrap().text(), "hello");
    assert_eq!(boundgate.stop().code(), Some(0));
}

#[test]
fn what_exceeds_the_drain_is_cut() {
    let held = Held::new();
    let boundgate = held.start("drain = \"2s\"");
    let pki = &held.world.pki;
    let (client, token) = (held.world.client(Some(&pki.client_a)), held.world.issuer.token(&pki.client_a));
    let mut open = client.connect(boundgate.address).unwrap();
    open.send(format!("GET /held HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"))
        .unwrap();
    held.arrived.recv_timeout(PATIENCE).unwrap();

    let began = Instant::now();
    boundgate.process.signal("TERM");
    let broken: io::Result<_> = open.response();
    assert!(broken.is_err(), "{broken:?}");
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!(boundgate.stop().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn connections_above_the_limit_are_served_before_the_end() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &with_limits(world.config(), "connections = 1"));
    let (client, token) = (world.client(Some(&world.pki.client_a)), world.issuer.token(&world.pki.client_a));
    let mut first = client.connect(boundgate.address).unwrap();
    first.get("/", Some(&token)).unwrap();
    // In the kernel's backlog, where the drain finds it.
    let waiting = TcpStream::connect(boundgate.address).unwrap();
    boundgate.process.signal("TERM");
    first.rest().unwrap();
    let answer = client.over(waiting).and_then(|mut connection| connection.get("/", Some(&token)));
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(boundgate.stop().code(), Some(0));
}

/// The listener closes with an empty backlog: whoever has connected is heard out, and not reset because nobody had accepted it.
#[test]
fn nobody_who_has_connected_is_reset() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let address = boundgate.address;
    let callers = [(); 4].map(|()| {
        thread::spawn(move || {
            let mut connected = Vec::new();
            loop {
                match TcpStream::connect(address) {
                    Ok(socket) => connected.push(socket),
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => return connected,
                    Err(error) => panic!("neither taken nor refused: {error}"),
                }
                thread::sleep(Duration::from_micros(200)); // the limit of connections is not what is tested
            }
        })
    });
    boundgate.wait_for_metric("boundgate_connections", &[], 20.0);
    boundgate.process.signal("TERM");
    for mut socket in callers.into_iter().flat_map(|caller| caller.join().unwrap()) {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap(), 0, "it closes in order");
    }
}

#[test]
fn under_load_no_request_is_lost() {
    for delay in ["0s", "1s"] {
        let world = World::new();
        let limits = format!("drain_delay = \"{delay}\"");
        let boundgate = Boundgate::start(world.pki.path(), &with_limits(world.config(), &limits));
        let token = world.issuer.token(&world.pki.client_a);
        let load = Load::start(&world.client(Some(&world.pki.client_a)), boundgate.address, &token);
        boundgate.process.signal("TERM");
        let ends = load.stop(Stop::WhenRefused);
        assert!(ends.iter().all(|(_, end)| end.refused), "{ends:?}");
        assert_eq!(boundgate.stop().code(), Some(0));
    }
}
