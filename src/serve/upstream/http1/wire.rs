//! The bytes of one connection to the upstream.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWrite};

use crate::serve::upstream::io::Io;

/// What a read has room for at first; where a read fills it, the next one has twice as much.
const ROOM: usize = 8 << 10;
/// What a read has room for at most.
const MAX_ROOM: usize = 128 << 10;
/// Slices of one write.
const SLICES: usize = 16;

/// A connection, which the answer and what is left of the upload may use at the same time: each borrows it for a moment.
pub(super) struct Wire {
    io: RefCell<Io>,
    /// What has arrived and was not read yet.
    pub(super) arrived: RefCell<BytesMut>,
    room: Cell<usize>,
    /// Bytes that the kernel took on since [`Wire::begin`].
    written: Cell<bool>,
    deaf: Cell<bool>,
}

impl Wire {
    pub(super) fn new(io: Io) -> Wire {
        Wire {
            io: RefCell::new(io),
            arrived: RefCell::default(),
            room: Cell::new(ROOM),
            written: Cell::new(false),
            deaf: Cell::new(false),
        }
    }

    /// Another request begins.
    pub(super) fn begin(&self) {
        self.written.set(false);
    }

    /// Whether any byte of the request went out.
    pub(super) fn has_written(&self) -> bool {
        self.written.get()
    }

    /// Whether the upstream takes no more: an upstream is heard out all the same, for one that answers early and closes makes the
    /// rest of the request fail, while its answer is still to be read (RFC 9112 §9.6).
    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    /// Whether nothing has come that nobody asked for, the end of the connection included.
    pub(super) fn is_quiet(&self) -> bool {
        let idle = !self.deaf.get() && self.arrived.borrow().is_empty();
        idle && self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// Keeps no large buffer for a connection that waits.
    pub(super) fn rest(&self) {
        let arrived = &mut *self.arrived.borrow_mut();
        if arrived.capacity() > ROOM {
            *arrived = BytesMut::new();
        }
        self.room.set(ROOM);
    }

    /// Reads more into `arrived`; 0 bytes are the end.
    pub(super) fn poll_fill(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let arrived = &mut *self.arrived.borrow_mut();
        let room = self.room.get();
        arrived.reserve(room);
        let offered = arrived.capacity() - arrived.len();
        let read = ready!(pin!(self.io.borrow_mut().read_buf(arrived)).poll(cx))?;
        self.room.set(if read == offered { (room * 2).min(MAX_ROOM) } else { room });
        Poll::Ready(Ok(read))
    }

    /// Writes what waits. What cannot be written any more is dropped.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, waiting: &mut Waiting) -> Poll<()> {
        let mut io = self.io.borrow_mut();
        while !waiting.is_empty() && !self.deaf.get() {
            let slices = waiting.slices();
            let slices = slices.get(..waiting.parts.len().min(SLICES)).unwrap_or(&slices);
            match ready!(Pin::new(&mut *io).poll_write_vectored(cx, slices)) {
                Ok(written) if written > 0 => {
                    self.written.set(true);
                    waiting.advance(written);
                }
                _ => self.deaf.set(true),
            }
        }
        if self.deaf.get() {
            return Poll::Ready(());
        }
        if ready!(Pin::new(&mut *io).poll_flush(cx)).is_err() {
            self.deaf.set(true);
        }
        Poll::Ready(())
    }

    /// The bare connection, with what was read beyond the last head.
    pub(super) fn into_bare(self) -> (Io, Bytes) {
        (self.io.into_inner(), self.arrived.into_inner().freeze())
    }
}

/// Bytes that wait to be written.
#[derive(Default)]
pub(super) struct Waiting {
    parts: std::collections::VecDeque<Bytes>,
    length: usize,
}

impl Waiting {
    pub(super) fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.length += part.len();
            self.parts.push_back(part);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    fn slices(&self) -> [IoSlice<'_>; SLICES] {
        let mut parts = self.parts.iter();
        std::array::from_fn(|_| IoSlice::new(parts.next().map_or(&[], |part| part)))
    }

    fn advance(&mut self, mut written: usize) {
        self.length = self.length.saturating_sub(written);
        while let Some(part) = self.parts.front_mut() {
            if part.len() > written {
                part.advance(written);
                return;
            }
            written -= part.len();
            self.parts.pop_front();
        }
    }
}
