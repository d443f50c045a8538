//! The digest of a token that a connection sends again and again, which is the dearest part of a request whose token is remembered.

use std::cell::{Cell, RefCell};

use http::HeaderMap;

use crate::decide::refusal::Refusal;
use crate::decide::token::{Digest, Token};

/// Bytes of a token that a connection keeps at most.
const LONGEST: usize = 2 << 10;

/// What a connection knows of the last token that came on it: the digest, and the text too once it has come twice in a row, so that
/// neither a single request nor a connection of many clients' tokens costs more for it. It says which text is a token and which digest it has, nothing else.
#[derive(Default)]
pub(crate) struct Repeated {
    last: Cell<Option<Digest>>,
    text: RefCell<Option<Box<str>>>,
}

impl Repeated {
    /// The one token of a request, as [`Token::extract`] has it.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn token<'a>(&self, headers: &'a HeaderMap) -> Result<Token<'a>, Refusal> {
        Token::extract_knowing(headers, self.text.borrow().as_deref())
    }

    /// The token's digest. The comparison need not take constant time: what it is compared with came from the same peer.
    pub(crate) fn digest(&self, token: Token<'_>) -> Digest {
        let mut text = self.text.borrow_mut();
        if let (Some(text), Some(digest)) = (&*text, self.last.get())
            && text.as_bytes() == token.as_bytes()
        {
            return digest;
        }
        let digest = token.digest();
        let again = self.last.replace(Some(digest)) == Some(digest);
        let keeps = again && token.as_bytes().len() <= LONGEST;
        *text = keeps.then(|| token.as_str().into());
        digest
    }

    /// Lets go of the text, for a connection that has nothing to do.
    pub(crate) fn rest(&self) {
        self.text.take();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_says_what_the_digest_is_and_keeps_what_comes_twice() {
        let repeated = Repeated::default();
        let long = "l".repeat(LONGEST + 1);
        let kept = ["a", "a", "a", "b", "a", "a", "b", "b", &long, &long, "b"]
            .map(|text| {
                let token = Token::parse(text).unwrap();
                assert_eq!(repeated.digest(token), token.digest(), "{text}");
                repeated.text.borrow().as_deref().map(str::to_owned)
            })
            .map(|text| text.unwrap_or_default());
        assert_eq!(kept, ["", "a", "a", "", "", "a", "", "b", "", "", ""]);
    }
}
