//! Deadlines at which a worker looks four times a second, so that no answer that is waited for needs a timer of its own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

/// What a worker's requests wait for, each until its moment.
#[derive(Default)]
pub(crate) struct Deadlines {
    places: RefCell<Places>,
}

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
}

enum Place {
    Free,
    Waiting(Instant, Waker),
    Over,
}

impl Deadlines {
    /// Waits for the future until this moment, and after it until the next sweep: then there is no output.
    pub(crate) async fn before<F: Future>(
        &self,
        deadline: Instant,
        mut future: Pin<&mut F>,
    ) -> Option<F::Output> {
        let mut seat = Seat { deadlines: self, place: None };
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if seat.is_over(deadline, cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Wakes whoever waits for what is over.
    pub(crate) fn sweep(&self, now: Instant) {
        for place in &mut self.places.borrow_mut().all {
            if let Place::Waiting(deadline, _) = place
                && *deadline <= now
                && let Place::Waiting(_, waker) = std::mem::replace(place, Place::Over)
            {
                waker.wake();
            }
        }
    }
}

/// Somebody's place among them, which is left on drop.
struct Seat<'a> {
    deadlines: &'a Deadlines,
    place: Option<usize>,
}

impl Seat<'_> {
    /// Whether the deadline is over; if not, the task is woken once it is.
    fn is_over(&mut self, deadline: Instant, cx: &mut Context<'_>) -> bool {
        let Places { all, free } = &mut *self.deadlines.places.borrow_mut();
        match self.place.and_then(|place| all.get_mut(place)) {
            Some(Place::Over) => return true,
            Some(Place::Waiting(_, waker)) => waker.clone_from(cx.waker()),
            Some(Place::Free) | None => {
                let index = free.pop().unwrap_or(all.len());
                let taken = Place::Waiting(deadline, cx.waker().clone());
                match all.get_mut(index) {
                    Some(place) => *place = taken,
                    None => all.push(taken),
                }
                self.place = Some(index);
            }
        }
        false
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let Places { all, free } = &mut *self.deadlines.places.borrow_mut();
        if let Some(index) = self.place
            && let Some(place) = all.get_mut(index)
        {
            *place = Place::Free;
            free.push(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn it_is_over_with_the_first_sweep_after_it() {
        let (deadlines, now) = (Deadlines::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        let (mut never, mut other) = (pin!(pending::<()>()), pin!(pending::<()>()));
        let mut short = pin!(deadlines.before(now, never.as_mut()));
        let mut long = pin!(deadlines.before(later, other.as_mut()));
        for round in [now, later] {
            assert!(poll(long.as_mut()).is_pending());
            if round == now {
                assert!(poll(short.as_mut()).is_pending());
            }
            deadlines.sweep(round);
            if round == now {
                assert_eq!(poll(short.as_mut()), Poll::Ready(None));
            }
        }
        assert_eq!(poll(long.as_mut()), Poll::Ready(None));
    }

    #[test]
    fn places_are_used_again() {
        let deadlines = Deadlines::default();
        for _ in 0..3 {
            let mut never = pin!(pending::<()>());
            let mut waiting = pin!(deadlines.before(Instant::now(), never.as_mut()));
            assert!(poll(waiting.as_mut()).is_pending());
        }
        assert_eq!(deadlines.places.borrow().all.len(), 1);
        let mut at_once = pin!(ready(1));
        assert_eq!(poll(pin!(deadlines.before(Instant::now(), at_once.as_mut()))), Poll::Ready(Some(1)));
        assert_eq!(deadlines.places.borrow().free.len(), 1);
    }
}
