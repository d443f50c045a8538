//! The streams of a client's HTTP/2 connection. Each is a task of its own, which can end without the others: where its answer is not
//! taken, it alone is reset.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::clock::Clock;

/// How an answer gets to its client.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// When the body yielded a piece that the connection has not taken on yet.
    since: Cell<Option<Instant>>,
    over: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

impl Delivery {
    /// The connection asks for more, or needs no more.
    pub(super) fn asked(&self) {
        self.since.set(None);
    }

    /// A piece was yielded.
    pub(super) fn yielded(&self) {
        self.since.set(Some(Instant::now()));
    }

    /// Since when a piece has been waiting for the client.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        self.since.get()
    }

    /// Ends the stream: its task is dropped, and h2 resets what has not ended by itself.
    pub(super) fn end(&self) {
        self.over.set(true);
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Whether it was ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    fn driven_by(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

/// Runs the streams of the connection with this clock on the thread it is called on.
#[derive(Clone)]
pub(crate) struct StreamExecutor(pub(crate) Rc<Clock>);

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, future: F) {
        let (clock, mut stream) = (self.0.clone(), Box::pin(future));
        let mut delivery: Option<Rc<Delivery>> = None;
        tokio::task::spawn_local(poll_fn(move |cx| {
            if delivery.as_ref().is_some_and(|delivery| delivery.is_over()) {
                return Poll::Ready(());
            }
            let outcome = stream.as_mut().poll(cx);
            // A request that has begun began on this stream.
            if let Some(begun) = clock.begun() {
                delivery = Some(begun);
            }
            if let (Poll::Pending, Some(delivery)) = (outcome, &delivery) {
                delivery.driven_by(cx.waker());
            }
            outcome
        }));
    }
}
