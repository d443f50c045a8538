//! The [`Snapshot`] that every request reads, and the [`Shared`] place where the newest one is found.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::trust::Trust;
use crate::config::settings::Settings;
use crate::decide::headers::Reserved;
use crate::decide::issuer::Issuer;

/// What is in force at one moment. It is never changed, only replaced as a whole.
#[derive(Clone)]
pub struct Snapshot {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The listener's TLS, with `trust` as its verifier.
    pub tls: Arc<rustls::ServerConfig>,
    /// Which client certificates are admitted.
    pub trust: Arc<Trust>,
    /// Issuers in the order of the configuration, with their keys. Generations of keys never repeat in a process.
    pub issuers: Vec<Arc<Issuer>>,
    /// For each issuer what a call to it needs; the same `Arc` as long as nothing of it changes.
    pub calls: Vec<Arc<CallMaterial>>,
    /// Header names that clients may not send on.
    pub reserved: Arc<Reserved>,
}

/// What a call to an authorization server needs, as read from its files. It has no `Debug` output: it holds a key.
pub struct CallMaterial {
    /// `ca`: trust roots besides the system's; empty where the key was left out.
    pub roots: Vec<CertificateDer<'static>>,
    /// `[issuers.tls]`: the chain to present, leaf first, and its key.
    pub identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// A number that is greater than every earlier one in this process: the generation of a trust or of an issuer's keys.
pub fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Where the newest snapshot is found.
pub struct Shared {
    current: ArcSwap<Snapshot>,
}

impl Shared {
    /// Starts with this snapshot.
    pub fn new(snapshot: Snapshot) -> Shared {
        Shared { current: ArcSwap::from_pointee(snapshot) }
    }

    /// The snapshot of this moment.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Replaces it; only the control thread calls this.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}
