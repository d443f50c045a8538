//! One issuer's introspection endpoint: where it is, whether it answers, how busy it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;
use tokio::task;

use super::Client;
use super::access::Access;
use super::breaker::{Breaker, Pause, State};
use crate::config::settings;
use crate::state::calls::{CallError, Caller, Cause, endpoint};
use crate::state::discovery::{Metadata, discover};
use crate::state::keys::schedule::{Schedule, Step};
use crate::state::snapshot::CallMaterial;
use crate::state::status::Introspecting;

/// During an outage the log repeats the failure this often.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// An endpoint that was found serves as long as no other is.
const FOR_GOOD: Duration = Duration::MAX;

/// The line to one issuer.
pub(super) struct Line {
    issuer: Arc<str>,
    pub(super) access: Arc<Access>,
    material: Arc<CallMaterial>,
    pub(super) caller: Result<Caller, CallError>,
    place: Place,
    pub(super) breaker: Breaker,
    /// Calls that are being made.
    pub(super) running: usize,
    /// When the log was last told that calls fail; `None` while they do not.
    warned: Option<Instant>,
}

enum Place {
    Given(Result<Url, CallError>),
    Discovered(Box<Discovery>),
}

struct Discovery {
    schedule: Schedule,
    found: Option<Url>,
    /// The attempt that is being made.
    task: Option<task::Id>,
    error: Option<CallError>,
}

/// An attempt to find an issuer's endpoint.
pub(super) struct Search {
    caller: Result<Caller, CallError>,
    issuer: Arc<str>,
    /// Boundgate has a certificate for calls to this issuer.
    has_certificate: bool,
}

impl Search {
    /// Reads the metadata; with a certificate of our own `mtls_endpoint_aliases` comes first (RFC 8705 §5).
    ///
    /// # Errors
    /// A call that failed, or metadata without an endpoint.
    pub(super) async fn carry_out(self) -> Result<Url, CallError> {
        let caller = self.caller?;
        let Metadata { introspection_endpoint, mtls_introspection_endpoint, .. } =
            discover(&caller, &self.issuer).await?;
        let alias = mtls_introspection_endpoint.filter(|_| self.has_certificate);
        alias.or(introspection_endpoint).ok_or_else(|| {
            Cause::Invalid("the issuer's metadata has no `introspection_endpoint`".into()).nowhere()
        })
    }
}

impl Line {
    pub(super) fn new(
        settings: &settings::Issuer,
        access: &Arc<Access>,
        material: &Arc<CallMaterial>,
        now: Instant,
    ) -> Line {
        let introspection = access.settings();
        Line {
            issuer: settings.issuer.value.as_str().into(),
            access: Arc::clone(access),
            material: Arc::clone(material),
            caller: Caller::new(material, introspection.timeout),
            place: match &introspection.endpoint {
                Some(url) => Place::Given(endpoint("the introspection endpoint", url)),
                None => Place::Discovered(Box::new(Discovery {
                    schedule: Schedule::new(settings.jwks_refresh, FOR_GOOD, false, now),
                    found: None,
                    task: None,
                    error: None,
                })),
            },
            breaker: Breaker::new(),
            running: 0,
            warned: None,
        }
    }

    /// Whether it was made of the same settings and files.
    pub(super) fn is_of(&self, access: &Arc<Access>, material: &Arc<CallMaterial>) -> bool {
        Arc::ptr_eq(&self.access, access) && Arc::ptr_eq(&self.material, material)
    }

    /// Where calls go.
    ///
    /// # Errors
    /// Why that is not known.
    pub(super) fn endpoint(&self) -> Result<Url, String> {
        match &self.place {
            Place::Given(Ok(url)) => Ok(url.clone()),
            Place::Given(Err(error)) => Err(error.to_string()),
            Place::Discovered(discovery) => discovery.found.clone().ok_or_else(|| match &discovery.error {
                Some(error) => format!("the endpoint is not known: {error}"),
                None => "the endpoint is not known yet".to_owned(),
            }),
        }
    }

