//! The token as it was given, and what people do to tokens on the way from one window to another.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::decide::json::{self, Object};
use crate::decide::token::Token;

/// A token of the command line. It is never shown: not in `Debug` output, not in a message.
#[derive(Clone, Default)]
pub(super) struct Given(String);

impl FromStr for Given {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Given, Infallible> {
        Ok(Given(text.to_owned()))
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(…)")
    }
}

impl Given {
    /// The words of the command line as one text. White space around it never reaches a server (RFC 9110 §5.5).
    pub(super) fn new(words: &[Given]) -> Given {
        let words: Vec<_> = words.iter().map(|word| word.0.as_str()).collect();
        Given(words.join(" ").trim().to_owned())
    }

    /// Whether standard input has it.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.0 == "-"
    }

    /// As it would stand after `Bearer `.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The token that was meant, if another one was given, and what was wrong with that.
    pub(super) fn mended(&self) -> (Given, Vec<String>) {
        let mut text = self.0.as_str();
        let mut hints = Vec::new();
        if Token::parse(text).is_ok() {
            return (self.clone(), hints);
        }
        for (prefix, name) in [("authorization:", "'Authorization:'"), ("bearer ", "'Bearer '")] {
            text = text.trim_start_matches(['"', '\'']);
            let Some((start, rest)) = text.split_at_checked(prefix.len()) else { continue };
            if start.eq_ignore_ascii_case(prefix) {
                text = rest.trim_start();
                hints.push(format!("what was given begins with {name}; give the token alone"));
            }
        }
        let bare = text.trim_matches(['"', '\'']);
        if self.0.contains(['"', '\'']) {
            hints.push("what was given has quotes; give the token without them".to_owned());
        }
        let joined: String = bare.split_whitespace().collect();
        if joined != bare {
            hints.push("what was given has spaces or line breaks inside; a token has none".to_owned());
        }
        match Token::parse(&joined) {
            Ok(_) => (Given(joined), hints),
            Err(_) => (self.clone(), Vec::new()),
        }
    }

    /// What can be said of a token that is no signed JWT.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self.0.split('.').count() {
            1 => Some(
                "it is opaque, not a JWT: only its authorization server can tell what it means (introspection, RFC 7662), which \
                 explain does not ask",
            ),
            3 if self.0.contains(['=', '+', '/']) => Some(
                "its parts are base64 with '=', '+' or '/'; a JWT has base64url without padding (RFC 7515 §2)",
            ),
            3 => None,
            5 => Some("it is encrypted (JWE, RFC 7516); only signed JWTs are accepted"),
            _ => Some("it has not the three parts of a signed JWT; was it cut off?"),
        }
    }

    /// The part of a JWT that holds its header (0) or its claims (1).
    ///
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn part(&self, index: usize) -> Result<Object, String> {
        let part = self.0.split('.').nth(index).filter(|_| self.0.split('.').count() == 3);
        let part = part.ok_or("it is no signed JWT")?;
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is not canonical base64url")?;
        json::object(&bytes).map_err(|fault| format!("it is {fault}"))
    }

    /// The bytes of the claims.
    pub(super) fn payload(&self) -> Vec<u8> {
        let part = self.0.split('.').nth(1).unwrap_or_default();
        URL_SAFE_NO_PAD.decode(part).unwrap_or_default()
    }
}

/// From standard input.
impl From<String> for Given {
    fn from(text: String) -> Given {
        Given(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn given(text: &str) -> Given {
        Given::new(&text.split(' ').map(|word| word.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn what_was_pasted_with_it_is_taken_off() {
        for (text, meant, hints) in [
            (" a.b.c\n", "a.b.c", 0),
            ("Bearer a.b.c", "a.b.c", 1),
            ("'Authorization: Bearer a.b.c'", "a.b.c", 3),
            ("\"a.b.c\"", "a.b.c", 1),
            ("a.b\n.c", "a.b.c", 1),
            ("bearer", "bearer", 0),
            ("", "", 0),
            ("a;b", "a;b", 0),
            ("äöüäöüäöüäöü", "äöüäöüäöüäöü", 0),
        ] {
            let (mended, found) = given(text).mended();
            assert_eq!((mended.as_str(), found.len()), (meant, hints), "{text}");
        }
    }

    #[test]
    fn what_is_no_jws_is_named() {
        for (text, word) in
            [("opaque", "7662"), ("a.b.c.d.e", "JWE"), ("a.b", "cut off"), ("a.b=.c", "padding")]
        {
            assert!(given(text).kind().unwrap().contains(word), "{text}");
        }
        assert_eq!(given("a.b.c").kind(), None);
    }

    #[test]
    fn debug_output_does_not_show_it() {
        // RFC 9700 §4.9.3: a token in a log is a token lost.
        assert_eq!(format!("{:?}", given("a.b.c")), "Given(…)");
    }
}
