//! From the request's header fields to its one access token (RFC 6750 §2).

use http::HeaderMap;

use super::refusal::Refusal;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// The access token as sent. Its `Debug` output never shows it.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    text: &'a str,
}

impl<'a> Token<'a> {
    /// The token of the one `Authorization: Bearer` field (RFC 6750 §2.1).
    ///
    /// # Errors
    /// `token-missing`, `authorization-repeated`, `token-malformed`.
    pub fn extract(headers: &'a HeaderMap) -> Result<Token<'a>, Refusal> {
        let _ = headers;
        todo!()
    }

    /// The token's characters: `b64token` of RFC 6750 §2.1.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// SHA-256 of the token: the key of caches and the `token_thumbprint` of logs (RFC 9700 §4.9.3).
    pub fn digest(&self) -> Digest {
        todo!()
    }
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}
