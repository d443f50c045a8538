//! The client's certificate: from the DER that the TLS layer hands over to what decisions, headers and logs need.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{GeneralName, SubjectAlternativeName};
use x509_parser::nom::Parser;
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::name;

/// A certificate whose private key the peer of this connection has proven to hold. It is read once a connection.
#[derive(Debug)]
pub struct ClientCert {
    thumbprint: [u8; 32],
    not_before: u64,
    not_after: u64,
    chain: Vec<CertificateDer<'static>>,
    /// Only logs and forwarded headers ask for names, so they are read when they first do.
    names: OnceLock<Names>,
}

/// The certificate is not well-formed X.509.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateMalformed;

#[derive(Debug, Default)]
struct Names {
    subject: String,
    dns: Vec<String>,
    uris: Vec<String>,
}

impl ClientCert {
    /// Reads the chain of a finished handshake, leaf first.
    ///
    /// # Errors
    /// The chain is empty or its leaf is not well-formed.
    pub fn read(chain: Vec<CertificateDer<'static>>) -> Result<ClientCert, CertificateMalformed> {
        let leaf = chain.first().ok_or(CertificateMalformed)?;
        let validity = parse(leaf)?.validity().clone();
        Ok(ClientCert {
            thumbprint: Sha256::digest(leaf).into(),
            not_before: seconds(validity.not_before),
            not_after: seconds(validity.not_after),
            chain,
            names: OnceLock::new(),
        })
    }

    /// SHA-256 of the leaf's DER: `x5t#S256` (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }

    /// The thumbprint as a token spells it: base64url without padding (RFC 8705 §3.1).
    pub fn thumbprint_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.thumbprint)
    }

    /// The chain as it was presented, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// First second of the leaf's validity, since 1970 (RFC 5280 §4.1.2.5).
    pub fn not_before(&self) -> u64 {
        self.not_before
    }

    /// Last second of the leaf's validity, since 1970 (RFC 5280 §4.1.2.5).
    pub fn not_after(&self) -> u64 {
        self.not_after
    }

    /// The leaf's subject as RFC 4514 writes it, most specific part first; control characters are escaped. Empty where the
    /// certificate has no subject.
    pub fn subject(&self) -> &str {
        &self.names().subject
    }

    /// DNS names of the leaf's subjectAltName (RFC 5280 §4.2.1.6), as they stand there.
    pub fn dns_names(&self) -> &[String] {
        &self.names().dns
    }

    /// URIs of the leaf's subjectAltName (RFC 5280 §4.2.1.6), as they stand there.
    pub fn uris(&self) -> &[String] {
        &self.names().uris
    }

    fn names(&self) -> &Names {
        self.names.get_or_init(|| self.chain.first().map(Names::read).unwrap_or_default())
    }
}

impl Names {
    fn read(leaf: &CertificateDer<'_>) -> Names {
        let Ok(certificate) = parse(leaf) else { return Names::default() };
        let mut names = Names { subject: name::rfc4514(certificate.subject()), ..Names::default() };
        let Ok(Some(extension)) = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME) else {
            return names;
        };
        let Ok((_, alternatives)) = SubjectAlternativeName::from_der(extension.value) else { return names };
        for alternative in &alternatives.general_names {
            match alternative {
                GeneralName::DNSName(name) => names.dns.push((*name).to_owned()),
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                _ => {}
            }
        }
        names
    }
}

/// Reads a certificate's fields; the contents of its extensions are left as bytes.
///
/// # Errors
/// Not well-formed, or bytes follow the certificate.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateMalformed> {
    match X509CertificateParser::new().with_deep_parse_extensions(false).parse(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateMalformed),
    }
}

/// Seconds since 1970; an earlier time is 1970.
pub(crate) fn seconds(time: ASN1Time) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_thumbprint_is_the_hash_of_the_leaf() {
        // RFC 8705 §3.1: "a base64url-encoded SHA-256 hash (a.k.a., thumbprint, fingerprint, or digest) of the DER encoding of
        // the X.509 certificate. The base64url-encoded value MUST omit all trailing pad '=' characters".
        let (leaf, other) = (certificate(|_| ()), certificate(|_| ()));
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf);
        let client = ClientCert::read(vec![leaf.clone(), other.clone()]).unwrap();
        assert_eq!(client.thumbprint(), hash.as_ref());
        assert_eq!(client.thumbprint_base64url().len(), 43);
        assert_eq!(URL_SAFE_NO_PAD.decode(client.thumbprint_base64url()).unwrap(), hash.as_ref());
        assert_eq!(client.chain(), [leaf, other]);
    }

    #[test]
    fn names_and_dates_are_those_of_the_leaf() {
        let leaf = certificate(|params| {
            params.distinguished_name.push(DnType::CommonName, "client, one");
            params.distinguished_name.push(DnType::OrganizationName, "Example");
            params.subject_alt_names = vec![
                SanType::DnsName("client.example.com".try_into().unwrap()),
                SanType::URI("spiffe://example.com/client".try_into().unwrap()),
                SanType::Rfc822Name("client@example.com".try_into().unwrap()),
            ];
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        });
        let client = ClientCert::read(vec![leaf, certificate(|_| ())]).unwrap();
        assert_eq!(client.subject(), "O=Example,CN=client\\, one");
        assert_eq!(client.dns_names(), ["client.example.com"]);
        assert_eq!(client.uris(), ["spiffe://example.com/client"]);
        assert_eq!((client.not_before(), client.not_after()), (1_577_836_800, 1_893_456_000));
    }

    #[test]
    fn a_certificate_without_names_has_none() {
        let leaf = certificate(|params| params.distinguished_name = rcgen::DistinguishedName::new());
        let client = ClientCert::read(vec![leaf]).unwrap();
        assert_eq!(client.subject(), "");
        assert!(client.dns_names().is_empty() && client.uris().is_empty());
    }

    #[test]
    fn what_is_not_exactly_one_certificate_is_refused() {
        let leaf = certificate(|_| ());
        let broken: [Vec<u8>; 4] =
            [vec![], vec![0x30, 0x00], leaf[..leaf.len() - 1].to_vec(), [&leaf[..], &[0]].concat()];
        for der in broken {
            assert_eq!(ClientCert::read(vec![der.into()]).unwrap_err(), CertificateMalformed);
        }
        assert_eq!(ClientCert::read(vec![]).unwrap_err(), CertificateMalformed);
    }

    #[test]
    fn a_date_before_1970_is_1970() {
        let leaf = certificate(|params| {
            params.not_before = rcgen::date_time_ymd(1960, 1, 1);
            params.not_after = rcgen::date_time_ymd(1965, 1, 1);
        });
        let client = ClientCert::read(vec![leaf]).unwrap();
        assert_eq!((client.not_before(), client.not_after()), (0, 0));
    }
}
