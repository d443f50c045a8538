//! Fetching issuers' keys, on the control thread: [`schedule`] says when, [`fetch`] does it, and an [`IssuerKeys`] remembers
//! what came of it.

mod fetch;
pub(in crate::state) mod schedule;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;
use tokio::task;

use self::fetch::Held;
pub(crate) use self::fetch::{Fetched, Order};
use self::schedule::{Demand, Schedule, Step};
use super::calls::{CallError, Caller, Cause, excerpt};
use super::discovery::Metadata;
use super::snapshot::CallMaterial;
use super::status::{IssuerStatus, Usability};
use crate::config::settings::{self, KeySource};
use crate::decide::keys::KeySet;

/// Requests that may wait for one fetch; above, they are answered with the keys that there are.
const MAX_WAITERS: usize = 4096;

/// During an outage the log repeats the failure this often.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Odd keys that one log line describes.
const MAX_ODD: usize = 8;

/// Where an issuer's keys come from, and how often.
pub(crate) struct Source {
    issuer: Arc<str>,
    keys: KeySource,
    refresh: Duration,
    max_stale: Duration,
    material: Arc<CallMaterial>,
}

impl Source {
    /// The source of an issuer; `None` where its keys are in a file.
    pub(crate) fn new(issuer: &settings::Issuer, material: &Arc<CallMaterial>) -> Option<Source> {
        match issuer.keys {
            KeySource::File(_) => None,
            KeySource::Uri(_) | KeySource::Discovered => Some(Source {
                issuer: issuer.issuer.value.as_str().into(),
                keys: issuer.keys.clone(),
                refresh: issuer.jwks_refresh,
                max_stale: issuer.jwks_max_stale,
                material: Arc::clone(material),
            }),
        }
    }

    fn is(&self, other: &Source) -> bool {
        self.has_keys_of(other)
            && (self.refresh, self.max_stale) == (other.refresh, other.max_stale)
            && Arc::ptr_eq(&self.material, &other.material)
    }

    /// Whether the keys are the same ones, however they are fetched.
    fn has_keys_of(&self, other: &Source) -> bool {
        self.issuer == other.issuer && self.keys == other.keys
    }
}

/// The keys of one issuer that come over the network.
pub(crate) struct IssuerKeys {
    source: Arc<Source>,
    caller: Result<Caller, CallError>,
    schedule: Schedule,
    /// The fetch that is running: the answer of any other task is of no interest.
    running: Option<task::Id>,
    waiters: Vec<oneshot::Sender<()>>,
    /// Whether requests are decided with `held`.
    serving: bool,
    held: Option<Held>,
    metadata: Option<(Metadata, Instant)>,
    fetched_at: Option<SystemTime>,
    outage: Option<Outage>,
    odd: Vec<String>,
}

struct Outage {
    error: CallError,
    warned: Instant,
}

/// What is to be done for an issuer now.
pub(crate) enum Work {
    /// Carry this out in a task, and name that with [`IssuerKeys::started`].
    Fetch(Box<Order>),
    /// Publish that it has no keys.
    Withdraw,
    /// Nothing before this moment, or before something happens.
    Wait(Option<Instant>),
}

impl IssuerKeys {
    /// Starts with a fetch. `serving`: the snapshot has keys of this source already. `timeout` is that of a call.
    pub(crate) fn new(source: Source, serving: bool, timeout: Duration, now: Instant) -> IssuerKeys {
        IssuerKeys {
            caller: Caller::new(&source.material, timeout),
            schedule: Schedule::new(source.refresh, source.max_stale, serving, now),
            source: Arc::new(source),
            running: None,
            waiters: Vec::new(),
            serving,
            held: None,
            metadata: None,
            fetched_at: None,
            outage: None,
            odd: Vec::new(),
        }
    }

    /// The issuer's name.
    pub(crate) fn issuer(&self) -> &Arc<str> {
        &self.source.issuer
    }

    /// Whether keys of this source are the same keys.
    pub(crate) fn is_from(&self, source: &Source) -> bool {
        self.source.has_keys_of(source)
    }

    /// Goes on under a new configuration with the same origin of keys. Where nothing changed nothing happens; otherwise a
    /// fetch is due, and one that is running no longer counts.
    pub(crate) fn change(&mut self, source: Source, serving: bool, timeout: Duration, now: Instant) {
        if self.source.is(&source) && self.serving == serving {
            return;
        }
        if !Arc::ptr_eq(&self.source.material, &source.material) {
            self.caller = Caller::new(&source.material, timeout);
        }
        self.schedule.change(source.refresh, source.max_stale, now);
        self.source = Arc::new(source);
        self.serving = serving;
        self.running = None;
        self.metadata = None;
    }