    /// The search that is due, or when to ask again.
    pub(super) fn search(&mut self, now: Instant) -> Result<Search, Option<Instant>> {
        let Place::Discovered(discovery) = &mut self.place else { return Err(None) };
        match discovery.schedule.step(now) {
            Step::Fetch => Ok(Search {
                caller: self.caller.clone(),
                issuer: Arc::clone(&self.issuer),
                has_certificate: self.material.identity.is_some(),
            }),
            Step::Wait(until) => Err(until),
            // Nothing is ever too old here.
            Step::Expire => Err(None),
        }
    }

    /// Names the task of the last search.
    pub(super) fn searching(&mut self, task: task::Id) {
        if let Place::Discovered(discovery) = &mut self.place {
            discovery.task = Some(task);
        }
    }

    /// A search of some line is over. Whether it was this one's.
    pub(super) fn searched(
        &mut self,
        task: task::Id,
        outcome: &Result<Url, CallError>,
        now: Instant,
        chance: f64,
    ) -> bool {
        let Place::Discovered(discovery) = &mut self.place else { return false };
        if discovery.task != Some(task) {
            return false;
        }
        discovery.task = None;
        let issuer = &self.issuer;
        match outcome {
            Ok(url) => {
                discovery.schedule.succeeded(None, now, chance);
                if discovery.found.as_ref() != Some(url) {
                    tracing::info!(%issuer, endpoint = url.as_str(), "the issuer's introspection endpoint was found");
                }
                discovery.found = Some(url.clone());
                discovery.error = None;
            }
            Err(error) => {
                discovery.schedule.failed(now, chance);
                if discovery.error.as_ref() != Some(error) {
                    tracing::warn!(%issuer, %error, "the issuer's introspection endpoint cannot be found");
                }
                discovery.error = Some(error.clone());
            }
        }
        true
    }

    /// A call was answered.
    pub(super) fn answered(&mut self) {
        self.breaker.answered();
        if self.warned.take().is_some() {
            tracing::info!(issuer = %self.issuer, "the issuer's introspection works again");
        }
    }

    /// A token was turned down by a server that is there.
    pub(super) fn turned_down(&mut self, why: &str, now: Instant) {
        self.breaker.answered();
        self.tell(why, now);
    }

    /// A call for this client failed.
    pub(super) fn failed(&mut self, why: &str, client: Client, probe: bool, now: Instant, chance: f64) {
        let was = self.breaker.pause();
        self.breaker.failed(client, probe, now, chance);
        let (is, issuer) = (self.breaker.pause(), &self.issuer);
        match is {
            Pause::Everybodys if was != is => {
                tracing::warn!(%issuer, error = why, "the issuer's introspection fails too often: calls pause, then one tries");
            }
            Pause::OneClients if was != is => {
                tracing::warn!(%issuer, error = why, "the issuer's introspection fails too often for one client: its calls pause, then one tries");
            }
            _ => return self.tell(why, now),
        }
        self.warned = Some(now);
    }

    /// Says that a call failed, at once and then at intervals.
    fn tell(&mut self, why: &str, now: Instant) {
        let issuer = &self.issuer;
        if self.warned.is_none_or(|warned| now >= warned + WARN_EVERY) {
            tracing::warn!(%issuer, error = why, "an introspection has failed");
            self.warned = Some(now);
        } else {
            tracing::debug!(%issuer, error = why, "an introspection has failed");
        }
    }

    /// For `/readyz`.
    pub(super) fn status(&self) -> Introspecting {
        match (self.endpoint(), self.breaker.state()) {
            (Err(_), _) => Introspecting::NotYet,
            (Ok(_), State::Closed) => Introspecting::Usable,
            (Ok(_), State::Open(_) | State::HalfOpen) => Introspecting::Failing,
        }
    }
}
