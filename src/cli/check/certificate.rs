//! What a person calls a certificate.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::{GeneralName, SubjectAlternativeName};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer;

use crate::decide::client::{ClientCert, parse};

/// The certificates of a file that was found to be good a moment ago.
pub(super) fn read(file: &Path) -> Vec<CertificateDer<'static>> {
    let found = CertificateDer::pem_file_iter(file);
    found.map(|found| found.flatten().collect()).unwrap_or_default()
}

/// The subject, or the thumbprint of a certificate that has none.
pub(super) fn subject(der: &CertificateDer<'static>) -> String {
    let Ok(certificate) = ClientCert::read(vec![der.clone()]) else { return String::new() };
    match certificate.subject() {
        "" => format!("x5t#S256 {}", certificate.thumbprint_base64url()),
        subject => subject.to_owned(),
    }
}

/// The names of hosts in subjectAltName (RFC 5280 §4.2.1.6), to which clients compare that of the URL (RFC 9525 §6).
pub(super) fn hosts(der: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = parse(der) else { return Vec::new() };
    let Ok(Some(extension)) = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME) else {
        return Vec::new();
    };
    let Ok((_, names)) = SubjectAlternativeName::from_der(extension.value) else { return Vec::new() };
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).escape_default().to_string()),
        GeneralName::IPAddress(bytes) => ip(bytes),
        _ => None,
    };
    names.general_names.iter().filter_map(host).collect()
}

fn ip(bytes: &[u8]) -> Option<String> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).to_string()),
        _ => <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).to_string()),
    }
}
