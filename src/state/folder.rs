//! A configuration for tests, with every file that it names, in a folder of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;

use super::load;
use super::pki::{Authority, Holder, pem};
use super::snapshot::Snapshot;
use crate::config::error::Faults;
use crate::config::resolve;

/// A folder with a configuration and every file that it names.
pub(super) struct Folder {
    dir: tempfile::TempDir,
    pub(super) servers: Authority,
    pub(super) clients: Authority,
}

pub(super) const CONFIG: &str = r#"
[listener]
address = "127.0.0.1:8443"
certificate = "server.pem"
private_key = "server.key"
[client_certificates]
mode = "required"
trust = "ca"
ca = "ca.pem"
crl = ["ca.crl"]
[[issuers]]
issuer = "https://as.example.com"
audiences = ["https://api.example.com"]
ca = "as-ca.pem"
[issuers.tls]
certificate = "call.pem"
private_key = "call.key"
[[issuers]]
issuer = "https://other.example.com"
audiences = ["https://api.example.com"]
jwks_file = "keys.json"
[upstream]
url = "http://127.0.0.1:8080"
"#;

impl Folder {
    pub(super) fn new() -> Folder {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { dir, servers: Authority::root("servers"), clients: Authority::root("clients") };
        folder.write_pair("server", &folder.servers.certify(1, |_| ()));
        folder.write_pair("call", &folder.clients.certify(2, |_| ()));
        folder.write("ca.pem", folder.clients.pem());
        folder.write("ca.crl", pem("X509 CRL", &folder.clients.crl(&[], 30)));
        folder.write("as-ca.pem", folder.servers.pem());
        folder.write("keys.json", jwks());
        folder.write("config.toml", CONFIG);
        folder
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(super) fn write_pair(&self, name: &str, holder: &Holder) {
        self.write(&format!("{name}.pem"), holder.pem());
        self.write(&format!("{name}.key"), holder.key.serialize_pem());
    }

    pub(super) fn load(&self, previous: Option<&Snapshot>) -> Result<Snapshot, Faults> {
        load::snapshot(Arc::new(resolve::read(&self.path("config.toml"))?), previous)
    }

    /// The faults, each as "key: found".
    pub(super) fn faults(&self) -> Vec<String> {
        let Err(Faults(faults)) = self.load(None) else { panic!("there is no fault") };
        faults.iter().map(|fault| format!("{}: {}", fault.key, fault.found)).collect()
    }
}

/// A key set with one new key.
pub(super) fn jwks() -> String {
    let key = KeyPair::generate().unwrap();
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
    format!(r#"{{"keys": [{{"kty": "EC", "crv": "P-256", "kid": "k", "x": "{x}", "y": "{y}"}}]}}"#)
}
