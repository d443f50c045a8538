//! Trailers in both directions between both protocols (RFC 9110 §6.5, RFC 9113 §8.1). To a client of HTTP/1.1 those pass that the answer
//! announced in `Trailer`, if the client says that it takes any (`TE: trailers`, §10.1.4): a recipient may discard them (§6.5.1).

use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};

use super::support::boundgate::Boundgate;
use super::support::h2c::{self, H2c};
use super::support::message::Message;
use super::support::server::{Answer, Server};
use super::support::stage::Stage;
use super::support::tunnel::Client;
use super::support::world::{Config, World};

const ANNOUNCED: &str = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nTE: trailers\r\n";
const CHUNKS: &str = "3\r\nabc\r\n0\r\nX-Sum: 7\r\nAuthorization: forged\r\nX-Forwarded-For: forged\r\n\r\n";

fn sum() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    for (name, value) in [("x-sum", "7"), ("authorization", "forged"), ("x-forwarded-for", "forged")] {
        trailers.insert(name, value.parse().unwrap());
    }
    trailers
}

/// An API of HTTP/1.1 whose answers have trailers, announced or not.
fn api() -> Server {
    Server::http(|request| {
        let trailer = if request.target() == "/unannounced" { "" } else { "Trailer: X-Sum\r\n" };
        Answer::raw(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{trailer}\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\nConnection: close\r\n\r\n"
        ))
    })
}

/// A body and its trailers.
type Whole = (Vec<u8>, Option<HeaderMap>);

/// An API of HTTP/2 whose answers have trailers, and that tells of those that it gets.
fn h2c_api() -> (H2c, Receiver<Whole>) {
    let (tell, told) = channel();
    let api = H2c::start(100, move |mut request, mut respond| {
        let tell = tell.clone();
        async move {
            tell.send(h2c::read(request.body_mut()).await).unwrap();
            let mut answer = Response::new(());
            if request.uri().path() != "/unannounced" {
                answer.headers_mut().insert("trailer", "x-sum".parse().unwrap());
            }
            let mut stream = respond.send_response(answer, false).unwrap();
            stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "7".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        }
    });
    (api, told)
}

fn in_front_of(world: &World, url: String) -> Boundgate {
    let config = Config { upstream: format!("url = \"{url}\""), ..world.config() };
    Boundgate::start(world.pki.path(), &config)
}

/// An upload over HTTP/2 with trailers, announced or not: the answer's text and trailers.
fn upload_over_h2(client: &mut Client, token: &str, announced: bool) -> Whole {
    let mut request = Request::post("https://localhost/").header("te", "trailers");
    if announced {
        request = request.header("trailer", "x-sum");
    }
    let request = request.header("authorization", format!("Bearer {token}")).body(()).unwrap();
    let (answer, mut up) = client.begin(request);
    up.send_data(Bytes::from_static(b"abc"), false).unwrap();
    up.send_trailers(sum()).unwrap();
    client.runtime.block_on(async { h2c::read(answer.await.unwrap().body_mut()).await })
}

fn assert_sum(trailers: Option<&HeaderMap>) {
    let mut expected = HeaderMap::new();
    expected.insert("x-sum", "7".parse().unwrap());
    assert_eq!(trailers, Some(&expected), "and nothing that a head may not say");
}

fn assert_sum_http1(message: &Message) {
    let names: Vec<_> =
        message.trailers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
    assert_eq!((message.text(), &names[..]), ("abc", &[("x-sum".to_owned(), "7")][..]));
}

#[test]
fn between_clients_and_an_api_of_http1() {
    let stage = Stage::new(api(), "");
    let answer = stage.exchange("POST /", ANNOUNCED, CHUNKS);
    assert_sum_http1(&answer);
    assert_sum_http1(&stage.seen());
    assert_eq!((stage.seen().value("te"), stage.seen().value("trailer")), (Some("trailers"), Some("X-Sum")));
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    let (body, trailers) = upload_over_h2(&mut client, &stage.token, true);
    assert_eq!(body, b"abc");
    assert_sum(trailers.as_ref());
    assert_sum_http1(&stage.seen());
}

#[test]
fn between_clients_and_an_api_of_http2() {
    let (api, told) = h2c_api();
    let world = World::new();
    let boundgate = in_front_of(&world, api.url());
    let token = world.issuer.token(&world.pki.client_a);
    let head =
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{ANNOUNCED}\r\n");
    let mut http1 = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    assert_sum_http1(&http1.exchange(head + CHUNKS).unwrap());
    let (body, trailers) = told.recv().unwrap();
    assert_eq!(body, b"abc");
    assert_sum(trailers.as_ref());
    let mut client = Client::connect(&world, &boundgate);
    for announced in [true, false] {
        let (body, trailers) = upload_over_h2(&mut client, &token, announced);
        assert_eq!(body, b"abc");
        assert_sum(trailers.as_ref());
        let (body, trailers) = told.recv().unwrap();
        assert_eq!(body, b"abc");
        assert_sum(trailers.as_ref());
    }
}

/// Towards the API all trailers go on. What cannot be passed on to a client does not harm the message: it is whole, and so is the next one
/// on the connection.
#[test]
fn unannounced_or_unwanted_trailers_are_left_out_of_answers_over_http1() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let stage = Stage::new(api(), "");
    let mut connection = stage.connect();
    for (target, lines) in [
        ("POST /unannounced", format!("{chunked}TE: trailers\r\n")),
        ("POST /announced", chunked.to_owned()),
        ("POST /unannounced", chunked.to_owned()),
    ] {
        let answer = connection.exchange(stage.head(target, &lines) + CHUNKS).unwrap();
        assert_eq!((answer.text(), &answer.trailers[..]), ("abc", &[][..]), "{target} {lines}");
        assert_sum_http1(&stage.seen());
    }
    let mut client = Client::connect(&stage.world, &stage.boundgate);
    assert_eq!(upload_over_h2(&mut client, &stage.token, false).0, b"abc");
    assert_sum_http1(&stage.seen());

    let (api, told) = h2c_api();
    let world = World::new();
    let boundgate = in_front_of(&world, api.url());
    let token = world.issuer.token(&world.pki.client_a);
    let mut connection = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    for (target, te) in [("/unannounced", "TE: trailers\r\n"), ("/announced", ""), ("/unannounced", "")] {
        let head =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{te}\r\n");
        let answer = connection.exchange(head).unwrap();
        assert_eq!((answer.text(), &answer.trailers[..]), ("abc", &[][..]), "{target}");
        told.recv().unwrap();
    }
}
