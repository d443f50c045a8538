//! From the request's header fields to its one access token (RFC 6750 §2).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};

use super::refusal::{Reason, Refusal};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The access token as sent. Its `Debug` output never shows it.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    /// One `b64token`, hence ASCII.
    text: &'a [u8],
}

impl<'a> Token<'a> {
    /// The token of the one `Authorization: Bearer` field (RFC 6750 §2.1). It has no length limit of its own: that of the
    /// request's head bounds it.
    ///
    /// # Errors
    /// `token-missing`: no field, or one with another scheme; `authorization-repeated`: more than one field, whatever they
    /// hold; `token-malformed`: what follows `Bearer` is not one `b64token`.
    pub fn extract(headers: &'a HeaderMap) -> Result<Token<'a>, Refusal> {
        Token::extract_knowing(headers, None)
    }

    /// The same, where `known` is the text of an earlier token: it need not be read character by character again.
    ///
    /// # Errors
    /// As [`Token::extract`].
    pub fn extract_knowing(headers: &'a HeaderMap, known: Option<&str>) -> Result<Token<'a>, Refusal> {
        let mut fields = headers.get_all(AUTHORIZATION).iter();
        let field = fields.next().ok_or(Reason::TokenMissing)?.as_bytes();
        if fields.next().is_some() {
            return Err(Reason::AuthorizationRepeated.into());
        }
        let scheme = field.iter().take_while(|&&b| is_tchar(b)).count();
        let (scheme, credentials) = field.split_at(scheme);
        if !scheme.eq_ignore_ascii_case(b"Bearer") {
            return Err(Reason::TokenMissing.note("the Authorization field has another scheme than Bearer"));
        }
        let mut token = credentials.strip_prefix(b" ").unwrap_or(b"");
        while let Some(rest) = token.strip_prefix(b" ") {
            token = rest;
        }
        Token::read(token, known)
    }

    /// The token that this text is, for a text that comes from elsewhere than a header field.
    ///
    /// # Errors
    /// `token-malformed`: it is not one `b64token`.
    pub fn parse(text: &'a str) -> Result<Token<'a>, Refusal> {
        Token::read(text.as_bytes(), None)
    }

    fn read(bytes: &'a [u8], known: Option<&str>) -> Result<Token<'a>, Refusal> {
        if known.is_some_and(|known| known.as_bytes() == bytes) || is_b64token(bytes) {
            Ok(Token { text: bytes })
        } else {
            Err(Reason::TokenMalformed.note("what follows 'Bearer ' is empty or no b64token"))
        }
    }

    /// The token's characters: `b64token` of RFC 6750 §2.1.
    pub fn as_str(&self) -> &'a str {
        std::str::from_utf8(self.text).unwrap_or_default()
    }

    /// The same as bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// SHA-256 of the token: the key of caches and the `token_thumbprint` of logs (RFC 9700 §4.9.3).
    pub fn digest(&self) -> Digest {
        Sha256::digest(self.text).into()
    }
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 §2.1)
fn is_b64token(text: &[u8]) -> bool {
    let mut characters = text;
    while let Some(rest) = characters.strip_suffix(b"=") {
        characters = rest;
    }
    // Without short cuts, so that it is vectorised: this runs on every request.
    let fits = |b: u8| {
        b.is_ascii_alphanumeric()
            | (b == b'.')
            | (b == b'-')
            | (b == b'_')
            | (b == b'~')
            | (b == b'+')
            | (b == b'/')
    };
    !characters.is_empty() && characters.iter().fold(true, |all, &b| all & fits(b))
}

/// A character of an authentication scheme's name (RFC 9110 §5.6.2, §11.1).
fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use http::HeaderValue;

    fn headers(fields: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(field).unwrap());
        }
        headers
    }

    fn reason(field: &[u8]) -> Reason {
        Token::extract(&headers(&[field])).expect_err("refused").reason
    }

