//! What a client sees of an API that refuses, breaks off, speaks garbage or is too slow.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::{Form, refused};
use crate::support::boundgate::Boundgate;
use crate::support::h2::H2;
use crate::support::server::{Answer, Server, reset};
use crate::support::world::{Config, World};

/// A client's three ways to see a failure: HTTP/1.1, HTTP/2, gRPC.
fn fails(world: &World, boundgate: &Boundgate, reason: &str, target: &str) {
    let token = world.issuer.token(&world.pki.client_a);
    let client = world.client(Some(&world.pki.client_a));
    let mut h1 = client.connect(boundgate.address).unwrap();
    refused(boundgate, reason, Form::Problem, || h1.get(target, Some(&token)).unwrap());
    let mut h2 = H2::connect(&client, boundgate.address).unwrap();
    refused(boundgate, reason, Form::Problem, || h2.get(target, Some(&token)).unwrap());
    let grpc = || {
        let request = Request::post(format!("https://localhost{target}"))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/grpc");
        request.body(Full::<Bytes>::default()).unwrap()
    };
    refused(boundgate, reason, Form::Grpc, || h2.send(grpc()).unwrap());
}

#[test]
fn one_that_nobody_serves_is_502() {
    let mut world = World::new();
    world.api = Server::http(|_| Answer::ok("hello"));
    let config = world.config();
    world.api = Server::http(|_| Answer::ok("another")); // the first is gone, and its port with it
    let boundgate = Boundgate::start(world.pki.path(), &config);
    fails(&world, &boundgate, "upstream-refused", "/");
}

#[test]
fn one_that_answers_garbage_is_502() {
    let world = World::new();
    let garbage = Server::http(|request| match request.target() {
        "/ssh" => Answer::raw("SSH-2.0-OpenSSH_9.2\r\n").close(),
        "/nothing" => Answer::raw("").close(),
        "/reset" => Answer::raw("").reset(),
        "/half-a-head" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Le").close(),
        "/status" => Answer::raw("HTTP/1.1 abc OK\r\n\r\n").close(),
        _ => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab").close(),
    });
    let boundgate = Boundgate::start(
        world.pki.path(),
        &Config { upstream: format!("url = \"{}\"", garbage.url()), ..world.config() },
    );
    for target in ["/ssh", "/nothing", "/reset", "/half-a-head", "/status", "/two-lengths"] {
        fails(&world, &boundgate, "upstream-failed", target);
    }
}

#[test]
fn one_that_is_too_slow_is_504() {
    let world = World::new();
    // Never answers: it waits until Boundgate gives up and closes.
    let silent = Server::script(|mut socket| socket.read_to_end(&mut Vec::new()).map(drop));
    let upstream = format!("url = \"{}\"\ntimeout = \"300ms\"", silent.url());
    let boundgate = Boundgate::start(world.pki.path(), &Config { upstream, ..world.config() });
    fails(&world, &boundgate, "upstream-timeout", "/");
}

/// Reads a request's head, then answers this.
fn after_the_head(mut socket: &TcpStream, answer: &[u8]) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    socket.write_all(answer)
}

#[test]
fn one_that_breaks_off_in_mid_body_is_no_clean_end() {
    const BROKEN: [&str; 3] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nno chunk\r\n",
    ];
    for (head, hard) in BROKEN.into_iter().flat_map(|head| [(head, false), (head, true)]) {
        let world = World::new();
        let breaking = Server::script(move |socket| {
            after_the_head(&socket, head.as_bytes())?;
            if hard { reset(&socket) } else { Ok(()) }
        });
        let upstream = format!("url = \"{}\"", breaking.url());
        let boundgate = Boundgate::start(world.pki.path(), &Config { upstream, ..world.config() });
        let token = world.issuer.token(&world.pki.client_a);
        let client = world.client(Some(&world.pki.client_a));

        let h1 = client.get(boundgate.address, "/h1", Some(&token));
        assert!(h1.is_err(), "{head:?}: a clean end: {h1:?}");
        let h2 = H2::connect(&client, boundgate.address).unwrap().get("/h2", Some(&token));
        assert!(h2.is_err(), "{head:?}: a clean end: {h2:?}");
        for path in ["/h1", "/h2"] {
            let line = boundgate.log_line(|line| line["path"] == path);
            assert_eq!(
                (line["decision"].as_str(), line["reason"].as_str()),
                (Some("failed"), Some("upstream-failed")),
                "{line}"
            );
        }
        let labels = ["decision=\"failed\"", "reason=\"upstream-failed\""];
        assert_eq!(boundgate.metric("boundgate_requests_total", &labels), 2.0);
    }
}
