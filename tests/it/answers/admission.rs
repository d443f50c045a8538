//! A certificate that is no longer admitted (a new CA, a new CRL, its end of life) is refused from the next request on: on open
//! connections and resumed sessions, on public routes too, and then the connection closes.

use std::fs;
use std::time::{Duration, Instant};

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;

use super::{Form, refused};
use crate::support::boundgate::Boundgate;
use crate::support::client::{Client, Connection};
use crate::support::h2::H2;
use crate::support::pki::{Authority, Identity};
use crate::support::process::PATIENCE;
use crate::support::world::{Config, World};

const REASON: &str = "certificate-not-admitted";
const PUBLIC: &str = "[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n";

/// A sidecar whose authority has revoked nobody yet.
fn with_crl(world: &World) -> Boundgate {
    revoke(world, &[]);
    let config = Config {
        client_certificates: "mode = \"required\"\ntrust = \"ca\"\nca = \"ca.pem\"\ncrl = [\"ca.crl.pem\"]"
            .to_owned(),
        more: PUBLIC.to_owned(),
        ..world.config()
    };
    Boundgate::start(world.pki.path(), &config)
}

fn revoke(world: &World, revoked: &[&Identity]) {
    world.pki.authority.revoke("ca", revoked, OffsetDateTime::now_utc() + Duration::from_secs(86_400));
}

/// Refuses a request of a connection that passed before, and closes it.
fn refused_and_closed(boundgate: &Boundgate, connection: &mut Connection, target: &str, token: Option<&str>) {
    let answer = refused(boundgate, REASON, Form::Problem, || connection.get(target, token).unwrap());
    assert_eq!(answer.value("connection"), Some("close"));
    assert_eq!(connection.rest().unwrap(), b"", "the connection closes");
}

#[test]
fn a_new_crl_acts_on_open_connections() {
    let world = World::new();
    let boundgate = with_crl(&world);
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let mut open = client.connect(boundgate.address).unwrap();
    let mut public = client.connect(boundgate.address).unwrap();
    let mut h2 = H2::connect(&client, boundgate.address).unwrap();
    let mut other = world.client(Some(&world.pki.client_b)).connect(boundgate.address).unwrap();
    assert_eq!(open.get("/", Some(&token)).unwrap().status(), 200);
    assert_eq!(public.get("/public/a", None).unwrap().status(), 200);
    assert_eq!(h2.get("/", Some(&token)).unwrap().status(), 200);
    assert_eq!(other.get("/public/b", None).unwrap().status(), 200);

    revoke(&world, &[&world.pki.client_a]);
    boundgate.reload();
    refused_and_closed(&boundgate, &mut open, "/", Some(&token));
    refused_and_closed(&boundgate, &mut public, "/public/a", None);
    refused(&boundgate, REASON, Form::Problem, || h2.get("/public/a", None).unwrap());
    assert!(h2.get("/public/a", None).is_err(), "the HTTP/2 connection goes away");
    assert_eq!(other.get("/public/b", None).unwrap().status(), 200, "another's is as good as before");
    let new = world.client(Some(&world.pki.client_a)).get(boundgate.address, "/public/a", None);
    assert!(new.is_err(), "a new connection is refused in the handshake: {new:?}");
    assert_eq!(world.api.requests().len(), 5);
}

#[test]
fn a_new_ca_acts_on_open_connections() {
    let world = World::new();
    let anchors = world.pki.path().join("clients-ca.pem");
    fs::copy(&world.pki.authority.certificate, &anchors).unwrap();
    let config = Config {
        client_certificates: "mode = \"required\"\ntrust = \"ca\"\nca = \"clients-ca.pem\"".to_owned(),
        more: PUBLIC.to_owned(),
        ..world.config()
    };
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let client = world.client(Some(&world.pki.client_a));
    let mut open = client.connect(boundgate.address).unwrap();
    assert_eq!(open.get("/public/a", None).unwrap().status(), 200);

    let next = Authority::new(world.pki.path(), "next-ca");
    fs::rename(&next.certificate, &anchors).unwrap();
    boundgate.reload();
    refused_and_closed(&boundgate, &mut open, "/public/a", None);
    let newcomer = world.client(Some(&next.issue_client("newcomer")));
    assert_eq!(newcomer.get(boundgate.address, "/public/a", None).unwrap().status(), 200);
}

#[test]
fn the_end_of_its_life_acts_on_open_connections() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &Config { more: PUBLIC.to_owned(), ..world.config() });
    let short = world.pki.authority.issue("short", &["short.example.test"], |params| {
        params.not_after = OffsetDateTime::now_utc() + Duration::from_secs(4);
    });
    let client = world.client(Some(&short));
    let mut open = client.connect(boundgate.address).unwrap();
    assert_eq!(open.get("/public/a", None).unwrap().status(), 200);
    let start = Instant::now();
    while open.get("/public/a", None).unwrap().verdict() != (401, REASON.to_owned()) {
        assert!(start.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(50)); // time itself is what is waited for
    }
    assert_eq!(open.rest().unwrap(), b"", "the connection closes");
    let mut resumed = client.connect(boundgate.address).unwrap();
    assert!(resumed.resumed());
    refused_and_closed(&boundgate, &mut resumed, "/public/a", None);
}

/// RFC 8446 §2.2: no certificate is shown on resumption, and rustls asks no verifier.
fn resumed_sessions(version: &'static SupportedProtocolVersion) {
    let world = World::new();
    let boundgate = with_crl(&world);
    let client = Client::with_versions(&world.pki.authority, Some(&world.pki.client_a), &[version]);
    let token = world.issuer.token(&world.pki.client_a);
    let mut first = client.connect(boundgate.address).unwrap();
    assert_eq!(first.get("/", Some(&token)).unwrap().status(), 200);
    assert!(!first.resumed());
    let mut second = client.connect(boundgate.address).unwrap();
    assert!(second.resumed());
    assert_eq!(
        second.get("/", Some(&token)).unwrap().status(),
        200,
        "its certificate is that of the session"
    );

    revoke(&world, &[&world.pki.client_a]);
    boundgate.reload();
    for (target, token) in [("/", Some(token.as_str())), ("/public/a", None)] {
        let mut resumed = client.connect(boundgate.address).unwrap();
        assert!(resumed.resumed(), "a reload costs no client its session");
        refused_and_closed(&boundgate, &mut resumed, target, token);
    }
    assert_eq!(world.api.requests().len(), 2);
}

#[test]
fn a_new_crl_acts_on_resumed_sessions_of_tls_1_3() {
    resumed_sessions(&TLS13);
}

#[test]
fn a_new_crl_acts_on_resumed_sessions_of_tls_1_2() {
    resumed_sessions(&TLS12);
}
