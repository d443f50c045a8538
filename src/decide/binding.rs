//! The confirmation: is this token bound to the certificate of this connection (RFC 8705 §3)?

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::Confirmation;
use super::client::ClientCert;
use super::refusal::{Reason, Refusal};
use super::verified::{Genuine, VerifiedToken};

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
        confirm(token.genuine().confirmation(), client.map(ClientCert::thumbprint), require)?;
        Ok(BoundToken { token })
    }

    /// The token that is bound.
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }
}

/// Refuses before a call what no answer could change, so that nobody causes one for a token that he cannot use. `jwt` is the
/// token as far as it is known already.
///
/// # Errors
/// As [`BoundToken::bind`].
pub fn foresee(jwt: Option<&Genuine>, client: Option<&ClientCert>, require: Require) -> Result<(), Refusal> {
    match jwt.map_or(&Confirmation::Absent, Genuine::confirmation) {
        Confirmation::Absent if client.is_none() && require == Require::Always => {
            Err(Reason::CertificateMissing.into())
        }
        // The answer may bind it.
        Confirmation::Absent => Ok(()),
        bound => confirm(bound, client.map(ClientCert::thumbprint), require),
    }
}

fn confirm(
    confirmation: &Confirmation,
    presented: Option<&[u8; 32]>,
    require: Require,
) -> Result<(), Refusal> {
    let bound_to = match (confirmation, require) {
        (Confirmation::Thumbprint(thumbprint), _) => thumbprint,
        (Confirmation::Unsupported(note), _) => return Err(Reason::ConfirmationUnsupported.note(*note)),
        (Confirmation::Absent, Require::Always) => return Err(Reason::TokenUnbound.into()),
        (Confirmation::Absent, Require::IfBound) => return Ok(()),
    };
    let presented = presented.ok_or(Reason::CertificateMissing)?;
    if verify_slices_are_equal(bound_to, presented).is_ok() {
        return Ok(());
    }
    let [bound_to, presented] = [bound_to, presented].map(|thumbprint| URL_SAFE_NO_PAD.encode(thumbprint));
    Err(Reason::ThumbprintMismatch
        .note(format!("the token is bound to {bound_to}, the connection's certificate is {presented}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const BOTH: [Require; 2] = [Require::Always, Require::IfBound];

    #[test]
    fn only_the_same_thumbprint_confirms() {
        // RFC 8705 §3: the certificate of this connection must match; every bit of the 32 bytes counts.
        for require in BOTH {
            assert_eq!(confirm(&Confirmation::Thumbprint([7; 32]), Some(&[7; 32]), require), Ok(()));
            for bit in 0..256 {
                let mut other = [7; 32];
                other[bit / 8] ^= 1 << (bit % 8);
                let refusal = confirm(&Confirmation::Thumbprint([7; 32]), Some(&other), require).unwrap_err();
                assert_eq!(refusal.reason, Reason::ThumbprintMismatch);
            }
        }
    }

    #[test]
    fn a_mismatch_tells_the_operator_both_thumbprints() {
        // RFC 8705 §6.3: after a renewal the operator sees which certificate an old token is bound to.
        let refusal =
            confirm(&Confirmation::Thumbprint([0; 32]), Some(&[255; 32]), Require::Always).unwrap_err();
        let note = refusal.note.unwrap();
        assert!(note.contains(&"A".repeat(43)) && note.contains(&format!("{}8", "_".repeat(42))), "{note}");
        assert!(refusal.reason.detail().contains("renewed"));
    }

    #[test]
    fn a_bound_token_without_a_certificate_is_refused() {
        // RFC 8705 §3
        for require in BOTH {
            let outcome = confirm(&Confirmation::Thumbprint([7; 32]), None, require);
            assert_eq!(outcome, Err(Reason::CertificateMissing.into()));
        }
    }

    #[test]
    fn an_unbound_token_passes_only_if_bound() {
        for presented in [None, Some(&[7; 32])] {
            let outcome = confirm(&Confirmation::Absent, presented, Require::Always);
            assert_eq!(outcome, Err(Reason::TokenUnbound.into()));
            assert_eq!(confirm(&Confirmation::Absent, presented, Require::IfBound), Ok(()));
        }
    }

    #[test]
    fn an_unsupported_confirmation_is_not_unbound() {
        // RFC 8705 §7.2, RFC 7800 §3.1
        for require in BOTH {
            for presented in [None, Some(&[7; 32])] {
                let refusal = confirm(&Confirmation::Unsupported("why"), presented, require).unwrap_err();
                assert_eq!(refusal, Reason::ConfirmationUnsupported.note("why"));
            }
        }
    }
}
