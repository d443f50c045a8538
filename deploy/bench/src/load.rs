//! Load: closed (each lane asks again once it has its answer) and open (requests are due at a fixed rate, come what may).

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use hdrhistogram::Histogram;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::client::{Ask, Lane};

/// What the lanes of one window ask for, one after the other, and when they stop.
pub struct Course {
    asks: Rc<[Ask]>,
    next: Cell<usize>,
    limit: usize,
    deadline: Option<Instant>,
}

impl Course {
    /// Over and over, until the time is up.
    pub fn lasting(asks: &Rc<[Ask]>, time: Duration) -> Course {
        Course { deadline: Some(Instant::now() + time), ..Course::times(asks, usize::MAX) }
    }

    /// Each once at most, until the time is up.
    pub fn once(asks: &Rc<[Ask]>, time: Duration) -> Course {
        Course { limit: asks.len(), ..Course::lasting(asks, time) }
    }

    /// Over and over, this many requests in all.
    pub fn times(asks: &Rc<[Ask]>, limit: usize) -> Course {
        Course { asks: Rc::clone(asks), next: Cell::new(0), limit, deadline: None }
    }

    fn next(&self) -> Option<&Ask> {
        let number = self.next.get();
        if number >= self.limit || self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return None;
        }
        self.next.set(number + 1);
        self.asks.get(number % self.asks.len())
    }
}

/// Has every lane ask until the course is over and all answers are there. Returns the number of requests.
pub async fn closed<L: Lane>(lanes: &mut Vec<L>, course: Course) -> Result<usize> {
    let course = Rc::new(course);
    let mut tasks = JoinSet::new();
    for mut lane in lanes.drain(..) {
        let course = Rc::clone(&course);
        tasks.spawn_local(async move {
            while let Some(ask) = course.next() {
                succeed(&mut lane, ask).await?;
            }
            Ok::<_, anyhow::Error>(lane)
        });
    }
    while let Some(lane) = tasks.join_next().await {
        lanes.push(lane??);
    }
    Ok(course.next.get())
}

/// Asks once; fails if the answer is not 200.
pub async fn succeed<L: Lane>(lane: &mut L, ask: &Ask) -> Result<()> {
    let status = lane.ask(ask).await?;
    ensure!(status == 200, "a good request was answered with {status}");
    Ok(())
}

/// Latencies in nanoseconds.
pub type Latencies = Histogram<u64>;

/// Sends `rate` requests a second. A latency counts from the moment when the request was due, not when a lane was free to send it: what waits
/// behind a slow answer is slow too.
pub async fn open<L: Lane>(lanes: Vec<L>, ask: Rc<[Ask]>, rate: u32, time: Duration) -> Result<Latencies> {
    let period = Duration::from_secs(1) / rate;
    let (queue, due) = mpsc::unbounded_channel::<Instant>();
    let due = Rc::new(Mutex::new(due));
    let mut tasks = JoinSet::new();
    for mut lane in lanes {
        let (due, ask) = (Rc::clone(&due), Rc::clone(&ask));
        tasks.spawn_local(async move {
            let mut latencies = Vec::new();
            loop {
                let next = due.lock().await.recv().await;
                let Some(next) = next else { return Ok::<_, anyhow::Error>(latencies) };
                succeed(&mut lane, &ask[0]).await?;
                latencies.push(next.elapsed());
            }
        });
    }

    // A thread of its own: the runtime's timers are as coarse as a millisecond.
    let pacer = std::thread::spawn(move || {
        let start = Instant::now();
        for at in (1..).map(|number| start + period * number).take_while(|&at| at < start + time) {
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            if queue.send(at).is_err() {
                return; // a lane has failed
            }
        }
    });

    let mut latencies = Latencies::new(3).context("a histogram")?;
    while let Some(lane) = tasks.join_next().await {
        for latency in lane?? {
            latencies.record(latency.as_nanos().try_into()?)?;
        }
    }
    pacer.join().map_err(|_| anyhow!("the pacer has failed"))?;
    Ok(latencies)
}
