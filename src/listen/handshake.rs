//! The TLS handshake, within `head_timeout`, and the client's certificate out of it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;

use rustls::{HandshakeKind, ProtocolVersion};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::io::Socket;
use crate::decide::client::ClientCert;
use crate::metrics::{self, Handshake};
use crate::serve::clock::Clock;
use crate::state::Snapshot;

/// A connection whose handshake is over.
pub(super) struct Established {
    pub(super) tls: TlsStream<Socket>,
    /// The certificate whose key the peer has proven to hold.
    pub(super) client: Option<ClientCert>,
    pub(super) http2: bool,
}

/// Shakes hands; `None` when that failed, which is counted and logged.
pub(super) async fn shake(
    socket: TcpStream,
    peer: SocketAddr,
    clock: Rc<Clock>,
    snapshot: &Snapshot,
    metrics: &metrics::Worker,
) -> Option<Established> {
    let limit = snapshot.settings.limits.head_timeout;
    let outcome = match tokio::time::timeout(limit, establish(socket, clock, snapshot)).await {
        Ok(Ok(established)) => {
            let resumed = established.tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            metrics.handshake(if resumed { Handshake::Resumed } else { Handshake::Full });
            return Some(established);
        }
        Ok(Err(error)) => {
            let outcome = outcome_of(&error);
            // Port scans and health checks that send nothing would drown the log of what matters.
            if outcome == Handshake::CertificateRefused {
                tracing::info!(%peer, %error, "handshake refused");
            } else {
                tracing::debug!(%peer, %error, "handshake failed");
            }
            outcome
        }
        Err(_) => {
            tracing::debug!(%peer, "handshake timed out");
            Handshake::Timeout
        }
    };
    metrics.handshake(outcome);
    None
}

async fn establish(socket: TcpStream, clock: Rc<Clock>, snapshot: &Snapshot) -> io::Result<Established> {
    let tcp = tokio::net::TcpStream::from_std(socket)?;
    let tls = TlsAcceptor::from(Arc::clone(&snapshot.tls)).accept(Socket { tcp, clock }).await?;
    let (_, session) = tls.get_ref();
    debug_assert!(matches!(
        session.protocol_version(),
        Some(ProtocolVersion::TLSv1_2 | ProtocolVersion::TLSv1_3)
    ));
    let chain = session.peer_certificates().unwrap_or_default();
    let client = match chain {
        [] => None,
        chain => {
            let chain = chain.iter().map(|c| c.clone().into_owned()).collect();
            Some(
                ClientCert::read(chain)
                    .map_err(|_| io::Error::other("the client's certificate cannot be read"))?,
            )
        }
    };
    let http2 = session.alpn_protocol() == Some(b"h2");
    Ok(Established { tls, client, http2 })
}

fn outcome_of(error: &io::Error) -> Handshake {
    match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Handshake::CertificateRefused
        }
        _ => Handshake::Failed,
    }
}
