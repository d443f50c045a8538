//! What an operator wants forgotten before its time (`POST /revocations`).

use serde_json::Value;

use super::json::{self, Object};
use super::token::Digest;
use super::verified::Genuine;

/// Which remembered tokens are to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// The token of this SHA-256.
    Token(Digest),
    /// Every token of this issuer's that has this `sub`.
    Subject {
        /// `iss`
        issuer: String,
        /// `sub`
        subject: String,
    },
    /// Every token of this issuer's that was issued to this client.
    Client {
        /// `iss`
        issuer: String,
        /// `client_id`
        client_id: String,
    },
    /// Every token.
    All,
}

impl Revocation {
    /// Reads one of `{"token_sha256": hex}`, `{"issuer", "sub"}`, `{"issuer", "client_id"}` and `{"all": true}`, with these members
    /// and no others.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(body: &[u8]) -> Result<Revocation, &'static str> {
        let object = json::object(body).map_err(|fault| fault.0)?;
        let text = |name: &str| object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let revocation = match names(&object)[..] {
            ["token_sha256"] => text("token_sha256").and_then(digest).map(Revocation::Token),
            ["issuer", "sub"] => text("issuer").zip(text("sub")).map(|(issuer, subject)| {
                Revocation::Subject { issuer: issuer.to_owned(), subject: subject.to_owned() }
            }),
            ["client_id", "issuer"] => text("issuer").zip(text("client_id")).map(|(issuer, client_id)| {
                Revocation::Client { issuer: issuer.to_owned(), client_id: client_id.to_owned() }
            }),
            ["all"] => (object.get("all") == Some(&Value::Bool(true))).then_some(Revocation::All),
            _ => None,
        };
        revocation.ok_or(
            "it is none of {\"token_sha256\": 64 hexadecimal digits}, {\"issuer\", \"sub\"}, {\"issuer\", \"client_id\"} \
             and {\"all\": true}",
        )
    }

    /// What it is given by, in a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Revocation::Token(_) => "token",
            Revocation::Subject { .. } => "subject",
            Revocation::Client { .. } => "client",
            Revocation::All => "all",
        }
    }

    /// Whether a token is or may be meant, of which `genuine` is known, or nothing where it was not found valid.
    pub fn covers(&self, token: &Digest, genuine: Option<&Genuine>) -> bool {
        let is_of = |issuer: &str| genuine.filter(|genuine| **genuine.issuer_name() == *issuer);
        match self {
            Revocation::Token(digest) => digest == token,
            Revocation::Subject { issuer, subject } => {
                is_of(issuer).is_some_and(|genuine| genuine.may_be_of_subject(subject))
            }
            Revocation::Client { issuer, client_id } => {
                is_of(issuer).is_some_and(|genuine| genuine.may_be_of_client(client_id))
            }
            Revocation::All => true,
        }
    }
}

/// The names of the members, in the order of the alphabet.
fn names(object: &Object) -> Vec<&str> {
    let mut names: Vec<_> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// 32 bytes in hexadecimal digits of either case, as `sha256sum` and the log's `token_thumbprint` have them.
fn digest(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    if hex.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::decide::fixture::{ISSUER, claims, token, verify};
    use crate::decide::token::Token;

    const HEX: &str = "BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn parse(text: &str) -> Result<Revocation, &'static str> {
        Revocation::parse(text.as_bytes())
    }

    #[test]
    fn each_form_is_read() {
        let digest = Token::parse("abc").unwrap().digest();
        assert_eq!(parse(&format!("{{\"token_sha256\":\"{HEX}\"}}")), Ok(Revocation::Token(digest)));
        let (issuer, subject) = (ISSUER.to_owned(), "alice".to_owned());
        assert_eq!(
            parse(&format!("{{\"sub\":\"alice\",\"issuer\":\"{ISSUER}\"}}")),
            Ok(Revocation::Subject { issuer: issuer.clone(), subject })
        );
        assert_eq!(
            parse(&format!("{{\"issuer\":\"{ISSUER}\",\"client_id\":\"c\"}}")),
            Ok(Revocation::Client { issuer, client_id: "c".to_owned() })
        );
        assert_eq!(parse(" {\"all\": true} "), Ok(Revocation::All));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "{}",
            "[]",
            "{\"all\":false}",
            "{\"all\":\"true\"}",
            "{\"all\":true,\"all\":true}",
            "{\"all\":true,\"sub\":\"a\"}",
            "{\"sub\":\"a\"}",
            "{\"issuer\":\"a\"}",
            "{\"issuer\":\"a\",\"sub\":\"\"}",
            "{\"issuer\":\"a\",\"sub\":\"b\",\"client_id\":\"c\"}",
            "{\"issuer\":1,\"sub\":\"b\"}",
            "{\"token_sha256\":\"abc\"}",
            "{\"token_sha256\":1}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        for odd in [HEX.replace('7', "g"), HEX.replace('7', "+"), format!("{HEX}00"), HEX[1..].to_owned()] {
            assert!(parse(&format!("{{\"token_sha256\":\"{odd}\"}}")).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_revocation_covers_what_it_names_and_nothing_else() {
        let genuine = verify(&token(&claims())).unwrap_or_else(|_| unreachable!());
        let covers =
            |text: String, genuine: Option<&Genuine>| parse(&text).unwrap().covers(&[7; 32], genuine);
        for (issuer, name, value, expected) in [
            (ISSUER, "sub", "alice", true),
            (ISSUER, "sub", "alic", false),
            (ISSUER, "client_id", "client-1", true),
            (ISSUER, "client_id", "alice", false),
            ("https://other.example.com", "sub", "alice", false),
        ] {
            let text = format!("{{\"issuer\":\"{issuer}\",\"{name}\":\"{value}\"}}");
            assert_eq!(covers(text.clone(), Some(&genuine)), expected, "{text}");
            assert!(!covers(text, None), "of a token that was not found valid nobody knows whose it is");
        }
        let mut anonymous = claims();
        anonymous.as_object_mut().unwrap().remove("sub");
        let anonymous = verify(&token(&anonymous)).unwrap_or_else(|_| unreachable!());
        let alice = format!("{{\"issuer\":\"{ISSUER}\",\"sub\":\"alice\"}}");
        assert!(covers(alice, Some(&anonymous)), "RFC 7662 §2.2: without a sub it may be anybody's");
        assert!(covers("{\"all\":true}".to_owned(), None));
        assert!(covers(format!("{{\"token_sha256\":\"{}\"}}", "07".repeat(32)), None));
        assert!(!covers(format!("{{\"token_sha256\":\"{}\"}}", "08".repeat(32)), Some(&genuine)));
    }
}
