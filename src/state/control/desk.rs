//! The state of the control loop, and what each event does to it. Nothing here waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::{Tools, Trigger, can_be_newer};
use crate::decide::issuer::{Issuer, Keys};
use crate::decide::keys::KeySet;
use crate::state::calls::CallError;
use crate::state::keys::{Fetched, IssuerKeys, Order, Source, Work, abnormal, chance};
use crate::state::snapshot::{Shared, Snapshot, next_generation};
use crate::state::status::{IssuerStatus, Usability};

/// The longest sleep when nothing is due.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

type Outcome = Result<Fetched, CallError>;

pub(super) struct Desk {
    shared: Arc<Shared>,
    tools: Tools,
    /// In the order of the snapshot's issuers; `None` where the keys are in a file.
    issuers: Vec<Option<IssuerKeys>>,
    pub(super) fetches: JoinSet<Outcome>,
}

impl Desk {
    pub(super) fn new(shared: Arc<Shared>, tools: Tools) -> Desk {
        let mut desk = Desk { shared, tools, issuers: Vec::new(), fetches: JoinSet::new() };
        desk.adopt();
        desk
    }

    /// Starts what is due and withdraws keys that are too old. Returns when to look again.
    pub(super) fn work(&mut self) -> Instant {
        let now = Instant::now();
        let mut wake = now + LONGEST_SLEEP;
        for index in 0..self.issuers.len() {
            while let Some(keys) = self.issuers.get_mut(index).and_then(Option::as_mut) {
                match keys.work(now.into_std()) {
                    Work::Fetch(order) => start(&mut self.fetches, keys, *order),
                    Work::Withdraw => {
                        self.publish(index, None);
                        self.show();
                    }
                    Work::Wait(until) => {
                        wake = until.map_or(wake, |until| wake.min(until.into()));
                        break;
                    }
                }
            }
        }
        wake
    }

    /// A request needs newer keys. A waiter that is dropped here has waited long enough.
    pub(super) fn demand(&mut self, issuer: usize, seen: u64, waiter: oneshot::Sender<()>) {
        if !can_be_newer(&self.shared.load(), issuer, seen) {
            return;
        }
        if let Some(keys) = self.issuers.get_mut(issuer).and_then(Option::as_mut)
            && let Some(order) = keys.demand(waiter, Instant::now().into_std())
        {
            start(&mut self.fetches, keys, order);
        }
    }

    /// A fetch is over; one that nobody awaits belongs to an older configuration.
    pub(super) fn fetched(&mut self, ended: Result<(Id, Outcome), JoinError>) {
        let (task, outcome) = ended.unwrap_or_else(|error| (error.id(), Err(abnormal())));
        let awaits = |keys: &Option<IssuerKeys>| keys.as_ref().is_some_and(|keys| keys.awaits(task));
        let Some(index) = self.issuers.iter().position(awaits) else { return };
        let Some(keys) = self.issuers.get_mut(index).and_then(Option::as_mut) else { return };
        let label = outcome.as_ref().map_or_else(CallError::outcome, |_| "ok");
        (self.tools.count_fetch)(keys.issuer(), label);
        if let Some(set) = keys.finished(outcome, Instant::now().into_std(), chance()) {
            self.publish(index, Some(set));
        }
        self.show();
        if let Some(keys) = self.issuers.get_mut(index).and_then(Option::as_mut) {
            keys.release();
        }
    }

    /// Looks at the files.
    pub(super) fn reload(&mut self, trigger: Trigger) {
        let next = (self.tools.reload)(&self.shared.load(), trigger);
        if let Some(next) = next {
            self.shared.publish(next);
            self.adopt();
            (self.tools.reloaded)(&self.shared.load());
        }
    }

    /// Makes the list of issuers that of the snapshot. An issuer whose keys have the same origin as before goes on, others start anew.
    fn adopt(&mut self) {
        let now = Instant::now().into_std();
        let timeout = self.tools.call_timeout;
        let snapshot = self.shared.load();
        let mut before = std::mem::take(&mut self.issuers);
        let configured = snapshot.settings.issuers.iter().zip(&snapshot.calls).zip(&snapshot.issuers);
        for ((settings, material), issuer) in configured {
            let serving = issuer.keys.set.is_some();
            self.issuers.push(Source::new(settings, material).map(|source| {
                let same = |keys: &mut IssuerKeys| keys.is_from(&source);
                match before.iter_mut().find_map(|keys| keys.take_if(same)) {
                    Some(mut keys) => {
                        keys.change(source, serving, timeout, now);
                        keys
                    }
                    None => IssuerKeys::new(source, serving, timeout, now),
                }
            }));
        }
        drop(snapshot);
        self.show();
    }

    fn publish(&self, index: usize, set: Option<Arc<KeySet>>) {
        let mut next = Snapshot::clone(&self.shared.load());
        if let Some(issuer) = next.issuers.get_mut(index) {
            let keys = Keys { generation: next_generation(), set };
            *issuer = Arc::new(Issuer { keys, ..Issuer::clone(issuer) });
            self.shared.publish(next);
        }
    }

    fn show(&self) {
        let snapshot = self.shared.load();
        let status = snapshot.issuers.iter().zip(&self.issuers).map(|(issuer, fetched)| {
            let keys = issuer.keys.set.as_ref().map(|set| set.len());
            match fetched {
                Some(fetched) => fetched.status(keys.unwrap_or(0)),
                None => IssuerStatus {
                    issuer: Arc::clone(&issuer.name),
                    state: if keys.is_some() { Usability::Usable } else { Usability::NotYet },
                    introspection: None,
                    keys: keys.unwrap_or(0),
                    error: None,
                    fetched_at: None,
                },
            }
        });
        self.tools.board.show(status.collect());
    }
}

fn start(fetches: &mut JoinSet<Outcome>, keys: &mut IssuerKeys, order: Order) {
    keys.started(fetches.spawn(order.carry_out()).id());
}
