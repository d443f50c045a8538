//! The files of a configuration that cannot be used: they are looked at all the same, so that everything that is wrong is told
//! at once.

use std::path::{Path, PathBuf};

use super::files::{CERTIFICATES, CRL_LIMIT, CRLS, Files, LIMIT};
use super::load::JWKS;
use super::{tls, trust};
use crate::config::error::Faults;
use crate::config::resolve::{self, NamedFiles};
use crate::config::settings::{Located, Settings};
use crate::decide::keys::KeySet;

/// Reads a configuration; where it has faults, those of the files that it names stand beside them.
///
/// # Errors
/// Every fault at once.
pub fn read(config: &Path) -> Result<Settings, Faults> {
    resolve::read(config).map_err(|Faults(mut faults)| {
        if let Err(Faults(of_files)) = check(config) {
            faults.extend(of_files);
            faults.sort_by_key(|fault| fault.line);
        }
        Faults(faults)
    })
}

fn check(config: &Path) -> Result<(), Faults> {
    let mut files = Files::new(config);
    for section in resolve::named_files(config) {
        let pair = (find(&section, "certificate"), find(&section, "private_key"));
        if let (Some(certificate), Some(private_key)) = pair {
            let _ = tls::identity(&mut files, certificate, private_key);
        }
        for (key, file) in &section {
            match *key {
                "certificate" | "private_key" if pair.0.is_some() && pair.1.is_some() => {}
                "certificate" => drop(files.certificates(file)),
                "private_key" | "signing_key" => drop(files.private_key(file)),
                "ca" => anchors(&mut files, file),
                "crl" => {
                    let _ = files.bytes(file, CRL_LIMIT, CRLS).map(|bytes| files.crls_in(file, &bytes));
                }
                "jwks_file" => key_set(&mut files, file),
                _ => drop(files.bytes(file, LIMIT, "a file that can be read")),
            }
        }
    }
    files.finish()
}

fn find<'a>(section: &'a NamedFiles, name: &str) -> Option<&'a Located<PathBuf>> {
    section.iter().find(|(key, _)| *key == name).map(|(_, file)| file)
}

fn anchors(files: &mut Files<'_>, file: &Located<PathBuf>) {
    let certificates = files.certificates(file).unwrap_or_default();
    if let Some(what) = certificates.iter().find_map(|der| trust::anchor(der).err()) {
        files.fault(file, &what, CERTIFICATES);
    }
}

fn key_set(files: &mut Files<'_>, file: &Located<PathBuf>) {
    if let Some(fault) = files.bytes(file, LIMIT, JWKS).and_then(|bytes| KeySet::parse(&bytes).err()) {
        files.fault(file, &fault.0, JWKS);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::state::folder::{CONFIG, Folder};

    #[test]
    fn faults_of_the_configuration_hide_none_of_its_files() {
        let folder = Folder::new();
        let broken = CONFIG.replace("\"required\"", "\"require\"").replace("127.0.0.1:8443", "localhost");
        folder.write("config.toml", broken);
        std::fs::remove_file(folder.path("ca.pem")).unwrap();
        folder.write("server.key", folder.servers.pem());
        folder.write("ca.crl", "");
        folder.write("as-ca.pem", "x");
        folder.write_pair("call", &folder.clients.certify(3, |_| ()));
        std::fs::copy(folder.path("call.key"), folder.path("kept.key")).unwrap();
        folder.write_pair("call", &folder.clients.certify(4, |_| ()));
        std::fs::copy(folder.path("kept.key"), folder.path("call.key")).unwrap();
        folder.write("keys.json", "{}");
        let Err(Faults(faults)) = read(&folder.path("config.toml")) else { panic!("there are faults") };
        let keys: Vec<_> = faults.iter().map(|fault| fault.key.as_str()).collect();
        let expected = [
            "listener.address",
            "listener.private_key",
            "client_certificates.mode",
            "client_certificates.ca",
            "client_certificates.crl[0]",
            "issuers[0].ca",
            "issuers[0].tls.private_key",
            "issuers[1].jwks_file",
        ];
        assert_eq!(keys, expected);
        assert!(faults.iter().all(|fault| fault.line.is_some()));
    }

    #[test]
    fn files_that_would_not_be_used_are_not_looked_at() {
        let folder = Folder::new();
        let any = CONFIG.replace("trust = \"ca\"", "trust = \"any\"");
        folder.write("config.toml", any);
        std::fs::remove_file(folder.path("ca.pem")).unwrap();
        let Err(Faults(faults)) = read(&folder.path("config.toml")) else { panic!("there are faults") };
        assert!(faults.iter().all(|fault| !fault.found.contains("no such file")), "{faults:?}");
    }
}
