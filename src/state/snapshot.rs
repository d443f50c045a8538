//! The [`Snapshot`] that every request reads, and the [`Shared`] place where the newest one is found.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use super::introspect::Access;
use super::trust::Trust;
use super::upstream::Upstream;
use crate::config::settings::{Located, Settings};
use crate::decide::headers::Reserved;
use crate::decide::issuer::Issuer;
use crate::decide::token::Digest;

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
    /// For each issuer what introspecting there needs; the same `Arc` as long as nothing of it changes.
    pub introspection: Vec<Option<Arc<Access>>>,
    /// Where requests go; the same `Arc` as long as nothing of it changes.
    pub upstream: Arc<Upstream>,
    /// Header names that clients may not send on.
    pub reserved: Arc<Reserved>,
    /// What an operator should know of the files that were read anew, one sentence each.
    pub notes: Vec<String>,
    /// For each issuer the digest of its `jwks_file`.
    pub(super) key_files: Vec<Option<Digest>>,
    /// Dates of the certificates that are our own; those of `trust` are there.
    pub(super) expiries: Vec<Expiry>,
}

/// What a call to an authorization server needs, as read from its files. It has no `Debug` output: it holds a key.
#[derive(PartialEq)]
pub struct CallMaterial {
    /// `ca`: trust roots besides the system's; empty where the key was left out.
    pub roots: Vec<CertificateDer<'static>>,
    /// `[issuers.tls]`: the chain to present, leaf first, and its key.
    pub identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// When something that was read from a file runs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The file.
    pub file: PathBuf,
    /// What it holds.
    pub what: Expiring,
    /// The nearest notAfter or nextUpdate in it, in seconds since 1970.
    pub at: u64,
}

/// What runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// A certificate that we present.
    Certificate,
    /// An anchor of `ca`.
    Authority,
    /// A CRL.
    Crl,
}

impl Snapshot {
    /// When each file runs out; a file that is named twice stands there twice.
    pub fn expiries(&self) -> impl Iterator<Item = &Expiry> {
        self.expiries.iter().chain(self.trust.expiries())
    }
}

impl Expiry {
    /// The nearest of these dates, in seconds since 1970; `None` without any.
    pub(super) fn nearest(
        file: &Located<PathBuf>,
        what: Expiring,
        dates: impl Iterator<Item = u64>,
    ) -> Option<Expiry> {
        Some(Expiry { file: file.value.clone(), what, at: dates.min()? })
    }

    /// What it is about and when that runs out: "the certificate is valid until 2030-01-01T00:00:00Z".
    pub fn date(&self) -> String {
        let what = match self.what {
            Expiring::Certificate => "the certificate is valid until",
            Expiring::Authority => "the authority's certificate is valid until",
            Expiring::Crl => "the CRL's next update is due at",
        };
        let date = i64::try_from(self.at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let date = date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| self.at.to_string());
        format!("{what} {date}")
    }

    /// Whole days until then; `None` once it has passed.
    pub fn days_left(&self, now: UnixTime) -> Option<u64> {
        let left = self.at.checked_sub(now.as_secs()).filter(|left| *left > 0)?;
        Some(left / (24 * 60 * 60))
    }

    /// The same for a person: "7 days left".
    pub fn left(&self, now: UnixTime) -> String {
        match self.days_left(now) {
            None => "which has passed".to_owned(),
            Some(0) => "less than a day left".to_owned(),
            Some(1) => "1 day left".to_owned(),
            Some(days) => format!("{days} days left"),
        }
    }
}

impl std::fmt::Display for Expiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.date())
    }
}

/// A number that is greater than every earlier one in this process: the generation of a trust or of an issuer's keys.
pub fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// Where the newest snapshot is found.
pub struct Shared {
    current: ArcSwap<Snapshot>,
    replaced: watch::Sender<()>,
}

impl Shared {
    /// Starts with this snapshot.
    pub fn new(snapshot: Snapshot) -> Shared {
        Shared { current: ArcSwap::from_pointee(snapshot), replaced: watch::Sender::new(()) }
    }

    /// The snapshot of this moment.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Tells of every replacement.
    pub(super) fn replaced(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }

    /// Replaces it; only the control thread calls this.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
        self.replaced.send_replace(());
    }
}
