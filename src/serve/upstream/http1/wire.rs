//! The bytes of one connection to the upstream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
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

    /// Whether nothing has come that nobody asked for, the end of the connection included; if something has, it takes no request any
    /// more.
    pub(super) fn is_quiet(&self) -> bool {
        if self.deaf.get() || !self.arrived.borrow().is_empty() {
            return false;
        }
        let silent = self.io.borrow().is_silent();
        silent.unwrap_or_else(|| self.poll_fill(&mut Context::from_waker(Waker::noop())).is_pending())
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
        let mut io = Pin::new(&mut *io);
        while !waiting.is_empty() && !self.deaf.get() {
            let outcome = match waiting.only() {
                Some(bytes) => io.as_mut().poll_write(cx, bytes),
                None => {
                    let slices = waiting.slices();
                    let slices = slices.get(..waiting.parts.len() + 1).unwrap_or(&slices);
                    io.as_mut().poll_write_vectored(cx, slices)
                }
            };
            match ready!(outcome) {
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
        if ready!(io.poll_flush(cx)).is_err() {
            self.deaf.set(true);
        }
        Poll::Ready(())
    }

    /// The bare connection, with what was read beyond the last head.
    pub(super) fn into_bare(self) -> (Io, Bytes) {
        (self.io.into_inner(), self.arrived.into_inner().freeze())
    }
}

/// A request's bytes that wait to be written: its head, then what was taken from its content.
pub(super) struct Waiting {
    head: Buffer,
    /// Bytes of the head that are out.
    out: usize,
    parts: VecDeque<Bytes>,
    length: usize,
}

impl Waiting {
    pub(super) fn new(head: Buffer) -> Waiting {
        Waiting { length: head.0.len(), head, out: 0, parts: VecDeque::new() }
    }

    pub(super) fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.length += part.len();
            self.parts.push_back(part);
        }
    }

    /// The head again, and nothing else.
    pub(super) fn rewind(&mut self) {
        self.parts.clear();
        self.out = 0;
        self.length = self.head.0.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    fn head(&self) -> &[u8] {
        self.head.0.get(self.out..).unwrap_or_default()
    }

    /// All that waits, where it is in one piece.
    fn only(&self) -> Option<&[u8]> {
        match (self.head(), self.parts.len()) {
            (head, 0) => Some(head),
            ([], 1) => self.parts.front().map(|part| &part[..]),
            _ => None,
        }
    }

    fn slices(&self) -> [IoSlice<'_>; SLICES] {
        let mut pieces = std::iter::once(self.head()).chain(self.parts.iter().map(|part| &part[..]));
        std::array::from_fn(|_| IoSlice::new(pieces.next().unwrap_or_default()))
    }

    fn advance(&mut self, mut written: usize) {
        self.length = self.length.saturating_sub(written);
        let of_head = written.min(self.head().len());
        self.out += of_head;
        written -= of_head;
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

/// Buffers of heads that are kept: as many as requests begin together …
const SPARE: usize = 64;
/// … and of so many bytes at most.
const SPARE_BYTES: usize = 4 << 10;

thread_local! {
    static SPARES: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The bytes of a head, in a buffer that the thread's next request takes over: one of a kilobyte or more is dear to the allocator.
pub(super) struct Buffer(pub(super) Vec<u8>);

impl Buffer {
    pub(super) fn new() -> Buffer {
        Buffer(SPARES.with_borrow_mut(Vec::pop).unwrap_or_default())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0);
        if bytes.capacity() <= SPARE_BYTES {
            bytes.clear();
            // Not at the end of the thread.
            let _ = SPARES.try_with(|spares| {
                let mut spares = spares.borrow_mut();
                if spares.len() < SPARE {
                    spares.push(bytes);
                }
            });
        }
    }
}
