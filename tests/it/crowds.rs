//! Many connections: idle ones by the thousand, slow readers by the hundred, and more than there are file descriptors for.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::support::boundgate::Boundgate;
use super::support::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw, block};
use super::support::message::read_request;
use super::support::process::PATIENCE;
use super::support::server::Server;
use super::support::world::{Config, World};

fn limits(world: &World, limits: &str) -> Config {
    Config { listener: "workers = 1".to_owned(), more: format!("[limits]\n{limits}\n"), ..world.config() }
}

/// How many idle connections: a debug build shakes hands slowly, so that the ten thousand of the soak are asked for by name.
fn crowd() -> usize {
    std::env::var("BOUNDGATE_CROWD").map_or(2000, |crowd| crowd.parse().unwrap())
}

/// They cost little memory, all of them are still served, and the limit of descriptors that the process was started with does not hold
/// it back: it takes what it may have.
#[test]
fn thousands_of_idle_connections_stay_and_cost_little() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let world = World::new();
    let boundgate = Boundgate::start_under(world.pki.path(), &limits(&world, ""), "ulimit -S -n 256");
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let memory = boundgate.process.peak_memory();
    let mut idle: Vec<_> = (0..crowd()).map(|_| client.connect(boundgate.address).unwrap()).collect();
    boundgate.wait_for_metric("boundgate_connections", &[], crowd() as f64);
    for connection in idle.iter_mut().step_by(50) {
        assert_eq!(connection.get("/", Some(&token)).unwrap().status(), 200);
    }
    let cost = boundgate.process.peak_memory() - memory;
    assert!(cost as usize <= 32 + crowd() / 16, "{cost} MiB, more than 64 KiB each");
    assert_eq!(boundgate.metric("boundgate_connections", &[]), crowd() as f64);
}

/// A hundred clients that ask for much and read nothing cost their buffers and no more, and end with `stall_timeout`.
#[test]
fn slow_readers_are_bounded_in_memory_and_end() {
    let api = Server::script(|socket| {
        let mut socket = BufReader::new(socket);
        let _ = read_request(&mut socket)?;
        socket.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        loop {
            socket.get_mut().write_all(&[b'x'; 1 << 16])?;
        }
    });
    let world = World { api, ..World::new() };
    let boundgate = Boundgate::start(world.pki.path(), &limits(&world, "stall_timeout = \"3s\""));
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let memory = boundgate.process.peak_memory();
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut connection = client.connect(boundgate.address).unwrap();
            let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
            connection.send(head).unwrap();
            connection
        })
        .collect();
    boundgate.wait_for_metric("boundgate_requests_total", &["reason=\"client-timeout\""], 100.0);
    boundgate.wait_for_metric("boundgate_upstream_duration_seconds_count", &[], 100.0);
    let cost = boundgate.process.peak_memory() - memory;
    assert!(cost < 100, "{cost} MiB");
    drop(slow);
}

/// Out of descriptors it serves whom it has, fails what needs another one without falling over, waits without spinning, says so once,
/// and accepts again as soon as it can.
#[test]
fn out_of_descriptors_it_serves_on_and_recovers() {
    let world = World::new();
    let mut boundgate =
        Boundgate::start_under(world.pki.path(), &limits(&world, "head_timeout = \"60s\""), "ulimit -n 64");
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let mut served = client.connect(boundgate.address).unwrap();
    assert_eq!(served.get("/", Some(&token)).unwrap().status(), 200);
    let mut raw = Raw::connect(&client, boundgate.address, &[]);
    raw.send(HEADERS, END_HEADERS | END_STREAM, 1, &block("GET", &token)).unwrap();
    raw.read_until(DATA).unwrap();

    let crowd: Vec<_> = (0..100).map(|_| TcpStream::connect(boundgate.address).unwrap()).collect();
    let full = |line: &str| line.contains("no connection can be accepted").then_some(());
    boundgate.process.stdout.find(full).unwrap();
    let (start, used) = (Instant::now(), boundgate.process.processor());
    while start.elapsed() < Duration::from_secs(2) {
        assert_eq!(served.get("/", Some(&token)).unwrap().status(), 200, "over the kept connection");
        std::thread::sleep(Duration::from_millis(100)); // two seconds of shortage are what it is about
    }
    let used = boundgate.process.processor() - used;
    assert!(used < 1.0, "{used} s of processor in two seconds");
    // Many at once need connections to the API that cannot be had: 502, or, over the kept one, 200.
    for stream in [3, 5, 7, 9] {
        raw.send(HEADERS, END_HEADERS | END_STREAM, stream, &block("GET", &token)).unwrap();
    }
    let answers =
        [(); 4].map(|()| String::from_utf8_lossy(&raw.read_until(DATA).unwrap().payload).into_owned());
    assert!(answers.iter().all(|text| text == "hello" || text.contains("502")), "{answers:?}");
    assert!(answers.iter().any(|text| text.contains("502")), "{answers:?}");
    assert_eq!(boundgate.process.stdout.all().iter().filter_map(|line| full(line)).count(), 1);

    drop(crowd);
    let start = Instant::now();
    assert_eq!(client.get(boundgate.address, "/", Some(&token)).unwrap().status(), 200);
    assert!(start.elapsed() < PATIENCE / 2);
    assert!(boundgate.process.ended().is_none());
}
