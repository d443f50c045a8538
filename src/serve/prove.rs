//! From the header fields to a token that this client may use now: by memory, by a signature, by introspection.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::exchange::Exchange;
use super::worker::{Connection, unix_now};
use crate::decide::binding::{self, BoundToken, Require};
use crate::decide::client::ClientCert;
use crate::decide::introspection;
use crate::decide::jwt::{self, Miss};
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::token::{Digest, Token};
use crate::decide::verified::{Genuine, VerifiedToken};
use crate::metrics::CacheOutcome;
use crate::state::Snapshot;
use crate::state::introspect::{Answer, Client, Freshness, Question, Recalled};

/// After the first of so many parts of its `timeout` an issuer has been waited for long enough: the next one is asked too.
const PARTS: u32 = 4;

/// From the header fields to a token that this client may use now.
///
/// # Errors
/// Every refusal of a token.
pub(super) async fn prove(
    connection: &Connection,
    snapshot: &mut Arc<Snapshot>,
    headers: &HeaderMap,
    exchange: &mut Exchange,
) -> Result<BoundToken, Refusal> {
    let token = connection.token.token(headers)?;
    let digest = connection.token.digest(token);
    exchange.carries(digest);
    let worker = &connection.worker;
    let (genuine, now) = match worker.remembered.get(&digest, &snapshot.issuers) {
        Some(genuine) => {
            worker.metrics.token_cache(CacheOutcome::Hit);
            exchange.genuine(&genuine, true);
            (genuine, exchange.began())
        }
        None => {
            // Boxed, because few requests need it, and each has room for what is not.
            let proven = Box::pin(learn(connection, snapshot, token, digest, exchange)).await?;
            exchange.genuine(&proven.genuine, proven.cached);
            (proven.genuine, unix_now())
        }
    };
    // The list was read with the token; a reload in between made a new generation, so it was verified anew.
    let issuer = snapshot.issuers.get(genuine.issuer()).ok_or(Reason::IssuerUnknown)?;
    let verified = VerifiedToken::check(genuine, issuer, now)?;
    BoundToken::bind(verified, connection.client.as_ref(), snapshot.settings.require)
}

/// A token that is genuine.
struct Proven {
    genuine: Arc<Genuine>,
    /// It was remembered by another worker.
    cached: bool,
    /// How long that serves, where its issuer was asked.
    fresh: Option<Freshness>,
}

/// A token that this worker does not remember, and does from now on. Where it was revoked while its issuer was asked about it, the
/// issuer is asked once more: its answer may be older than the revocation.
async fn learn(
    connection: &Connection,
    snapshot: &mut Arc<Snapshot>,
    token: Token<'_>,
    digest: Digest,
    exchange: &mut Exchange,
) -> Result<Proven, Refusal> {
    let remembered = &connection.worker.remembered;
    for _ in 0..2 {
        let began = remembered.begin();
        let proven = look_up(connection, snapshot, token, digest, exchange).await?;
        // A JWT's signature is not revoked.
        if proven.fresh.is_none() || !remembered.overtaken(began, &digest, &proven.genuine) {
            remembered.insert(began, digest, &proven.genuine, proven.fresh);
            return Ok(proven);
        }
    }
    Err(Reason::IntrospectionUnavailable.note("it was revoked twice while its issuer was asked about it"))
}

async fn look_up(
    connection: &Connection,
    snapshot: &mut Arc<Snapshot>,
    token: Token<'_>,
    digest: Digest,
    exchange: &mut Exchange,
) -> Result<Proven, Refusal> {
    let asked = introspection::asked(token, &snapshot.issuers);
    if !asked.is_empty() {
        return Inquiry { connection, snapshot, token, digest }.search(asked, exchange).await;
    }
    let looked_up = |outcome| connection.worker.metrics.token_cache(outcome);
    let genuine = match verify(connection, snapshot, token).await {
        Ok(genuine) => genuine,
        Err(refusal) => {
            looked_up(CacheOutcome::Miss);
            return Err(refusal);
        }
    };
    let index = genuine.issuer();
    let introspection = snapshot.issuers.get(index).and_then(|issuer| issuer.introspection.as_ref());
    if introspection.is_some_and(|introspection| introspection.always) {
        return Inquiry { connection, snapshot, token, digest }.confirm(genuine, exchange).await;
    }
    looked_up(CacheOutcome::Miss);
    Ok(Proven { genuine: Arc::new(genuine), cached: false, fresh: None })
}

