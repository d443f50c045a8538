//! What all systems share in a run: certificates, issuer, tokens and upstream.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;

use crate::issuer::{self, Issuer};
use crate::pki::{Client, Pki};
use crate::upstream;

/// The owner of the tokens, and somebody who has stolen them.
const CLIENTS: usize = 2;

pub struct Stage {
    pub boundgate: PathBuf,
    pub envoy: Option<PathBuf>,
    pub pki: Pki,
    pub issuer: Issuer,
    pub upstream: SocketAddr,
    /// A good token of [`Self::client`].
    pub token: String,
    #[expect(dead_code, reason = "held for its end")]
    folder: TempDir,
}

impl Stage {
    pub fn new(boundgate: PathBuf, envoy: Option<PathBuf>) -> Result<Stage> {
        let folder = TempDir::new()?;
        let pki = Pki::issue(folder.path(), CLIENTS)?;
        let issuer = Issuer::new(folder.path())?;
        let upstream = upstream::start(issuer::introspected(&pki.clients[0])?)?;
        let token = issuer.token(&pki.clients[0])?;
        Ok(Stage { boundgate, envoy, pki, issuer, upstream, token, folder })
    }

    /// Whose tokens they are, where one client is enough.
    pub fn client(&self) -> &Client {
        &self.pki.clients[0]
    }

    /// Somebody else.
    pub fn other_client(&self) -> &Client {
        &self.pki.clients[1]
    }
}
