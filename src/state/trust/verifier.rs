//! [`Trust`] as rustls asks for it in a handshake.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;

use super::Trust;
use crate::config::settings::Mode;
use crate::decide::client::parse;
use crate::state::tls;

/// Asks the [`Trust`] about the chain, and always has the peer prove that it holds the leaf's private key.
///
/// The proof is checked against the certificate's bare public key, so that it does not depend on what webpki reads: under
/// `trust = "any"` a certificate of X.509 version 1 (`openssl x509 -req` makes them) is as good as any, and webpki refuses it.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Arc<Trust>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(trust: Arc<Trust>) -> Verifier {
        Verifier { trust, algorithms: tls::provider().signature_verification_algorithms }
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.trust.mode == Mode::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.trust.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.trust.verify(end_entity, intermediates, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // ML-DSA is defined for TLS 1.3 alone (draft-ietf-tls-mldsa).
        let later = matches!(
            dss.scheme,
            SignatureScheme::ML_DSA_44 | SignatureScheme::ML_DSA_65 | SignatureScheme::ML_DSA_87
        );
        let candidates = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme && !later);
        let (_, candidates) = candidates.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        let key = public_key(cert)?;
        let key = RawPublicKeyEntity::try_from(&key).map_err(|_| CertificateError::BadEncoding)?;
        // A scheme of TLS 1.2 names a hash and a kind of key, not a curve (RFC 8446 §4.2.3); an algorithm of another kind than
        // the key's fails.
        match candidates
            .iter()
            .any(|algorithm| key.verify_signature(*algorithm, message, dss.signature()).is_ok())
        {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &public_key(cert)?, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let certificate = parse(certificate).map_err(|_| CertificateError::BadEncoding)?;
    Ok(certificate.public_key().raw.to_vec().into())
}
