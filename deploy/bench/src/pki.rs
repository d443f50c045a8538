//! The certificates of a run: one authority, a server and its clients, each with a P-256 key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The name that the server's certificate is for.
pub const SERVER_NAME: &str = "localhost";

pub struct Pki {
    /// PEM of the authority; what every system trusts for clients, and clients for every system.
    pub ca: PathBuf,
    pub ca_der: CertificateDer<'static>,
    /// PEM, leaf first.
    pub server_certificate: PathBuf,
    pub server_key: PathBuf,
    /// Certificate and key in one file, as HAProxy takes them.
    pub server_both: PathBuf,
    pub clients: Vec<Client>,
}

/// A client's certificate and key.
pub struct Client {
    pub certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
}

impl Pki {
    /// Issues everything, and writes what the systems read to the folder.
    pub fn issue(folder: &Path, clients: usize) -> Result<Pki> {
        let mut authority = params("bench-ca", &[])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).with_context(|| file.display().to_string())?;
            Ok::<_, anyhow::Error>(file)
        };

        let mut server = params("server", &[SERVER_NAME, "127.0.0.1"])?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate()?;
        let server = server.signed_by(&server_key, &authority)?;

        let client = |number: usize| {
            let name = format!("client-{number}");
            let mut params = params(&name, &[&name])?;
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?.der().clone();
            Ok(Client { certificate, key: key.serialize_der().into() })
        };
        Ok(Pki {
            ca: write("ca.pem", authority.pem())?,
            ca_der: authority.der().clone(),
            server_certificate: write("server.pem", server.pem())?,
            server_key: write("server.key", server_key.serialize_pem())?,
            server_both: write("server-both.pem", server.pem() + &server_key.serialize_pem())?,
            clients: (0..clients).map(client).collect::<Result<_>>()?,
        })
    }
}

impl Client {
    /// `x5t#S256` (RFC 8705 §3.1).
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.certificate))
    }

    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key().into()
    }
}

fn params(name: &str, alternative_names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = alternative_names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    let now = OffsetDateTime::now_utc();
    (params.not_before, params.not_after) = (now - Duration::hours(1), now + Duration::days(2));
    Ok(params)
}
