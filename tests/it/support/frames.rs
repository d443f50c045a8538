//! HTTP/2 frame by frame (RFC 9113), for requests that no library would send.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::sync::Arc;

use super::client::{Client, Connection};
use super::message::Message;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

/// On DATA and HEADERS; on SETTINGS and PING the same bit says ACK.
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// A frame as it came.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

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

/// A connection after its preface.
pub(crate) struct Frames {
    pub(crate) connection: Connection,
}

impl Frames {
    pub(crate) fn connect(client: &Client, address: SocketAddr) -> io::Result<Frames> {
        let mut config = (*client.config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let mut connection = Client { config: Arc::new(config) }.connect(address)?;
        connection.send(PREFACE)?;
        let mut frames = Frames { connection };
        frames.send(SETTINGS, 0, 0, &[])?;
        Ok(frames)
    }

    /// One frame, whatever it says.
    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.connection.send(frame(kind, flags, stream, payload))
    }

    /// HEADERS with these fields in their order, not indexed and not compressed.
    pub(crate) fn headers(&mut self, stream: u32, fields: &[(&str, &str)], flags: u8) -> io::Result<()> {
        self.send(HEADERS, END_HEADERS | flags, stream, &block(fields))
    }

    /// The next frame; `None` where the connection ended.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        match self.connection.stream.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => return Ok(None),
            Ok(()) => {}
        }
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l1, l2, l3]) as usize];
        self.connection.stream.read_exact(&mut payload)?;
        Ok(Some(Frame { kind, flags, stream: u32::from_be_bytes([s1, s2, s3, s4]), payload }))
    }

    /// Reads until it is clear what becomes of this stream; acknowledges what has to be.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let Some(frame) = self.next().expect("an end within the time of a test") else {
                return Outcome::Closed;
            };
            let own = frame.stream == stream;
            match frame.kind {
                SETTINGS | PING if frame.flags & 1 == 0 => {
                    let _ =
                        self.send(frame.kind, 1, 0, if frame.kind == PING { &frame.payload } else { &[] });
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

/// The bytes of one frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header block of literal fields without indexing and without Huffman codes (RFC 7541 §6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        push_string(&mut block, name.as_bytes());
        push_string(&mut block, value.as_bytes());
    }
    block
}

/// A string with its length in a 7-bit prefix (RFC 7541 §5.1, §5.2).
fn push_string(block: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..127 => block.push(length as u8),
        length => {
            block.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                block.push(rest as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend(text);
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
