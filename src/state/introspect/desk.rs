//! The state of the loop that makes introspections, and what each event does to it. Nothing here waits.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::call::{Call, Failure, Heard, since_epoch, unavailable};
use super::flights::{self, Flight, Flights, Turn, Waiter};
use super::line::Line;
use super::memory::{Freshness, Key, Known, Memory, Recalled};
use super::{Answer, Client, Question};
use crate::decide::introspection::Verdict;
use crate::decide::refusal::Reason;
use crate::decide::revocation::Revocation;
use crate::decide::token::Digest;
use crate::metrics::{BreakerState, Introspections};
use crate::state::calls::{CallError, Cause};
use crate::state::control::WeakControl;
use crate::state::keys::chance;
use crate::state::snapshot::Shared;
use crate::state::status::Board;

/// Calls at once to one issuer; more wait.
const CALLS_PER_ISSUER: usize = 64;

/// The longest sleep when nothing is due.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

type Outcome = Result<Heard, Failure>;
type Found = Result<Url, CallError>;

pub(super) struct Desk {
    shared: Arc<Shared>,
    keys: WeakControl,
    memory: Arc<Memory>,
    metrics: Arc<Introspections>,
    board: Arc<Board>,
    /// By the issuer's name.
    lines: HashMap<Arc<str>, Line>,
    flights: Flights,
    pub(super) calls: JoinSet<Outcome>,
    under_way: HashMap<Id, (flights::Id, Instant)>,
    pub(super) searches: JoinSet<Found>,
}

impl Desk {
    pub(super) fn new(
        shared: Arc<Shared>,
        keys: WeakControl,
        memory: Arc<Memory>,
        metrics: Arc<Introspections>,
        board: Arc<Board>,
    ) -> Desk {
        let mut desk = Desk {
            shared,
            keys,
            memory,
            metrics,
            board,
            lines: HashMap::new(),
            flights: Flights::default(),
            calls: JoinSet::new(),
            under_way: HashMap::new(),
            searches: JoinSet::new(),
        };
        desk.adopt();
        desk
    }

    /// Makes the lines those of the snapshot. One whose settings and files are the same as before goes on.
    pub(super) fn adopt(&mut self) {
        let now = Instant::now().into_std();
        let snapshot = self.shared.load();
        let mut before = std::mem::take(&mut self.lines);
        let configured = snapshot.settings.issuers.iter().zip(&snapshot.introspection).zip(&snapshot.calls);
        for ((settings, access), material) in configured {
            let Some(access) = access else { continue };
            let name: Arc<str> = settings.issuer.value.as_str().into();
            let running = before.get(&name).map_or(0, |line| line.running);
            let mut line = match before.remove(&name) {
                Some(line) if line.is_of(access, material) => line,
                _ => Line::new(settings, access, material, now),
            };
            self.metrics.announce(&name);
            line.running = running;
            self.lines.insert(name, line);
        }
        drop(snapshot);
        self.show();
    }

    /// Starts what is due. Returns when to look again.
    pub(super) fn work(&mut self) -> Instant {
        let now = Instant::now();
        let mut wake = now + LONGEST_SLEEP;
        for line in self.lines.values_mut() {
            match line.search(now.into_std()) {
                Ok(search) => line.searching(self.searches.spawn(search.carry_out()).id()),
                Err(until) => wake = until.map_or(wake, |until| wake.min(until.into())),
            }
        }
        self.begin();
        wake
    }

    /// A request asks about a token.
    pub(super) fn ask(&mut self, question: Question, waiter: Waiter) {
        // The answer may have come in since the request looked for it.
        if let Some(recalled) = self.memory.recall(&question.digest, &question.issuer) {
            return waiter.answer(recalled.into());
        }
        if let Err((waiter, note)) = self.flights.join(question, waiter) {
            waiter.answer(Answer::unavailable(unavailable(note)));
        }
    }

    /// Begins the look-ups whose turn it is, and refuses those that cannot be made.
    fn begin(&mut self) {
        let now = Instant::now();
        let lines = &mut self.lines;
        let begun = self.flights.begin(|flight, client| turn(lines, flight, client, now.into_std()));
        for (id, question) in begun {
            let name = Arc::clone(&question.issuer.name);
            match self.call(question) {
                Some(call) => {
                    let task = self.calls.spawn(call.carry_out()).id();
                    self.under_way.insert(task, (id, now));
                }
                None => drop(self.flights.end(id)),
            }
            self.report(&name);
        }
    }

    /// `turn` has seen that everything is there.
    fn call(&self, question: Question) -> Option<Call> {
        let line = self.lines.get(&question.issuer.name)?;
        Some(Call {
            caller: line.caller.clone().ok()?,
            endpoint: line.endpoint().ok()?,
            access: Arc::clone(&line.access),
            shared: Arc::clone(&self.shared),
            keys: self.keys.clone(),
            question,
        })
    }

