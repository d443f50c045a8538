//! TLS 1.3 as every system speaks it: one key exchange and one cipher for all, so that all do the same work.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::{Resumption, WantsClientCert};
use tokio_rustls::rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, ConfigBuilder, HandshakeKind, RootCertStore};

use super::dial;
use crate::pki::{Client, Pki, SERVER_NAME};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// Every handshake is a full one.
    Never,
    /// A handshake resumes the session of the one before.
    Resumed,
}

/// A client that connects.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
}

impl Tls {
    pub fn new(pki: &Pki, client: &Client, protocol: Protocol, sessions: Sessions) -> Result<Tls> {
        let mut config =
            verifier(pki)?.with_client_auth_cert(vec![client.certificate.clone()], client.key())?;
        let protocol: &[u8] = if protocol == Protocol::Http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        if sessions == Sessions::Never {
            config.resumption = Resumption::disabled();
        }
        Ok(Tls { connector: Arc::new(config).into() })
    }

    /// A client that has no certificate.
    pub fn anonymous(pki: &Pki) -> Result<Tls> {
        let mut config = verifier(pki)?.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { connector: Arc::new(config).into() })
    }

    /// Connects; fails if the other protocol was negotiated than the one that was offered.
    pub async fn connect(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>> {
        let socket = dial(address).await?;
        let stream = self.connector.connect(ServerName::try_from(SERVER_NAME)?, socket).await?;
        let offered = &self.connector.config().alpn_protocols;
        ensure!(
            stream.get_ref().1.alpn_protocol() == offered.first().map(Vec::as_slice),
            "the protocol was not accepted"
        );
        Ok(stream)
    }
}

fn verifier(pki: &Pki) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519];
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
    let mut roots = RootCertStore::empty();
    roots.add(pki.ca_der.clone())?;
    let builder =
        ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13])?;
    Ok(builder.with_root_certificates(roots))
}

pub fn is_resumed(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}
