//! `boundgate certs`: a development CA and what it signs, under the names that `config.toml` has for them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::CliError;
use crate::demo::pki::{Authority, Identity, LOOPBACK_NAMES, Validity};

/// Lifetime of the CA.
const CA_DAYS: u32 = 3652;
/// Lifetime of what it signs.
const LEAF_DAYS: u32 = 365;

/// Writes the files into `folder`, which is made if it is missing, and says what they are. Keys get mode 0600.
///
/// # Errors
/// One of the files exists already, or cannot be written: then none is left behind.
pub fn run(folder: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let certificates = Certificates::make().map_err(|e| CliError::Failed(e.to_string()))?;
    write_files(folder, &certificates.files())?;
    explain(folder, &certificates, out)?;
    Ok(())
}

struct Certificates {
    ca: Authority,
    server: Identity,
    client_a: Identity,
    client_b: Identity,
}

impl Certificates {
    fn make() -> Result<Certificates, crate::demo::Error> {
        let ca = Authority::new("Boundgate development CA", Validity::days(CA_DAYS))?;
        Ok(Certificates {
            server: ca.server(&LOOPBACK_NAMES, Validity::days(LEAF_DAYS))?,
            client_a: ca.client("client-a", Validity::days(LEAF_DAYS))?,
            client_b: ca.client("client-b", Validity::days(LEAF_DAYS))?,
            ca,
        })
    }

    /// Names and contents. The one CA stands under two names, because in production they are two: `ca.pem` is whom clients trust,
    /// `clients-ca.pem` whom the sidecar trusts.
    fn files(&self) -> [(&'static str, &str); 9] {
        let ca = self.ca.identity();
        [
            ("ca.pem", ca.certificate_pem()),
            ("ca.key", ca.private_key_pem()),
            ("clients-ca.pem", ca.certificate_pem()),
            ("server.pem", self.server.certificate_pem()),
            ("server.key", self.server.private_key_pem()),
            ("client-a.pem", self.client_a.certificate_pem()),
            ("client-a.key", self.client_a.private_key_pem()),
            ("client-b.pem", self.client_b.certificate_pem()),
            ("client-b.key", self.client_b.private_key_pem()),
        ]
    }
}

fn explain(folder: &Path, certificates: &Certificates, out: &mut dyn Write) -> io::Result<()> {
    let folder = folder.display();
    writeln!(out, "Written to {folder}, for development only:")?;
    writeln!(
        out,
        "  ca.pem          the CA; clients trust the sidecar with it (curl --cacert), for 10 years"
    )?;
    writeln!(out, "  ca.key          whoever has it can be any client")?;
    writeln!(out, "  clients-ca.pem  the same CA, as [client_certificates] names it")?;
    writeln!(out, "  server.pem      the sidecar as {}, for 1 year; server.key", LOOPBACK_NAMES.join(", "))?;
    for (name, client) in [("client-a", &certificates.client_a), ("client-b", &certificates.client_b)] {
        writeln!(out, "  {name}.pem    x5t#S256 {}, for 1 year; {name}.key", client.thumbprint())?;
    }
    writeln!(out, "Next: boundgate check --config config.toml")
}

/// Writes every file, or none.
fn write_files(folder: &Path, files: &[(&str, &str)]) -> Result<(), CliError> {
    let failed = |path: &Path, reason: &dyn std::fmt::Display| {
        CliError::Failed(format!("{}: {reason}; nothing was written", path.display()))
    };
    fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
    // Looked at beforehand, so that the common case leaves no trace; `create_new` is what holds.
    if let Some(existing) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(failed(existing, &"exists already"));
    }
    for (index, (path, (_, content))) in paths.iter().zip(files).enumerate() {
        let Err(error) = write_new(path, content) else { continue };
        for written in paths.iter().take(index) {
            let _ = fs::remove_file(written);
        }
        return Err(failed(path, &error));
    }
    Ok(())
}

/// Writes a file that must not exist yet; a private key is readable by its owner alone, from the first moment on. A file that
/// was begun and cannot be finished is removed.
fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mode = if path.extension().is_some_and(|extension| extension == "key") { 0o600 } else { 0o644 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes()).inspect_err(|_| drop(fs::remove_file(path)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::PermissionsExt;

    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};

    use crate::demo::pki::thumbprint;

    use super::*;

    const NAMES: [&str; 9] = [
        "ca.key",
        "ca.pem",
        "client-a.key",
        "client-a.pem",
        "client-b.key",
        "client-b.pem",
        "clients-ca.pem",
        "server.key",
        "server.pem",
    ];

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_writes_pairs_that_fit_keys_for_their_owner_alone_and_prints_thumbprints() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("new/certs");
        let mut out = Vec::new();
        run(&folder, &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();

        assert_eq!(names(&folder), NAMES);
        for name in ["ca", "server", "client-a", "client-b"] {
            let (pem, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
            assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
            let certificate = CertificateDer::from_pem_file(pem).unwrap();
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            rustls::sign::CertifiedKey::from_der(vec![certificate.clone()], key, &provider).unwrap();
            assert_eq!(said.contains(&thumbprint(&certificate)), name.starts_with("client"), "{name}");
        }
        let read = |name: &str| fs::read(folder.join(name)).unwrap();
        assert_eq!(read("clients-ca.pem"), read("ca.pem"));
    }

    #[test]
    fn it_overwrites_nothing_and_then_writes_nothing() {
        for name in NAMES {
            let folder = tempfile::tempdir().unwrap();
            // A link that leads nowhere counts too: the name is taken.
            std::os::unix::fs::symlink("nowhere", folder.path().join(name)).unwrap();
            let error = run(folder.path(), &mut Vec::new()).unwrap_err();
            assert_eq!(error.exit_code(), 1);
            let path = folder.path().join(name);
            assert_eq!(error.to_string(), format!("{}: exists already; nothing was written", path.display()));
            assert_eq!(names(folder.path()), [name]);
        }
    }

    #[test]
    fn a_failure_half_way_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            write_files(folder.path(), &[("a.key", "a"), ("b", "b"), ("missing/c", "c")]).unwrap_err();
        assert!(error.to_string().contains("missing/c"), "{error}");
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let error = run(&file, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with(&file.display().to_string()), "{error}");
    }
}
