//! Where most tests begin: certificates, an issuer and an API, and the configuration that ties them together.

use std::net::SocketAddr;

use super::client::Client;
use super::issuer::{AUDIENCE, Issuer};
use super::pki::{Identity, Pki};
use super::server::{Answer, Server};

/// An issuer whose keys are a file, and an API that answers `hello`.
pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) issuer: Issuer,
    pub(crate) api: Server,
}

impl World {
    pub(crate) fn new() -> World {
        let (pki, issuer) = (Pki::new(), Issuer::new("https://as.example.test"));
        issuer.write_jwks(&pki.path().join("jwks.json"));
        World { pki, issuer, api: Server::http(|_| Answer::ok("hello")) }
    }

    /// A configuration under which a good token with its certificate passes everywhere.
    pub(crate) fn config(&self) -> Config {
        let issuer = format!(
            "issuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\njwks_file = \"jwks.json\"",
            self.issuer.name
        );
        Config { issuer, ..Config::new(&self.api) }
    }

    /// A client with this certificate, or none.
    pub(crate) fn client(&self, identity: Option<&Identity>) -> Client {
        Client::new(&self.pki.authority, identity)
    }
}

/// A `config.toml` in parts, each the lines of its section. File names are those of [`Pki`]; addresses come with the start.
#[derive(Clone)]
pub(crate) struct Config {
    /// `[listener]`, besides its address, certificate and key.
    pub(crate) listener: String,
    /// `[client_certificates]`
    pub(crate) client_certificates: String,
    /// The first of `[[issuers]]`.
    pub(crate) issuer: String,
    /// `[upstream]`
    pub(crate) upstream: String,
    /// `[admin]`, besides its address.
    pub(crate) admin: String,
    /// Whole sections, each with its heading.
    pub(crate) more: String,
}

impl Config {
    /// Everything but an issuer: clients of the authority, in front of this API.
    pub(crate) fn new(api: &Server) -> Config {
        Config {
            listener: String::new(),
            client_certificates: "mode = \"required\"\ntrust = \"ca\"\nca = \"ca.pem\"".to_owned(),
            issuer: String::new(),
            upstream: format!("url = \"{}\"", api.url()),
            admin: String::new(),
            more: String::new(),
        }
    }

    /// The text of the file.
    pub(crate) fn text(&self, listener: SocketAddr, admin: SocketAddr) -> String {
        format!(
            "[listener]\naddress = \"{listener}\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n{}\n\n\
             [client_certificates]\n{}\n\n[[issuers]]\n{}\n\n[upstream]\n{}\n\n[admin]\naddress = \"{admin}\"\n{}\n\n{}\n",
            self.listener, self.client_certificates, self.issuer, self.upstream, self.admin, self.more
        )
    }
}
