//! The same with an authorization server that no one here wrote: oidc-provider issues opaque tokens and answers about them, to each way
//! of authenticating, in JSON and signed. Where Node.js is missing, these tests say so and pass; on CI they fail.

use std::fs;
use std::os::unix::net::UnixStream;

use super::super::support::boundgate::Boundgate;
use super::super::support::client::Client;
use super::super::support::oidc::{Account, OPAQUE, OidcProvider};
use super::super::support::pki::Pki;
use super::super::support::server::{Answer, Server};
use super::super::support::world::Config;
use super::stage::{passed, refused, until};

const BASIC: &str = "client_id = \"resource-server\"\nclient_secret = \"resource-server-secret\"\n";
const POST: &str = "client_id = \"resource-server-post\"\nclient_secret_file = \"secret\"\nclient_auth = \"client_secret_post\"\n";
const JWT: &str =
    "client_id = \"resource-server-jwt\"\nclient_auth = \"private_key_jwt\"\nkey_id = \"resource-server\"\n";
const TLS: &str = "client_id = \"resource-server-tls\"\nclient_auth = \"tls_client_auth\"\n";

struct Run {
    pki: Pki,
    oidc: OidcProvider,
    api: Server,
    boundgate: Boundgate,
}

impl Run {
    fn start(introspection: impl FnOnce(&Pki) -> String) -> Option<Run> {
        let pki = Pki::new();
        let oidc = OidcProvider::start(&pki)?;
        let api = Server::http(|_| Answer::ok("hello"));
        fs::write(pki.path().join("secret"), "resource-server-secret\n").unwrap();
        let sections = introspection(&pki);
        let issuer =
            format!("issuer = \"{}\"\naudiences = [\"{OPAQUE}\"]\nca = \"ca.pem\"\n{sections}", oidc.issuer);
        let config =
            Config { issuer, admin: "control = \"unix:control.sock\"".to_owned(), ..Config::new(&api) };
        let boundgate = Boundgate::start(pki.path(), &config);
        Some(Run { pki, oidc, api, boundgate })
    }

    fn token(&self) -> String {
        self.oidc.token(&self.pki, Account::Tls(&self.pki.client_a), OPAQUE, "read")
    }

    fn verdict(&self, client: &Client, token: &str) -> (u16, String) {
        client.get(self.boundgate.address, "/", Some(token)).unwrap().verdict()
    }

    /// A good token with both certificates, and a token of nobody's.
    fn play(&self) {
        // The keys for signed answers come apart from the endpoint, by which readiness is decided.
        until("keys", || {
            let ready = self.boundgate.ask("/readyz").unwrap().json();
            ready["issuers"][0]["keys"].as_u64() > Some(0) && ready["issuers"][0]["introspection"] == "usable"
        });
        let [a, b] =
            [&self.pki.client_a, &self.pki.client_b].map(|id| Client::new(&self.pki.authority, Some(id)));
        let token = self.token();
        assert!(!token.contains('.'), "opaque: {token}");
        assert_eq!(self.verdict(&a, &token), passed());
        assert_eq!(self.verdict(&b, &token), refused(401, "thumbprint-mismatch"));
        assert_eq!(self.verdict(&a, "nobodys"), refused(401, "token-inactive"));
        assert_eq!(self.api.requests().len(), 1);
    }
}

#[test]
fn every_way_of_authenticating_is_accepted() {
    for section in [BASIC, POST] {
        let Some(run) = Run::start(|_| format!("[issuers.introspection]\n{section}")) else { return };
        run.play();
    }
    let jwt = |pki: &Pki| {
        format!("[issuers.introspection]\n{JWT}signing_key = \"{}\"\n", pki.self_signed.private_key.display())
    };
    let Some(run) = Run::start(jwt) else { return };
    run.play();
    // RFC 8705 §2.1, §5
    let tls = |pki: &Pki| {
        let b = &pki.client_b;
        format!(
            "[issuers.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n[issuers.introspection]\n{TLS}",
            b.certificate.display(),
            b.private_key.display()
        )
    };
    let Some(run) = Run::start(tls) else { return };
    run.play();
}

#[test]
fn signed_answers_are_read() {
    // RFC 9701
    let signed = |_: &Pki| format!("[issuers.introspection]\n{BASIC}answer = \"signed\"\n");
    let Some(run) = Run::start(signed) else { return };
    run.play();
}

#[test]
fn a_wrong_secret_is_the_operators_to_see_and_not_the_clients_fault() {
    let wrong = |_: &Pki| format!("[issuers.introspection]\n{}", BASIC.replace("-secret\"", "-wrong\""));
    let Some(run) = Run::start(wrong) else { return };
    let a = Client::new(&run.pki.authority, Some(&run.pki.client_a));
    assert_eq!(run.verdict(&a, &run.token()), refused(503, "introspection-unavailable"));
    let line = run.boundgate.log_line(|line| line["reason"] == "introspection-unavailable");
    assert!(line["note"].as_str().unwrap().ends_with("status 401"), "{line}");
}

#[test]
fn a_token_that_is_revoked_at_the_server_is_refused_as_soon_as_it_is_forgotten_here() {
    // RFC 7009
    let Some(run) = Run::start(|_| format!("[issuers.introspection]\n{BASIC}")) else { return };
    let a = Client::new(&run.pki.authority, Some(&run.pki.client_a));
    let token = run.token();
    assert_eq!(run.verdict(&a, &token), passed());
    run.oidc.revoke(&run.pki, &run.pki.client_a, &token);
    assert_eq!(run.verdict(&a, &token), passed(), "the window that cache_ttl leaves");
    let body = format!("{{\"issuer\":\"{}\",\"client_id\":\"tls-client\"}}", run.oidc.issuer);
    forget(&run, &body);
    assert_eq!(run.verdict(&a, &token), refused(401, "token-inactive"));
}

fn forget(run: &Run, body: &str) {
    use std::io::{BufReader, Write as _};
    let mut stream = BufReader::new(UnixStream::connect(run.pki.path().join("control.sock")).unwrap());
    let length = body.len();
    write!(
        stream.get_mut(),
        "POST /revocations HTTP/1.1\r\nHost: b\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let answer = super::super::support::message::read_response(&mut stream).unwrap();
    assert_eq!(answer.json()["dropped"], 1, "{}", answer.text());
}
