//! The content of an answer, as it comes.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::decode::{Decoder, Malformed, Step};
use super::wire::Wire;

/// Why an answer's content ended before its end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection ended, or broke.
    Ended(Option<io::Error>),
    /// It is not HTTP/1.1.
    Malformed(Malformed),
    /// The client's request broke off while the answer was under way.
    Upload,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Ended(None) => {
                f.write_str("the upstream closed the connection before the end of its answer")
            }
            Fault::Ended(Some(error)) => write!(f, "the connection to the upstream broke: {error}"),
            Fault::Malformed(what) => what.fmt(f),
            Fault::Upload => f.write_str("the request broke off"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Malformed> for Fault {
    fn from(what: Malformed) -> Fault {
        Fault::Malformed(what)
    }
}

/// What an answer sees of an upload that is still under way beside it.
#[derive(Default)]
pub(super) struct Beside {
    pub(super) broken: Cell<bool>,
    reader: Cell<Option<Waker>>,
}

impl Beside {
    /// The client's request broke off: what is left of the answer is nobody's any more.
    pub(super) fn break_off(&self) {
        self.broken.set(true);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// The content of an answer.
pub(in crate::serve) struct Content {
    pub(super) wire: Rc<Wire>,
    pub(super) decoder: Decoder,
    pub(super) beside: Option<Rc<Beside>>,
    /// What is to be said next: an end before the end waits for one turn, so that what came before it is out. Over HTTP/2 the
    /// reset would overtake it.
    fault: Option<Fault>,
}

impl Content {
    pub(super) fn new(wire: Rc<Wire>, decoder: Decoder, beside: Option<Rc<Beside>>) -> Content {
        Content { wire, decoder, beside, fault: None }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        loop {
            let step = self.decoder.step(&mut self.wire.arrived.borrow_mut());
            match step? {
                Step::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Step::Trailers(trailers) => return Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Step::End => return Poll::Ready(None),
                Step::More => match ready!(self.wire.poll_fill(cx)) {
                    Ok(0) if self.decoder.may_end() => return Poll::Ready(None),
                    Ok(0) => return Poll::Ready(Some(Err(Fault::Ended(None)))),
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Some(Err(Fault::Ended(Some(error))))),
                },
            }
        }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.get_mut();
        if let Some(beside) = &this.beside {
            if beside.broken.get() {
                return Poll::Ready(Some(Err(Fault::Upload)));
            }
            beside.reader.set(Some(cx.waker().clone()));
        }
        if let Some(fault) = this.fault.take() {
            return Poll::Ready(Some(Err(fault)));
        }
        match this.poll_step(cx) {
            Poll::Ready(Some(Err(fault))) => {
                this.fault = Some(fault);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.decoder.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