/// Verifies a JWT; where newer keys of its issuer could help, they are asked for once.
async fn verify(
    connection: &Connection,
    snapshot: &mut Arc<Snapshot>,
    token: Token<'_>,
) -> Result<Genuine, Refusal> {
    let issuer = match jwt::verify(token, &snapshot.issuers, &snapshot.settings.forward.claims) {
        Ok(genuine) => return Ok(genuine),
        Err(Miss::Refused(refusal)) => return Err(refusal),
        Err(Miss::Keys { issuer, .. }) => issuer,
    };
    if snapshot.settings.require == Require::Always && connection.client.is_none() {
        // It would be refused with any keys: whoever has no certificate causes no call.
        return Err(Reason::CertificateMissing.into());
    }
    let seen = snapshot.issuers.get(issuer).map_or(0, |i| i.keys.generation);
    connection.worker.control.refresh_keys(issuer, seen).await;
    *snapshot = connection.worker.snapshot();
    connection.admit(&snapshot.trust, unix_now())?;
    match jwt::verify(token, &snapshot.issuers, &snapshot.settings.forward.claims) {
        Ok(genuine) => Ok(genuine),
        Err(Miss::Refused(refusal)) | Err(Miss::Keys { otherwise: refusal, .. }) => Err(refusal),
    }
}

/// What issuers say of a token.
struct Inquiry<'a> {
    connection: &'a Connection,
    snapshot: &'a Snapshot,
    token: Token<'a>,
    digest: Digest,
}

