//! Where HTTP/2 frames begin and end in what a client sends (RFC 9113 §4.1): hyper has no deadline for a header block that
//! never ends, so the connection's clock needs to know that one is open. It counts besides what a client may send without use;
//! nothing else is read from the frames.

use crate::serve::allowance::Allowance;

const PREFACE: usize = 24;
const HEADER: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Follows a client's frames.
pub(super) struct Frames {
    /// Bytes of the preface or of the present frame's payload that are still to come.
    skip: usize,
    /// The frame header as far as it has been read.
    header: [u8; HEADER],
    have: usize,
    /// The present frame is DATA: an upload's pace is not a head's.
    data: bool,
    /// A header block is open: HEADERS without END_HEADERS, up to its last CONTINUATION (§6.10).
    block: bool,
}

impl Frames {
    pub(super) fn new() -> Frames {
        Frames { skip: PREFACE, header: [0; HEADER], have: 0, data: false, block: false }
    }

    /// Reads on, at the cost of `allowance`; says whether the client owes the rest of a frame (other than DATA) or of a header block.
    pub(super) fn read(&mut self, mut bytes: &[u8], allowance: &Allowance) -> bool {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len());
                self.skip -= n;
                bytes = bytes.split_at(n).1;
                continue;
            }
            let n = (HEADER - self.have).min(bytes.len());
            let (head, rest) = bytes.split_at(n);
            self.header.iter_mut().skip(self.have).zip(head).for_each(|(to, from)| *to = *from);
            self.have += n;
            bytes = rest;
            if self.have == HEADER {
                self.begin(allowance);
            }
        }
        self.block || self.have > 0 || (self.skip > 0 && !self.data)
    }

    fn begin(&mut self, allowance: &Allowance) {
        let [l1, l2, l3, kind, flags, ..] = self.header;
        self.have = 0;
        self.skip = usize::from(l1) << 16 | usize::from(l2) << 8 | usize::from(l3);
        self.data = kind == DATA;
        match kind {
            // h2 itself bounds DATA without content, and CONTINUATION by the head's size.
            DATA => {}
            HEADERS | CONTINUATION => self.block = flags & END_HEADERS == 0,
            RST_STREAM => allowance.reset(),
            _ => allowance.frame(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn read(frames: &mut Frames, bytes: &[u8]) -> bool {
        frames.read(bytes, &Allowance::default())
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0, 0, payload.len() as u8, kind, flags, 0, 0, 0, 1];
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn whole_frames_owe_nothing_however_they_are_cut() {
        let mut bytes = START.to_vec();
        bytes.extend(frame(0x4, 0, &[]));
        bytes.extend(frame(HEADERS, END_HEADERS, b"abc"));
        bytes.extend(frame(DATA, 0, b"0123456789"));
        for cut in 1..bytes.len() {
            let mut frames = Frames::new();
            read(&mut frames, &bytes[..cut]);
            assert!(!read(&mut frames, &bytes[cut..]), "cut at {cut}");
        }
    }

    #[test]
    fn an_open_header_block_is_owed_until_its_last_continuation() {
        let mut frames = Frames::new();
        assert!(!read(&mut frames, START));
        assert!(read(&mut frames, &frame(HEADERS, 0, b"abc")));
        assert!(read(&mut frames, &frame(CONTINUATION, 0, b"def")));
        assert!(!read(&mut frames, &frame(CONTINUATION, END_HEADERS, b"")));
    }

    #[test]
    fn half_a_data_frame_is_an_upload_and_half_of_any_other_frame_is_owed() {
        let mut frames = Frames::new();
        read(&mut frames, START);
        assert!(!read(&mut frames, &frame(DATA, 0, b"0123456789")[..12]));
        let mut frames = Frames::new();
        read(&mut frames, START);
        assert!(read(&mut frames, &frame(0x6, 0, b"01234567")[..12]));
    }

    #[test]
    fn control_frames_are_counted_however_they_are_cut() {
        let allowance = Allowance::default();
        let mut frames = Frames::new();
        frames.read(START, &allowance);
        let flood = frame(0x6, 0, b"01234567").repeat(10_001);
        for bytes in flood.chunks(1000) {
            assert!(!allowance.exceeded());
            frames.read(bytes, &allowance);
        }
        assert!(allowance.exceeded());
        let allowance = Allowance::default();
        frames.read(&frame(DATA, 0, b"0").repeat(100_000), &allowance);
        frames.read(&frame(HEADERS, END_HEADERS, b"0").repeat(100_000), &allowance);
        assert!(!allowance.exceeded());
        frames.read(&frame(RST_STREAM, 0, b"0123").repeat(1001), &allowance);
        assert!(allowance.exceeded());
    }
}
