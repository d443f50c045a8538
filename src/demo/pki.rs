//! A small PKI: a development CA, server and client certificates, and self-signed clients (RFC 8705 §2.2).
//!
//! ECDSA P-256 throughout. What is made here is for development and tests: no revocation, keys in memory as PEM.

use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::Error;

/// The names of every server certificate: this machine, however a client calls it.
pub const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `x5t#S256` of a certificate: base64url of the SHA-256 of its DER, without padding (RFC 8705 §3.1).
pub fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(certificate))
}

/// The one crypto provider.
pub(super) fn crypto() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// notBefore
    pub from: OffsetDateTime,
    /// notAfter
    pub until: OffsetDateTime,
}

impl Validity {
    /// From now on, and an hour back for clocks that lag.
    pub fn days(days: u32) -> Validity {
        let now = OffsetDateTime::now_utc();
        Validity { from: now - Duration::from_secs(60 * 60), until: now + DAY * days }
    }

    /// It ended yesterday.
    pub fn expired() -> Validity {
        let now = OffsetDateTime::now_utc();
        Validity { from: now - DAY * 2, until: now - DAY }
    }
}

/// A certificate and its private key. Its `Debug` output shows the thumbprint alone.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    private_key_pem: String,
    private_key: Vec<u8>,
}

impl Identity {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Identity {
        Identity {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            private_key_pem: key.serialize_pem(),
            private_key: key.serialize_der(),
        }
    }

    /// The certificate as DER.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key as PEM (PKCS#8).
    pub fn private_key_pem(&self) -> &str {
        &self.private_key_pem
    }

    /// The private key as rustls takes it.
    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.private_key.clone()))
    }

    /// `x5t#S256` (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> String {
        thumbprint(&self.certificate)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.thumbprint())
    }
}

/// A certification authority that signs leaves directly.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    identity: Identity,
}

impl Authority {
    /// A new CA of this name.
    ///
    /// # Errors
    /// The machine gives no randomness, or the name cannot stand in a certificate.
    pub fn new(common_name: &str, validity: Validity) -> Result<Authority, Error> {
        let key = new_key()?;
        let mut params = named(common_name, &[], validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(|e| Error::new("signing the CA", e))?;
        let identity = Identity::new(&certificate, &key);
        Ok(Authority { issuer: Issuer::new(params, key), identity })
    }

    /// Its own certificate and key.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A trust store with this CA alone.
    ///
    /// # Errors
    /// Its certificate is no trust anchor, which would be a fault of this module.
    pub fn roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.identity.certificate.clone()).map_err(|e| Error::new("trusting the CA", e))?;
        Ok(Arc::new(roots))
    }

    /// A certificate for a TLS server of these DNS names and addresses.
    ///
    /// # Errors
    /// As [`Authority::new`].
    pub fn server(&self, names: &[&str], validity: Validity) -> Result<Identity, Error> {
        let common_name = names.first().copied().unwrap_or("server");
        self.sign(&leaf(common_name, names, ExtendedKeyUsagePurpose::ServerAuth, validity)?)
    }

    /// A certificate for a TLS client; its subject is `CN=<common_name>`.
    ///
    /// # Errors
    /// As [`Authority::new`].
    pub fn client(&self, common_name: &str, validity: Validity) -> Result<Identity, Error> {
        self.sign(&leaf(common_name, &[], ExtendedKeyUsagePurpose::ClientAuth, validity)?)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Identity, Error> {
        let key = new_key()?;
        let certificate =
            params.signed_by(&key, &self.issuer).map_err(|e| Error::new("signing a certificate", e))?;
        Ok(Identity::new(&certificate, &key))
    }
}

/// A client certificate that no CA stands behind (RFC 8705 §2.2).
///
/// # Errors
/// As [`Authority::new`].
pub fn self_signed_client(common_name: &str, validity: Validity) -> Result<Identity, Error> {
    let key = new_key()?;
    let params = leaf(common_name, &[], ExtendedKeyUsagePurpose::ClientAuth, validity)?;
    let certificate = params.self_signed(&key).map_err(|e| Error::new("signing a certificate", e))?;
    Ok(Identity::new(&certificate, &key))
}

