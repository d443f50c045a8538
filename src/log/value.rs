//! Values as they stand in a line, in JSON and in text. What came from a client cannot end a line, forge a field or drive a terminal.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::decide::token::Digest;

/// One value of a line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Missing,
    Text(&'a str),
    /// Bytes in lower-case hexadecimal digits.
    Hex(&'a [u8]),
    /// A digest as `x5t#S256` has it (RFC 8705 §3.1).
    Base64Url(&'a Digest),
    Peer(SocketAddr),
    Seconds(Duration),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Missing, Into::into)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl Value<'_> {
    /// Writes the value as JSON (RFC 8259).
    pub(super) fn json(self, out: &mut String) {
        match self {
            Value::Missing => out.push_str("null"),
            Value::Text(text) => quoted(text, out),
            Value::Hex(_) | Value::Base64Url(_) | Value::Peer(_) => {
                out.push('"');
                self.bare(out);
                out.push('"');
            }
            // JSON has no other floats.
            Value::Float(float) if !float.is_finite() => out.push_str("null"),
            _ => self.bare(out),
        }
    }

    /// Writes the value for people: text without quotes where it is one plain word.
    pub(super) fn text(self, out: &mut String) {
        match self {
            Value::Missing => out.push('-'),
            Value::Text(text) if !is_word(text) => quoted(text, out),
            Value::Seconds(_) => {
                self.bare(out);
                out.push('s');
            }
            _ => self.bare(out),
        }
    }

    fn bare(self, out: &mut String) {
        match self {
            Value::Missing => {}
            Value::Text(text) => out.push_str(text),
            Value::Hex(bytes) => bytes.chunks(32).for_each(|bytes| push_hex(bytes, out)),
            Value::Base64Url(digest) => URL_SAFE_NO_PAD.encode_string(digest, out),
            Value::Peer(peer) => push_peer(peer, out),
            Value::Seconds(duration) => {
                out.push_str(itoa::Buffer::new().format(duration.as_secs()));
                push_microseconds(duration.subsec_micros(), out);
            }
            Value::Unsigned(number) => out.push_str(itoa::Buffer::new().format(number)),
            Value::Signed(number) => out.push_str(itoa::Buffer::new().format(number)),
            Value::Float(float) => drop(write!(out, "{float}")),
            Value::Bool(bool) => out.push_str(if bool { "true" } else { "false" }),
        }
    }
}

/// At most 32 bytes: their digits are put together first, which costs less than one push for each.
fn push_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut digits = [[0; 2]; 32];
    for (pair, byte) in digits.iter_mut().zip(bytes) {
        *pair = [byte >> 4, byte & 0xf].map(|nibble| DIGITS[usize::from(nibble)]);
    }
    let digits = digits.as_flattened().get(..2 * bytes.len()).unwrap_or_default();
    out.push_str(std::str::from_utf8(digits).unwrap_or_default());
}

/// Writes an event's message for people: without quotes where it cannot be taken for a `key=value`.
pub(super) fn sentence(message: &str, out: &mut String) {
    if message.bytes().all(|byte| is_plain(byte) && byte != b'=') {
        out.push_str(message);
    } else {
        quoted(message, out);
    }
}

/// A word needs no quotes in a text line, and cannot be taken for a `key=value`.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| is_plain(byte) && byte != b' ' && byte != b'=')
}

/// A byte that stands for itself inside quotes.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    // Without short cuts, so that it is vectorised.
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        out.push_str(text);
    } else {
        text.chars().for_each(|char| push_escaped(char, out));
    }
    out.push('"');
}

fn push_escaped(char: char, out: &mut String) {
    match char {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ if char.is_control() || is_deceptive(char) => drop(write!(out, "\\u{:04x}", u32::from(char))),
        _ => out.push(char),
    }
}

/// Separators and marks of direction or of no width, with which text shows as something else than it is.
const fn is_deceptive(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn push_peer(peer: SocketAddr, out: &mut String) {
    // A dual-stack listener sees IPv4 peers as ::ffff:a.b.c.d.
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "." });
                out.push_str(itoa::Buffer::new().format(octet));
            }
        }
        IpAddr::V6(ip) => drop(write!(out, "[{ip}]")),
    }
    out.push(':');
    out.push_str(itoa::Buffer::new().format(peer.port()));
}

