//! Clients that go on asking while something happens to the server, each a thread with a habit of its own.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use http::Request;

use super::client::{Client, Connection};
use super::h2::{Failure, H2};
use super::message::Message;
use super::process::PATIENCE;

/// Between two requests of one client: several of them leave a processor for what they ask.
const PAUSE: Duration = Duration::from_millis(2);

/// How a client uses connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// HTTP/1.1 on one connection.
    Kept,
    /// HTTP/1.1 on a new connection each time, with the session of the last one.
    New,
    /// HTTP/2 on one connection.
    KeptH2,
    /// HTTP/2 on a new connection each time.
    NewH2,
}

use Habit::{Kept, KeptH2, New, NewH2};

/// The running clients.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<Asking>,
}

struct Asking {
    habit: Habit,
    answers: Arc<AtomicUsize>,
    thread: JoinHandle<Result<End, String>>,
}

/// How a client came to its end; every one of its requests was answered with 200.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// Connections that the server wanted to end.
    pub(crate) closed: usize,
    /// The last connection was refused, because nobody listened any more.
    pub(crate) refused: bool,
}

impl Load {
    /// Seven clients that ask for `/load` with this token until they are stopped or find nobody listening.
    pub(crate) fn start(client: &Client, address: SocketAddr, token: &str) -> Load {
        Load::spread(client, &[address], token)
    }

    /// The same on several servers, as behind a Service: each connection goes to the next one, or to the one after it where nobody
    /// listens.
    pub(crate) fn spread(client: &Client, addresses: &[SocketAddr], token: &str) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = |habit| {
            let (stop, answers) = (Arc::clone(&stop), Arc::<AtomicUsize>::default());
            let (client, addresses, token) = (client.clone(), addresses.to_vec(), token.to_owned());
            let caller = Caller { client, addresses, next: Cell::new(0), token };
            let count = Arc::clone(&answers);
            let thread = thread::spawn(move || {
                caller.run(habit, &stop, &count).map_err(|error| format!("{habit:?}: {error}"))
            });
            Asking { habit, answers, thread }
        };
        let load = Load { clients: [Kept, Kept, New, New, KeptH2, KeptH2, NewH2].map(begin).into(), stop };
        load.advance(3);
        load
    }

    /// Waits until each client has had this many further answers, or has ended.
    pub(crate) fn advance(&self, answers: usize) {
        let count = |asking: &Asking| asking.answers.load(Ordering::Relaxed);
        let before: Vec<_> = self.clients.iter().map(count).collect();
        let deadline = Instant::now() + PATIENCE;
        for (asking, before) in self.clients.iter().zip(before) {
            while count(asking) < before + answers && !asking.thread.is_finished() {
                assert!(Instant::now() < deadline, "{:?}: no answers", asking.habit);
                thread::sleep(PAUSE);
            }
        }
    }

    /// Stops the clients, or waits for them to have found nobody listening. Fails the test if a request was not answered with 200.
    pub(crate) fn stop(self, when: Stop) -> Vec<(Habit, End)> {
        if when == Stop::Now {
            self.stop.store(true, Ordering::Relaxed);
        }
        let ends = self.clients.into_iter().map(|asking| Ok((asking.habit, asking.thread.join().unwrap()?)));
        ends.collect::<Result<_, String>>().unwrap_or_else(|lost| panic!("a request was lost: {lost}"))
    }

    /// Stops the clients; fails the test if a request was not answered with 200, or a connection did not stay.
    pub(crate) fn stop_unharmed(self) {
        for (habit, end) in self.stop(Stop::Now) {
            assert_eq!(end, End::default(), "{habit:?}: a connection has ended");
        }
    }
}

/// When the clients are to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Now,
    WhenRefused,
}

struct Caller {
    client: Client,
    addresses: Vec<SocketAddr>,
    /// Which of them the next connection is for.
    next: Cell<usize>,
    token: String,
}

impl Caller {
    fn run(&self, habit: Habit, stop: &AtomicBool, count: &AtomicUsize) -> Result<End, Failure> {
        let mut end = End::default();
        let mut line: Option<Line> = None;
        while !stop.load(Ordering::Relaxed) {
            let open = match line.take().map_or_else(|| self.connect(habit), Ok) {
                Err(error) if is_refusal(&error) => return Ok(End { refused: true, ..end }),
                open => open?,
            };
            let (answer, open) = self.ask(open, &content(count))?;
            let Some(answer) = answer else {
                // The request did not go out: it is asked again, elsewhere.
                end.closed += 1;
                continue;
            };
            if answer.status() != 200 {
                return Err(format!("{} {}", answer.start, answer.text()).into());
            }
            count.fetch_add(1, Ordering::Relaxed);
            if answer.value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                end.closed += 1;
            } else if habit == Kept || habit == KeptH2 {
                line = Some(open);
            }
            thread::sleep(PAUSE);
        }
        Ok(end)
    }

    /// A refusal where nobody listens at any address.
    fn connect(&self, habit: Habit) -> Result<Line, Failure> {
        let mut left = self.addresses.len();
        loop {
            left -= 1;
            let address = self.addresses[self.next.get() % self.addresses.len()];
            self.next.set(self.next.get() + 1);
            match self.connect_to(address, habit) {
                Err(error) if left > 0 && is_refusal(&error) => {}
                line => return line,
            }
        }
    }

    fn connect_to(&self, address: SocketAddr, habit: Habit) -> Result<Line, Failure> {
        Ok(match habit {
            Kept | New => Line::H1(Box::new(self.client.connect(address)?)),
            KeptH2 | NewH2 => Line::H2(H2::connect(&self.client, address)?),
        })
    }

    /// A GET, or a POST of this content. `None`: the request certainly did not go out (RFC 9113 §6.8), so that nothing is lost.
    fn ask(&self, mut line: Line, content: &str) -> Result<(Option<Message>, Line), Failure> {
        let (method, length) = (if content.is_empty() { "GET" } else { "POST" }, content.len());
        let bearer = format!("Bearer {}", self.token);
        let answer = match &mut line {
            Line::H1(connection) => Some(connection.exchange(format!(
                "{method} /load HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\nContent-Length: {length}\r\n\r\n{content}"
            ))?),
            Line::H2(connection) => {
                let request = Request::builder().method(method).uri("https://localhost/load");
                let request = request.header("authorization", bearer);
                match connection.send(request.body(content.to_owned().into())?) {
                    Err(error) if is_unsent(&error) => None,
                    answer => Some(answer?),
                }
            }
        };
        Ok((answer, line))
    }
}

/// Of every other request, and of no two the same: it names the client, by where it counts, and the request.
fn content(count: &AtomicUsize) -> String {
    match count.load(Ordering::Relaxed) {
        number if number % 2 == 1 => format!("{count:p}-{number}"),
        _ => String::new(),
    }
}

enum Line {
    H1(Box<Connection>),
    H2(H2),
}

/// Whether a request of HTTP/2 certainly did not go out (RFC 9113 §6.8).
pub(crate) fn is_unsent(error: &Failure) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_canceled() || error.is_closed())
}

fn is_refusal(error: &Failure) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}
