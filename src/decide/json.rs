//! JSON from a client or an authorization server, read strictly: duplicate keys, deep nesting and numbers that no
//! machine type holds are refused, not guessed (RFC 8725 §3.12).

use serde_json::{Map, Value};

/// An object as read.
pub type Object = Map<String, Value>;

/// Why a text was refused; holds no part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault(pub &'static str);

/// Reads one JSON object and nothing after it.
///
/// # Errors
/// Anything but a well-formed object; a duplicate key at any depth; nesting deeper than 32; an integer beyond 64 bits or a
/// float whose magnitude is above 2^53.
pub fn object(bytes: &[u8]) -> Result<Object, JsonFault> {
    let _ = bytes;
    todo!()
}
