//! What becomes of an HTTP/2 request that no library would send: written field by field, read back as a verdict.

use std::io;
use std::net::SocketAddr;

use super::client::Client;
use super::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS, integer,
};
use super::message::Message;

/// On SETTINGS and PING.
const ACK: u8 = 0x1;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With this status and body.
    Answer(u16, String),
    /// Its stream was reset with this code.
    Reset(u32),
    /// The connection was given up with this code.
    GoAway(u32),
    /// The connection ended without a word.
    Closed,
}

impl Outcome {
    /// Of an answer: its status and the `reason` of its problem document.
    pub(crate) fn verdict(&self) -> Option<(u16, String)> {
        let Outcome::Answer(status, body) = self else { return None };
        let answer =
            Message { start: format!("HTTP/2 {status}"), body: body.clone().into(), ..Message::default() };
        Some(answer.verdict())
    }
}

/// A connection after its preface, for requests in the order of their streams.
pub(crate) struct Frames {
    pub(crate) raw: Raw,
}

impl Frames {
    pub(crate) fn connect(client: &Client, address: SocketAddr) -> Frames {
        Frames { raw: Raw::connect(client, address, &[]) }
    }

    /// HEADERS with these fields in their order, not indexed and not compressed.
    pub(crate) fn headers(&mut self, stream: u32, fields: &[(&str, &str)], flags: u8) -> io::Result<()> {
        self.raw.send(HEADERS, END_HEADERS | flags, stream, &block(fields))
    }

    /// The next frame; `None` where the connection ended.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        match self.raw.read() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("nothing comes"),
            frame => frame.ok(),
        }
    }

    /// Reads until it is clear what becomes of this stream; acknowledges what has to be.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let Some(frame) = self.next() else { return Outcome::Closed };
            let own = frame.stream == stream;
            match frame.kind {
                SETTINGS | PING if frame.flags & ACK == 0 => {
                    let echo = if frame.kind == PING { &frame.payload[..] } else { &[] };
                    let _ = self.raw.send(frame.kind, ACK, 0, echo);
                }
                HEADERS if own && status == 0 => status = read_status(&frame.payload),
                DATA if own => body.extend(&frame.payload),
                RST_STREAM if own && status == 0 => return Outcome::Reset(code(&frame.payload)),
                GOAWAY if code(&frame.payload[4..]) != 0 => {
                    return Outcome::GoAway(code(&frame.payload[4..]));
                }
                _ => {}
            }
            if own && matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return Outcome::Answer(status, String::from_utf8_lossy(&body).into_owned());
            }
        }
    }
}

/// A header block of literal fields without indexing and without Huffman codes (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, 7, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// `:status`, which every server puts first: an entry of the static table, or three digits, plain or in Huffman codes
/// (RFC 7541 appendices A and B).
fn read_status(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let at = block.iter().position(|byte| byte & 0xe0 != 0x20).unwrap(); // after changes of the table's size
    match block[at] {
        entry @ 0x88..=0x8e => INDEXED[usize::from(entry - 0x88)],
        0x48 | 0x08 => match block[at + 1] {
            3 => std::str::from_utf8(&block[at + 2..at + 5]).unwrap().parse().unwrap(),
            length => digits(&block[at + 2..at + 2 + usize::from(length & 0x7f)]),
        },
        other => panic!("no status: {other:#x}"),
    }
}

/// Three digits: `0` to `2` are 00000 to 00010, `3` to `9` are 011001 to 011111.
fn digits(coded: &[u8]) -> u16 {
    let mut bits = coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)));
    let mut digit = || {
        let five = bits.by_ref().take(5).fold(0, |number, bit| number << 1 | bit);
        if five <= 2 { five } else { (five << 1 | bits.next().unwrap()) - 0b011001 + 3 }
    };
    (0..3).fold(0, |number, _| number * 10 + digit())
}

fn code(payload: &[u8]) -> u32 {
    u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]])
}
