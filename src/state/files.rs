//! Files that the configuration names, read whole. What is wrong with one is a fault at the place that names it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{Error, PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::error::{Fault, Faults};
use crate::config::settings::Located;

#[cfg(test)]
mod tests;

/// Bytes of a file, except one with CRLs.
pub(super) const LIMIT: u64 = 4 << 20;

/// Bytes of a file with CRLs: about 400 000 revoked certificates.
pub(super) const CRL_LIMIT: u64 = 16 << 20;

/// What is allowed where certificates belong.
pub(super) const CERTIFICATES: &str = "a PEM file with one certificate or more";
/// What is allowed where CRLs belong.
pub(super) const CRLS: &str =
    "a file with complete X.509 CRLs of version 2, each with a nextUpdate, in PEM, or one in DER";
/// What is allowed where a private key belongs.
pub(super) const PRIVATE_KEY: &str = "a PEM file with one unencrypted private key (PKCS#8, PKCS#1 or SEC1)";

/// Reads files and gathers what is wrong with them.
pub(super) struct Files<'a> {
    config: &'a Path,
    faults: Vec<Fault>,
}

impl<'a> Files<'a> {
    /// For the files that this configuration file names.
    pub(super) fn new(config: &'a Path) -> Files<'a> {
        Files { config, faults: Vec::new() }
    }

    /// Every fault, in the order of the configuration; `Ok` where there is none.
    pub(super) fn finish(mut self) -> Result<(), Faults> {
        self.faults.sort_by_key(|fault| fault.line);
        if self.faults.is_empty() { Ok(()) } else { Err(Faults(self.faults)) }
    }

    /// Notes what is wrong with a file, as "found FILE: WHAT".
    pub(super) fn fault(&mut self, file: &Located<PathBuf>, what: &str, allowed: &str) {
        self.faults.push(self.describe(file, what, allowed));
    }

    /// The same with another way out.
    pub(super) fn fault_with_hint(&mut self, file: &Located<PathBuf>, what: &str, allowed: &str, hint: &str) {
        self.faults.push(self.describe(file, what, allowed).hint(hint));
    }

    fn describe(&self, file: &Located<PathBuf>, what: &str, allowed: &str) -> Fault {
        Fault::new(self.config, &file.at, format!("{}: {what}", file.value.display()), allowed)
    }

    /// A file's bytes; at least one.
    pub(super) fn bytes(&mut self, file: &Located<PathBuf>, limit: u64, allowed: &str) -> Option<Vec<u8>> {
        match read(&file.value, limit) {
            Ok(bytes) if bytes.is_empty() => self.fault(file, "an empty file", allowed),
            Ok(bytes) => return Some(bytes),
            Err(what) if what == MISSING => {
                let hint = "a relative path starts from the folder of the configuration file";
                self.fault_with_hint(file, &what, allowed, hint);
            }
            Err(what) => self.fault(file, &what, allowed),
        }
        None
    }

    /// The certificates of a file, at least one. Other sections are left out: a key may stand in the same file.
    pub(super) fn certificates(&mut self, file: &Located<PathBuf>) -> Option<Vec<CertificateDer<'static>>> {
        let bytes = self.bytes(file, LIMIT, CERTIFICATES)?;
        self.certificates_in(file, &bytes)
    }

