//! HTTP/2 frame by frame (RFC 9113 §4.1), for clients that do not behave.

use std::io::{self, ErrorKind, Read as _};
use std::net::SocketAddr;

use super::client::{Client, Connection};

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// A frame as it was read.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// A client that says what it is told to and never answers a frame.
pub(crate) struct Raw(pub(crate) Connection);

impl Raw {
    /// Connects and sends the preface and these settings (identifier and value).
    pub(crate) fn connect(client: &Client, address: SocketAddr, settings: &[(u16, u32)]) -> Raw {
        let mut raw = Raw::connect_silently(client, address);
        raw.0.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let entry = |&(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        raw.send(SETTINGS, 0, 0, &settings.iter().flat_map(entry).collect::<Vec<_>>()).unwrap();
        raw
    }

    /// Agrees on HTTP/2 and says nothing.
    pub(crate) fn connect_silently(client: &Client, address: SocketAddr) -> Raw {
        let mut config = (*client.config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Raw(Client { config: config.into() }.connect(address).unwrap())
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = &(payload.len() as u32).to_be_bytes()[1..];
        self.0.send([length, &[kind, flags], &stream.to_be_bytes(), payload].concat())
    }

    /// The next frame; an error once the server has closed.
    pub(crate) fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        self.0.stream.read_exact(&mut payload)?;
        Ok(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of this kind; what comes before it is passed over.
    pub(crate) fn read_until(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// Everything up to the end of the connection, however rude; it has to come.
    pub(crate) fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            match self.read() {
                Ok(frame) => frames.push(frame),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("the connection does not end: {frames:?}")
                }
                Err(_) => return frames,
            }
        }
    }
}

/// The header block of a request for `/` (RFC 7541 §6: indexed fields, and literals that are not indexed).
pub(crate) fn block(method: &str, token: &str) -> Vec<u8> {
    let mut block = vec![0x80 | if method == "GET" { 2 } else { 3 }, 0x80 | 4, 0x80 | 7];
    literal(&mut block, 1, "localhost");
    literal(&mut block, 23, &format!("Bearer {token}"));
    block
}

/// A value for a name of the static table (§6.2.2, §5.1, Appendix A).
fn literal(block: &mut Vec<u8>, name: usize, value: &str) {
    integer(block, 4, name);
    integer(block, 7, value.len());
    block.extend(value.as_bytes());
}

/// An integer in what is left of a byte (§5.1).
pub(crate) fn integer(block: &mut Vec<u8>, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        return block.push(value as u8);
    }
    block.push(most as u8);
    let mut rest = value - most;
    while rest >= 128 {
        block.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    block.push(rest as u8);
}
