//! A connection for each request.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;

use super::tls::is_resumed;
use super::{Ask, Connection, Lane, Sessions, Tls};

pub struct Fresh {
    tls: Tls,
    address: SocketAddr,
    expected: Sessions,
}

impl Fresh {
    /// With [`Sessions::Resumed`] it has made one connection already, whose session the next one resumes.
    pub async fn new(tls: Tls, address: SocketAddr, sessions: Sessions, first: &Ask) -> Result<Fresh> {
        let mut fresh = Fresh { tls, address, expected: Sessions::Never };
        fresh.ask(first).await?;
        fresh.expected = sessions;
        Ok(fresh)
    }
}

impl Lane for Fresh {
    /// Fails if the handshake was not of the kind that is measured.
    async fn ask(&mut self, ask: &Ask) -> Result<u16> {
        let mut connection = Connection::open(&self.tls, self.address).await?;
        let resumed = is_resumed(&connection.stream);
        ensure!(
            resumed == (self.expected == Sessions::Resumed),
            "a handshake was {}",
            if resumed { "resumed" } else { "full" }
        );
        let status = connection.ask(ask).await?;
        connection.stream.shutdown().await?;
        Ok(status)
    }
}
