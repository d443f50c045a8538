//! Look-ups that are under way, one a token, and who waits for them; with the bounds that keep one client from using up the calls of
//! all others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

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

/// One look-up.
pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) issuer: Arc<str>,
    /// Until it is started.
    pub(super) question: Option<Question>,
    waiters: Vec<oneshot::Sender<Answer>>,
    /// The client for which the call is made, once it is.
    pub(super) client: Option<Client>,
    /// Whether it tells if the server is back.
    pub(super) probe: bool,
}

impl Flight {
    /// Answers everyone who waits. Who has gone away does not care.
    pub(super) fn answer(self, answer: &Answer) {
        for waiter in self.waiters {
            let _ = waiter.send(answer.clone());
        }
    }
}

/// What there is to do about a waiting look-up.
pub(super) enum Turn {
    /// Begin it, for this client.
    Begin,
    /// Not yet: its issuer or its client has too many calls under way.
    Wait,
    /// Give it up with this answer.
    Refuse(Answer),
    /// Give it up: nobody waits.
    Drop,
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
    pub(super) fn join(
        &mut self,
        question: Question,
        waiter: oneshot::Sender<Answer>,
    ) -> Result<(), (oneshot::Sender<Answer>, &'static str)> {
        let (key, client) = (question.key(), question.client);
        if let Some((id, flight)) = self.open.get(&key).and_then(|id| Some((*id, self.all.get_mut(id)?))) {
            if flight.waiters.len() >= WAITERS {
                return Err((waiter, "too many requests wait for the same token"));
            }
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
    }

    /// Goes through the waiting look-ups in their order and returns those that begin, each with its number and its question.
    /// `turn` tells of each whether its issuer takes another call; that of the client is known here.
    pub(super) fn begin(&mut self, mut turn: impl FnMut(&mut Flight) -> Turn) -> Vec<(Id, Question)> {
        let mut begun = Vec::new();
        for (id, client) in std::mem::take(&mut self.queue) {
            let turn = match self.all.get_mut(&id) {
                // Begun for another client, or given up.
                None => None,
                Some(flight) if flight.client.is_some() => None,
                Some(flight) => {
                    flight.waiters.retain(|waiter| !waiter.is_closed());
                    let busy = self.clients.get(&client).is_some_and(|load| load.running >= CALLS_PER_CLIENT);
                    match flight.waiters.is_empty() {
                        // Nobody wants it any more, and no call was made.
                        true => Some(Turn::Drop),
                        false if busy => Some(Turn::Wait),
                        false => Some(turn(flight)),
                    }
                }
            };
            if let Some(Turn::Wait) = turn {
                self.queue.push_back((id, client));
                continue;
            }
            self.relieve(client, |load| load.waiting -= 1);
            match turn {
                Some(Turn::Begin) => {
                    let question = self.all.get_mut(&id).and_then(|flight| {
                        flight.client = Some(client);
                        flight.question.take()
                    });
                    if let Some(question) = question {
                        self.queued_bytes -= question.token.len();
                        self.clients.entry(client).or_default().running += 1;
                        begun.push((id, question));
                    }
                }
                Some(Turn::Refuse(answer)) => {
                    if let Some((flight, _)) = self.end(id) {
                        flight.answer(&answer);
                    }
                }
                Some(Turn::Drop) => drop(self.end(id)),
                Some(Turn::Wait) | None => {}
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
