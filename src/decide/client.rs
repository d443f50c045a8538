//! The client's certificate: from the DER that the TLS layer hands over to what decisions, headers and logs need.

use rustls_pki_types::CertificateDer;

/// A certificate whose private key the peer of this connection has proven to hold. It is read once a connection.
#[derive(Debug)]
pub struct ClientCert {
    thumbprint: [u8; 32],
    chain: Vec<CertificateDer<'static>>,
}

/// The certificate is not well-formed X.509.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateMalformed;

impl ClientCert {
    /// Reads the chain of a finished handshake, leaf first.
    ///
    /// # Errors
    /// The chain is empty or its leaf is not well-formed.
    pub fn read(chain: Vec<CertificateDer<'static>>) -> Result<ClientCert, CertificateMalformed> {
        let _ = chain;
        todo!()
    }

    /// SHA-256 of the leaf's DER: `x5t#S256` (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The chain as it was presented, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }
}
