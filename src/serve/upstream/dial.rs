//! A new connection to the upstream: name, TCP or Unix socket, TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::io::Io;
use crate::config::settings::{HostPort, UpstreamUrl};
use crate::decide::refusal::{Reason, Refusal};
use crate::state::upstream::Upstream;

/// How long to wait for a place in the backlog of a Unix socket before asking again.
const BACKLOG_PAUSE: Duration = Duration::from_millis(5);

/// Why there is no connection.
#[derive(Debug)]
pub(in crate::serve) enum ConnectError {
    /// Nobody listens there, or the name has no address.
    Refused(io::Error),
    /// Not within `connect_timeout`.
    Timeout,
    /// Somebody listens, but TLS or HTTP/2 did not come about.
    Failed(String),
}

impl From<ConnectError> for Refusal {
    fn from(error: ConnectError) -> Refusal {
        match error {
            ConnectError::Refused(error) => Reason::UpstreamRefused.note(error.to_string()),
            ConnectError::Timeout => Reason::UpstreamTimeout.note("no connection within connect_timeout"),
            ConnectError::Failed(what) => Reason::UpstreamFailed.note(what),
        }
    }
}

/// Connects before the deadline.
pub(super) async fn dial(upstream: &Upstream, deadline: Instant) -> Result<Io, ConnectError> {
    let dialled = async {
        match &upstream.url {
            UpstreamUrl::Http(server) | UpstreamUrl::H2c(server) => {
                Ok(Io::Tcp(connect(server, deadline).await?))
            }
            UpstreamUrl::Https { server, name } => {
                // An https upstream is made with its TLS.
                let config = upstream.tls.as_ref().ok_or(ConnectError::Failed("no TLS".to_owned()))?;
                let tcp = connect(server, deadline).await?;
                let shaking = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp);
                let tls = shaking.await.map_err(|error| ConnectError::Failed(format!("TLS: {error}")))?;
                Ok(Io::Tls(Box::new(tls)))
            }
            UpstreamUrl::Unix(path) => connect_unix(path).await.map(Io::Unix).map_err(ConnectError::Refused),
        }
    };
    timeout_at(deadline, dialled).await.map_err(|_| ConnectError::Timeout)?
}

/// Tries each address of a name; one that does not answer leaves its share of the time to the next.
async fn connect(server: &HostPort, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
    let addresses: Vec<_> = found.map_err(ConnectError::Refused)?.collect();
    let mut failure = ConnectError::Refused(io::Error::other("the name has no address"));
    for (address, untried) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        let share = deadline.saturating_duration_since(Instant::now()) / untried;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Without it a small request waits for an acknowledgement.
                tcp.set_nodelay(true).map_err(ConnectError::Refused)?;
                return Ok(tcp);
            }
            Ok(Err(error)) => failure = ConnectError::Refused(error),
            Err(_) => failure = ConnectError::Timeout,
        }
    }
    Err(failure)
}

/// Where TCP would wait for a place in the backlog, a Unix socket says at once that there is none (connect(2), EAGAIN).
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tokio::time::sleep(BACKLOG_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
