//! Look-ups that are under way, one a token, and who waits for them; with the bounds that keep one client from using up the calls of
//! all others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use super::memory::Key;
use super::{Answer, Client, Question};

/// Calls at once for one client.
pub(super) const CALLS_PER_CLIENT: usize = 4;

/// Look-ups of one client that wait for their turn; more are refused at once.
const WAITING_PER_CLIENT: usize = 128;

/// Look-ups that wait in all, and the bytes of their tokens.
const WAITING: usize = 4096;
const WAITING_BYTES: usize = 16 << 20;

/// Requests that wait for one look-up.
const WAITERS: usize = 4096;

/// A look-up's number.
pub(super) type Id = u64;

/// Who waits for the answer of a look-up.
pub(super) struct Waiter {
    answer: oneshot::Sender<Answer>,
    begun: Arc<AtomicBool>,
}

/// A waiter's other end.
pub(super) struct Waiting {
    /// Where the answer comes in.
    pub(super) answer: oneshot::Receiver<Answer>,
    begun: Arc<AtomicBool>,
}

impl Waiter {
    pub(super) fn new() -> (Waiter, Waiting) {
        let (sender, receiver) = oneshot::channel();
        let begun = Arc::<AtomicBool>::default();
        (Waiter { answer: sender, begun: Arc::clone(&begun) }, Waiting { answer: receiver, begun })
    }

    /// Who has gone away does not care.
    pub(super) fn answer(self, answer: Answer) {
        let _ = self.answer.send(answer);
    }

    fn is_gone(&self) -> bool {
        self.answer.is_closed()
    }
}

impl Waiting {
    /// Whether the call is made, or was.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }
}

/// One look-up.
pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) issuer: Arc<str>,
    /// Until it is started.
    pub(super) question: Option<Question>,
    waiters: Vec<Waiter>,
    /// How often it stands in the queue.
    queued: usize,
    /// The client for which the call is made, once it is.
    pub(super) client: Option<Client>,
    /// Whether it tells if the server is back.
    pub(super) probe: bool,
}

impl Flight {
    /// Answers everyone who waits.
    pub(super) fn answer(self, answer: &Answer) {
        for waiter in self.waiters {
            waiter.answer(answer.clone());
        }
    }

    fn begins(&mut self, client: Client) -> Option<Question> {
        self.client = Some(client);
        self.waiters.iter().for_each(|waiter| waiter.begun.store(true, Ordering::Relaxed));
        self.question.take()
    }
}

/// What there is to do about a waiting look-up.
pub(super) enum Turn {
    /// Begin it, for this client.
    Begin,
    /// Not yet: its issuer or its client has too many calls under way.
    Wait,
    /// It cannot be made for this client. If it waits for no other one, give it up with this answer.
    Refuse(Answer),
}

#[derive(Default)]
struct Load {
    running: usize,
    waiting: usize,
}

/// All look-ups.
#[derive(Default)]
pub(super) struct Flights {
    next: Id,
    all: HashMap<Id, Flight>,
    /// Those that a request for the same token joins.
    open: HashMap<Key, Id>,
    /// Those that were not begun, each with a client for which it can be: the first one whose turn it is begins it.
    queue: VecDeque<(Id, Client)>,
    queued_bytes: usize,
    clients: HashMap<Client, Load>,
}

impl Flights {
    /// Joins the look-up of this token, or queues a new one.
    ///
    /// # Errors
    /// There is no room; the waiter comes back with the reason.
    pub(super) fn join(&mut self, question: Question, waiter: Waiter) -> Result<(), (Waiter, &'static str)> {
        let (key, client) = (question.key(), question.client);
        if !self.has_room(client, question.token.len()) {
            // Those whose time is over have not been looked at since.
            self.tidy();
        }
        if let Some((id, flight)) = self.open.get(&key).and_then(|id| Some((*id, self.all.get_mut(id)?))) {
            if flight.waiters.len() >= WAITERS {
                return Err((waiter, "too many requests wait for the same token"));
            }
            waiter.begun.store(flight.client.is_some(), Ordering::Relaxed);
            flight.waiters.push(waiter);
            let waits = flight.client.is_none();
            // Whoever's turn comes first begins it: nobody can hold up another client's token by asking about it too.
            if waits && !self.queue.contains(&(id, client)) && self.has_room(client, 0) {
                self.enqueue(id, client);
            }
            return Ok(());
        }
        if !self.has_room(client, question.token.len()) {
            return Err((waiter, "too many introspections wait already"));
        }
        self.queued_bytes += question.token.len();
        let id = self.next;
        self.next += 1;
        let flight = Flight {
            key,
            issuer: Arc::clone(&question.issuer.name),
            question: Some(question),
            waiters: vec![waiter],
            queued: 0,
            client: None,
            probe: false,
        };
        self.all.insert(id, flight);
        self.open.insert(key, id);
        self.enqueue(id, client);
        Ok(())
    }

