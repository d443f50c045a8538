//! What the demo plays on: a folder with certificates and a configuration, an authorization server, an echo API, two clients.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::authorization_server::{AuthorizationServer, Client, Options};
use super::client::client;
use super::echo::Echo;
use super::loopback::port_or_any;
use super::pki::{Authority, Identity, LOOPBACK_NAMES, Validity};
use super::{Error, pki};

/// The API that tokens are for.
const AUDIENCE: &str = "https://api.example.com";
/// Lifetime of tokens: long enough to play with the `curl` lines.
const TOKEN_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// Ports that are taken if all goes well, in the order: authorization server, sidecar, its admin address, echo API. Whoever has the
/// first has the others too; a second demo beside takes any ports.
const PORTS: [u16; 4] = [9443, 8443, 9901, 8080];

/// Both clients' scope; `orders.write` is what neither may have.
const SCOPE: &str = "orders.read";

/// Everything but the sidecar. Dropping it stops the servers and removes the folder.
pub(super) struct Stage {
    pub(super) folder: Folder,
    pub(super) authorization_server: AuthorizationServer,
    pub(super) echo: Echo,
    pub(super) client_a: Actor,
    pub(super) client_b: Actor,
    /// A client without a certificate.
    pub(super) nobody: reqwest::Client,
}

/// A client with a certificate.
pub(super) struct Actor {
    pub(super) http: reqwest::Client,
    pub(super) thumbprint: String,
}

impl Stage {
    /// Sets everything up in a new folder below `base`.
    pub(super) fn set(base: &Path) -> Result<Stage, Error> {
        let folder = Folder::create(base)?;
        let ca = Authority::new("Boundgate demo CA", Validity::days(1))?;
        folder.write("ca.pem", ca.identity().certificate_pem())?;
        let server = ca.server(&LOOPBACK_NAMES, Validity::days(1))?;
        folder.write("server.pem", server.certificate_pem())?;
        folder.write("server.key", server.private_key_pem())?;
        let actor = |name: &str| -> Result<Actor, Error> {
            let identity = ca.client(name, Validity::days(1))?;
            folder.write(&format!("{name}.pem"), &with_key(&identity))?;
            Ok(Actor { http: client(&ca, Some(&identity))?, thumbprint: identity.thumbprint() })
        };
        let (client_a, client_b) = (actor("client-a")?, actor("client-b")?);

        let [preferred, sidecar, admin, upstream] = PORTS;
        let authorization_server = AuthorizationServer::start(&ca, registrations(preferred))
            .or_else(|_| AuthorizationServer::start(&ca, registrations(0)))?;
        let alone = authorization_server.port() == preferred;
        let port = |port| if alone { port_or_any(port) } else { 0 };
        let echo = Echo::start(port(upstream)).map_err(|e| Error::new("starting the echo API", e))?;
        folder
            .write("config.toml", &configuration(&authorization_server, &echo, port(sidecar), port(admin)))?;
        Ok(Stage { folder, authorization_server, echo, client_a, client_b, nobody: client(&ca, None)? })
    }
}

/// `curl --cert` takes both from one file.
fn with_key(identity: &Identity) -> String {
    format!("{}{}", identity.certificate_pem(), identity.private_key_pem())
}

/// The client `client-unbound` is client A under another registration: same certificate, but tokens without `cnf`.
fn registrations(port: u16) -> Options {
    let mut unbound = Client::new("client-unbound", &[SCOPE]);
    unbound.subject_dn = "CN=client-a".to_owned();
    unbound.bound = false;
    Options {
        port,
        audience: AUDIENCE.to_owned(),
        clients: vec![Client::new("client-a", &[SCOPE]), Client::new("client-b", &[SCOPE]), unbound],
        lifetime: TOKEN_LIFETIME,
    }
}

/// What the sidecar is run with. Port 0: any.
fn configuration(issuer: &AuthorizationServer, echo: &Echo, port: u16, admin_port: u16) -> String {
    let (issuer, upstream) = (issuer.issuer(), echo.address());
    format!(
        r#"# What the demo runs the sidecar with. Paths start from this file's folder.

[listener]
address     = "127.0.0.1:{port}"
certificate = "server.pem"
private_key = "server.key"

[client_certificates]
mode = "optional"      # so that the demo can show what a request without a certificate is told; the default is "required"
ca   = "ca.pem"

[[issuers]]
issuer    = "{issuer}"
audiences = ["{AUDIENCE}"]
ca        = "ca.pem"

[[routes]]
path   = "/public/*"
access = "public"

[[routes]]
path    = "/orders"
methods = ["GET"]
scopes  = ["orders.read"]

[[routes]]
path    = "/orders"
methods = ["POST"]
scopes  = ["orders.write"]

[upstream]
url = "http://{upstream}"

[forward]
authorization = "remove"   # the API gets to know who calls, and not the token

[forward.claims]
X-Auth-Client = "client_id"

[admin]
address = "127.0.0.1:{admin_port}"
"#
    )
}

/// A folder of this demo's own that only its user can enter; removed when this is dropped, unless kept.
pub(super) struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn create(base: &Path) -> Result<Folder, Error> {
        let id: String = pki::random::<4>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = base.join(format!("boundgate-demo-{id}"));
        let failed = |e| Error::new(&format!("making the folder {}", path.display()), e);
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Folder { path, keep: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of this file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), Error> {
        let path = self.file(name);
        fs::write(&path, content).map_err(|e| Error::new(&format!("writing {}", path.display()), e))
    }

    /// A new file, open for writing.
    pub(super) fn create_file(&self, name: &str) -> Result<File, Error> {
        let path = self.file(name);
        File::create_new(&path).map_err(|e| Error::new(&format!("making {}", path.display()), e))
    }

    /// Leaves the folder for its user to look into.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn its_folder_is_private_and_leaves_with_it() {
        let base = tempfile::tempdir().unwrap();
        let stage = Stage::set(base.path()).unwrap();
        let path = stage.folder.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let config: toml::Table = fs::read_to_string(path.join("config.toml")).unwrap().parse().unwrap();
        assert_eq!(config["issuers"][0]["issuer"].as_str(), Some(stage.authorization_server.issuer()));
        assert_eq!(config["upstream"]["url"].as_str().unwrap(), format!("http://{}", stage.echo.address()));
        for file in ["certificate", "private_key"] {
            assert!(path.join(config["listener"][file].as_str().unwrap()).is_file());
        }
        drop(stage);
        assert!(!path.exists());
    }

    #[test]
    fn a_second_demo_finds_ports_of_its_own() {
        let base = tempfile::tempdir().unwrap();
        let (one, two) = (Stage::set(base.path()).unwrap(), Stage::set(base.path()).unwrap());
        assert_ne!(one.authorization_server.port(), two.authorization_server.port());
        assert_ne!(one.echo.address(), two.echo.address());
    }
}
