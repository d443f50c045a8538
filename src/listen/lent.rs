//! A client's stream that hyper has and that is looked at from outside too.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::io::ClientIo;

/// One of the two ends at which a stream is held.
pub(super) struct Lent(Rc<RefCell<Box<ClientIo>>>);

impl Lent {
    /// One end for hyper, one for who looks.
    pub(super) fn twice(io: Box<ClientIo>) -> (Lent, Lent) {
        let io = Rc::new(RefCell::new(io));
        (Lent(io.clone()), Lent(io))
    }

    /// The stream itself, once the other end has been dropped.
    pub(super) fn back(self) -> Option<Box<ClientIo>> {
        Rc::into_inner(self.0).map(RefCell::into_inner)
    }

    /// Waits until the client has left.
    pub(super) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.borrow_mut().poll_left(cx)
    }

    /// Waits until the client has closed its side.
    pub(super) fn poll_hung_up(&self) -> Poll<()> {
        self.0.borrow_mut().poll_hung_up()
    }

    fn with<T>(&self, act: impl FnOnce(Pin<&mut ClientIo>) -> T) -> T {
        act(Pin::new(&mut **self.0.borrow_mut()))
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_shutdown(cx))
    }
}
