//! The name that a client asks for, and the shape of its first message, choose no other rules: there is one listener, one policy.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use crate::support::boundgate::Boundgate;
use crate::support::client::{Client, Connection, provider};
use crate::support::world::World;

/// Takes any server's certificate: what is tested is what the server does.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Connects under this name (none where it is an address), its handshake in records of this size.
fn get(
    client: &Client,
    address: SocketAddr,
    name: &'static str,
    record: Option<usize>,
    token: &str,
) -> io::Result<u16> {
    let mut config: ClientConfig = (*client.config).clone();
    config.max_fragment_size = record;
    config.dangerous().set_certificate_verifier(Arc::new(Trusting));
    let mut socket = std::net::TcpStream::connect(address)?;
    let mut tls =
        ClientConnection::new(Arc::new(config), name.try_into().unwrap()).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    let mut connection = Connection { stream: io::BufReader::new(StreamOwned::new(tls, socket)) };
    Ok(connection.get("/", Some(token))?.status())
}

/// CVE-2022-23632, CVE-2026-32305: a name that is not configured, a missing one, or one that a sniffer does not find leads to no listener
/// without client certificates.
#[test]
fn no_name_and_no_fragmentation_leads_past_the_certificate() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let token = world.issuer.token(&world.pki.client_a);
    let (owner, nobody) = (world.client(Some(&world.pki.client_a)), world.client(None));
    for name in ["localhost", "localhost.", "other.example", "127.0.0.1"] {
        for record in [None, Some(32)] {
            let ask = |client| get(client, boundgate.address, name, record, &token);
            assert_eq!(ask(&owner).unwrap(), 200, "{name} {record:?}");
            assert!(ask(&nobody).is_err(), "{name} {record:?}");
        }
    }
    assert!(world.api.requests().len() == 8);
}
