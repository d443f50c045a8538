//! A client that sends exactly what it is given, over TLS with or without a certificate.

use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::message::{Message, read_all, read_head, read_response};
use super::pki::{Authority, Identity};
use super::process::PATIENCE;

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Who connects, and whom it trusts. Connections of one client resume each other's sessions.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) config: Arc<ClientConfig>,
}

impl Client {
    /// A client that trusts servers of this authority, speaks HTTP/1.1 and shows this certificate, if any.
    pub(crate) fn new(trusted: &Authority, identity: Option<&Identity>) -> Client {
        Client::with_versions(trusted, identity, rustls::ALL_VERSIONS)
    }

    /// The same with these versions of TLS alone.
    pub(crate) fn with_versions(
        trusted: &Authority,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(PemObject::from_pem_file(&trusted.certificate).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some(identity) => builder.with_client_auth_cert(identity.chain(), identity.key()).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Client { config: Arc::new(config) }
    }

    /// Connects and shakes hands. With TLS 1.3 a server refuses a certificate only after this: the first read tells.
    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<Connection> {
        self.over(TcpStream::connect(address)?)
    }

    /// The same on a connection that is already there.
    pub(crate) fn over(&self, mut socket: TcpStream) -> io::Result<Connection> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        Ok(Connection { stream: BufReader::new(StreamOwned::new(tls, socket)) })
    }

    /// One request on a connection of its own; a handshake that fails, now or later, is the error.
    pub(crate) fn get(&self, address: SocketAddr, target: &str, token: Option<&str>) -> io::Result<Message> {
        self.connect(address)?.get(target, token)
    }
}

/// An open connection.
pub(crate) struct Connection {
    pub(crate) stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Connection {
    /// Writes these bytes and nothing else.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())?;
        self.stream.get_mut().flush()
    }

    /// The next response, whole.
    pub(crate) fn response(&mut self) -> io::Result<Message> {
        read_response(&mut self.stream)
    }

    /// The next head alone: the answer to HEAD, or an upgrade.
    pub(crate) fn head(&mut self) -> io::Result<Message> {
        read_head(&mut self.stream)
    }

    /// Everything until the server closes.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        read_all(&mut self.stream)
    }

    /// These bytes, then the response to them.
    pub(crate) fn exchange(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<Message> {
        self.send(bytes)?;
        self.response()
    }

    /// A GET, with the token as a bearer token if there is one.
    pub(crate) fn get(&mut self, target: &str, token: Option<&str>) -> io::Result<Message> {
        let authorization =
            token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        self.exchange(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n"))
    }

    /// Whether this connection began as a resumed session.
    pub(crate) fn resumed(&self) -> bool {
        let kind = self.stream.get_ref().conn.handshake_kind();
        kind == Some(rustls::HandshakeKind::Resumed)
    }
}
