//! A small PKI for tests, made anew in memory: authorities, certificates, CRLs, and a TLS handshake without sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use time::OffsetDateTime;

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// The moment that lies so many seconds after now (or before, if negative).
pub(crate) fn from_now(seconds: i64) -> UnixTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    UnixTime::since_unix_epoch(Duration::from_secs(now.checked_add_signed(seconds).unwrap()))
}

fn date(moment: UnixTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(moment.as_secs().try_into().unwrap()).unwrap()
}

/// A certification authority.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: Certificate,
}

/// A certificate with what stands above it (without the root), and its key.
pub(crate) struct Holder {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

impl Authority {
    /// The serial number of every authority's certificate.
    pub(crate) const SERIAL: u64 = 99;

    /// A self-signed authority of this name, with a key of its own.
    pub(crate) fn root(name: &str) -> Authority {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap();
        Authority { params, key, certificate }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, name: &str) -> Authority {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        Authority { params, key, certificate }
    }

    /// A certificate of this authority, with this serial number, from yesterday to in thirty days; `change` may alter it.
    pub(crate) fn certify(&self, serial: u64, change: impl FnOnce(&mut CertificateParams)) -> Holder {
        self.sign(&leaf(serial, change), KeyPair::generate().unwrap())
    }

    /// The same for this key.
    pub(crate) fn certify_with(&self, serial: u64, key: KeyPair) -> Holder {
        self.sign(&leaf(serial, |_| ()), key)
    }

    fn sign(&self, params: &CertificateParams, key: KeyPair) -> Holder {
        let certificate = params.signed_by(&key, &self.issuer()).unwrap();
        Holder { chain: vec![certificate.der().clone()], key }
    }

    /// A CRL of this authority with these serial numbers, from yesterday to `days` days from now.
    pub(crate) fn crl(&self, revoked: &[u64], days: i64) -> CertificateRevocationListDer<'static> {
        let this_update = if days > 0 { from_now(-DAY) } else { from_now((days - 1) * DAY) };
        let revoked_certs = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date(this_update),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date(this_update),
            next_update: date(from_now(days * DAY)),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: self.params.key_identifier_method.clone(),
        };
        params.signed_by(&self.issuer()).unwrap().der().clone()
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

impl Holder {
    /// A self-signed certificate as `openssl req -x509` makes it: of itself an authority.
    pub(crate) fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Holder {
        let key = KeyPair::generate().unwrap();
        let params = leaf(1, |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            change(params);
        });
        let certificate = params.self_signed(&key).unwrap();
        Holder { chain: vec![certificate.der().clone()], key }
    }

    /// The same with these certificates sent along.
    pub(crate) fn with(mut self, above: &[&Authority]) -> Holder {
        self.chain.extend(above.iter().map(|authority| authority.der().clone()));
        self
    }

    pub(crate) fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// The chain as PEM.
    pub(crate) fn pem(&self) -> String {
        self.chain.iter().map(|der| pem("CERTIFICATE", der)).collect()
    }
}

/// DER as a PEM section with this label.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(Authority::SERIAL));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date(from_now(-DAY)), date(from_now(3650 * DAY)));
    params
}

fn leaf(serial: u64, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.serial_number = Some(SerialNumber::from(serial));
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, -1, 30);
    change(&mut params);
    params
}

/// Sets the dates, in days from now.
pub(crate) fn validity(params: &mut CertificateParams, from: i64, to: i64) {
    (params.not_before, params.not_after) = (date(from_now(from * DAY)), date(from_now(to * DAY)));
}

/// A client that trusts `server_ca` and presents `holder`'s certificate, if there is one.
pub(crate) fn client(
    server_ca: &Authority,
    holder: Option<&Holder>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(server_ca.der().clone()).unwrap();
    let provider = super::tls::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match holder {
        None => builder.with_no_client_auth(),
        // Not `with_client_auth_cert`: it refuses certificates that a server may well be sent.
        Some(holder) => {
            let key = provider.key_provider.load_private_key(holder.key_der()).unwrap();
            let certified = rustls::sign::CertifiedKey::new(holder.chain.clone(), key);
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
        }
    }
}

/// Shakes hands in memory and takes one byte to the server and one back, so that tickets have arrived too.
///
/// # Errors
/// The error of the side that refused first.
pub(crate) fn handshake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    client.writer().write_all(b"?").unwrap();
    server.writer().write_all(b"!").unwrap();
    let mut wire = Vec::new();
    while client.wants_write() || server.wants_write() {
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut bytes = std::mem::take(&mut wire);
        let mut unread = bytes.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
        }
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        bytes = std::mem::take(&mut wire);
        let mut unread = bytes.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    let (mut asked, mut answered) = ([0], [0]);
    server.reader().read_exact(&mut asked).unwrap();
    client.reader().read_exact(&mut answered).unwrap();
    assert_eq!((asked, answered), (*b"?", *b"!"));
    Ok((client, server))
}
