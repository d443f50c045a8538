//! `[client_certificates]` and what TLS is offered: who is let in at all.

mod names;
mod protocol;

use std::fs;
use std::io;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use time::{Duration, OffsetDateTime};

use super::support::boundgate::Boundgate;
use super::support::client::Client;
use super::support::message::Message;
use super::support::pki::{Authority, Identity};
use super::support::world::{Config, World};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn start(world: &World, client_certificates: &str) -> Boundgate {
    let config = Config { client_certificates: client_certificates.to_owned(), ..world.config() };
    Boundgate::start(world.pki.path(), &config)
}

/// Certificates that are not what they should be.
struct Odd {
    expired: Identity,
    not_yet_valid: Identity,
    strangers: Identity,
    for_servers: Identity,
}

impl Odd {
    fn new(world: &World) -> Odd {
        let now = OffsetDateTime::now_utc();
        let authority = &world.pki.authority;
        let dated = |name: &str, from: OffsetDateTime, to: OffsetDateTime| {
            authority.issue(name, &["odd.example.test"], |p| (p.not_before, p.not_after) = (from, to))
        };
        let folder = world.pki.path().join("strangers");
        fs::create_dir(&folder).unwrap();
        Odd {
            expired: dated("expired", now - Duration::days(2), now - Duration::days(1)),
            not_yet_valid: dated("early", now + Duration::days(1), now + Duration::days(2)),
            // Of the same name as the one that is trusted.
            strangers: Authority::new(&folder, "ca").issue_client("client-a"),
            for_servers: authority.issue("for-servers", &["odd.example.test"], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
            }),
        }
    }

    fn all(&self) -> [(&'static str, &Identity); 4] {
        [
            ("expired", &self.expired),
            ("not yet valid", &self.not_yet_valid),
            ("another authority's", &self.strangers),
            ("for servers", &self.for_servers),
        ]
    }
}

/// What a client with this certificate gets, in one version of TLS, without a token.
fn get(
    world: &World,
    boundgate: &Boundgate,
    version: &'static SupportedProtocolVersion,
    identity: Option<&Identity>,
) -> io::Result<Message> {
    let client = Client::with_versions(&world.pki.authority, identity, &[version]);
    client.get(boundgate.address, "/", None)
}

/// Asserts that TLS itself refuses, with an alert, and that it is counted so.
fn refused_in_the_handshake(
    boundgate: &Boundgate,
    what: &str,
    attempt: impl FnOnce() -> io::Result<Message>,
) {
    let (name, labels) = ("boundgate_handshakes_total", ["outcome=\"certificate-refused\""]);
    let before = boundgate.metric(name, &labels);
    let error = attempt().expect_err(what);
    let alert = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    assert!(matches!(alert, Some(rustls::Error::AlertReceived(_))), "{what}: {error:?}");
    boundgate.wait_for_metric(name, &labels, before + 1.0);
    assert_eq!(boundgate.metric(name, &labels), before + 1.0, "{what}");
}

#[test]
fn required_without_a_certificate_is_no_handshake() {
    let world = World::new();
    let boundgate = start(&world, "mode = \"required\"\ntrust = \"ca\"\nca = \"ca.pem\"");
    let odd = Odd::new(&world);
    for version in VERSIONS {
        let get = |identity| get(&world, &boundgate, version, identity);
        refused_in_the_handshake(&boundgate, "none", || get(None));
        refused_in_the_handshake(&boundgate, "self-signed", || get(Some(&world.pki.self_signed)));
        for (what, identity) in odd.all() {
            refused_in_the_handshake(&boundgate, what, || get(Some(identity)));
        }
        let known = get(Some(&world.pki.client_a)).unwrap();
        assert_eq!(known.verdict(), (401, "token-missing".to_owned()), "known, and the request decides");
    }
    assert_eq!(boundgate.metric("boundgate_handshakes_total", &["outcome=\"full\""]), 2.0);
    assert_eq!(boundgate.metric("boundgate_requests_total", &[]), 2.0, "a handshake is no request");
}

#[test]
fn optional_without_a_certificate_leaves_it_to_the_request() {
    let world = World::new();
    let boundgate = start(&world, "mode = \"optional\"\ntrust = \"ca\"\nca = \"ca.pem\"");
    let odd = Odd::new(&world);
    let token = world.issuer.token(&world.pki.client_a);
    for version in VERSIONS {
        let get = |identity| get(&world, &boundgate, version, identity);
        assert_eq!(get(None).unwrap().verdict(), (401, "token-missing".to_owned()));
        let nobody = Client::with_versions(&world.pki.authority, None, &[version]);
        let answer = nobody.get(boundgate.address, "/", Some(&token)).unwrap();
        assert_eq!(answer.verdict(), (401, "certificate-missing".to_owned()));
        // One that fails `trust` is not "none".
        refused_in_the_handshake(&boundgate, "self-signed", || get(Some(&world.pki.self_signed)));
        for (what, identity) in odd.all() {
            refused_in_the_handshake(&boundgate, what, || get(Some(identity)));
        }
        let a = Client::with_versions(&world.pki.authority, Some(&world.pki.client_a), &[version]);
        assert_eq!(a.get(boundgate.address, "/", Some(&token)).unwrap().status(), 200);
    }
}

#[test]
fn trust_any_checks_the_dates_and_no_path() {
    let world = World::new();
    let odd = Odd::new(&world);
    for mode in ["required", "optional"] {
        let boundgate = start(&world, &format!("mode = \"{mode}\"\ntrust = \"any\""));
        for version in VERSIONS {
            let get = |identity| get(&world, &boundgate, version, identity);
            for identity in [&world.pki.self_signed, &odd.strangers, &world.pki.client_a] {
                let answer = get(Some(identity)).unwrap();
                assert_eq!(answer.verdict(), (401, "token-missing".to_owned()));
            }
            refused_in_the_handshake(&boundgate, "expired", || get(Some(&odd.expired)));
            refused_in_the_handshake(&boundgate, "not yet valid", || get(Some(&odd.not_yet_valid)));
            match mode {
                "required" => refused_in_the_handshake(&boundgate, "none", || get(None)),
                _ => assert_eq!(get(None).unwrap().status(), 401),
            }
        }
    }
}

#[test]
fn a_revoked_certificate_is_no_handshake() {
    let world = World::new();
    let soon = OffsetDateTime::now_utc() + Duration::days(1);
    world.pki.authority.revoke("ca", &[&world.pki.client_b], soon);
    let boundgate =
        start(&world, "mode = \"required\"\ntrust = \"ca\"\nca = \"ca.pem\"\ncrl = [\"ca.crl.pem\"]");
    for version in VERSIONS {
        let get = |identity| get(&world, &boundgate, version, Some(identity));
        refused_in_the_handshake(&boundgate, "revoked", || get(&world.pki.client_b));
        assert_eq!(get(&world.pki.client_a).unwrap().status(), 401, "not revoked, and the request decides");
    }
}
