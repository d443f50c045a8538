//! The log thread: takes what waits, turns it into text and writes it.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use super::line;
use super::queue::Queue;
use super::value::Clock;
use super::{Decision, Manner};

/// Between two looks at the queue while there is traffic.
const PAUSE: Duration = Duration::from_millis(25);
/// Looks without a find before the thread sleeps.
const PATIENCE: u32 = 8;
/// Bytes that are gathered for one write.
const BATCH: usize = 64 * 1024;
/// How long an output that is not ready is left alone.
const NOT_READY: Duration = Duration::from_millis(5);
/// How long the end of the process waits for an output that nobody reads.
const LAST_FLUSH: Duration = Duration::from_secs(2);

/// Writes what waits when it is dropped, and ends the log thread.
#[must_use = "the log ends when its guard is dropped"]
pub struct LogGuard {
    queue: Arc<Queue>,
    ended: Receiver<()>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.queue.close();
        // The thread sends nothing; its end of the channel falls with it.
        let _ = self.ended.recv_timeout(LAST_FLUSH);
    }
}

pub(super) fn start(
    manner: Manner,
    queue: Arc<Queue>,
    out: impl Write + Send + 'static,
) -> io::Result<LogGuard> {
    let (alive, ended) = channel();
    let guard = LogGuard { queue: queue.clone(), ended };
    thread::Builder::new().name("log".to_owned()).spawn(move || run(&manner, &queue, out, alive))?;
    Ok(guard)
}

fn run(manner: &Manner, queue: &Queue, out: impl Write, _alive: Sender<()>) {
    queue.written_by_this_thread();
    let mut output = Output { out, batch: String::with_capacity(BATCH), lines: 0, queue };
    let mut clock = Clock::default();
    let mut decisions: Vec<Decision> = Vec::new();
    let mut quiet = 0;
    loop {
        // Asked before the look, so that everything that was queued before the close is found by it.
        let closing = queue.is_closing();
        let mut found = false;
        let format = manner.load().format;
        for event in queue.take_events() {
            output.line(|batch| batch.push_str(&event));
            found = true;
        }
        for lane in queue.lanes() {
            lane.swap(&mut decisions);
            for decision in decisions.drain(..) {
                output.line(|batch| line::decision(format, &decision, &mut clock, batch));
                found = true;
            }
        }
        output.write();
        if closing {
            return;
        }
        quiet = if found { 0 } else { quiet + 1 };
        if quiet < PATIENCE {
            queue.pause(PAUSE);
        } else {
            queue.sleep();
        }
    }
}

struct Output<'a, W> {
    out: W,
    batch: String,
    lines: u64,
    queue: &'a Queue,
}

impl<W: Write> Output<'_, W> {
    fn line(&mut self, render: impl FnOnce(&mut String)) {
        render(&mut self.batch);
        self.lines += 1;
        if self.batch.len() >= BATCH {
            self.write();
        }
    }

    /// A broken output (a pipe whose reader is gone) costs its lines, which are counted, and nothing else.
    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if write_all(&mut self.out, self.batch.as_bytes()).is_err() {
            self.queue.dropped().inc_by(self.lines);
        }
        self.batch.clear();
        self.lines = 0;
    }
}

/// Like [`Write::write_all`] and a flush, but also for an output that another process has made non-blocking.
fn write_all(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match when_ready(|| out.write(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    when_ready(|| out.flush())
}

fn when_ready<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(NOT_READY),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
