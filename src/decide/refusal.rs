//! Refusals: one table from the cause to everything that is said about it.
//!
//! A row holds the stable `reason` (the same word in answers, logs and metrics), the status, the challenge and the two
//! texts that a client reads. There is no other place that maps a cause to an answer, and no wildcard arm.

use std::borrow::Cow;

/// What `WWW-Authenticate` says (RFC 6750 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No `WWW-Authenticate`: the refusal is not about credentials.
    None,
    /// `Bearer` alone: no credentials were sent, so no `error` is given (RFC 6750 §3.1).
    Bare,
    /// `Bearer error="…"` with this code (RFC 6750 §3.1).
    Error(&'static str),
}

macro_rules! refusals {
    ($( $variant:ident = $name:literal, $status:literal, $challenge:expr, $title:literal, $detail:literal; )*) => {
        /// The cause of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $( #[doc = $detail] $variant, )*
        }

        impl Reason {
            /// Every reason, in the order of the table.
            pub const ALL: &'static [Reason] = &[ $( Reason::$variant, )* ];

            /// The stable word of answers, logs and metrics.
            pub const fn name(self) -> &'static str {
                match self { $( Reason::$variant => $name, )* }
            }

            /// The HTTP status of the answer.
            pub const fn status(self) -> u16 {
                match self { $( Reason::$variant => $status, )* }
            }

            /// What the answer's `WWW-Authenticate` says.
            pub const fn challenge(self) -> Challenge {
                match self { $( Reason::$variant => $challenge, )* }
            }

            /// The `title` of the problem document (RFC 9457 §3.1.3).
            pub const fn title(self) -> &'static str {
                match self { $( Reason::$variant => $title, )* }
            }

            /// The `detail` of the problem document: what a client's developer can do about it.
            pub const fn detail(self) -> &'static str {
                match self { $( Reason::$variant => $detail, )* }
            }
        }
    };
}

const INVALID_REQUEST: Challenge = Challenge::Error("invalid_request");
const INVALID_TOKEN: Challenge = Challenge::Error("invalid_token");
const INSUFFICIENT_SCOPE: Challenge = Challenge::Error("insufficient_scope");

