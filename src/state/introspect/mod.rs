//! Introspection (RFC 7662): a loop on the control thread that makes the calls, and a [`Memory`] of answers that workers read.
//!
//! One call a token: whoever asks about it meanwhile waits for the same one, and it goes on when all of them have left. A client has at
//! most four calls under way and an issuer at most 64; a dead issuer has none but a probe now and then. Who waits for a turn waits no
//! longer than for an answer, and what nobody waits for any more is not begun.

mod access;
mod breaker;
mod call;
mod desk;
mod flights;
mod line;
mod memory;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use self::call::unavailable;
use self::desk::Desk;
use self::flights::Waiter;
use self::memory::Key;
use super::control::WeakControl;
use super::snapshot::Shared;
use super::status::Board;
use crate::decide::issuer::Issuer;
use crate::decide::refusal::Refusal;
use crate::decide::revocation::Revocation;
use crate::decide::token::Digest;
use crate::metrics::Introspections;

pub use access::Access;
pub use memory::{Freshness, Known, Memory, Recalled};

/// Questions on their way to the loop; above, a request is refused.
const QUEUE: usize = 1024;

/// What a call's own end may be late by where it began at once: it says more of the cause than that the time is over.
const LATITUDE: Duration = Duration::from_millis(250);

/// How long a worker may take to forget: it does nothing that takes longer than a moment.
const FORGETTING: Duration = Duration::from_secs(10);

/// For whom a call is made: the bound of calls is each one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// The SHA-256 of its certificate.
    Certificate(Digest),
    /// Its address, where it has none; of IPv6 the first 64 bits, for the rest is anybody's choice.
    Address(IpAddr),
}

impl Client {
    /// The client behind an address.
    pub fn at(address: IpAddr) -> Client {
        Client::Address(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            v4 => v4,
        })
    }
}

/// A question about a token. It has no `Debug` output: it holds the token.
pub struct Question {
    /// Index of the issuer that is asked.
    pub index: usize,
    /// That issuer.
    pub issuer: Arc<Issuer>,
    /// The token.
    pub token: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// Who sent it.
    pub client: Client,
}

impl Question {
    fn key(&self) -> Key {
        Key::of(&self.digest, &self.issuer)
    }
}

/// What became of a question.
#[derive(Clone)]
pub enum Answer {
    /// The token was active.
    Active(Known),
    /// It is refused for this.
    Refused(Arc<Refusal>),
    /// Nothing could be learnt.
    Unavailable(Arc<Refusal>),
}

impl Answer {
    fn unavailable(refusal: Refusal) -> Answer {
        Answer::Unavailable(Arc::new(refusal))
    }
}

enum Command {
    Ask(Question, Waiter),
    Forget(Arc<Revocation>, oneshot::Sender<HashSet<Digest>>),
}

/// What a worker is to forget of its own memory.
pub struct Forget {
    /// What.
    pub revocation: Arc<Revocation>,
    /// To be told whose entries there were.
    pub forgotten: oneshot::Sender<Vec<Digest>>,
}

/// The line to the loop. It works from any runtime.
#[derive(Clone)]
pub struct Introspector {
    memory: Arc<Memory>,
    commands: mpsc::Sender<Command>,
    workers: Arc<Mutex<Vec<mpsc::Sender<Forget>>>>,
}

/// The loop's end of that line, for [`run`].
pub(super) struct Questions {
    memory: Arc<Memory>,
    commands: mpsc::Receiver<Command>,
}

impl Introspector {
    pub(super) fn new() -> (Introspector, Questions) {
        let (commands, queue) = mpsc::channel(QUEUE);
        let memory = Arc::new(Memory::new());
        let questions = Questions { memory: Arc::clone(&memory), commands: queue };
        (Introspector { memory, commands, workers: Arc::default() }, questions)
    }

    /// What is remembered of a token at an issuer.
    pub fn recall(&self, token: &Digest, issuer: &Issuer) -> Option<Recalled> {
        self.memory.recall(token, issuer)
    }

    /// Asks an issuer about a token, and waits for its turn and for its answer, both together for as long as `patience`: that of
    /// a call. A call that is under way then goes on, and is remembered.
    pub async fn ask(&self, question: Question, patience: Duration) -> Answer {
        let (waiter, mut waiting) = Waiter::new();
        if self.commands.try_send(Command::Ask(question, waiter)).is_err() {
            return Answer::unavailable(unavailable("too many introspections wait already"));
        }
        let note = match timeout(patience + LATITUDE, &mut waiting.answer).await {
            Ok(Ok(answer)) => return answer,
            Ok(Err(_)) => "the question was dropped",
            Err(_) if waiting.has_begun() => {
                "the call is still under way: the wait for its turn, or for newer keys, took too long"
            }
            Err(_) => "it waited for its turn in vain: other introspections came before it",
        };
        Answer::unavailable(unavailable(note))
    }

    /// What a worker is to forget, from now on.
    pub fn forgetting(&self) -> mpsc::Receiver<Forget> {
        let (sender, receiver) = mpsc::channel(1);
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| !worker.is_closed());
        workers.push(sender);
        receiver
    }

    /// Has everything forgotten that a revocation covers, by this memory and by every worker's own. When this returns, none of it
    /// serves a request any more, and nothing comes back that was looked up before. Returns how many tokens were forgotten.
    ///
    /// # Errors
    /// A part of the process did not answer.
    pub async fn revoke(&self, revocation: Revocation) -> Result<usize, &'static str> {
        const SILENT: &str = "a part of the process does not answer";
        let revocation = Arc::new(revocation);
        let (sender, forgotten) = oneshot::channel();
        let command = Command::Forget(Arc::clone(&revocation), sender);
        self.commands.send(command).await.map_err(|_| SILENT)?;
        let mut forgotten = forgotten.await.map_err(|_| SILENT)?;
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for worker in workers {
            let (sender, its) = oneshot::channel();
            let order = Forget { revocation: Arc::clone(&revocation), forgotten: sender };
            let its = async {
                // A worker that has ended has no memory.
                match worker.send(order).await {
                    Ok(()) => its.await.unwrap_or_default(),
                    Err(_) => Vec::new(),
                }
            };
            forgotten.extend(timeout(FORGETTING, its).await.map_err(|_| SILENT)?);
        }
        Ok(forgotten.len())
    }
}

/// What the loop works with.
pub(super) struct Tools {
    pub(super) keys: WeakControl,
    pub(super) metrics: Arc<Introspections>,
    pub(super) board: Arc<Board>,
}

/// The loop. Ends when every [`Introspector`] is gone.
pub(super) async fn run(shared: Arc<Shared>, mut questions: Questions, tools: Tools) {
    let mut replaced = shared.replaced();
    let memory = Arc::clone(&questions.memory);
    let mut desk = Desk::new(shared, tools.keys, memory, tools.metrics, tools.board);
    loop {
        let wake = desk.work();
        tokio::select! {
            // A request has seen the newest snapshot, so this comes before its question.
            biased;
            Ok(()) = replaced.changed() => desk.adopt(),
            Some(ended) = desk.searches.join_next_with_id() => desk.searched(ended),
            Some(ended) = desk.calls.join_next_with_id() => desk.ended(ended),
            command = questions.commands.recv() => match command {
                Some(Command::Ask(question, waiter)) => desk.ask(question, waiter),
                Some(Command::Forget(revocation, forgotten)) => {
                    let _ = forgotten.send(desk.forget(&revocation));
                }
                None => return,
            },
            () = sleep_until(wake) => {}
        }
    }
}
