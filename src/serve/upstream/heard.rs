//! An upstream is heard out: its answer counts even where it no longer takes the request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection to the upstream on which a failed write is no end: a server that answers early and closes makes the rest of the
/// request fail, while its answer is still to be read (RFC 9112 §9.6). What cannot be written any more is dropped; reading then
/// gives the answer, or says how the connection ended.
pub(in crate::serve) struct Heard<T> {
    io: T,
    deaf: bool,
}

impl<T> Heard<T> {
    pub(super) fn new(io: T) -> Heard<T> {
        Heard { io, deaf: false }
    }

    /// The connection itself, for another protocol.
    pub(in crate::serve) fn into_inner(self) -> T {
        self.io
    }

    /// This outcome of a write, or `dropped` where the upstream takes no more.
    fn or_dropped<V>(&mut self, outcome: Poll<io::Result<V>>, dropped: V) -> Poll<io::Result<V>> {
        match outcome {
            Poll::Ready(Err(_)) => {
                self.deaf = true;
                Poll::Ready(Ok(dropped))
            }
            outcome => outcome,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Heard<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Heard<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.deaf {
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = Pin::new(&mut this.io).poll_write(cx, buf);
        this.or_dropped(outcome, buf.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if this.deaf {
            return Poll::Ready(Ok(length));
        }
        let outcome = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.or_dropped(outcome, length)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.deaf {
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut this.io).poll_flush(cx);
        this.or_dropped(outcome, ())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
