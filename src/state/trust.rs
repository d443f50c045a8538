//! Which client certificates are admitted, at the handshake and again whenever that may have changed.

use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::settings::Mode;

/// The trust of one moment: mode, anchors, CRLs.
#[derive(Debug)]
pub struct Trust {
    generation: u64,
    mode: Mode,
}

/// A certificate that is admitted, and for how long that holds without another look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The trust's generation that admitted it.
    pub generation: u64,
    /// Seconds since 1970: from then on it must be verified again (the nearest notAfter of the chain, or nextUpdate of a CRL
    /// where an expired CRL admits nobody).
    pub until: u64,
}

/// Why a chain is not admitted; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAdmitted(pub String);

impl Trust {
    /// Grows by one whenever the mode, an anchor or a CRL changed.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a handshake needs a certificate.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Judges the chain of a connection (leaf first; empty: none was presented) as a handshake would now.
    ///
    /// # Errors
    /// The certificate has expired, was revoked, leads to no anchor; or none was presented where one is required.
    pub fn admit(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Admitted, NotAdmitted> {
        let _ = (chain, now);
        todo!()
    }

    /// The verifier of the handshake.
    pub fn verifier(self: &Arc<Self>) -> Arc<dyn ClientCertVerifier> {
        todo!()
    }
}

#[cfg(test)]
impl Trust {
    pub(super) fn temporary() -> Trust {
        Trust { generation: 0, mode: Mode::Required }
    }
}
