//! What `/readyz` says of each issuer, and whether one has ever been usable.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use serde::Serialize;

/// Whether an issuer's signed tokens can be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Usability {
    /// They can, by its keys, perhaps with keys that could not be refreshed of late.
    Usable,
    /// Not yet, since the process started or the issuer was configured.
    NotYet,
    /// No longer: the keys have become too old and newer ones cannot be had.
    Stale,
}

/// Whether an issuer's introspection can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Introspecting {
    /// Its endpoint is known, and calls do not fail.
    Usable,
    /// Its endpoint is not known yet.
    NotYet,
    /// So many calls have failed that only one now and then is made.
    Failing,
}

/// The state of one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssuerStatus {
    /// Its name as configured.
    pub issuer: Arc<str>,
    /// Whether its signed tokens can be verified.
    pub state: Usability,
    /// Whether its introspection can be asked; `None` where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspecting>,
    /// Keys that can verify signatures.
    pub keys: usize,
    /// Why the last fetch failed; `None` after one that succeeded. Holds no secret.
    pub error: Option<String>,
    /// When keys were last fetched or confirmed; `None` where they are in a file.
    #[serde(skip)]
    pub fetched_at: Option<SystemTime>,
}

/// Where the control thread shows the state of the issuers.
#[derive(Debug, Default)]
pub struct Board {
    issuers: ArcSwap<Vec<IssuerStatus>>,
    introspection: ArcSwap<HashMap<Arc<str>, Introspecting>>,
    usable: AtomicBool,
}

impl Board {
    /// The issuers in the order of the configuration; empty before the control thread has looked at them.
    pub fn issuers(&self) -> Vec<IssuerStatus> {
        let introspection = self.introspection.load();
        let of = |issuer: &IssuerStatus| introspection.get(&issuer.issuer).copied();
        let issuers = self.issuers.load();
        issuers.iter().map(|issuer| IssuerStatus { introspection: of(issuer), ..issuer.clone() }).collect()
    }

    /// Whether an issuer has been usable. A later outage does not turn it back.
    pub fn has_been_usable(&self) -> bool {
        self.usable.load(Ordering::Acquire)
    }

    /// Shows these, by the issuers' names.
    pub(crate) fn show_introspection(&self, introspection: HashMap<Arc<str>, Introspecting>) {
        let usable = introspection.values().any(|state| *state == Introspecting::Usable);
        self.introspection.store(Arc::new(introspection));
        if usable {
            self.usable.store(true, Ordering::Release);
        }
    }

    /// Shows these.
    pub(crate) fn show(&self, issuers: Vec<IssuerStatus>) {
        let usable = issuers.iter().any(|issuer| issuer.state == Usability::Usable);
        self.issuers.store(Arc::new(issuers));
        if usable {
            self.usable.store(true, Ordering::Release);
        }
    }
}
