//! JSON from a client or an authorization server, read strictly: duplicate keys, deep nesting and numbers that no
//! machine type holds are refused, not guessed (RFC 8725 §3.12).

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::{Map, Number, Value};

/// An object as read.
pub type Object = Map<String, Value>;

/// Why a text was refused; holds no part of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault(pub &'static str);

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The outermost object counts as one level.
const MAX_DEPTH: usize = 32;

/// 2^53: up to here every integer is a float of its own.
const MAX_FLOAT: f64 = 9_007_199_254_740_992.0;

/// Reads one JSON object and nothing after it.
///
/// # Errors
/// Anything but a well-formed object; a duplicate key at any depth; nesting deeper than 32; an integer beyond 64 bits or a
/// float whose magnitude is above 2^53.
pub fn object(bytes: &[u8]) -> Result<Object, JsonFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonFault("not UTF-8"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let fault = Cell::new("not well-formed JSON");
    let read = Strict { depth: 0, fault: &fault }.deserialize(&mut reader);
    match read.and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(JsonFault("JSON, but not an object")),
        Err(error) if error.classify() == Category::Eof => Err(JsonFault("JSON that breaks off")),
        Err(_) => Err(JsonFault(fault.get())),
    }
}

/// A string from outside as it may stand in a note or a message: at most 64 characters, nothing that moves a cursor.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 64;
    let mut shown: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Reads any value at a depth; what serde's error cannot carry as a `&'static str` it leaves in `fault`.
#[derive(Clone, Copy)]
struct Strict<'f> {
    depth: usize,
    fault: &'f Cell<&'static str>,
}

impl Strict<'_> {
    fn refuse<E: Error>(self, fault: &'static str) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }

    fn inner<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(self.refuse("JSON nested too deeply"));
        }
        Ok(Strict { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    /// Integers beyond 64 bits arrive here too, already rounded.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        match Number::from_f64(value) {
            Some(number) if value.abs() <= MAX_FLOAT => Ok(Value::Number(number)),
            _ => Err(self.refuse("JSON with a number out of range")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(self.refuse("JSON with a duplicate key"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn fault(text: &str) -> &'static str {
        object(text.as_bytes()).expect_err(text).0
    }

    fn nested(levels: usize) -> String {
        format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1))
    }

    #[test]
    fn an_object_is_read_as_it_stands() {
        let text = r#" {"s":"é\n\u00e9","n":-1,"u":18446744073709551615,"f":1.5,"b":true,"z":null,"a":[1,{"x":[]}]} "#;
        assert_eq!(
            Value::Object(object(text.as_bytes()).unwrap()),
            serde_json::from_str::<Value>(text).unwrap()
        );
    }

    #[test]
    fn duplicate_keys_are_refused_at_every_depth() {
        // RFC 8725 §3.12; RFC 7519 §4: a parser may take the last of them, and another parser the first.
        for text in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":"a","iss":"a"}"#,
            r#"{"iss":"a","\u0069ss":"b"}"#,
            r#"{"cnf":{"jkt":"a","jkt":"a"}}"#,
            r#"{"a":[[{"b":1,"b":2}]]}"#,
        ] {
            assert_eq!(fault(text), "JSON with a duplicate key", "{text}");
        }
    }

    #[test]
    fn nesting_ends_at_32() {
        // RFC 8725 §3.12: deep nesting is refused, without recursing into it.
        assert!(object(nested(32).as_bytes()).is_ok());
        assert_eq!(fault(&nested(33)), "JSON nested too deeply");
        assert_eq!(fault(&nested(10_000)), "JSON nested too deeply");
        assert_eq!(fault(&"{\"a\":".repeat(10_000)), "JSON nested too deeply");
        assert_eq!(fault(&"[".repeat(10_000)), "JSON nested too deeply");
    }

    #[test]
    fn numbers_that_no_machine_type_holds_are_refused() {
        // RFC 8725 §3.12; RFC 8259 §6: beyond these bounds implementations disagree.
        for number in ["18446744073709551616", "-9223372036854775809", "1e16", "-1e16", "1e300", "9e99"] {
            assert_eq!(
                fault(&format!("{{\"exp\":{number}}}")),
                "JSON with a number out of range",
                "{number}"
            );
        }
        assert_eq!(fault(r#"{"exp":1e400}"#), "not well-formed JSON");
        assert_eq!(fault(&format!("{{\"exp\":{}}}", "9".repeat(50_000))), "not well-formed JSON");
        for number in ["18446744073709551615", "-9223372036854775808", "9007199254740992.0", "1e15", "1e-400"]
        {
            assert!(object(format!("{{\"exp\":{number}}}").as_bytes()).is_ok(), "{number}");
        }
    }

    #[test]
    fn anything_but_one_well_formed_object_is_refused() {
        for text in ["[]", "1", "\"{}\"", "null", "true"] {
            assert_eq!(fault(text), "JSON, but not an object", "{text}");
        }
        for text in ["", " ", "{", r#"{"a":"#, r#"{"a":"b"#] {
            assert_eq!(fault(text), "JSON that breaks off", "{text}");
        }
        for text in [
            "{}{}",
            "{} x",
            "{},",
            "{}\0",
            "{,}",
            "{'a':1}",
            "{a:1}",
            r#"{"a":1,}"#,
            r#"{"a":01}"#,
            r#"{"a":+1}"#,
            r#"{"a":NaN}"#,
            r#"{"a":Infinity}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\n\"}",
            "{}//",
            "/**/{}",
            "\u{feff}{}",
        ] {
            assert_eq!(fault(text), "not well-formed JSON", "{text}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), Err(JsonFault("not UTF-8")));
        assert_eq!(object(b"{\"a\":\"\xc0\xaf\"}"), Err(JsonFault("not UTF-8")));
        assert_eq!(object(b"{\"a\":\"\xed\xa0\x80\"}"), Err(JsonFault("not UTF-8")));
    }

    #[test]
    fn an_excerpt_is_short_and_harmless() {
        assert_eq!(excerpt("key-1"), "key-1");
        assert_eq!(excerpt("a\r\n\u{1b}[31m\u{202e}\""), r#"a\r\n\u{1b}[31m\u{202e}\""#);
        assert_eq!(excerpt(&"ß".repeat(64)), "ß".repeat(64));
        assert_eq!(excerpt(&"ß".repeat(65)), format!("{}…", "ß".repeat(64)));
    }
}
