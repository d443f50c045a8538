//! From the header fields to a token that this client may use now: by memory, by a signature, by introspection.

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;

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
use crate::state::introspect::{Answer, Client, Question, Recalled};

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
    let token = Token::extract(headers)?;
    let digest = token.digest();
    exchange.carries(digest);
    let worker = &connection.worker;
    let genuine = match worker.remembered.get(&digest, &snapshot.issuers) {
        Some(genuine) => {
            worker.metrics.token_cache(CacheOutcome::Hit);
            exchange.genuine(&genuine, true);
            genuine
        }
        None => {
            let began = worker.remembered.begin();
            let proven = learn(connection, snapshot, token, digest, exchange).await?;
            worker.remembered.insert(began, digest, &proven.genuine, proven.until);
            exchange.genuine(&proven.genuine, proven.cached);
            proven.genuine
        }
    };
    // The list was read with the token; a reload in between made a new generation, so it was verified anew.
    let issuer = snapshot.issuers.get(genuine.issuer()).ok_or(Reason::IssuerUnknown)?;
    let verified = VerifiedToken::check(genuine, issuer, unix_now())?;
    BoundToken::bind(verified, connection.client.as_ref(), snapshot.settings.require)
}

/// A token that is genuine.
struct Proven {
    genuine: Arc<Genuine>,
    /// It was remembered by another worker.
    cached: bool,
    /// When its issuer is to be asked again, where it was asked.
    until: Option<Instant>,
}

/// A token that this worker does not remember.
async fn learn(
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
    Ok(Proven { genuine: Arc::new(genuine), cached: false, until: None })
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
    /// An opaque token: the issuers are asked in their order until one finds it active.
    async fn search(&self, asked: Vec<usize>, exchange: &mut Exchange) -> Result<Proven, Refusal> {
        self.foresee(None)?;
        // What is remembered of all of them comes first: a slow issuer delays no token that another one is known to have issued.
        let mut refusal = Refusal::from(Reason::TokenInactive);
        let mut unknown = Vec::new();
        for index in asked {
            match self.recall(index) {
                Some(Recalled::Active(known)) => {
                    self.looked_up(CacheOutcome::Hit);
                    return Ok(Proven { genuine: known.genuine, cached: true, until: Some(known.until) });
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
        for index in unknown {
            match self.ask(index).await? {
                Answer::Active(known) => {
                    return Ok(Proven { genuine: known.genuine, cached: false, until: Some(known.until) });
                }
                Answer::Refused(known) if known.reason == Reason::TokenInactive => {}
                // It is active, so no other issuer's, but not good here.
                Answer::Refused(known) => return Err(Refusal::clone(&known)),
                // Another issuer may still know it.
                Answer::Unavailable(why) => refusal = Refusal::clone(&why),
            }
        }
        Err(refusal)
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
                Ok(Proven { genuine, cached, until: Some(known.until) })
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
        let Connection { worker, client, peer, .. } = self.connection;
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
        let answer = worker.control.introspector().ask(question, patience).await;
        // The certificate may have been revoked meanwhile.
        self.connection.admit(&worker.snapshot().trust, unix_now())?;
        Ok(answer)
    }

    fn looked_up(&self, outcome: CacheOutcome) {
        self.connection.worker.metrics.token_cache(outcome);
    }
}
