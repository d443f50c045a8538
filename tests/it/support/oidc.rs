//! oidc-provider, an authorization server that no one here wrote, and how its clients get their tokens.

use std::process::Command;

use serde_json::Value;

use super::curl::Curl;
use super::node;
use super::pki::{Identity, Pki};
use super::process::Process;

/// The signature algorithms that the fixture offers, each under a resource of its own.
pub(crate) const ALGORITHMS: [&str; 4] = ["ES256", "PS256", "EdDSA", "RS256"];

/// The resource (RFC 8707) whose tokens are opaque.
pub(crate) const OPAQUE: &str = "https://opaque.example.test";

/// The resource (RFC 8707) whose tokens are JWTs with this algorithm.
pub(crate) fn resource(algorithm: &str) -> String {
    format!("https://api.example.test/{}", algorithm.to_lowercase())
}

/// How a client of `tests/oidc/server.mjs` shows who it is.
#[derive(Clone, Copy)]
pub(crate) enum Account<'a> {
    /// `tls-client` (RFC 8705 §2.1), which is client A.
    Tls(&'a Identity),
    /// `self-signed-client` (RFC 8705 §2.2)
    SelfSigned(&'a Identity),
    /// `unbound-client`, by its secret and without a certificate.
    Unbound,
}

/// The running server.
pub(crate) struct OidcProvider {
    /// Its issuer identifier, an `https` URL.
    pub(crate) issuer: String,
    process: Process,
}

impl OidcProvider {
    /// Starts it; `None`, after saying why, where it cannot run.
    pub(crate) fn start(pki: &Pki) -> Option<OidcProvider> {
        OidcProvider::start_on(pki, 0)
    }

    /// The same on this port, so that it can come later than who asks for it, or again with other keys.
    pub(crate) fn start_on(pki: &Pki, port: u16) -> Option<OidcProvider> {
        if !node::available() {
            return None;
        }
        let mut command = Command::new("node");
        command.arg(node::folder().join("server.mjs"));
        command.arg("--cert").arg(&pki.server.certificate).arg("--key").arg(&pki.server.private_key);
        command.arg("--client-ca").arg(&pki.authority.certificate);
        command.arg("--self-signed").arg(&pki.self_signed.certificate);
        command.arg("--port").arg(port.to_string());
        let process = Process::spawn(&mut command);
        let issuer =
            |line: &str| Some(serde_json::from_str::<Value>(line).ok()?["issuer"].as_str()?.to_owned());
        let Some(issuer) = process.stdout.find(issuer) else {
            panic!("tests/oidc/server.mjs does not start\n{}", process.output());
        };
        Some(OidcProvider { issuer, process })
    }

    /// Signs with new keys of this name from now on, published beside the old ones.
    pub(crate) fn rotate(&mut self, name: &str) {
        self.order(&format!("rotate {name}"), |kids| kids.contains(name));
    }

    /// Publishes the newest keys alone.
    pub(crate) fn withdraw(&mut self) {
        self.order("withdraw", |kids| kids.matches('-').count() == ALGORITHMS.len());
    }

    fn order(&mut self, line: &str, done: impl Fn(&str) -> bool) {
        self.process.say(line);
        let heard = self.process.stdout.find(|line| (line.contains("kids") && done(line)).then_some(()));
        assert!(heard.is_some(), "{line}: no answer\n{}", self.process.output());
    }

    /// An access token for this resource and scope, got with curl as a client would (RFC 6749 §4.4).
    pub(crate) fn token(&self, pki: &Pki, account: Account<'_>, resource: &str, scope: &str) -> String {
        let answer = self.request_token(pki, account, resource, scope);
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// The token endpoint's whole answer.
    pub(crate) fn request_token(
        &self,
        pki: &Pki,
        account: Account<'_>,
        resource: &str,
        scope: &str,
    ) -> Value {
        let curl = Curl::to(&format!("{}/token", self.issuer), &pki.authority.certificate);
        let curl = match account {
            Account::Tls(identity) => curl.identity(identity).args(&["--data", "client_id=tls-client"]),
            Account::SelfSigned(identity) => {
                curl.identity(identity).args(&["--data", "client_id=self-signed-client"])
            }
            Account::Unbound => curl.args(&["--user", "unbound-client:unbound-client-secret"]),
        };
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        let curl = form
            .iter()
            .fold(curl, |curl, (name, value)| curl.args(&["--data-urlencode", &format!("{name}={value}")]));
        curl.run().unwrap().json()
    }

    /// Revokes a token as the client that it was issued to (RFC 7009).
    pub(crate) fn revoke(&self, pki: &Pki, identity: &Identity, token: &str) {
        let curl = Curl::to(&format!("{}/token/revocation", self.issuer), &pki.authority.certificate);
        let curl = curl.identity(identity).args(&["--data", "client_id=tls-client"]);
        let answer = curl.args(&["--data-urlencode", &format!("token={token}")]).run().unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }

    /// What the server says about a token (RFC 7662), asked as the resource server.
    pub(crate) fn introspect(&self, pki: &Pki, token: &str) -> Value {
        let curl = Curl::to(&format!("{}/token/introspection", self.issuer), &pki.authority.certificate);
        let curl = curl.args(&["--user", "resource-server:resource-server-secret"]);
        curl.args(&["--data-urlencode", &format!("token={token}")]).run().unwrap().json()
    }
}
