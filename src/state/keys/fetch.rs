//! One fetch of an issuer's keys: where they are, what is there, and whether it is new.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;
use sha2::{Digest as _, Sha256};

use super::Source;
use crate::config::settings::KeySource;
use crate::decide::keys::KeySet;
use crate::state::calls::{CallError, Caller, Cause, Content, endpoint, excerpt};
use crate::state::discovery::{Metadata, discover};

/// Keys as they were fetched, with what it takes to recognise them.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) set: Arc<KeySet>,
    digest: [u8; 32],
    url: Url,
    etag: Option<HeaderValue>,
}

/// What a fetch starts from.
pub(crate) struct Order {
    pub(super) caller: Result<Caller, CallError>,
    pub(super) source: Arc<Source>,
    /// Metadata that is still good; otherwise it is discovered first, where the source asks for that.
    pub(super) metadata: Option<Metadata>,
    /// The last keys.
    pub(super) held: Option<Held>,
}

/// What a fetch brought.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The keys; the same [`KeySet`] as before where nothing changed.
    pub(super) held: Held,
    /// Metadata, where it was read anew.
    pub(super) discovered: Option<Metadata>,
    pub(super) max_age: Option<Duration>,
    /// Whether these keys are other ones than before, and if so, what is odd about them.
    pub(super) news: Option<Vec<String>>,
}

impl Order {
    /// Carries it out.
    ///
    /// # Errors
    /// A call that failed, or an answer that holds no usable key.
    pub(crate) async fn carry_out(self) -> Result<Fetched, CallError> {
        let Order { caller, source, metadata, held } = self;
        let caller = caller?;
        let (url, discovered) = match (&source.keys, metadata) {
            (KeySource::Uri(uri), _) => (endpoint("jwks_uri", uri)?, None),
            (KeySource::Discovered, Some(known)) => (jwks_uri(&known)?, None),
            (KeySource::Discovered, None) => {
                let metadata = discover(&caller, &source.issuer).await?;
                (jwks_uri(&metadata)?, Some(metadata))
            }
            (KeySource::File(_), _) => {
                return Err(Cause::Invalid("keys in a file are not fetched".into()).nowhere());
            }
        };

        let etag = held.as_ref().filter(|held| held.url == url).and_then(|held| held.etag.as_ref());
        let answer = caller.get(&url, etag).await?;
        let max_age = answer.max_age;
        let (held, news) = match (answer.content, held) {
            (Content::Unmodified, Some(held)) => (held, None),
            (Content::Unmodified, None) => return Err(Cause::Status(304).at(&url)),
            (Content::Body(body), held) => {
                let digest = Sha256::digest(&body).into();
                let (set, news) = match held {
                    Some(held) if held.digest == digest => (held.set, None),
                    _ => {
                        let (set, odd) = KeySet::parse(&body).map_err(|fault| {
                            Cause::Invalid(format!("key set: {}", excerpt(&fault.0))).at(&url)
                        })?;
                        (Arc::new(set), Some(odd))
                    }
                };
                (Held { set, digest, url, etag: answer.etag }, news)
            }
        };
        Ok(Fetched { held, discovered, max_age, news })
    }
}

fn jwks_uri(metadata: &Metadata) -> Result<Url, CallError> {
    metadata
        .jwks_uri
        .clone()
        .ok_or_else(|| Cause::Invalid("the issuer's metadata has no `jwks_uri`".into()).nowhere())
}
