//! A good client beside a hostile one: it asks over both protocols all the while, and must not notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::h2::{Failure, H2};
use super::process::eventually;
use super::stage::Stage;

/// The longest that an answer may take on a busy machine.
const PATIENT: Duration = Duration::from_secs(15);

/// A client that asks until it is stopped.
pub(crate) struct Beside {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Beside {
    /// Asks for `/good` with the stage's token; begun once it has had an answer.
    pub(crate) fn start(stage: &Stage) -> Beside {
        let (client, address, token) = (stage.client(), stage.boundgate.address, stage.token.clone());
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&answers));
        let thread = thread::spawn(move || {
            let mut h1 = client.connect(address)?;
            let mut h2 = H2::connect(&client, address)?;
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                for answer in [h1.get("/good", Some(&token))?, h2.get("/good", Some(&token))?] {
                    assert_eq!(answer.status(), 200, "{answer:?}");
                }
                assert!(begun.elapsed() < PATIENT, "{:?}", begun.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5)); // leaves the processor to the other one
            }
            Ok(())
        });
        let beside = Beside { stop, answers, thread };
        beside.goes_on();
        beside
    }

    /// Waits for a further answer.
    pub(crate) fn goes_on(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        eventually("the good client is answered", || {
            self.answers.load(Ordering::Relaxed) > before || self.thread.is_finished()
        });
    }

    /// Stops it; every one of its requests was answered, on the connections that it began with.
    pub(crate) fn end(self) {
        self.goes_on();
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}