fn push_microseconds(microseconds: u32, out: &mut String) {
    out.push('.');
    push_padded(microseconds, 6, out);
}

fn push_padded(number: u32, width: usize, out: &mut String) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    (digits.len()..width).for_each(|_| out.push('0'));
    out.push_str(digits);
}

/// Writes points in time (RFC 3339, UTC, microseconds); remembers the text of the last second.
#[derive(Debug, Default)]
pub(super) struct Clock {
    second: u64,
    text: String,
}

impl Clock {
    /// A time before 1970 or after 9999 is written as the start of 1970.
    pub(super) fn push(&mut self, time: SystemTime, out: &mut String) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.text.is_empty() || self.second != since.as_secs() {
            self.second = since.as_secs();
            self.text.clear();
            push_second(since.as_secs(), &mut self.text);
        }
        out.push_str(&self.text);
        push_microseconds(since.subsec_micros(), out);
        out.push('Z');
    }
}

fn push_second(second: u64, out: &mut String) {
    let known = i64::try_from(second).ok().and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
    let time = known.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    push_padded(time.year().unsigned_abs(), 4, out);
    let rest = [
        ('-', time.month().into()),
        ('-', time.day()),
        ('T', time.hour()),
        (':', time.minute()),
        (':', time.second()),
    ];
    for (separator, number) in rest {
        out.push(separator);
        push_padded(number.into(), 2, out);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn json(value: Value<'_>) -> String {
        let mut out = String::new();
        value.json(&mut out);
        out
    }

    fn text(value: Value<'_>) -> String {
        let mut out = String::new();
        value.text(&mut out);
        out
    }

    #[test]
    fn hostile_text_is_escaped_and_reads_back_as_it_was() {
        for hostile in [
            "\"} {\"event\":\"decision\"",
            "a\nb\r\tc\\",
            "\x1b[31mred\x1b[0m\x07\0\x7f",
            "\u{9b}2J",
            "\u{202e}evil\u{2066}\u{2028}\u{feff}",
            "ü 漢字 🦀",
            "",
        ] {
            let (json, text) = (json(Value::Text(hostile)), text(Value::Text(hostile)));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
            assert_eq!(text, json, "what is no plain word is quoted alike in text");
            assert!(!json.chars().any(|char| char.is_control() || is_deceptive(char)), "{json}");
        }
    }

    #[test]
    fn only_plain_words_stand_without_quotes() {
        assert_eq!(text(Value::Text("/orders/1?x")), "/orders/1?x");
        assert_eq!(text(Value::Text("a b")), "\"a b\"");
        assert_eq!(text(Value::Text("a=b")), "\"a=b\"");
    }

    #[test]
    fn numbers_addresses_and_digests() {
        assert_eq!(json(Value::Seconds(Duration::from_nanos(1_002_003_999))), "1.002003");
        assert_eq!(json(Value::Float(f64::NAN)), "null");
        assert_eq!(json(Value::Signed(-1)), "-1");
        assert_eq!(json(Value::Peer("[::ffff:192.0.2.1]:9".parse().unwrap())), "\"192.0.2.1:9\"");
        assert_eq!(json(Value::Peer("[2001:db8::1]:9".parse().unwrap())), "\"[2001:db8::1]:9\"");
        assert_eq!(json(Value::Hex(&[0xaf; 32])), format!("\"{}\"", "af".repeat(32)));
        // RFC 8705 §3.1: base64url without padding.
        assert_eq!(json(Value::Base64Url(&[0xff; 32])), format!("\"{}8\"", "_".repeat(42)));
    }

    #[test]
    fn times_are_rfc_3339_with_the_second_remembered() {
        let mut clock = Clock::default();
        let mut stamp = |seconds, microseconds| {
            let mut out = String::new();
            clock.push(
                UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(microseconds),
                &mut out,
            );
            out
        };
        assert_eq!(stamp(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(stamp(1_709_210_096, 1), "2024-02-29T12:34:56.000001Z");
        assert_eq!(stamp(1_709_210_096, 999_999), "2024-02-29T12:34:56.999999Z");
        assert_eq!(stamp(1_709_210_097, 0), "2024-02-29T12:34:57.000000Z");
        assert_eq!(stamp(1 << 40, 0), "1970-01-01T00:00:00.000000Z");
    }
}