    /// The same, of bytes that were already read.
    pub(super) fn certificates_in(
        &mut self,
        file: &Located<PathBuf>,
        bytes: &[u8],
    ) -> Option<Vec<CertificateDer<'static>>> {
        let found: Vec<_> = self.sections(file, bytes, SectionKind::Certificate, CERTIFICATES)?;
        Some(found.into_iter().map(CertificateDer::from).collect())
    }

    /// The CRLs of bytes that were already read, at least one.
    pub(super) fn crls_in(&mut self, file: &Located<PathBuf>, bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        if is_der(bytes) {
            return Some(vec![bytes.to_vec()]);
        }
        self.sections(file, bytes, SectionKind::Crl, CRLS)
    }

    /// The one private key of a file. Other sections are left out: certificates may stand in the same file.
    pub(super) fn private_key(&mut self, file: &Located<PathBuf>) -> Option<PrivateKeyDer<'static>> {
        let bytes = self.bytes(file, LIMIT, PRIVATE_KEY)?;
        if bytes.split(|byte| *byte == b'\n').any(is_encrypted) {
            let hint = "decrypt it with `openssl pkey -in FILE -out NEWFILE`, and protect the file itself";
            self.fault_with_hint(file, "an encrypted private key", PRIVATE_KEY, hint);
            return None;
        }
        let sections = self.pem(file, &bytes, PRIVATE_KEY)?;
        let kinds = describe(&sections);
        let mut keys = sections.into_iter().filter_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
        match (keys.next(), keys.next()) {
            (Some(key), None) => return Some(key),
            (Some(_), Some(_)) => self.fault(file, "more than one private key", PRIVATE_KEY),
            (None, _) => self.fault(file, &format!("{kinds} where a private key is expected"), PRIVATE_KEY),
        }
        None
    }

    fn sections(
        &mut self,
        file: &Located<PathBuf>,
        bytes: &[u8],
        wanted: SectionKind,
        allowed: &str,
    ) -> Option<Vec<Vec<u8>>> {
        let sections = self.pem(file, bytes, allowed)?;
        let kinds = describe(&sections);
        let found: Vec<_> =
            sections.into_iter().filter(|(kind, _)| *kind == wanted).map(|(_, der)| der).collect();
        if found.is_empty() {
            self.fault(file, &format!("{kinds} where {} is expected", name(wanted)), allowed);
            return None;
        }
        Some(found)
    }

    /// The PEM sections of a file, at least one. An error of the parser may hold a line of the file, and that line may be a
    /// key: it is never shown.
    fn pem(
        &mut self,
        file: &Located<PathBuf>,
        bytes: &[u8],
        allowed: &str,
    ) -> Option<Vec<(SectionKind, Vec<u8>)>> {
        match <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>() {
            Ok(sections) if sections.is_empty() && is_der(bytes) => {
                let hint = "convert it with `openssl x509 -inform DER` or `openssl pkey -inform DER`";
                self.fault_with_hint(file, "DER where PEM is expected", allowed, hint);
            }
            Ok(sections) if sections.is_empty() => {
                self.fault(file, "nothing in PEM that is known here", allowed)
            }
            Ok(sections) => return Some(sections),
            Err(Error::MissingSectionEnd { .. }) => self.fault(file, "PEM without its END line", allowed),
            Err(Error::IllegalSectionStart { .. }) => {
                self.fault(file, "PEM with a broken BEGIN line", allowed)
            }
            Err(Error::Base64Decode(_)) => self.fault(file, "PEM with broken base64", allowed),
            Err(_) => self.fault(file, "broken PEM", allowed),
        }
        None
    }
}

const MISSING: &str = "no such file";

/// Reads a regular file of at most `limit` bytes; a pipe or a device could block or never end.
///
/// # Errors
/// What stands there instead, in words.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let about = path.metadata().map_err(|e| unreadable(e.kind()))?;
    if about.is_dir() {
        return Err("a directory".to_owned());
    }
    if !about.is_file() {
        return Err("neither a file nor a link to one".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| unreadable(e.kind()))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| unreadable(e.kind()))?;
    match bytes.len() as u64 > limit {
        true => Err(format!("a file of more than {} MiB", limit >> 20)),
        false => Ok(bytes),
    }
}

fn unreadable(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => MISSING.to_owned(),
        ErrorKind::PermissionDenied => "a file that this process may not read".to_owned(),
        kind => format!("a file that cannot be read ({kind})"),
    }
}

/// A line of PKCS#8's encrypted form (RFC 7468 §11) or of OpenSSL's older ones (RFC 1421 §4.6.1.1).
fn is_encrypted(line: &[u8]) -> bool {
    line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
}

/// A SEQUENCE of more than 127 bytes, which PEM never begins with.
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0x84, ..])
}

/// What PEM sections there are: "a certificate and a private key".
fn describe(sections: &[(SectionKind, Vec<u8>)]) -> String {
    let mut names: Vec<_> = sections.iter().map(|(kind, _)| name(*kind)).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" and ")
}

fn name(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Certificate => "a certificate",
        SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => "a private key",
        SectionKind::Crl => "a CRL",
        SectionKind::PublicKey => "a public key",
        SectionKind::Csr => "a certificate request",
        _ => "something else",
    }
}