impl Inquiry<'_> {
    /// An opaque token: the issuers are asked in their order until one finds it active. A slow one holds up the others for a part of
    /// its time only.
    async fn search(&self, asked: Vec<usize>, exchange: &mut Exchange) -> Result<Proven, Refusal> {
        self.foresee(None)?;
        // What is remembered of all of them comes first: a slow issuer delays no token that another one is known to have issued.
        let mut refusal = Refusal::from(Reason::TokenInactive);
        let mut unknown = Vec::new();
        for index in asked {
            match self.recall(index) {
                Some(Recalled::Active(known)) => {
                    self.looked_up(CacheOutcome::Hit);
                    return Ok(Proven { genuine: known.genuine, cached: true, fresh: Some(known.fresh) });
                }
                Some(Recalled::Refused(known)) => refusal = Refusal::clone(&known),
                None => unknown.push(index),
            }
            if refusal.reason != Reason::TokenInactive {
                break;
            }
        }
        if unknown.is_empty() || refusal.reason != Reason::TokenInactive {
            self.looked_up(CacheOutcome::NegativeHit);
            exchange.recalled();
            return Err(refusal);
        }
        self.looked_up(CacheOutcome::Miss);
        let (mut next, mut asking) = (unknown.into_iter(), JoinSet::new());
        let mut patience = Duration::ZERO;
        loop {
            if asking.is_empty() {
                let index = next.next().ok_or_else(|| refusal.clone())?;
                patience = self.begin(index, &mut asking)?;
            }
            let answer = match timeout(patience / PARTS, asking.join_next()).await {
                Ok(ended) => ended.and_then(Result::ok).ok_or(Reason::IntrospectionUnavailable)?,
                // It takes its time, which is not to be the next one's.
                Err(_) => {
                    if let Some(index) = next.next() {
                        patience = self.begin(index, &mut asking)?;
                    }
                    continue;
                }
            };
            self.admit()?;
            match answer {
                Answer::Active(known) => {
                    return Ok(Proven { genuine: known.genuine, cached: false, fresh: Some(known.fresh) });
                }
                Answer::Refused(known) if known.reason == Reason::TokenInactive => {}
                // It is active, so no other issuer's, but not good here.
                Answer::Refused(known) => return Err(Refusal::clone(&known)),
                // Another issuer may still know it.
                Answer::Unavailable(why) => refusal = Refusal::clone(&why),
            }
        }
    }

    /// A JWT that has been verified: its issuer must find it active too.
    async fn confirm(&self, jwt: Genuine, exchange: &mut Exchange) -> Result<Proven, Refusal> {
        let index = jwt.issuer();
        let issuer = self.snapshot.issuers.get(index).ok_or(Reason::IssuerUnknown)?;
        jwt.check(issuer, unix_now())?;
        self.foresee(Some(&jwt))?;
        let (answer, outcome) = match self.recall(index) {
            Some(recalled @ Recalled::Active(_)) => (recalled.into(), CacheOutcome::Hit),
            Some(recalled @ Recalled::Refused(_)) => (recalled.into(), CacheOutcome::NegativeHit),
            None => (self.ask(index).await?, CacheOutcome::Miss),
        };
        self.looked_up(outcome);
        let cached = outcome != CacheOutcome::Miss;
        match answer {
            Answer::Active(known) => {
                let genuine = Arc::new(jwt.confirmed(&known.genuine)?);
                Ok(Proven { genuine, cached, fresh: Some(known.fresh) })
            }
            Answer::Refused(refusal) | Answer::Unavailable(refusal) => {
                if cached {
                    exchange.recalled();
                }
                Err(Refusal::clone(&refusal))
            }
        }
    }

    /// Whoever could not use the token with any answer causes no call.
    fn foresee(&self, jwt: Option<&Genuine>) -> Result<(), Refusal> {
        binding::foresee(jwt, self.connection.client.as_ref(), self.snapshot.settings.require)
    }

    fn recall(&self, index: usize) -> Option<Recalled> {
        let introspector = self.connection.worker.control.introspector();
        introspector.recall(&self.digest, self.snapshot.issuers.get(index)?)
    }

    async fn ask(&self, index: usize) -> Result<Answer, Refusal> {
        let (question, patience) = self.question(index)?;
        let answer = self.connection.worker.control.introspector().ask(question, patience).await;
        self.admit()?;
        Ok(answer)
    }

    /// Asks without waiting. Returns how long the answer may take.
    fn begin(&self, index: usize, asking: &mut JoinSet<Answer>) -> Result<Duration, Refusal> {
        let (question, patience) = self.question(index)?;
        let introspector = self.connection.worker.control.introspector().clone();
        asking.spawn_local(async move { introspector.ask(question, patience).await });
        Ok(patience)
    }

    /// While an issuer was asked the certificate may have been revoked.
    fn admit(&self) -> Result<(), Refusal> {
        self.connection.admit(&self.connection.worker.snapshot().trust, unix_now())
    }

    fn question(&self, index: usize) -> Result<(Question, Duration), Refusal> {
        let Connection { client, peer, .. } = self.connection;
        let issuer = self.snapshot.issuers.get(index).ok_or(Reason::IssuerUnknown)?;
        let settings = self.snapshot.settings.issuers.get(index).and_then(|i| i.introspection.as_ref());
        let patience = settings.ok_or(Reason::IssuerUnknown)?.timeout;
        let thumbprint = client.as_ref().map(ClientCert::thumbprint);
        let question = Question {
            index,
            issuer: Arc::clone(issuer),
            token: self.token.as_str().to_owned(),
            digest: self.digest,
            client: thumbprint.map_or_else(|| Client::at(peer.ip()), |print| Client::Certificate(*print)),
        };
        Ok((question, patience))
    }

    fn looked_up(&self, outcome: CacheOutcome) {
        self.connection.worker.metrics.token_cache(outcome);
    }
}
