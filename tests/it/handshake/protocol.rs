//! TLS 1.2 and 1.3 and nothing older, h2 and http/1.1 by ALPN, X25519MLKEM768, no early data, and a key that is proven.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, ClientConfig, ClientConnection, NamedGroup, ProtocolVersion, RootCertStore};

use super::VERSIONS;
use crate::support::boundgate::Boundgate;
use crate::support::client::{Client, provider};
use crate::support::h2::H2;
use crate::support::process::PATIENCE;
use crate::support::world::World;

struct Stage {
    world: World,
    boundgate: Boundgate,
}

fn stage() -> Stage {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    Stage { world, boundgate }
}

impl Stage {
    /// Client A, after `change` had its way with its configuration.
    fn client(&self, change: impl FnOnce(&mut ClientConfig)) -> Client {
        let client = self.world.client(Some(&self.world.pki.client_a));
        let mut config = (*client.config).clone();
        change(&mut config);
        Client { config: Arc::new(config) }
    }

    /// Client A, which knows these key exchanges alone.
    fn with_groups(&self, groups: Vec<&'static dyn SupportedKxGroup>) -> Client {
        let pki = &self.world.pki;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&pki.authority.certificate).unwrap()).unwrap();
        let provider = CryptoProvider { kx_groups: groups, ..(*provider()).clone() };
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(pki.client_a.chain(), pki.client_a.key());
        Client { config: config.unwrap().into() }
    }

    fn handshakes(&self, outcome: &str) -> f64 {
        self.boundgate.metric("boundgate_handshakes_total", &[&format!("outcome=\"{outcome}\"")])
    }
}

#[test]
fn both_versions_with_both_protocols() {
    let stage = stage();
    let token = stage.world.issuer.token(&stage.world.pki.client_a);
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let pki = &stage.world.pki;
        let client = Client::with_versions(&pki.authority, Some(&pki.client_a), &[version]);
        let mut h1 = client.connect(stage.boundgate.address).unwrap();
        let tls = &h1.stream.get_ref().conn;
        assert_eq!((tls.protocol_version(), tls.alpn_protocol()), (Some(expected), Some(&b"http/1.1"[..])));
        assert_eq!(h1.get("/", Some(&token)).unwrap().text(), "hello");
        let mut h2 = H2::connect(&client, stage.boundgate.address).unwrap();
        assert_eq!(h2.get("/", Some(&token)).unwrap().text(), "hello");
    }
}

/// RFC 7301 §3.2: who names none speaks HTTP/1.1; who names only others is told so; h2 comes before http/1.1.
#[test]
fn alpn() {
    let stage = stage();
    let connect = |protocols: &[&[u8]]| {
        let protocols = protocols.iter().map(|name| name.to_vec()).collect();
        stage.client(|config| config.alpn_protocols = protocols).connect(stage.boundgate.address)
    };
    let mut silent = connect(&[]).unwrap();
    assert_eq!(silent.stream.get_ref().conn.alpn_protocol(), None);
    assert_eq!(silent.get("/", None).unwrap().status(), 401);
    let both = connect(&[b"http/1.1", b"h2"]).unwrap();
    assert_eq!(both.stream.get_ref().conn.alpn_protocol(), Some(&b"h2"[..]));
    let error = connect(&[b"spdy/3"]).err().unwrap();
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()).cloned();
    assert_eq!(error, Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
    stage.boundgate.wait_for_metric("boundgate_handshakes_total", &["outcome=\"failed\""], 1.0);
}

/// RFC 8996: TLS 1.0 and 1.1 are not negotiated. The hello is that of a client that offers no more.
#[test]
fn nothing_older_than_tls_1_2() {
    let stage = stage();
    for minor in [1, 2] {
        let suites = [0xc0, 0x13, 0xc0, 0x14, 0x00, 0x2f, 0x00, 0x35];
        let mut hello = vec![3, minor];
        hello.extend([7; 32]); // random
        hello.push(0); // no session
        hello.extend([0, suites.len() as u8]);
        hello.extend(suites);
        hello.extend([1, 0]); // no compression
        // All that a server of today asks for but the version: secp256r1, uncompressed points, ECDSA with SHA-256, extended
        // master secret.
        let extensions = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3, 0, 23, 0, 0];
        hello.extend([0, extensions.len() as u8]);
        hello.extend(extensions);
        let mut record = vec![22, 3, 1, 0, hello.len() as u8 + 4, 1, 0, 0, hello.len() as u8];
        record.extend(hello);
        let mut socket = TcpStream::connect(stage.boundgate.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&record).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        // A fatal alert (21), protocol_version (70): RFC 8446 §6.2.
        assert_eq!(
            (answer.first(), answer.last()),
            (Some(&21), Some(&70)),
            "TLS 1.{}: {answer:?}",
            minor - 1
        );
    }
    stage.boundgate.wait_for_metric("boundgate_handshakes_total", &["outcome=\"failed\""], 2.0);
}

