//! What is known of an issuer: its policy from the configuration and its keys of the moment.

use std::sync::Arc;
use std::time::Duration;

use super::keys::KeySet;

/// A signature algorithm of JWS (RFC 7518 §3.1, RFC 8037 §3.1). Neither `none` nor HMAC is one here (RFC 8725 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Algorithm {
    Es256,
    Es384,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
    EdDsa,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Algorithm; 9] = [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::EdDsa,
    ];

    /// The name in the `alg` header parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name; names are case-sensitive (RFC 7515 §4.1.1).
    pub fn from_name(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// The values of the `typ` header parameter that an issuer's access tokens may have (RFC 9068 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTypes {
    /// `at+jwt`, also as `application/at+jwt`.
    pub at_jwt: bool,
    /// `JWT`, also as `application/jwt`, or no `typ` at all.
    pub jwt: bool,
}

/// The form of an introspection's answers (`answer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// A JSON object (RFC 7662 §2.2).
    Json,
    /// A signed JWT around it (RFC 9701 §5).
    Signed,
    /// The access token as a JWT, for an opaque one that stands for it (the phantom-token pattern).
    Phantom,
}

/// How an issuer's introspection is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// JWTs are introspected too, after their own verification.
    pub always: bool,
    /// The form of its answers.
    pub answer: AnswerForm,
    /// Boundgate's name there: a signed answer's `aud` (RFC 9701 §5).
    pub client_id: String,
    /// An answer without `aud` is refused.
    pub require_audience: bool,
    /// How long an active answer serves.
    pub cache_ttl: Duration,
    /// How long any other answer serves.
    pub negative_ttl: Duration,
    /// Grows with every change of what an answer is judged by, keys and times apart.
    pub generation: u64,
}

/// The keys of an issuer at one moment.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Grows by one with every change; part of the key of every cached token.
    pub generation: u64,
    /// The keys, or `None` while none could be had (or none that is fresh enough).
    pub set: Option<Arc<KeySet>>,
}

/// An issuer: its policy and its keys.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// Compared exactly with the token's `iss` (RFC 9068 §4).
    pub name: Arc<str>,
    /// One of these must be in the token's `aud` (RFC 9068 §4).
    pub audiences: Vec<String>,
    /// The algorithms that are pinned for it (RFC 8725 §3.1).
    pub algorithms: Vec<Algorithm>,
    /// The token types that it uses.
    pub token_types: TokenTypes,
    /// Clock skew for `exp`, `nbf` and `iat`, in seconds.
    pub leeway: u64,
    /// Its keys.
    pub keys: Keys,
    /// Its introspection, where tokens are introspected.
    pub introspection: Option<Introspection>,
}

impl Issuer {
    /// The generation of what an answer of this issuer's introspection is judged by: its keys count only where answers are
    /// signed. What else an answer is judged by changes both generations.
    pub fn answer_generation(&self) -> u64 {
        match &self.introspection {
            Some(introspection) if introspection.answer == AnswerForm::Json => introspection.generation,
            _ => self.keys.generation,
        }
    }
}
