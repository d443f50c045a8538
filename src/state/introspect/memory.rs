//! What is remembered of answers, for all workers: active ones and others apart, so that random tokens cannot push good ones out.
//!
//! A key is the token's SHA-256 with the generation of what its issuer's answers are judged by, which no two issuers share.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use crate::decide::issuer::Issuer;
use crate::decide::refusal::Refusal;
use crate::decide::revocation::Revocation;
use crate::decide::token::Digest;
use crate::decide::verified::Genuine;

/// Bytes for active answers.
const ACTIVE: u64 = 64 << 20;

/// Bytes for all others.
const REFUSED: u64 = 8 << 20;

/// Bytes that an entry costs besides what it says; no entry weighs less, so this bounds their number too: 262 144 and 32 768.
const OVERHEAD: usize = 256;

/// What an answer is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) token: Digest,
    pub(super) generation: u64,
}

impl Key {
    pub(super) fn of(token: &Digest, issuer: &Issuer) -> Key {
        Key { token: *token, generation: issuer.answer_generation() }
    }
}

/// How long an answer serves.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// When it came.
    pub(super) since: Instant,
    /// When to ask again: the end of its time, or of the token.
    pub(super) until: Instant,
}

impl Freshness {
    /// Whether it serves now. `ttl` is what is configured now: a reload may have made it shorter.
    pub fn serves(&self, ttl: Duration) -> bool {
        self.lasts() && self.since.elapsed() < ttl
    }

    /// Whether it serves now, as long as nothing was made shorter.
    pub fn lasts(&self) -> bool {
        Instant::now() < self.until
    }
}

/// A token that was active.
#[derive(Clone)]
pub struct Known {
    /// What its issuer said of it.
    pub genuine: Arc<Genuine>,
    /// For how long that serves.
    pub fresh: Freshness,
}

/// What is remembered of a token.
pub enum Recalled {
    /// It was active.
    Active(Known),
    /// It was refused for this.
    Refused(Arc<Refusal>),
}

#[derive(Clone)]
struct Refused {
    refusal: Arc<Refusal>,
    fresh: Freshness,
}

/// The memory. Only the control thread writes to it.
pub struct Memory {
    active: Cache<Key, Known>,
    refused: Cache<Key, Refused>,
}

impl Memory {
    pub(super) fn new() -> Memory {
        let weight = |bytes: usize| u32::try_from(OVERHEAD + bytes).unwrap_or(u32::MAX);
        Memory {
            active: Cache::builder()
                .max_capacity(ACTIVE)
                .weigher(move |_, known: &Known| weight(known.genuine.weight()))
                .expire_after(Until)
                .build(),
            refused: Cache::builder()
                .max_capacity(REFUSED)
                .weigher(move |_, refused: &Refused| {
                    weight(refused.refusal.note.as_ref().map_or(0, |note| note.len()))
                })
                .expire_after(Until)
                .build(),
        }
    }

    /// What is still remembered of a token at an issuer.
    pub fn recall(&self, token: &Digest, issuer: &Issuer) -> Option<Recalled> {
        let (key, times) = (Key::of(token, issuer), issuer.introspection.as_ref()?);
        // The cache's own clock is coarse; `exp` is not to be overstepped by it.
        if let Some(known) = self.active.get(&key).filter(|known| known.fresh.serves(times.cache_ttl)) {
            return Some(Recalled::Active(known));
        }
        let refused = self.refused.get(&key).filter(|refused| refused.fresh.serves(times.negative_ttl))?;
        Some(Recalled::Refused(refused.refusal))
    }

    pub(super) fn keep_active(&self, key: Key, known: Known) {
        if known.fresh.lasts() {
            self.refused.invalidate(&key);
            self.active.insert(key, known);
        }
    }

    pub(super) fn keep_refused(&self, key: Key, refusal: Arc<Refusal>, fresh: Freshness) {
        self.active.invalidate(&key);
        if fresh.lasts() {
            self.refused.insert(key, Refused { refusal, fresh });
        }
    }

    /// Forgets what a revocation covers. Returns whose entries there were.
    pub(super) fn forget(&self, revocation: &Revocation) -> HashSet<Digest> {
        let mut forgotten = HashSet::new();
        for (key, known) in &self.active {
            if revocation.covers(&key.token, Some(&known.genuine)) {
                self.active.invalidate(&*key);
                forgotten.insert(key.token);
            }
        }
        for (key, _) in &self.refused {
            if revocation.covers(&key.token, None) {
                self.refused.invalidate(&*key);
                forgotten.insert(key.token);
            }
        }
        forgotten
    }
}

/// Entries leave at their own moments.
struct Until;

impl Expiry<Key, Known> for Until {
    fn expire_after_create(&self, _: &Key, known: &Known, now: Instant) -> Option<Duration> {
        Some(known.fresh.until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        known: &Known,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(known.fresh.until.saturating_duration_since(now))
    }
}

impl Expiry<Key, Refused> for Until {
    fn expire_after_create(&self, _: &Key, refused: &Refused, now: Instant) -> Option<Duration> {
        Some(refused.fresh.until.saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        _: &Key,
        refused: &Refused,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(refused.fresh.until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests;
