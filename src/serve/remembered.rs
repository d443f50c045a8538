//! Tokens that a worker has verified before. The memory answers "is this token genuine", never "may this client use it": times,
//! audience, binding and scopes are judged on every request.

use std::cell::RefCell;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::decide::issuer::Issuer;
use crate::decide::token::Digest;
use crate::decide::verified::Genuine;

/// Bytes that a worker spends on it.
const BYTES: u64 = 32 << 20;
/// Tokens for which room is made at the start; the bound is [`BYTES`].
const EXPECTED: usize = 16_384;

#[derive(Clone)]
struct Bytes;

impl Weighter<Digest, Arc<Genuine>> for Bytes {
    fn weight(&self, _: &Digest, genuine: &Arc<Genuine>) -> u64 {
        genuine.weight() as u64 + 128
    }
}

/// Verified tokens, keyed by their SHA-256.
pub(crate) struct Remembered(RefCell<Cache<Digest, Arc<Genuine>, Bytes>>);

impl Remembered {
    pub(crate) fn new() -> Remembered {
        Remembered(RefCell::new(Cache::with_weighter(EXPECTED, BYTES, Bytes)))
    }

    /// The token of this digest, if it was verified with the keys that its issuer has now.
    pub(crate) fn get(&self, digest: &Digest, issuers: &[Arc<Issuer>]) -> Option<Arc<Genuine>> {
        let cache = self.0.borrow();
        let genuine = cache.get(digest)?;
        let current = issuers.get(genuine.issuer())?.keys.generation;
        (genuine.generation() == current).then(|| genuine.clone())
    }

    /// Remembers a token.
    pub(crate) fn insert(&self, digest: Digest, genuine: Arc<Genuine>) {
        self.0.borrow_mut().insert(digest, genuine);
    }
}
