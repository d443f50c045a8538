//! A client whose certificate is no longer admitted is refused from its next request on: on open connections, on resumed
//! ones, on public routes, and in the handshake.

use std::fs;
use std::time::Instant;

use rustls::version::{TLS12, TLS13};
use time::OffsetDateTime;

use super::reload::{reload, replace, until};
use super::support::boundgate::Boundgate;
use super::support::client::{Client, Connection};
use super::support::h2::H2;
use super::support::load::Load;
use super::support::pki::{Authority, Identity};
use super::support::process::PATIENCE;
use super::support::world::{Config, World};

const NOT_ADMITTED: &str = "certificate-not-admitted";

/// A client that is about to lose its admission, connected in every way.
struct Doomed<'a> {
    identity: &'a Identity,
    boundgate: &'a Boundgate,
    world: &'a World,
    token: String,
    kept: Vec<Connection>,
    kept_h2: H2,
    /// Clients that can resume a session of TLS 1.3 and of TLS 1.2.
    resuming: [Client; 2],
}

impl<'a> Doomed<'a> {
    fn connect(world: &'a World, boundgate: &'a Boundgate, identity: &'a Identity) -> Doomed<'a> {
        let token = world.issuer.token(identity);
        let client = world.client(Some(identity));
        let resuming = [&TLS13, &TLS12]
            .map(|version| Client::with_versions(&world.pki.authority, Some(identity), &[version]));
        for client in &resuming {
            client.get(boundgate.address, "/", Some(&token)).unwrap();
        }
        let mut doomed = Doomed {
            kept: (0..2).map(|_| client.connect(boundgate.address).unwrap()).collect(),
            kept_h2: H2::connect(&client, boundgate.address).unwrap(),
            identity,
            boundgate,
            world,
            token,
            resuming,
        };
        for connection in &mut doomed.kept {
            assert_eq!(connection.get("/", Some(&doomed.token)).unwrap().status(), 200);
        }
        assert_eq!(doomed.kept_h2.get("/", Some(&doomed.token)).unwrap().status(), 200);
        doomed
    }

    /// Fails the test unless it is refused on each of them, and in the handshake.
    fn find_every_way_closed(mut self) {
        let refused = (401, NOT_ADMITTED.to_owned());
        let address = self.boundgate.address;
        // The one with its token, the other on a public route.
        for (connection, (path, token)) in
            self.kept.iter_mut().zip([("/", Some(&*self.token)), ("/public/x", None)])
        {
            let answer = connection.get(path, token).unwrap();
            assert_eq!(answer.verdict(), refused, "{path}");
            assert_eq!(answer.value("connection"), Some("close"));
            assert_eq!(connection.rest().unwrap(), b"", "the connection closes");
        }
        assert_eq!(self.kept_h2.get("/", Some(&self.token)).unwrap().verdict(), refused);
        // The connection closes; a request that crosses GOAWAY is still answered.
        let deadline = Instant::now() + PATIENCE;
        while let Ok(answer) = self.kept_h2.get("/", Some(&self.token)) {
            assert_eq!(answer.verdict(), refused);
            assert!(Instant::now() < deadline, "the connection stays");
        }
        for client in &self.resuming {
            let mut connection = client.connect(address).unwrap();
            let version = connection.stream.get_ref().conn.protocol_version();
            assert!(connection.resumed(), "{version:?}");
            assert_eq!(connection.get("/", Some(&self.token)).unwrap().verdict(), refused, "{version:?}");
        }
        let anew = self.world.client(Some(self.identity)).get(address, "/", Some(&self.token));
        assert!(anew.is_err(), "the handshake refuses it: {anew:?}");
    }
}

fn config(world: &World, client_certificates: &str) -> Config {
    Config {
        client_certificates: format!("mode = \"required\"\n{client_certificates}"),
        more: "[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n".to_owned(),
        ..world.config()
    }
}

fn load(world: &World, boundgate: &Boundgate) -> Load {
    let good = &world.pki.client_a;
    Load::start(&world.client(Some(good)), boundgate.address, &world.issuer.token(good))
}

#[test]
fn a_client_whose_authority_is_withdrawn() {
    let world = World::new();
    let folder = world.pki.path();
    let second = Authority::new(folder, "second");
    let first = fs::read(&world.pki.authority.certificate).unwrap();
    let both = [first.clone(), fs::read(&second.certificate).unwrap()].concat();
    fs::write(folder.join("clients-ca.pem"), both).unwrap();
    let config = config(&world, "trust = \"ca\"\nca = \"clients-ca.pem\"");
    let boundgate = Boundgate::start(folder, &config);
    let load = load(&world, &boundgate);
    let client = second.issue_client("client");
    let doomed = Doomed::connect(&world, &boundgate, &client);

    reload(&boundgate, "ok", || replace(folder, "clients-ca.pem", first));
    doomed.find_every_way_closed();
    load.advance(3);
    load.stop_unharmed();
}

#[test]
fn a_client_whose_certificate_is_revoked() {
    let world = World::new();
    let (folder, authority) = (world.pki.path(), &world.pki.authority);
    let tomorrow = OffsetDateTime::now_utc() + time::Duration::days(1);
    authority.revoke("clients", &[], tomorrow);
    let config = config(&world, "trust = \"ca\"\nca = \"ca.pem\"\ncrl = [\"clients.crl.pem\"]");
    let boundgate = Boundgate::start(folder, &config);
    let load = load(&world, &boundgate);
    let doomed = Doomed::connect(&world, &boundgate, &world.pki.client_b);

    let next = fs::read(authority.revoke("next", &[&world.pki.client_b], tomorrow)).unwrap();
    reload(&boundgate, "ok", || replace(folder, "clients.crl.pem", next));
    doomed.find_every_way_closed();
    load.advance(3);
    load.stop_unharmed();
}

#[test]
fn a_client_whose_certificate_has_expired_since() {
    expires("trust = \"ca\"\nca = \"ca.pem\"");
}

#[test]
fn a_client_of_any_authority_whose_certificate_has_expired_since() {
    expires("trust = \"any\"");
}

fn expires(trust: &str) {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &config(&world, trust));
    let load = load(&world, &boundgate);
    let expiry = OffsetDateTime::now_utc() + time::Duration::seconds(8);
    let client = world.pki.authority.issue("brief", &["brief.example.test"], |params| {
        params.not_after = expiry;
    });
    let doomed = Doomed::connect(&world, &boundgate, &client);

    // notAfter is the last second of validity (RFC 5280 §4.1.2.5).
    until("the certificate's end", || OffsetDateTime::now_utc().unix_timestamp() > expiry.unix_timestamp());
    doomed.find_every_way_closed();
    load.advance(3);
    load.stop_unharmed();
}

#[test]
fn a_mode_that_becomes_required_holds_for_who_has_come_without_a_certificate() {
    let world = World::new();
    let ca = "trust = \"ca\"\nca = \"ca.pem\"";
    let required = config(&world, ca);
    let optional = required.client_certificates.replace("required", "optional");
    let optional = Config { client_certificates: optional, ..required.clone() };
    let boundgate = Boundgate::start(world.pki.path(), &optional);
    let mut open = world.client(None).connect(boundgate.address).unwrap();
    assert_eq!(open.get("/public/x", None).unwrap().status(), 200);

    reload(&boundgate, "ok", || boundgate.rewrite(&required));
    assert_eq!(open.get("/public/x", None).unwrap().verdict(), (401, NOT_ADMITTED.to_owned()));
    assert_eq!(open.rest().unwrap(), b"");
}
