//! What `/readyz` says of each issuer, and whether one has ever been usable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;

/// How it stands with an issuer's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssuerState {
    /// The first fetch is not over.
    Pending,
    /// Keys serve, and the last fetch succeeded (or they are in a file).
    Ready,
    /// Keys serve, but the last fetch failed.
    Stale,
    /// No keys serve.
    Unavailable,
}

impl IssuerState {
    /// The word in the body of `/readyz`.
    pub const fn name(self) -> &'static str {
        match self {
            IssuerState::Pending => "pending",
            IssuerState::Ready => "ready",
            IssuerState::Stale => "stale",
            IssuerState::Unavailable => "unavailable",
        }
    }
}

/// The state of one issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerStatus {
    /// Its name.
    pub issuer: Arc<str>,
    /// How it stands.
    pub state: IssuerState,
    /// Keys that serve.
    pub keys: usize,
    /// Why the last fetch failed; `None` if it did not.
    pub last_error: Option<String>,
    /// When keys were last fetched or confirmed.
    pub fetched_at: Option<SystemTime>,
}

/// Where the control thread shows the state of the issuers.
#[derive(Debug, Default)]
pub struct Board {
    issuers: ArcSwap<Vec<IssuerStatus>>,
    usable: AtomicBool,
}

impl Board {
    /// The issuers in the order of the configuration; empty before the control thread has looked at them.
    pub fn issuers(&self) -> Arc<Vec<IssuerStatus>> {
        self.issuers.load_full()
    }

    /// Whether an issuer has been usable. A later outage does not turn it back.
    pub fn has_been_usable(&self) -> bool {
        self.usable.load(Ordering::Acquire)
    }

    /// Shows these.
    pub(super) fn show(&self, issuers: Vec<IssuerStatus>) {
        let usable =
            issuers.iter().any(|issuer| matches!(issuer.state, IssuerState::Ready | IssuerState::Stale));
        self.issuers.store(Arc::new(issuers));
        if usable {
            self.usable.store(true, Ordering::Release);
        }
    }
}
