//! `request_body`: what is above it is 413, and the API has no request of it that looks whole.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::{Form, refused};
use crate::support::boundgate::Boundgate;
use crate::support::h2::H2;
use crate::support::message::Message;
use crate::support::server::{Answer, Server};
use crate::support::world::{Config, World};

/// An API that says how much came.
fn counting() -> Server {
    Server::http(|request: &Message| Answer::ok(&request.body.len().to_string()))
}

fn start(world: &World, request_body: &str) -> Boundgate {
    let more = format!("[limits]\nrequest_body = \"{request_body}\"\n");
    Boundgate::start(world.pki.path(), &Config { more, ..world.config() })
}

fn post(token: &str, framing: &str) -> String {
    format!("POST /up HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n")
}

fn h2_post(token: &str, body: Vec<u8>, content_type: &str) -> Request<Full<Bytes>> {
    Request::post("https://localhost/up")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", content_type)
        .body(Full::from(body))
        .unwrap()
}

#[test]
fn by_its_length_it_is_refused_before_a_byte_goes_on() {
    let world = World { api: counting(), ..World::new() };
    let boundgate = start(&world, "1KiB");
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let mut h1 = client.connect(boundgate.address).unwrap();
    let send = || h1.exchange(post(&token, "Content-Length: 1025")).unwrap(); // no byte of it is sent
    refused(&boundgate, "body-too-large", Form::Problem, send);
    let mut h2 = H2::connect(&client, boundgate.address).unwrap();
    let mut large = |kind: &str| h2.send(h2_post(&token, vec![b'x'; 1025], kind)).unwrap();
    refused(&boundgate, "body-too-large", Form::Problem, || large("text/plain"));
    refused(&boundgate, "body-too-large", Form::Grpc, || large("application/grpc"));
    assert_eq!(world.api.connections(), 0, "nothing was forwarded");

    let mut h1 = client.connect(boundgate.address).unwrap();
    h1.send(post(&token, "Content-Length: 1024")).unwrap();
    assert_eq!(h1.exchange([b'x'; 1024]).unwrap().text(), "1024", "what fits passes");
    assert_eq!(h2.send(h2_post(&token, vec![b'x'; 1024], "text/plain")).unwrap().text(), "1024");
}

#[test]
fn a_stream_is_cut_where_it_grows_too_large() {
    let world = World { api: counting(), ..World::new() };
    let boundgate = start(&world, "1KiB");
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let chunk = format!("200\r\n{}\r\n", "x".repeat(0x200));
    let mut h1 = client.connect(boundgate.address).unwrap();
    h1.send(post(&token, "Transfer-Encoding: chunked")).unwrap();
    let send = || {
        h1.send(&chunk).unwrap();
        h1.send(&chunk).unwrap();
        h1.exchange(&chunk).unwrap()
    };
    refused(&boundgate, "body-too-large", Form::Problem, send);
    assert_eq!(world.api.requests(), [], "the API had no whole request");

    let mut h1 = client.connect(boundgate.address).unwrap();
    h1.send(post(&token, "Transfer-Encoding: chunked")).unwrap();
    assert_eq!(h1.exchange(format!("{chunk}{chunk}0\r\n\r\n")).unwrap().text(), "1024", "what fits passes");
}

/// RFC 9112 §9.6: a server that closes while the client still sends would have its answer destroyed by a reset.
#[test]
fn a_client_that_sends_on_after_the_answer_is_not_reset() {
    let world = World { api: counting(), ..World::new() };
    let boundgate = start(&world, "1KiB");
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let attempt = |path: &str| {
        let mut h1 = client.connect(boundgate.address).unwrap();
        h1.send(post(&token, "Content-Length: 10000000").replace("/up", path)).unwrap();
        boundgate.log_line(|line| line["path"] == path); // the answer is out
        (0..10).try_for_each(|_| h1.send([b'x'; 100_000]))?;
        h1.response()
    };
    // Boundgate waits for a second, which a busy machine may take for itself: not each time.
    let answer = ["/1", "/2", "/3"].iter().find_map(|path| attempt(path).ok()).expect("never a reset");
    assert_eq!(answer.verdict(), (413, "body-too-large".to_owned()));
}

#[test]
fn none_is_no_limit() {
    let world = World { api: counting(), ..World::new() };
    let boundgate = start(&world, "none");
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let body = vec![b'x'; 12 << 20];
    let mut h1 = client.connect(boundgate.address).unwrap();
    h1.send(post(&token, &format!("Content-Length: {}", body.len()))).unwrap();
    assert_eq!(h1.exchange(&body).unwrap().text(), body.len().to_string());
    let mut h2 = H2::connect(&client, boundgate.address).unwrap();
    let length = body.len().to_string();
    assert_eq!(h2.send(h2_post(&token, body, "text/plain")).unwrap().text(), length);
}