    fn has_room(&self, client: Client, bytes: usize) -> bool {
        let waiting = self.clients.get(&client).map_or(0, |load| load.waiting);
        waiting < WAITING_PER_CLIENT
            && self.queue.len() < WAITING
            && self.queued_bytes + bytes <= WAITING_BYTES
    }

    fn enqueue(&mut self, id: Id, client: Client) {
        self.queue.push_back((id, client));
        self.clients.entry(client).or_default().waiting += 1;
        if let Some(flight) = self.all.get_mut(&id) {
            flight.queued += 1;
        }
    }

    /// A look-up stands in the queue once less.
    fn dequeued(&mut self, id: Id, client: Client) {
        self.relieve(client, |load| load.waiting -= 1);
        if let Some(flight) = self.all.get_mut(&id) {
            flight.queued -= 1;
        }
    }

    /// Takes out of the queue what was begun for another client or given up, and what nobody waits for any more: no call is made.
    fn tidy(&mut self) {
        for (id, client) in std::mem::take(&mut self.queue) {
            match self.all.get_mut(&id).filter(|flight| flight.client.is_none()) {
                Some(flight) => {
                    flight.waiters.retain(|waiter| !waiter.is_gone());
                    if !flight.waiters.is_empty() {
                        self.queue.push_back((id, client));
                        continue;
                    }
                    self.dequeued(id, client);
                    drop(self.end(id));
                }
                None => self.dequeued(id, client),
            }
        }
    }

    /// Goes through the waiting look-ups in their order and returns those that begin, each with its number and its question.
    /// `turn` tells of each whether its issuer takes another call for this client; how many that client has is known here.
    pub(super) fn begin(&mut self, mut turn: impl FnMut(&mut Flight, Client) -> Turn) -> Vec<(Id, Question)> {
        self.tidy();
        let mut begun = Vec::new();
        for (id, client) in std::mem::take(&mut self.queue) {
            let Some(flight) = self.all.get_mut(&id).filter(|flight| flight.client.is_none()) else {
                self.dequeued(id, client);
                continue;
            };
            let busy = self.clients.get(&client).is_some_and(|load| load.running >= CALLS_PER_CLIENT);
            match if busy { Turn::Wait } else { turn(flight, client) } {
                Turn::Wait => self.queue.push_back((id, client)),
                Turn::Begin => {
                    if let Some(question) = flight.begins(client) {
                        self.queued_bytes -= question.token.len();
                        self.clients.entry(client).or_default().running += 1;
                        begun.push((id, question));
                    }
                    self.dequeued(id, client);
                }
                Turn::Refuse(answer) => {
                    let is_last = flight.queued == 1;
                    self.dequeued(id, client);
                    if let Some((flight, _)) = is_last.then(|| self.end(id)).flatten() {
                        flight.answer(&answer);
                    }
                }
            }
        }
        begun
    }

    /// Takes a look-up out. The second part: whether what it brought may be remembered.
    pub(super) fn end(&mut self, id: Id) -> Option<(Flight, bool)> {
        let flight = self.all.remove(&id)?;
        if let Some(client) = flight.client {
            self.relieve(client, |load| load.running -= 1);
        }
        if let Some(question) = &flight.question {
            self.queued_bytes -= question.token.len();
        }
        let open = self.open.get(&flight.key) == Some(&id);
        if open {
            self.open.remove(&flight.key);
        }
        Some((flight, open))
    }

    /// Closes what was begun: it is answered, but nobody joins it any more, and what it brings is not remembered.
    pub(super) fn outdate(&mut self) {
        let all = &self.all;
        self.open.retain(|_, id| all.get(id).is_some_and(|flight| flight.client.is_none()));
    }

    fn relieve(&mut self, client: Client, ease: impl FnOnce(&mut Load)) {
        if let Some(load) = self.clients.get_mut(&client) {
            ease(load);
            if load.running == 0 && load.waiting == 0 {
                self.clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests;
