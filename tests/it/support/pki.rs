//! A test's certificates: an authority and what it issued, as PEM files in one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

/// One authority and the certificates that most tests need; the folder goes with this value.
pub(crate) struct Pki {
    pub(crate) folder: TempDir,
    /// Issues everything below but `self_signed`.
    pub(crate) authority: Authority,
    /// For `localhost`, `127.0.0.1` and `::1`.
    pub(crate) server: Identity,
    /// For `client-a.example.test`.
    pub(crate) client_a: Identity,
    /// For `client-b.example.test`.
    pub(crate) client_b: Identity,
    /// A client that no authority vouches for (RFC 8705 §2.2).
    pub(crate) self_signed: Identity,
}

impl Pki {
    pub(crate) fn new() -> Pki {
        let folder = tempfile::tempdir().expect("a folder for this test");
        let authority = Authority::new(folder.path(), "ca");
        let server = authority.issue("server", &["localhost", "127.0.0.1", "::1"], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        let client_a = authority.issue_client("client-a");
        let client_b = authority.issue_client("client-b");
        let self_signed = self_signed(folder.path(), "self-signed");
        Pki { folder, authority, server, client_a, client_b, self_signed }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    /// Its own certificate, PEM.
    pub(crate) certificate: PathBuf,
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Writes `{name}.pem` to the folder; the key stays in memory.
    pub(crate) fn new(folder: &Path, name: &str) -> Authority {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let certificate = folder.join(format!("{name}.pem"));
        fs::write(&certificate, issuer.pem()).unwrap();
        Authority { certificate, folder: folder.to_owned(), issuer }
    }

    /// A client's certificate for `{name}.example.test`, valid for a day.
    pub(crate) fn issue_client(&self, name: &str) -> Identity {
        self.issue(name, &[&format!("{name}.example.test")], |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    /// A certificate for these names, after `change` had its way with it: other dates, other usages.
    pub(crate) fn issue(
        &self,
        name: &str,
        alternative_names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let mut params = params(name, alternative_names);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity::write(&self.folder, name, &certificate, &key, params)
    }

    /// Writes `{name}.crl.pem`, which revokes these; it is due for renewal at `next_update`.
    pub(crate) fn revoke(&self, name: &str, revoked: &[&Identity], next_update: OffsetDateTime) -> PathBuf {
        let this_update = next_update - Duration::days(2);
        let entry = |identity: &&Identity| RevokedCertParams {
            serial_number: identity.serial.clone(),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: serial(),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let file = self.folder.join(format!("{name}.crl.pem"));
        fs::write(&file, params.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        file
    }
}

/// A certificate that is its own issuer, for `{name}.example.test`.
pub(crate) fn self_signed(folder: &Path, name: &str) -> Identity {
    let params = params(name, &[&format!("{name}.example.test")]);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity::write(folder, name, &certificate, &key, params)
}

/// A certificate and its private key, as `{name}.pem` and `{name}.key`.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) private_key: PathBuf,
    pub(crate) der: CertificateDer<'static>,
    serial: SerialNumber,
}

impl Identity {
    fn write(
        folder: &Path,
        name: &str,
        certificate: &rcgen::Certificate,
        key: &KeyPair,
        params: CertificateParams,
    ) -> Identity {
        let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&files.0, certificate.pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        Identity {
            certificate: files.0,
            private_key: files.1,
            der: certificate.der().clone(),
            serial: params.serial_number.expect("every certificate here is given one"),
        }
    }

    /// `x5t#S256` (RFC 8705 §3.1), worked out here so that the tests do not believe what they test.
    pub(crate) fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.der))
    }

    /// The chain as rustls takes it: the leaf alone.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.der.clone()]
    }

    /// The private key as rustls takes it.
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(&self.private_key).unwrap()
    }
}

fn params(name: &str, alternative_names: &[&str]) -> CertificateParams {
    let names: Vec<String> = alternative_names.iter().map(|&n| n.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial());
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::hours(1), now + Duration::days(1));
    params
}

fn serial() -> SerialNumber {
    static NEXT: AtomicU64 = AtomicU64::new(0x1000);
    SerialNumber::from(NEXT.fetch_add(1, Ordering::Relaxed))
}
