//! The [`Snapshot`] that every request reads, and the [`Shared`] place where the newest one is found.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::trust::Trust;
use crate::config::settings::Settings;
use crate::decide::headers::Reserved;
use crate::decide::issuer::Issuer;

/// What is in force at one moment. It is never changed, only replaced as a whole.
pub struct Snapshot {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The listener's TLS, with `trust` as its verifier.
    pub tls: Arc<rustls::ServerConfig>,
    /// Which client certificates are admitted.
    pub trust: Arc<Trust>,
    /// Issuers in the order of the configuration, with their keys. Generations of keys never repeat in a process.
    pub issuers: Vec<Arc<Issuer>>,
    /// Header names that clients may not send on.
    pub reserved: Arc<Reserved>,
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