fn leaf(
    common_name: &str,
    names: &[&str],
    purpose: ExtendedKeyUsagePurpose,
    validity: Validity,
) -> Result<CertificateParams, Error> {
    let mut params = named(common_name, names, validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    Ok(params)
}

fn named(common_name: &str, names: &[&str], validity: Validity) -> Result<CertificateParams, Error> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(|e| Error::new("naming a certificate", e))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(random_serial()?);
    params.not_before = validity.from;
    params.not_after = validity.until;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn new_key() -> Result<KeyPair, Error> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|e| Error::new("generating a key", e))
}

/// 16 random bytes, as a positive number without leading zeros (RFC 5280 §4.1.2.2).
fn random_serial() -> Result<SerialNumber, Error> {
    let mut serial = random::<16>()?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

/// Random bytes of the crypto provider.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::new("random bytes", "none to be had"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::server::WebPkiClientVerifier;
    use rustls::server::danger::ClientCertVerifier;
    use rustls_pki_types::{ServerName, UnixTime};
    use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

    use super::*;

    fn parse(identity: &Identity) -> X509Certificate<'_> {
        X509Certificate::from_der(identity.certificate()).unwrap().1
    }

    fn client_verifier(ca: &Authority) -> Arc<dyn ClientCertVerifier> {
        WebPkiClientVerifier::builder_with_provider(ca.roots().unwrap(), crypto()).build().unwrap()
    }

    #[test]
    fn a_server_certificate_holds_for_every_loopback_name_and_no_other() {
        let ca = Authority::new("CA", Validity::days(10)).unwrap();
        let server = ca.server(&LOOPBACK_NAMES, Validity::days(1)).unwrap();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(ca.roots().unwrap(), crypto()).build().unwrap();
        let verify = |name: &'static str| {
            let name = ServerName::try_from(name).unwrap();
            verifier.verify_server_cert(server.certificate(), &[], &name, &[], UnixTime::now())
        };
        for name in LOOPBACK_NAMES {
            verify(name).unwrap();
        }
        verify("example.com").unwrap_err();
    }

    #[test]
    fn a_client_certificate_is_one_for_its_own_ca_and_its_own_time_only() {
        let ca = Authority::new("CA", Validity::days(10)).unwrap();
        let other = Authority::new("CA", Validity::days(10)).unwrap();
        let verify = |ca: &Authority, identity: &Identity| {
            client_verifier(ca).verify_client_cert(identity.certificate(), &[], UnixTime::now())
        };
        let client = ca.client("client-a", Validity::days(1)).unwrap();
        verify(&ca, &client).unwrap();
        verify(&other, &client).unwrap_err();
        verify(&ca, &ca.client("late", Validity::expired()).unwrap()).unwrap_err();
        verify(&ca, &ca.server(&LOOPBACK_NAMES, Validity::days(1)).unwrap()).unwrap_err();
        verify(&ca, &self_signed_client("client-a", Validity::days(1)).unwrap()).unwrap_err();
    }

    #[test]
    fn certificates_have_random_serials_key_identifiers_and_one_name() {
        let ca = Authority::new("CA", Validity::days(10)).unwrap();
        let a = ca.client("client-a", Validity::days(1)).unwrap();
        let b = ca.client("client-a", Validity::days(1)).unwrap();
        assert_ne!(parse(&a).raw_serial(), parse(&b).raw_serial());
        assert_ne!(a.thumbprint(), b.thumbprint());
        assert_eq!(parse(&a).raw_serial().len(), 16);
        assert_eq!(parse(&a).subject().to_string(), "CN=client-a");
        assert_eq!(parse(&a).issuer().to_string(), "CN=CA");

        let subject_key = |identity: &Identity| {
            parse(identity).extensions().iter().find_map(|e| match e.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            })
        };
        let authority_key = parse(&a).extensions().iter().find_map(|e| match e.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        });
        assert!(subject_key(&a).is_some());
        assert!(authority_key.is_some());
        assert_eq!(authority_key, subject_key(ca.identity()));
    }

    #[test]
    fn debug_output_shows_no_key() {
        let client = self_signed_client("client-a", Validity::days(1)).unwrap();
        assert_eq!(format!("{client:?}"), format!("Identity({})", client.thumbprint()));
    }
}
