//! Tokens that a worker has verified before. The memory answers "is this token genuine", never "may this client use it": times,
//! audience, binding and scopes are judged on every request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::decide::issuer::Issuer;
use crate::decide::revocation::Revocation;
use crate::decide::token::Digest;
use crate::decide::verified::Genuine;
use crate::state::introspect::Freshness;

/// Bytes that a worker spends on it.
const BYTES: u64 = 32 << 20;
/// Tokens for which room is made at the start; the bound is [`BYTES`].
const EXPECTED: usize = 16_384;

/// Revocations that are kept for look-ups that are under way; those of an older beginning count as overtaken.
const RECENT: usize = 256;

/// A token and how long it may be remembered: one whose issuer was asked about it, until it is to be asked again.
struct Entry {
    genuine: Arc<Genuine>,
    fresh: Option<Freshness>,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Digest, Entry> for Bytes {
    fn weight(&self, _: &Digest, entry: &Entry) -> u64 {
        entry.genuine.weight() as u64 + 128
    }
}

/// Verified tokens, keyed by their SHA-256.
pub(crate) struct Remembered {
    entries: RefCell<Cache<Digest, Entry, Bytes>>,
    revocations: Cell<usize>,
    /// The last of them.
    recent: RefCell<VecDeque<Arc<Revocation>>>,
}

/// The moment at which a look-up began, as revocations see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Began(usize);

impl Remembered {
    pub(crate) fn new() -> Remembered {
        Remembered {
            entries: RefCell::new(Cache::with_weighter(EXPECTED, BYTES, Bytes)),
            revocations: Cell::new(0),
            recent: RefCell::default(),
        }
    }

    /// The token of this digest, if it was verified by what its issuer is now.
    pub(crate) fn get(&self, digest: &Digest, issuers: &[Arc<Issuer>]) -> Option<Arc<Genuine>> {
        let entries = self.entries.borrow();
        let Entry { genuine, fresh } = entries.get(digest)?;
        let issuer = issuers.get(genuine.issuer())?;
        let serves = fresh.is_none_or(|fresh| {
            issuer.introspection.as_ref().is_some_and(|introspection| fresh.serves(introspection.cache_ttl))
        });
        (serves && genuine.is_current(issuer)).then(|| genuine.clone())
    }

    /// A look-up begins, which is to be named when its result is remembered.
    pub(crate) fn begin(&self) -> Began {
        Began(self.revocations.get())
    }

    /// Remembers a token, unless something was revoked since its look-up began.
    pub(crate) fn insert(
        &self,
        began: Began,
        digest: Digest,
        genuine: &Arc<Genuine>,
        fresh: Option<Freshness>,
    ) {
        if began == self.begin() && fresh.is_none_or(|fresh| fresh.lasts()) {
            self.entries.borrow_mut().insert(digest, Entry { genuine: genuine.clone(), fresh });
        }
    }

    /// Whether a token was revoked while it was looked up: what was learnt of it may be older than that.
    pub(crate) fn overtaken(&self, began: Began, digest: &Digest, genuine: &Genuine) -> bool {
        let (since, recent) = (self.revocations.get() - began.0, self.recent.borrow());
        let mut last = recent.iter().rev().take(since);
        since > recent.len() || last.any(|revocation| revocation.covers(digest, Some(genuine)))
    }

    /// Forgets what a revocation covers, and returns whose entries there were.
    pub(crate) fn forget(&self, revocation: &Arc<Revocation>) -> Vec<Digest> {
        self.revocations.set(self.revocations.get() + 1);
        let mut recent = self.recent.borrow_mut();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(Arc::clone(revocation));
        let mut entries = self.entries.borrow_mut();
        let is_covered =
            |(digest, entry): &(&Digest, &Entry)| revocation.covers(digest, Some(&entry.genuine));
        let covered: Vec<_> = entries.iter().filter(is_covered).map(|(digest, _)| *digest).collect();
        let lasts = |entry: Entry| entry.fresh.is_none_or(|fresh| fresh.lasts());
        covered
            .into_iter()
            .filter(|digest| entries.remove(digest).is_some_and(|(_, entry)| lasts(entry)))
            .collect()
    }
}