    #[test]
    fn a_known_token_makes_no_other_text_one() {
        for (field, token) in
            [("Bearer a.b", Some("a.b")), ("Bearer a.c", Some("a.c")), ("Bearer a.b ", None)]
        {
            let headers = headers(&[field.as_bytes()]);
            let extracted = Token::extract_knowing(&headers, Some("a.b"));
            assert_eq!(extracted.ok().map(|token| token.as_str()), token, "{field}");
        }
    }

    #[test]
    fn the_scheme_is_case_insensitive_and_spaces_may_repeat() {
        // RFC 6750 §2.1, RFC 9110 §11.1: the scheme is case-insensitive; §11.4: 1*SP follows it.
        for field in ["Bearer a.b-c_d~e+f/0==", "bearer a.b-c_d~e+f/0==", "BEARER    a.b-c_d~e+f/0=="] {
            let headers = headers(&[field.as_bytes()]);
            assert_eq!(Token::extract(&headers).unwrap().as_str(), "a.b-c_d~e+f/0==", "{field}");
        }
    }

    #[test]
    fn no_credentials_or_those_of_another_scheme_are_no_token() {
        // RFC 6750 §3.1: then the answer has no error code.
        assert_eq!(Token::extract(&HeaderMap::new()).unwrap_err(), Reason::TokenMissing.into());
        for field in ["", "Basic YTpi", "DPoP a.b.c", "Bearerabc", "Bearer-abc abc", "a.b.c", "Negotiate"] {
            assert_eq!(reason(field.as_bytes()), Reason::TokenMissing, "{field}");
        }
    }

    #[test]
    fn a_token_elsewhere_is_not_read() {
        // RFC 6750 §2: one way to send a token.
        let mut headers = HeaderMap::new();
        for name in ["x-authorization", "proxy-authorization", "access_token", "x-access-token", "cookie"] {
            headers.insert(name, HeaderValue::from_static("Bearer abc"));
        }
        assert_eq!(Token::extract(&headers).unwrap_err().reason, Reason::TokenMissing);
    }

    #[test]
    fn two_fields_are_refused_whatever_they_hold() {
        // RFC 6750 §2, §3.1: more than one method, or the same twice: invalid_request.
        for second in ["Bearer abc", "Basic YTpi", ""] {
            let headers = headers(&[b"Bearer abc", second.as_bytes()]);
            assert_eq!(Token::extract(&headers).unwrap_err(), Reason::AuthorizationRepeated.into());
        }
    }

    #[test]
    fn what_is_not_one_b64token_is_malformed() {
        // RFC 6750 §2.1
        for field in [
            "Bearer",
            "Bearer ",
            "Bearer    ",
            "Bearer =",
            "Bearer ==",
            "Bearer a=b",
            "Bearer a b",
            "Bearer abc ",
            "Bearer abc,",
            "Bearer abc, Bearer def",
            "Bearer \"abc\"",
            "Bearer token=abc",
            "Bearer a:b",
            "Bearer a%2eb",
            "Bearer\tabc",
            "Bearer \tabc",
            "Bearer,abc",
            "Bearer=abc",
            "Bearer/abc",
            "Bearer tök",
        ] {
            assert_eq!(reason(field.as_bytes()), Reason::TokenMalformed, "{field}");
        }
        assert_eq!(reason(b"Bearer a\xffb"), Reason::TokenMalformed);
        assert_eq!(reason(b"Bearer \xc0\xae"), Reason::TokenMalformed);
    }

    #[test]
    fn a_text_is_parsed_by_the_same_rule() {
        assert_eq!(Token::parse("a.b.c").unwrap().as_str(), "a.b.c");
        for text in ["", " a.b.c", "a.b.c\n", "Bearer a.b.c"] {
            assert_eq!(Token::parse(text).unwrap_err().reason, Reason::TokenMalformed, "{text}");
        }
    }

    #[test]
    fn the_digest_is_sha_256_and_debug_shows_nothing() {
        // RFC 9700 §4.9.3; FIPS 180-4's example for "abc".
        let token = Token::parse("abc").unwrap();
        let hex: String = token.digest().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