    /// A call is over.
    pub(super) fn ended(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let abnormal = || Failure::Call(Cause::Invalid("the call ended abnormally".into()).nowhere());
        let (task, outcome) = ended.unwrap_or_else(|error| (error.id(), Err(abnormal())));
        let Some((id, begun)) = self.under_way.remove(&task) else { return };
        let Some((flight, storable)) = self.flights.end(id) else { return };
        let now = Instant::now();
        let word = match &outcome {
            Ok(Heard { verdict: Verdict::Active(_), .. }) => "active",
            Ok(Heard { verdict: Verdict::Refused(refusal), .. }) => match refusal.reason {
                Reason::TokenInactive => "inactive",
                _ => "refused",
            },
            Err(failure) => failure.outcome(),
        };
        self.metrics.called(&flight.issuer, word, now - begun);
        if let Some(line) = self.lines.get_mut(&flight.issuer) {
            line.running = line.running.saturating_sub(1);
            match (&outcome, flight.client) {
                // Otherwise one client's tokens could pause the calls of all.
                (Err(Failure::Call(error)), _) if error.is_about_the_request() => {
                    line.turned_down(&error.to_string(), now.into_std());
                }
                (Err(Failure::Call(error)), Some(client)) => {
                    line.failed(&error.to_string(), client, flight.probe, now.into_std(), chance());
                }
                // What ends here was begun for some client.
                (Ok(_) | Err(Failure::Keys(_)), _) | (_, None) => line.answered(),
            }
        }
        let name = Arc::clone(&flight.issuer);
        let answer = self.answer(&flight, outcome, storable);
        flight.answer(&answer);
        self.report(&name);
    }

    /// What a call brought as an answer, remembered where it may be.
    fn answer(&self, flight: &Flight, outcome: Outcome, storable: bool) -> Answer {
        let Heard { verdict, generation } = match outcome {
            Ok(heard) => heard,
            Err(failure) => return Answer::unavailable(failure.refusal()),
        };
        let now = Instant::now().into_std();
        let settings = self.lines.get(&flight.issuer).map(|line| line.access.settings());
        let (ttl, negative_ttl) = settings.map_or_else(Default::default, |s| (s.cache_ttl, s.negative_ttl));
        let key = Key { generation, ..flight.key };
        match verdict {
            Verdict::Active(genuine) => {
                let end = genuine.exp().map(Duration::from_secs);
                let left = end.map_or(ttl, |end| ttl.min(end.saturating_sub(since_epoch())));
                let until = if storable { now + left } else { now };
                let known = Known { genuine: Arc::from(genuine), fresh: Freshness { since: now, until } };
                self.memory.keep_active(key, known.clone());
                Answer::Active(known)
            }
            Verdict::Refused(refusal) => {
                let refusal = Arc::new(refusal);
                if storable {
                    let fresh = Freshness { since: now, until: now + negative_ttl };
                    self.memory.keep_refused(key, Arc::clone(&refusal), fresh);
                }
                Answer::Refused(refusal)
            }
        }
    }

    /// A search for an endpoint is over; one that no line awaits belongs to an older configuration.
    pub(super) fn searched(&mut self, ended: Result<(Id, Found), JoinError>) {
        let abnormal = || Cause::Invalid("the search ended abnormally".into()).nowhere();
        let (task, outcome) = ended.unwrap_or_else(|error| (error.id(), Err(abnormal())));
        let now = Instant::now().into_std();
        if self.lines.values_mut().any(|line| line.searched(task, &outcome, now, chance())) {
            self.show();
        }
    }

    /// Forgets, and has nothing remembered of what began before this moment. Returns whose entries there were.
    pub(super) fn forget(&mut self, revocation: &Revocation) -> HashSet<Digest> {
        self.flights.outdate();
        self.memory.forget(revocation)
    }

    fn report(&self, issuer: &Arc<str>) {
        if let Some(line) = self.lines.get(issuer) {
            self.metrics.in_flight(issuer, line.running);
            self.metrics.breaker(issuer, BreakerState::from(line.breaker.state()));
        }
        self.show();
    }

    fn show(&self) {
        let status = self.lines.iter().map(|(name, line)| (Arc::clone(name), line.status()));
        self.board.show_introspection(status.collect());
    }
}

/// Whether the issuer of a look-up takes another call for this client. One that begins counts from here on.
fn turn(
    lines: &mut HashMap<Arc<str>, Line>,
    flight: &mut Flight,
    client: Client,
    now: std::time::Instant,
) -> Turn {
    let refuse = |note: String| Turn::Refuse(Answer::unavailable(unavailable(note)));
    let Some(line) = lines.get_mut(&flight.issuer) else {
        return refuse("the issuer is no longer configured".to_owned());
    };
    if let Err(error) = &line.caller {
        return refuse(error.to_string());
    }
    if let Err(note) = line.endpoint() {
        return refuse(note);
    }
    if !line.breaker.admits(client, now) {
        return refuse("the last calls have failed, and the next one is not due yet".to_owned());
    }
    if line.running >= CALLS_PER_ISSUER {
        return Turn::Wait;
    }
    flight.probe = line.breaker.begin(client);
    line.running += 1;
    Turn::Begin
}

impl From<Recalled> for Answer {
    fn from(recalled: Recalled) -> Answer {
        match recalled {
            Recalled::Active(known) => Answer::Active(known),
            Recalled::Refused(refusal) => Answer::Refused(refusal),
        }
    }
}
