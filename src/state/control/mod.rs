//! The control thread: the one writer of the [`Shared`] snapshot, and every call to an authorization server.
//!
//! Workers ask through a [`Control`]; [`run`] is the loop that answers them. Whatever replaces the snapshot (keys that were
//! fetched or became too old, files that changed) happens in this one loop, one thing after the other, so nothing is lost
//! between two writers.

mod desk;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use self::desk::Desk;
use super::calls;
use super::introspect::{self, Introspector, Questions};
use super::snapshot::{Shared, Snapshot};
use super::status::Board;
use crate::config::settings::KeySource;
use crate::decide::issuer::Issuer;
use crate::metrics::Introspections;

/// Questions that may wait for the control thread; above, a request does not ask but takes the keys that there are.
const QUEUE: usize = 1024;

/// How long a request waits for newer keys: as long as one call takes. A fetch that needs more goes on without it.
const PATIENCE: Duration = calls::TIMEOUT;

/// How often files are looked at: a change is picked up within 10 s.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// A worker's line to the control thread. It works from any runtime.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    introspector: Introspector,
}

/// A line that does not keep the control thread alive, for what runs on it.
#[derive(Clone)]
pub(crate) struct WeakControl {
    shared: Arc<Shared>,
    commands: mpsc::WeakSender<Command>,
}

/// The control thread's end of that line, for [`run`].
pub struct Commands {
    queue: mpsc::Receiver<Command>,
    questions: Questions,
    weak: WeakControl,
}

enum Command {
    /// A request saw this generation of an issuer's keys and needs newer ones.
    Keys { issuer: usize, seen: u64, waiter: oneshot::Sender<()> },
    /// Look at the files now.
    Reload,
}

/// What makes the control thread look at the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Time has passed.
    Tick,
    /// Somebody asked for it (SIGHUP).
    Asked,
}

/// Looks at the files, and builds the next snapshot from the present one where something changed that is valid.
pub type Reload = Box<dyn FnMut(&Snapshot, Trigger) -> Option<Snapshot> + Send>;

/// Is told of every fetch of keys: the issuer and the outcome (`ok`, or that of a [`calls::CallError`]).
pub type CountFetch = Arc<dyn Fn(&str, &'static str) + Send + Sync>;

/// What the control thread works with.
pub struct Tools {
    /// Looks at the files.
    pub reload: Reload,
    /// Is told of each snapshot that a reload has put in force.
    pub reloaded: Box<dyn FnMut(&Snapshot) + Send>,
    /// Counts fetches of keys.
    pub count_fetch: CountFetch,
    /// Shows the state of the issuers.
    pub board: Arc<Board>,
    /// Counts introspections.
    pub introspections: Arc<Introspections>,
    /// How long one call may take; [`calls::TIMEOUT`].
    pub call_timeout: Duration,
}

impl Control {
    /// A line to the control thread, and its other end.
    pub fn new(shared: Arc<Shared>) -> (Control, Commands) {
        let (commands, queue) = mpsc::channel(QUEUE);
        let (introspector, questions) = Introspector::new();
        let weak = WeakControl { shared: Arc::clone(&shared), commands: commands.downgrade() };
        (Control { shared, commands, introspector }, Commands { queue, questions, weak })
    }

    /// The line to introspection.
    pub fn introspector(&self) -> &Introspector {
        &self.introspector
    }

    /// Asks for newer keys of an issuer than those of `generation` and waits until they are published, until the fetch that
    /// was made (or shared) has failed, or at once where the limit of fetches forbids one. The caller then looks at the
    /// newest snapshot.
    pub async fn refresh_keys(&self, issuer: usize, generation: u64) {
        refresh_keys(&self.shared, &self.commands, issuer, generation).await;
    }

    /// Has the files looked at now.
    pub async fn reload(&self) {
        // Without a control thread the process is ending.
        let _ = self.commands.send(Command::Reload).await;
    }
}

impl WeakControl {
    /// As [`Control::refresh_keys`], for an issuer by its name; returns the newest that is known of it, if it is still configured.
    pub(crate) async fn refresh_keys(&self, issuer: &str, generation: u64) -> Option<Arc<Issuer>> {
        let find = |snapshot: &Snapshot| snapshot.issuers.iter().position(|i| *i.name == *issuer);
        let index = find(&self.shared.load())?;
        if let Some(commands) = self.commands.upgrade() {
            refresh_keys(&self.shared, &commands, index, generation).await;
        }
        let snapshot = self.shared.load();
        snapshot.issuers.get(find(&snapshot)?).cloned()
    }
}

async fn refresh_keys(shared: &Shared, commands: &mpsc::Sender<Command>, issuer: usize, generation: u64) {
    if !can_be_newer(&shared.load(), issuer, generation) {
        return;
    }
    let (waiter, over) = oneshot::channel();
    if commands.try_send(Command::Keys { issuer, seen: generation, waiter }).is_ok() {
        // However this ends, the caller looks at the newest snapshot.
        let _ = timeout(PATIENCE, over).await;
    }
}

/// Whether a fetch could give other keys than those of this generation: not where they are in a file, nor where the snapshot
/// has others already.
fn can_be_newer(snapshot: &Snapshot, issuer: usize, seen: u64) -> bool {
    let fetched =
        snapshot.settings.issuers.get(issuer).is_some_and(|i| !matches!(i.keys, KeySource::File(_)));
    fetched && snapshot.issuers.get(issuer).is_some_and(|i| i.keys.generation == seen)
}

/// The loop of the control thread, on its own runtime. Ends when every [`Control`] is gone.
pub async fn run(shared: Arc<Shared>, commands: Commands, tools: Tools) {
    let Commands { queue, questions, weak } = commands;
    let introspection = introspect::Tools {
        keys: weak,
        metrics: Arc::clone(&tools.introspections),
        board: Arc::clone(&tools.board),
    };
    let introspection = introspect::run(Arc::clone(&shared), questions, introspection);
    // The control socket holds a line to introspection for as long as the runtime lasts.
    tokio::select! {
        () = keep(shared, queue, tools) => {}
        () = introspection => {}
    }
}

/// Keeps the snapshot what files and issuers' keys say.
async fn keep(shared: Arc<Shared>, mut commands: mpsc::Receiver<Command>, tools: Tools) {
    let mut desk = Desk::new(shared, tools);
    let mut look = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let wake = desk.work();
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Keys { issuer, seen, waiter }) => desk.demand(issuer, seen, waiter),
                Some(Command::Reload) => desk.reload(Trigger::Asked),
                None => return,
            },
            Some(ended) = desk.fetches.join_next_with_id() => desk.fetched(ended),
            () = sleep_until(wake) => {}
            _ = look.tick() => desk.reload(Trigger::Tick),
        }
    }
}

#[cfg(test)]
mod tests;
