//! The two ends of a connection's TLS: below it a socket that tells the clock when the client does not read, above it a stream that
//! tells the clock when a head begins, and that closes without taking the last answer back.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

use super::frames::Frames;
use crate::serve::clock::Clock;
use crate::serve::upstream::io::keep_alive;

/// How long a client may go on sending what nobody reads, after our last word …
const LINGER: Duration = Duration::from_secs(30);
/// … and after how long without a byte it seems to have stopped.
const SILENCE: Duration = Duration::from_secs(5);

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
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.tcp).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            this.clock.heard();
        }
        Poll::Ready(Ok(()))
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
        // A kernel takes one piece at less cost.
        if let [buf] = bufs {
            return self.poll_write(cx, buf);
        }
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
    /// HTTP/1 only: the end of what was read.
    tail: Tail,
    /// HTTP/1 only: whether hyper has been told that the stream is at its end, so that it lets go of it.
    parked: bool,
    /// HTTP/1 only: bytes of a next request have been seen, and not been read.
    next: bool,
    /// There once we have said our last word.
    linger: Option<Linger>,
}

impl ClientIo {
    pub(super) fn new(tls: TlsStream<Socket>, clock: Rc<Clock>, http2: bool) -> ClientIo {
        let frames = http2.then(Frames::new);
        ClientIo { tls, clock, frames, tail: Tail::default(), parked: false, next: false, linger: None }
    }

    /// Whether it was given up to be parked; from now on it reads and closes as before.
    pub(super) fn unpark(&mut self) -> bool {
        std::mem::take(&mut self.parked)
    }

    /// Waits for bytes of a request, without taking them; false at the end of the stream.
    pub(super) fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let bytes = ready!(Pin::new(&mut self.tls).poll_fill_buf(cx));
        Poll::Ready(bytes.is_ok_and(|bytes| !bytes.is_empty()))
    }

    /// Waits until the client has left: the end of its stream follows what has been read. Where the next request follows, that ends the
    /// look.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.next {
            return self.poll_hung_up();
        }
        // Below TLS, which makes room for each attempt to read.
        let _ = ready!(self.tls.get_mut().0.tcp.poll_peek(cx, &mut ReadBuf::new(&mut [0])));
        self.next = ready!(self.poll_more(cx));
        if self.next { self.poll_hung_up() } else { Poll::Ready(()) }
    }

    /// Waits until the client has closed its side of the socket, whatever it has sent before that and nobody reads yet: looked for with each
    /// sweep of the clock.
    pub(super) fn poll_hung_up(&mut self) -> Poll<()> {
        let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let mut socket = [PollFd::new(&self.tls.get_ref().0.tcp, PollFlags::RDHUP)];
        let has_ended = self.clock.is_time_to_look()
            && poll(&mut socket, Some(&Timespec::default())).is_ok()
            && socket.iter().any(|socket| socket.revents().intersects(ended));
        if has_ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the connection without an end of TLS, so that an answer that broke off cannot look complete.
    pub(super) async fn break_off(mut self: Box<Self>) {
        let _ = self.tls.get_mut().0.shutdown().await;
        poll_fn(|cx| self.poll_linger(cx)).await;
    }

    /// Waits until the client closes too, or seems to have stopped. A socket that is closed with unread bytes in it is reset, and a
    /// reset destroys what the client has not read yet: the answer that told it why (RFC 9112 §9.6).
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Nor is the rest of a head waited for.
        self.clock.head_done();
        let linger = self.linger.get_or_insert_with(Linger::begin);
        let socket = &mut self.tls.get_mut().0.tcp;
        let mut unread = [0; 4096];
        loop {
            let mut unread = ReadBuf::new(&mut unread);
            match Pin::new(&mut *socket).poll_read(cx, &mut unread) {
                Poll::Pending => return linger.silence.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !unread.filled().is_empty() && linger.go_on() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
    }

    /// For a tunnel, whose two directions end one by one: no head begins there, and nothing is thrown away.
    pub(super) fn into_tunnel(self) -> TlsStream<Socket> {
        keep_alive(&self.tls.get_ref().0.tcp);
        self.tls
    }
}

/// Whether these bytes say nothing where a request is expected (RFC 9112 §2.2).
pub(super) fn is_empty_lines(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// The last three bytes that a client sent.
#[derive(Default)]
struct Tail(u32);

impl Tail {
    /// Takes these bytes up, and tells whether all of them now end with an empty line, behind which no head can have begun (RFC 9112 §2.1).
    fn take(&mut self, bytes: &[u8]) -> bool {
        let last = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default();
        self.0 = last.iter().fold(self.0, |tail, &byte| tail << 8 | u32::from(byte));
        let [_, a, b, c] = self.0.to_be_bytes();
        matches!([a, b, c], [_, b'\n', b'\n'] | [b'\n', b'\r', b'\n'])
    }
}

/// What a client may still take its time for.
struct Linger {
    over: Instant,
    silence: Pin<Box<Sleep>>,
}

impl Linger {
    fn begin() -> Linger {
        let now = Instant::now();
        Linger { over: now + LINGER, silence: Box::pin(sleep_until(now + SILENCE)) }
    }

    /// Bytes came: whether more may.
    fn go_on(&mut self) -> bool {
        let now = Instant::now();
        self.silence.as_mut().reset(now + SILENCE);
        now < self.over
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Spent by what was read before, or by what became of it.
        if this.clock.allowance().exceeded() {
            return Poll::Ready(Err(io::Error::other(
                "more control frames or resets than answers account for",
            )));
        }
        this.next = false;
        let before = buf.filled().len();
        if Pin::new(&mut this.tls).poll_read(cx, buf)?.is_pending() {
            // Nothing is under way in either direction.
            this.parked |= this.clock.is_parking();
            return if this.parked { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let new = buf.filled().get(before..).unwrap_or_default();
        match &mut this.frames {
            _ if new.is_empty() => {}
            None => {
                // A head that has begun and not ended would be among them.
                let ends_head = this.tail.take(new);
                this.clock.head_bytes(ends_head, is_empty_lines(new));
            }
            Some(frames) => match frames.read(new, this.clock.allowance()) {
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
        if this.parked {
            return Poll::Ready(Ok(()));
        }
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.tls).poll_shutdown(cx))?;
        }
        this.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_is_seen_wherever_the_bytes_were_parted() {
        for (text, ends) in
            [("a\r\n\r\n", true), ("a\n\n", true), ("a\n\r\n", true), ("a\r\n", false), ("\n\r\nG", false)]
        {
            for at in 0..=text.len() {
                let (mut tail, (first, second)) = (Tail::default(), text.split_at(at));
                let outcomes = [tail.take(first.as_bytes()), tail.take(second.as_bytes())];
                assert_eq!(outcomes[1], ends, "{text:?} at {at}");
            }
        }
    }
}
