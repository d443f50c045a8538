//! Both thumbprints, side by side (RFC 8705 §3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::input::Presented;
use crate::cli::thumbprint::Notation;
use crate::decide::client::ClientCert;
use crate::decide::json::Object;

/// SHA-256 of a certificate. Only for people: whether a token is bound to a certificate is `BoundToken::bind`'s to say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Thumbprint([u8; 32]);

/// `cnf.x5t#S256`, where it is one.
pub(super) fn in_claims(claims: &Object) -> Option<Thumbprint> {
    let text = claims.get("cnf").and_then(|cnf| cnf.get("x5t#S256")).and_then(Value::as_str)?;
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Thumbprint)
}

impl Thumbprint {
    pub(super) fn of(client: &ClientCert) -> Thumbprint {
        Thumbprint(*client.thumbprint())
    }

    /// As in a token.
    pub(super) fn base64url(&self) -> String {
        Notation::X5t.write(&self.0)
    }

    /// As `openssl x509 -fingerprint -sha256` has it.
    pub(super) fn hex(&self) -> String {
        Notation::Hex.write(&self.0)
    }

    /// The certificate whose thumbprint it is.
    pub(super) fn find<'a>(&self, certificates: &'a [Presented]) -> Option<&'a Presented> {
        certificates.iter().find(|presented| Thumbprint::of(&presented.client) == *self)
    }
}
