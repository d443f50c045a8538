//! HTTP/1.1 towards the upstream: one request at a time on a connection, read and written by whoever waits for the answer, so that
//! a request costs no task, no channel and no second wake-up. It speaks to the upstream alone; what clients send is read by hyper.

mod body;
mod decode;
mod head;
mod request;
mod upload;
mod wire;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use tokio::task::JoinHandle;

use body::Beside;
pub(in crate::serve) use body::Content;
pub(crate) use body::Fault;
use head::{Head, Reader};
pub(in crate::serve) use upload::Outgoing;
use upload::Sent;
use wire::Wire;

use super::io::Io;

/// Why no answer came.
#[derive(Debug)]
pub(in crate::serve) enum SendError {
    /// Not a byte of the request went out.
    Unsent,
    /// The connection broke before the first byte of an answer.
    Unanswered(Fault),
    /// The client's request broke off.
    Upload,
    /// It broke in the answer's head, or what came is no answer.
    Answer(Fault),
}

/// A connection of HTTP/1.1, for one request at a time.
pub(super) struct Connection {
    wire: Rc<Wire>,
    persists: bool,
    upload: Option<Running>,
}

/// What becomes of a connection whose answer has been read.
pub(super) enum Rest<F> {
    /// It can take the next request.
    Ready(Connection),
    /// The request is still under way: later it can, unless the request breaks off.
    Uploading(F),
    /// It takes none.
    Over,
}

/// An upload that goes on beside its answer. It ends where this is dropped.
struct Running(JoinHandle<Sent>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub(super) fn new(io: Io) -> Connection {
        Connection { wire: Rc::new(Wire::new(io)), persists: true, upload: None }
    }

    /// Whether it can take a request: nothing has come since its last answer, the end of the connection included.
    pub(super) fn is_ready(&self) -> bool {
        self.wire.is_quiet()
    }

    /// Its last answer has been read to the end.
    pub(super) fn rest(self) -> Rest<impl Future<Output = Option<Connection>>> {
        self.wire.rest();
        match self {
            Connection { persists: false, .. } => Rest::Over,
            Connection { upload: None, .. } => Rest::Ready(self),
            Connection { wire, persists, upload: Some(mut upload) } => Rest::Uploading(async move {
                let sent = (&mut upload.0).await;
                matches!(sent, Ok(Sent::Whole)).then_some(Connection { wire, persists, upload: None })
            }),
        }
    }

    /// Sends a request and waits for the head of its answer. Whoever drops the future cancels the request, and with it the
    /// connection.
    ///
    /// # Errors
    /// No answer came, and the connection is of no more use; the request is given back.
    pub(super) async fn send(
        &mut self,
        mut outgoing: Outgoing,
    ) -> Result<Response<Content>, (SendError, Outgoing)> {
        // Whatever ends this early leaves the connection in the middle of something.
        self.persists = false;
        self.wire.begin();
        let mut reader = Reader::new(std::mem::take(&mut outgoing.fields));
        let mut sent = None;
        let answer = poll_fn(|cx| self.poll_answer(cx, &mut outgoing, &mut sent, &mut reader)).await;
        let Head { parts, decoder, persists } = match answer {
            Ok(head) => head,
            Err(error) => return Err((error, outgoing)),
        };
        // As before a kept connection is taken.
        turn().await;
        self.persists = persists && sent != Some(Sent::Cut);
        let beside = sent.is_none().then(|| self.go_on(outgoing));
        Ok(Response::from_parts(parts, Content::new(self.wire.clone(), decoder, beside)))
    }

    /// The bare connection after its last answer's head, with what was read beyond it; its content must have been dropped.
    pub(super) fn into_bare(self) -> Option<(Io, Bytes)> {
        Rc::into_inner(self.wire).map(Wire::into_bare)
    }

    fn poll_answer(
        &self,
        cx: &mut Context<'_>,
        outgoing: &mut Outgoing,
        sent: &mut Option<Sent>,
        reader: &mut Reader,
    ) -> Poll<Result<Head, SendError>> {
        if sent.is_none()
            && let Poll::Ready(outcome) = outgoing.poll(&self.wire, cx)
        {
            *sent = Some(outcome);
            if outcome == Sent::Broken {
                return Poll::Ready(Err(SendError::Upload));
            }
        }
        loop {
            let head = reader.read(&mut self.wire.arrived.borrow_mut(), outgoing.method());
            match head {
                Ok(None) => {}
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Err(what) => return Poll::Ready(Err(SendError::Answer(what.into()))),
            }
            let end = match ready!(self.wire.poll_fill(cx)) {
                Ok(0) => Fault::Ended(None),
                Ok(_) => continue,
                Err(error) => Fault::Ended(Some(error)),
            };
            let has_begun = reader.has_begun() || !self.wire.arrived.borrow().is_empty();
            return Poll::Ready(Err(match (has_begun, self.wire.has_written()) {
                (true, _) => SendError::Answer(end),
                (false, true) => SendError::Unanswered(end),
                (false, false) => SendError::Unsent,
            }));
        }
    }

    /// The answer has begun before the request has ended: the rest of it goes on beside the answer.
    fn go_on(&mut self, mut outgoing: Outgoing) -> Rc<Beside> {
        let beside = Rc::new(Beside::default());
        let (wire, seen) = (self.wire.clone(), beside.clone());
        let upload = tokio::task::spawn_local(async move {
            let sent = poll_fn(|cx| outgoing.poll(&wire, cx)).await;
            if sent == Sent::Broken {
                seen.break_off();
            }
            sent
        });
        self.upload = Some(Running(upload));
        beside
    }
}

/// Lets the other tasks that can go on have their turn, so that what other clients have sent, or other answers, are read first: the
/// kernel wakes a peer once for several messages, and the code of one step stays in the processor's cache.
pub(in crate::serve) async fn turn() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