#[test]
fn x25519mlkem768_is_offered() {
    let stage = stage();
    let token = stage.world.issuer.token(&stage.world.pki.client_a);
    let hybrid = NamedGroup::X25519MLKEM768;
    for (groups, expected) in [
        (vec![kx_group::X25519MLKEM768], hybrid),
        (vec![kx_group::X25519MLKEM768, kx_group::X25519], hybrid),
        (vec![kx_group::X25519], NamedGroup::X25519),
    ] {
        let client = stage.with_groups(groups);
        let mut connection = client.connect(stage.boundgate.address).unwrap();
        let group = connection.stream.get_ref().conn.negotiated_key_exchange_group();
        assert_eq!(group.map(|group| group.name()), Some(expected));
        assert_eq!(connection.get("/", Some(&token)).unwrap().status(), 200);
    }
}

/// RFC 8446 §8: early data can be replayed, and comes before the client's certificate.
#[test]
fn no_early_data_ever() {
    let stage = stage();
    let client = stage.client(|config| config.enable_early_data = true);
    let token = stage.world.issuer.token(&stage.world.pki.client_a);
    // Each connection brings one ticket.
    let mut two = [(); 2].map(|()| client.connect(stage.boundgate.address).unwrap());
    for connection in &mut two {
        assert_eq!(connection.get("/", Some(&token)).unwrap().status(), 200);
    }
    let name = ServerName::try_from("localhost").unwrap();
    let mut next = ClientConnection::new(Arc::clone(&client.config), name).unwrap();
    assert!(next.early_data().is_none(), "the ticket allows none");
    let mut resumed = client.connect(stage.boundgate.address).unwrap();
    assert!(resumed.resumed(), "and is a good ticket otherwise");
    assert!(!resumed.stream.get_ref().conn.is_early_data_accepted());
    assert_eq!(resumed.get("/", Some(&token)).unwrap().status(), 200);
}

#[test]
fn full_and_resumed_handshakes_are_counted_apart() {
    let stage = stage();
    for version in VERSIONS {
        let (full, resumed) = (stage.handshakes("full"), stage.handshakes("resumed"));
        let pki = &stage.world.pki;
        let client = Client::with_versions(&pki.authority, Some(&pki.client_a), &[version]);
        for expected in [false, true, true] {
            let mut connection = client.connect(stage.boundgate.address).unwrap();
            assert_eq!(connection.get("/", None).unwrap().status(), 401);
            assert_eq!(connection.resumed(), expected);
        }
        assert_eq!((stage.handshakes("full"), stage.handshakes("resumed")), (full + 1.0, resumed + 2.0));
    }
    // What is no TLS at all.
    let mut socket = TcpStream::connect(stage.boundgate.address).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stage.boundgate.wait_for_metric("boundgate_handshakes_total", &["outcome=\"failed\""], 1.0);
}

/// RFC 8705 §6.2: whatever is trusted, the handshake proves that the client holds the key.
#[test]
fn a_certificate_without_its_key_is_no_handshake() {
    for trust in ["trust = \"ca\"\nca = \"ca.pem\"", "trust = \"any\""] {
        let world = World::new();
        let boundgate = super::start(&world, &format!("mode = \"required\"\n{trust}"));
        let (a, b) = (&world.pki.client_a, &world.pki.client_b);
        for version in VERSIONS {
            let client = Client::with_versions(&world.pki.authority, None, &[version]);
            let mut config = (*client.config).clone();
            let key = provider().key_provider.load_private_key(b.key()).unwrap();
            config.client_auth_cert_resolver =
                Arc::new(SingleCertAndKey::from(CertifiedKey::new(a.chain(), key)));
            let thief = Client { config: Arc::new(config) };
            let answer = thief.get(boundgate.address, "/", Some(&world.issuer.token(a)));
            assert!(answer.is_err(), "{trust}: {answer:?}");
        }
        assert_eq!(boundgate.metric("boundgate_requests_total", &[]), 0.0);
    }
}
