//! `boundgate thumbprint`: what a token's `cnf` must hold for this certificate.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use rustls_pki_types::pem::{self, SectionKind};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::CliError;

/// Bytes of a certificate file; chains have some ten thousand.
const FILE_LIMIT: u64 = 1024 * 1024;

/// How the thumbprint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// `x5t#S256`: base64url without padding (RFC 8705 §3.1).
    X5t,
    /// What `openssl x509 -fingerprint -sha256` prints after the `=`.
    Hex,
}

/// Prints the thumbprint of the first certificate of `file`, PEM or DER; `-` is standard input.
///
/// # Errors
/// The file cannot be read, or its first certificate is none.
pub fn run(file: &Path, notation: Notation, out: &mut dyn Write) -> Result<(), CliError> {
    let failed = |reason: &dyn std::fmt::Display| CliError::Failed(format!("{}: {reason}", file.display()));
    let bytes = read(file).map_err(|e| failed(&e))?;
    let der = first_certificate(bytes).map_err(|e| failed(&e))?;
    writeln!(out, "{}", notation.write(&Sha256::digest(der)))?;
    Ok(())
}

impl Notation {
    pub(super) fn write(self, digest: &[u8]) -> String {
        match self {
            Notation::X5t => BASE64_URL_SAFE_NO_PAD.encode(digest),
            Notation::Hex => {
                let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
                bytes.join(":")
            }
        }
    }
}

/// The bytes of a certificate's file; `-` is standard input.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(io::stdin().lock()) } else { Box::new(File::open(file)?) };
    let mut bytes = Vec::new();
    source.take(FILE_LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(io::Error::other("too large for a certificate"));
    }
    Ok(bytes)
}

/// The DER of the first certificate: in a chain, the leaf.
pub(super) fn first_certificate(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let pem = !is_certificate(&bytes) && bytes.windows(11).any(|window| window == b"-----BEGIN ");
    let der = if pem { first_in_pem(&bytes)? } else { bytes };
    if is_certificate(&der) {
        Ok(der)
    } else {
        Err("not an X.509 certificate, neither PEM nor DER".to_owned())
    }
}

fn is_certificate(der: &[u8]) -> bool {
    matches!(X509Certificate::from_der(der), Ok(([], _)))
}

fn first_in_pem(mut bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut other = None;
    loop {
        match pem::from_buf(&mut bytes) {
            Ok(Some((SectionKind::Certificate, der))) => return Ok(der),
            Ok(Some((kind, _))) => other = Some(kind),
            Ok(None) => break,
            // Its text may quote the file, which may hold a key.
            Err(_) => return Err("broken PEM".to_owned()),
        }
    }
    Err(match other {
        Some(SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey) => {
            "holds a private key and no certificate; name the certificate's file".to_owned()
        }
        _ => "holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::path::PathBuf;
    use std::process::Command;

    use crate::demo::pki::{Identity, Validity, self_signed_client};

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().unwrap())
        }

        fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    fn client() -> Identity {
        self_signed_client("client-a", Validity::days(1)).unwrap()
    }

    fn printed(file: &Path, notation: Notation) -> Result<String, String> {
        let mut out = Vec::new();
        run(file, notation, &mut out).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn it_is_what_openssl_says() {
        // RFC 8705 §3.1: base64url(SHA-256(DER)), without padding. openssl is the witness that neither encoding is only ours.
        let folder = Folder::new();
        let client = client();
        let file = folder.file("client.pem", client.certificate_pem());
        let Ok(openssl) = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(&file)
            .output()
        else {
            return; // No openssl on this machine.
        };
        let openssl = String::from_utf8(openssl.stdout).unwrap();
        let hex = openssl.split_once('=').unwrap().1;
        assert_eq!(printed(&file, Notation::Hex).unwrap(), hex);
        let digest: Vec<u8> =
            hex.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        assert_eq!(printed(&file, Notation::X5t).unwrap().trim_end(), BASE64_URL_SAFE_NO_PAD.encode(digest));
    }

    #[test]
    fn pem_with_or_without_text_der_and_chains_give_the_leaf() {
        let folder = Folder::new();
        let (leaf, other) = (client(), client());
        let expected = Ok(format!("{}\n", leaf.thumbprint()));
        let pem = leaf.certificate_pem();
        for (name, content) in [
            ("leaf.pem", pem.to_owned()),
            ("chain.pem", format!("{pem}{}", other.certificate_pem())),
            ("with-key.pem", format!("{}{pem}", leaf.private_key_pem())),
            ("with-text.pem", format!("0 s:CN = client-a\n{pem}")),
            ("crlf.pem", pem.replace('\n', "\r\n")),
        ] {
            assert_eq!(printed(&folder.file(name, content), Notation::X5t), expected, "{name}");
        }
        assert_eq!(printed(&folder.file("leaf.der", leaf.certificate()), Notation::X5t), expected);
    }

    #[test]
    fn what_is_no_certificate_is_said_and_not_hashed() {
        let folder = Folder::new();
        let client = client();
        let mut trailing = client.certificate().to_vec();
        trailing.push(0);
        for (content, said) in [
            (client.private_key_pem().as_bytes(), "holds a private key and no certificate"),
            (b"", "not an X.509 certificate"),
            (b"hello", "not an X.509 certificate"),
            (
                b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
                "not an X.509 certificate",
            ),
            (b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n", "broken PEM"),
            (b"-----BEGIN PUBLIC KEY-----\naGVsbG8=\n-----END PUBLIC KEY-----\n", "holds no certificate"),
            (&trailing, "not an X.509 certificate"),
        ] {
            let file = folder.file("file", content);
            let error = printed(&file, Notation::X5t).unwrap_err();
            assert!(error.starts_with(&format!("{}: {said}", file.display())), "{error}");
            assert!(!error.contains("aGVsbG8"));
        }
        let missing = folder.0.path().join("missing.pem");
        assert!(printed(&missing, Notation::X5t).unwrap_err().starts_with(&missing.display().to_string()));
    }
}
