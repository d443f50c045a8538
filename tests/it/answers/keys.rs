//! An issuer whose keys cannot be had: nothing is accepted, nothing is refused for good, and it passes by itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use socket2::{Domain, Socket, Type};

use super::{Form, refused};
use crate::support::boundgate::Boundgate;
use crate::support::h2::H2;
use crate::support::issuer::AUDIENCE;
use crate::support::process::PATIENCE;
use crate::support::server::{Answer, Server};
use crate::support::world::{Config, World};

#[test]
fn keys_unavailable_is_503_until_the_server_appears() {
    let world = World::new();
    // Bound and not listening: the port refuses connections, and nobody else takes it.
    let port = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    port.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = port.local_addr().unwrap().as_socket().unwrap();
    let issuer = format!(
        "issuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\njwks_uri = \"https://{address}/jwks\"\nca = \"ca.pem\"",
        world.issuer.name
    );
    let boundgate = Boundgate::spawn(world.pki.path(), &Config { issuer, ..world.config() });
    boundgate.log_line(|line| line["event"] == "listening"); // whether or not an issuer answers
    assert_eq!(boundgate.ask("/readyz").unwrap().status(), 503, "no issuer has been usable");
    assert_eq!(boundgate.ask("/livez").unwrap().status(), 200);

    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let mut h1 = client.connect(boundgate.address).unwrap();
    let answer =
        refused(&boundgate, "keys-unavailable", Form::Problem, || h1.get("/", Some(&token)).unwrap());
    let seconds: u64 = answer.value("retry-after").unwrap().parse().expect("RFC 9110 §10.2.3: delay-seconds");
    assert!((1..=60).contains(&seconds));
    let mut h2 = H2::connect(&client, boundgate.address).unwrap();
    let grpc = Request::post("https://localhost/")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/grpc")
        .body(Full::<Bytes>::default())
        .unwrap();
    refused(&boundgate, "keys-unavailable", Form::Grpc, || h2.send(grpc).unwrap());
    // What needs no keys is decided all the same.
    refused(&boundgate, "token-missing", Form::Problem, || h1.get("/", None).unwrap());
    assert_eq!(world.api.requests(), []);

    port.listen(16).unwrap();
    let jwks = world.issuer.jwks();
    let _server = Server::https_on(port.into(), &world.pki.server, move |_| Answer::json(&jwks));
    let appeared = Instant::now();
    while h1.get("/", Some(&token)).unwrap().status() != 200 {
        assert!(appeared.elapsed() < PATIENCE, "{}", boundgate.process.output());
        std::thread::sleep(Duration::from_millis(50)); // as a client that tries again
    }
    assert_eq!(boundgate.ask("/readyz").unwrap().status(), 200);
}
