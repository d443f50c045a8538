//! The two ends of a connection's TLS: below it a socket that tells the clock when the client does not read, above it a stream that
//! tells the clock when a head begins, and that closes without taking the last answer back.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use super::frames::Frames;
use crate::serve::clock::Clock;
use crate::serve::upstream::io::keep_alive;

/// How long what a client still sends is taken off the socket after our last word.
const LINGER: Duration = Duration::from_secs(1);

/// The client's socket, below TLS.
pub(super) struct Socket {
    pub(super) tcp: TcpStream,
    pub(super) clock: Rc<Clock>,
}

impl Socket {
    fn noted<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Pending => self.clock.write_blocked(),
            Poll::Ready(_) => self.clock.wrote(),
        }
        outcome
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.tcp).poll_write(cx, buf);
        this.noted(outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.tcp).poll_write_vectored(cx, bufs);
        this.noted(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

/// The client's stream, above TLS.
pub(super) struct ClientIo {
    tls: TlsStream<Socket>,
    clock: Rc<Clock>,
    /// HTTP/2 only: where frames begin and end.
    frames: Option<Frames>,
    /// The end of our lingering, once we have said our last word.
    linger: Option<Pin<Box<Sleep>>>,
}

impl ClientIo {
    pub(super) fn new(tls: TlsStream<Socket>, clock: Rc<Clock>, http2: bool) -> ClientIo {
        ClientIo { tls, clock, frames: http2.then(Frames::new), linger: None }
    }

    /// Waits until the client closes too, or for [`LINGER`]. A socket that is closed with unread bytes in it is reset, and a
    /// reset destroys what the client has not read yet: the answer that told it why (RFC 9112 §9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let end = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let socket = &mut self.tls.get_mut().0.tcp;
        let mut unread = [0; 4096];
        loop {
            let mut unread = ReadBuf::new(&mut unread);
            match ready!(Pin::new(&mut *socket).poll_read(cx, &mut unread)) {
                Ok(()) if !unread.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// See [`keep_alive`].
    pub(super) fn keep_alive(&self) {
        keep_alive(&self.tls.get_ref().0.tcp);
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.tls).poll_read(cx, buf))?;
        let new = buf.filled().get(before..).unwrap_or_default();
        match &mut this.frames {
            _ if new.is_empty() => {}
            None => this.clock.head_bytes(),
            Some(frames) => match frames.read(new) {
                true => this.clock.head_begun(),
                false => this.clock.head_done(),
            },
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tls).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.tls).poll_shutdown(cx))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}
