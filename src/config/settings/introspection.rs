//! `[issuers.introspection]`

use std::path::PathBuf;
use std::time::Duration;

use super::{Located, Secret};
use crate::decide::issuer::{Algorithm, AnswerForm};

/// `[issuers.introspection]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// `endpoint`; `None`: from the issuer's metadata.
    pub endpoint: Option<String>,
    /// `always`: JWTs too, after their own verification.
    pub always: bool,
    /// `client_id`: Boundgate's name at the issuer.
    pub client_id: String,
    /// `client_auth`, with what it needs.
    pub client_auth: ClientAuth,
    /// `answer`
    pub answer: AnswerForm,
    /// `require_audience`: an answer without `aud` is refused.
    pub require_audience: bool,
    /// `cache_ttl`: how long an active answer serves.
    pub cache_ttl: Duration,
    /// `negative_ttl`: how long any other answer serves.
    pub negative_ttl: Duration,
    /// `timeout`, for one call, and for a request that waits for its turn and the answer.
    pub timeout: Duration,
}

/// How Boundgate authenticates at an introspection endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_secret_basic` (RFC 6749 §2.3.1)
    SecretBasic(SecretSource),
    /// `client_secret_post` (RFC 6749 §2.3.1)
    SecretPost(SecretSource),
    /// `private_key_jwt` (RFC 7523 §2.2, OpenID Connect Core §9)
    PrivateKeyJwt {
        /// PEM file of a private key in PKCS#8.
        signing_key: Located<PathBuf>,
        /// Its `kid`.
        key_id: String,
        /// Its `alg`.
        signing_algorithm: Algorithm,
    },
    /// `tls_client_auth` (RFC 8705 §2.1), with the certificate of `[issuers.tls]`.
    Tls,
}

/// Where a client's secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `client_secret`
    Text(Secret),
    /// `client_secret_file`
    File(Located<PathBuf>),
}

impl Introspection {
    /// The file that it names.
    pub fn file(&self) -> Option<&Located<PathBuf>> {
        match &self.client_auth {
            ClientAuth::SecretBasic(SecretSource::File(file))
            | ClientAuth::SecretPost(SecretSource::File(file)) => Some(file),
            ClientAuth::PrivateKeyJwt { signing_key, .. } => Some(signing_key),
            ClientAuth::SecretBasic(_) | ClientAuth::SecretPost(_) | ClientAuth::Tls => None,
        }
    }
}