refusals! {
    TokenMissing = "token-missing", 401, Challenge::Bare, "No access token",
        "Send an access token in the Authorization header: 'Authorization: Bearer <token>'. Tokens in the query, the body or other headers are not read.";
    AuthorizationRepeated = "authorization-repeated", 400, INVALID_REQUEST, "More than one Authorization header",
        "Send exactly one Authorization header field.";
    TokenMalformed = "token-malformed", 401, INVALID_TOKEN, "Not an access token",
        "What stands after 'Bearer' is not a token that can be read here: it must be a signed JWT (three base64url parts without padding), complete and unchanged. 'boundgate explain' shows each check.";
    TokenType = "token-type", 401, INVALID_TOKEN, "Not an access token by its type",
        "The token's 'typ' header does not name an access token. Send the access token, not an ID token or a proof. 'boundgate explain' shows each check.";
    IssuerUnknown = "issuer-unknown", 401, INVALID_TOKEN, "Unknown issuer",
        "This API does not accept tokens of the issuer named in 'iss'. Obtain one from an authorization server that this API trusts. 'boundgate explain' shows each check.";
    AlgorithmRefused = "algorithm-refused", 401, INVALID_TOKEN, "Signature algorithm refused",
        "The token is signed with an algorithm, or with a key, that is not accepted for its issuer. 'boundgate explain' shows each check.";
    KeyUnknown = "key-unknown", 401, INVALID_TOKEN, "Unknown signing key",
        "The token names a key ('kid') that its issuer does not publish. Obtain a new token; if that fails too, the issuer's key set lacks the key. 'boundgate explain' shows each check.";
    SignatureInvalid = "signature-invalid", 401, INVALID_TOKEN, "Wrong signature",
        "The token's signature does not verify with its issuer's keys. The token was altered, truncated or signed by someone else. 'boundgate explain' shows each check.";
    TokenExpired = "token-expired", 401, INVALID_TOKEN, "Token expired",
        "The token's lifetime ('exp') is over. Obtain a new one. 'boundgate explain' shows each check.";
    TokenNotYetValid = "token-not-yet-valid", 401, INVALID_TOKEN, "Token not yet valid",
        "The token's 'nbf' or 'iat' lies in the future. Check the clocks of the client and the authorization server. 'boundgate explain' shows each check.";
    AudienceMismatch = "audience-mismatch", 401, INVALID_TOKEN, "Token for another audience",
        "The token's 'aud' does not name this API. Request a token for this API's resource or audience. 'boundgate explain' shows each check.";
    ClaimsInvalid = "claims-invalid", 401, INVALID_TOKEN, "Invalid claims",
        "A claim that is required is missing or has the wrong type ('exp' must be a number, 'aud' a string or a list of strings). 'boundgate explain' shows each check.";
    TokenInactive = "token-inactive", 401, INVALID_TOKEN, "Token inactive",
        "The authorization server says that this token is not active: it is unknown, expired or revoked. Obtain a new one.";
    TokenUnbound = "token-unbound", 401, INVALID_TOKEN, "Token not bound to a certificate",
        "The token has no 'cnf' claim. Obtain a certificate-bound token (RFC 8705): the client must use mutual TLS at the token endpoint and be configured for bound tokens. 'boundgate explain' shows each check.";
    ConfirmationUnsupported = "confirmation-unsupported", 401, INVALID_TOKEN, "Unsupported confirmation",
        "The token's 'cnf' claim has no usable 'x5t#S256', or demands a confirmation method that is not supported here. 'boundgate explain' shows each check.";
    CertificateMissing = "certificate-missing", 401, INVALID_TOKEN, "No client certificate",
        "The token must be used on a TLS connection with the client certificate that it was issued to, and this connection has none.";
    ThumbprintMismatch = "thumbprint-mismatch", 401, INVALID_TOKEN, "Token bound to another certificate",
        "The token was issued to another certificate than the one of this connection. After a certificate is renewed a new token is needed: old tokens stay bound to the old certificate. 'boundgate explain' shows each check.";
    CertificateNotAdmitted = "certificate-not-admitted", 401, INVALID_TOKEN, "Client certificate no longer admitted",
        "The client certificate of this connection has expired, was revoked, or is no longer trusted. Connect again with a valid certificate.";
    ScopeMissing = "scope-missing", 403, INSUFFICIENT_SCOPE, "Scope missing",
        "The token lacks a scope that this request needs; 'scope' in WWW-Authenticate names all that are needed.";
    ClaimUnrepresentable = "claim-unrepresentable", 403, Challenge::None, "Claim cannot be forwarded",
        "A claim of the token that the API is to receive as a header has a value that no header can carry.";
    KeysUnavailable = "keys-unavailable", 503, Challenge::None, "Signing keys unavailable",
        "The authorization server's keys cannot be had at the moment, so the token can be neither accepted nor refused. Try again later.";
    IntrospectionUnavailable = "introspection-unavailable", 503, Challenge::None, "Introspection unavailable",
        "The authorization server cannot be asked about this token at the moment, so it can be neither accepted nor refused. Try again later.";
    UpstreamRefused = "upstream-refused", 502, Challenge::None, "API not reachable",
        "The API behind this gateway did not accept a connection.";
    UpstreamFailed = "upstream-failed", 502, Challenge::None, "API failed",
        "The API behind this gateway broke off, failed its TLS handshake, or sent something that is not HTTP.";
    UpstreamTimeout = "upstream-timeout", 504, Challenge::None, "API too slow",
        "The API behind this gateway did not answer in time.";
    HeadTooLarge = "head-too-large", 431, Challenge::None, "Request head too large",
        "The request's header fields are too large or too many.";
    BodyTooLarge = "body-too-large", 413, Challenge::None, "Request body too large",
        "The request's body is larger than this gateway accepts.";
    PathInvalid = "path-invalid", 400, Challenge::None, "Path refused",
        "The request's path cannot be read in one safe way: it has a bad percent-escape, a control character, invalid UTF-8 or too many possible readings.";
    RequestMalformed = "request-malformed", 400, Challenge::None, "Malformed request",
        "The request is not well-formed HTTP: see its Host, Content-Length, Transfer-Encoding and request target.";
    ClientTimeout = "client-timeout", 408, Challenge::None, "Request too slow",
        "The request did not arrive in time.";
}

/// A decision against a request.
///
/// What a client reads comes from the [`Reason`]'s row and from the route's configured scopes alone; `note` is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The cause.
    pub reason: Reason,
    /// The scopes that the route needs, joined by spaces, for `insufficient_scope` (RFC 6750 §3.1).
    pub scope: Option<Box<str>>,
    /// What the operator reads besides; never a token, secret or key.
    pub note: Option<Cow<'static, str>>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Refusal { reason, scope: None, note: None }
    }
}

impl Reason {
    /// This refusal with a note for the log. The note must hold no token, secret or key.
    pub fn note(self, note: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { note: Some(note.into()), ..Refusal::from(self) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_401_always_carries_a_challenge_and_a_code_always_its_own_status() {
        // RFC 6750 §3: missing or insufficient credentials MUST be answered with WWW-Authenticate; §3.1: codes and statuses.
        for &reason in Reason::ALL {
            match (reason.status(), reason.challenge()) {
                (401, Challenge::None) => panic!("{} has no challenge", reason.name()),
                (status, Challenge::Error(code)) => {
                    let expected =
                        [("invalid_request", 400), ("invalid_token", 401), ("insufficient_scope", 403)];
                    assert!(expected.contains(&(code, status)), "{}", reason.name());
                }
                (status, Challenge::Bare) => assert_eq!((status, reason), (401, Reason::TokenMissing)),
                (_, Challenge::None) => {}
            }
        }
    }

    #[test]
    fn what_a_token_itself_can_be_blamed_for_points_to_explain() {
        // A missing token or certificate, a certificate that is not admitted and an inactive token are not in the token.
        use Reason::{CertificateMissing, CertificateNotAdmitted, TokenInactive, TokenMissing};
        for &reason in Reason::ALL {
            let elsewhere =
                [TokenMissing, TokenInactive, CertificateMissing, CertificateNotAdmitted].contains(&reason);
            let points = reason.detail().ends_with(". 'boundgate explain' shows each check.");
            assert_eq!(points, reason.status() == 401 && !elsewhere, "{}", reason.name());
        }
    }

    #[test]
    fn names_are_distinct_words() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    }
}