    /// What is to be done.
    pub(crate) fn work(&mut self, now: Instant) -> Work {
        match self.schedule.step(now) {
            Step::Fetch => Work::Fetch(Box::new(self.order(now))),
            Step::Expire => {
                self.serving = false;
                tracing::error!(issuer = %self.source.issuer, "the issuer's keys are too old to be used any longer");
                Work::Withdraw
            }
            Step::Wait(until) => Work::Wait(until),
        }
    }

    /// A request needs newer keys; `waiter` is told (or dropped) when that is over, at once where the limit forbids a fetch.
    pub(crate) fn demand(&mut self, waiter: oneshot::Sender<()>, now: Instant) -> Option<Order> {
        let demand = self.schedule.demand(now);
        if demand != Demand::Denied && self.waiters.len() < MAX_WAITERS {
            self.waiters.push(waiter);
        }
        (demand == Demand::Start).then(|| self.order(now))
    }

    fn order(&self, now: Instant) -> Order {
        // Metadata is read again at every periodic fetch and after a failed one, but not when requests demand fetches in between.
        let metadata = self
            .metadata
            .as_ref()
            .filter(|(_, read)| self.outage.is_none() && now - *read < self.source.refresh / 2)
            .map(|(metadata, _)| metadata.clone());
        Order {
            caller: self.caller.clone(),
            source: Arc::clone(&self.source),
            metadata,
            held: self.held.clone(),
        }
    }

    /// Names the task that carries out the last order.
    pub(crate) fn started(&mut self, task: task::Id) {
        self.running = Some(task);
    }

    /// Whether this task carries out the last order.
    pub(crate) fn awaits(&self, task: task::Id) -> bool {
        self.running == Some(task)
    }

    /// The last order was carried out. Returns keys that are to be published before [`IssuerKeys::release`].
    pub(crate) fn finished(
        &mut self,
        outcome: Result<Fetched, CallError>,
        now: Instant,
        chance: f64,
    ) -> Option<Arc<KeySet>> {
        self.running = None;
        match outcome {
            Ok(fetched) => self.succeeded(fetched, now, chance),
            Err(error) => {
                self.failed(error, now, chance);
                None
            }
        }
    }

    fn succeeded(&mut self, fetched: Fetched, now: Instant, chance: f64) -> Option<Arc<KeySet>> {
        self.schedule.succeeded(fetched.max_age, now, chance);
        let issuer = &self.source.issuer;
        if self.outage.take().is_some() {
            tracing::info!(%issuer, "the issuer's keys can be fetched again");
        }
        let changed = fetched.news.is_some();
        if changed {
            tracing::info!(%issuer, keys = fetched.held.set.len(), "the issuer's keys were read");
        }
        if let Some(odd) = fetched.news.filter(|odd| *odd != self.odd) {
            if !odd.is_empty() {
                let shown: Vec<_> = odd.iter().take(MAX_ODD).map(|fault| excerpt(fault)).collect();
                tracing::warn!(%issuer, left_out = odd.len(), first = ?shown, "keys of the issuer are left out");
            }
            self.odd = odd;
        }
        if let Some(metadata) = fetched.discovered {
            self.metadata = Some((metadata, now));
        }
        self.fetched_at = Some(SystemTime::now());
        let publish = (changed || !self.serving).then(|| Arc::clone(&fetched.held.set));
        self.serving = true;
        self.held = Some(fetched.held);
        publish
    }

    fn failed(&mut self, error: CallError, now: Instant, chance: f64) {
        self.schedule.failed(now, chance);
        let issuer = &self.source.issuer;
        let warned = match &self.outage {
            Some(outage) if now < outage.warned + WARN_EVERY => {
                tracing::debug!(%issuer, %error, "the issuer's keys still cannot be fetched");
                outage.warned
            }
            _ => {
                tracing::warn!(%issuer, %error, serving = self.serving, "the issuer's keys cannot be fetched");
                now
            }
        };
        self.outage = Some(Outage { error, warned });
    }

    /// Tells everyone who waits that the fetch is over.
    pub(crate) fn release(&mut self) {
        for waiter in self.waiters.drain(..) {
            // A request that has gone away does not care.
            let _ = waiter.send(());
        }
    }

    /// For `/readyz`; `keys` is the number that serve.
    pub(crate) fn status(&self, keys: usize) -> IssuerStatus {
        IssuerStatus {
            issuer: Arc::clone(&self.source.issuer),
            state: match self.serving {
                true => Usability::Usable,
                false if self.held.is_some() => Usability::Stale,
                false => Usability::NotYet,
            },
            introspection: None,
            keys,
            error: self.outage.as_ref().map(|outage| outage.error.to_string()),
            fetched_at: self.fetched_at,
        }
    }
}

/// The error of a fetch whose task ended without an answer.
pub(crate) fn abnormal() -> CallError {
    Cause::Invalid("the fetch ended abnormally".into()).nowhere()
}

/// A number in 0..1 for spreading calls in time; nothing secret depends on it.
pub(crate) fn chance() -> f64 {
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
