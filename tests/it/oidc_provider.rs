//! Boundgate between an authorization server and clients that no one here wrote: oidc-provider issues the tokens, curl and
//! Node's HTTP/2 client use them. Where Node.js is missing, these tests say so and pass; on CI they fail.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::support::boundgate::Boundgate;
use super::support::curl::Curl;
use super::support::node;
use super::support::oidc::{ALGORITHMS, Account, OidcProvider, resource};
use super::support::pki::{Identity, Pki};
use super::support::server::{Answer, Server};
use super::support::world::Config;

/// One run: the authorization server, the API, and Boundgate between the API and the clients.
struct Run {
    pki: Pki,
    oidc: OidcProvider,
    api: Server,
    boundgate: Boundgate,
}

impl Run {
    /// `keys` is the issuer's `jwks_uri` line, empty where the keys are to be discovered.
    fn start(client_certificates: &str, keys: impl FnOnce(&OidcProvider) -> String) -> Option<Run> {
        let pki = Pki::new();
        let oidc = OidcProvider::start(&pki)?;
        let api = Server::http(|_| Answer::ok("hello"));
        let audiences = ALGORITHMS.map(resource);
        let config = Config {
            client_certificates: client_certificates.to_owned(),
            issuer: format!(
                "issuer = \"{}\"\naudiences = {audiences:?}\nca = \"ca.pem\"\n{}",
                oidc.issuer,
                keys(&oidc)
            ),
            more: "[[routes]]\npath = \"/admin/*\"\nscopes = [\"admin\"]\n\n\
                   [forward.claims]\nX-Auth-Client = \"client_id\"\n"
                .to_owned(),
            ..Config::new(&api)
        };
        let boundgate = Boundgate::start(pki.path(), &config);
        Some(Run { pki, oidc, api, boundgate })
    }

    fn token(&self, account: Account<'_>, algorithm: &str, scope: &str) -> String {
        self.oidc.token(&self.pki, account, &resource(algorithm), scope)
    }

    /// What this client gets with this token: the same from curl over HTTP/1.1 and HTTP/2 and from Node over HTTP/2.
    fn verdict(&self, path: &str, identity: Option<&Identity>, token: &str) -> (u16, String) {
        let (url, ca) =
            (format!("https://{}{path}", self.boundgate.address), &self.pki.authority.certificate);
        let [over_h1, over_h2] = ["--http1.1", "--http2"].map(|version| {
            let curl = Curl::to(&url, ca).token(token).args(&[version]);
            let curl = identity.into_iter().fold(curl, Curl::identity);
            curl.run().unwrap()
        });
        assert!(over_h2.start.starts_with("HTTP/2 "), "{}", over_h2.start);
        assert_eq!(over_h1.verdict(), over_h2.verdict());
        let (status, body) = node::get(&url, ca, identity, token);
        assert_eq!((status, body.contains(&over_h1.verdict().1)), (over_h1.status(), true), "{body}");
        if over_h1.status() == 401 {
            // RFC 6750 §3: the challenge comes with every refusal for a credential's sake.
            let challenge = over_h1.value("www-authenticate").expect("WWW-Authenticate");
            assert!(
                challenge.starts_with("Bearer") && challenge.contains("error=\"invalid_token\""),
                "{challenge}"
            );
        }
        over_h1.verdict()
    }
}

fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

fn passed() -> (u16, String) {
    (200, String::new())
}

#[test]
fn a_token_passes_with_the_certificate_that_it_was_issued_to_and_with_no_other() {
    let discovered = |_: &OidcProvider| String::new();
    let certificates = "mode = \"optional\"\ntrust = \"ca\"\nca = \"ca.pem\"";
    let Some(run) = Run::start(certificates, discovered) else { return };
    let (a, b) = (Some(&run.pki.client_a), Some(&run.pki.client_b));
    let token = run.token(Account::Tls(&run.pki.client_a), "ES256", "read");

    // RFC 8705 §3: the certificate of this very connection must be the one that the token names.
    assert_eq!(run.verdict("/orders", a, &token), passed());
    assert_eq!(run.verdict("/orders", b, &token), refused(401, "thumbprint-mismatch"));
    assert_eq!(run.verdict("/orders", None, &token), refused(401, "certificate-missing"));

    let unbound = run.token(Account::Unbound, "ES256", "read");
    assert_eq!(run.verdict("/orders", a, &unbound), refused(401, "token-unbound"));

    // RFC 6750 §3.1: insufficient_scope.
    assert_eq!(run.verdict("/admin/users", a, &token), refused(403, "scope-missing"));
    let admin = run.token(Account::Tls(&run.pki.client_a), "ES256", "read admin");
    assert_eq!(run.verdict("/admin/users", a, &admin), passed());

    let requests = run.api.requests();
    assert_eq!(requests.len(), 6, "three clients passed twice, and nothing that was refused reached the API");
    assert!(requests.iter().all(|request| request.value("x-auth-client") == Some("tls-client")));
}

#[test]
fn every_algorithm_of_the_default_is_accepted() {
    let discovered = |_: &OidcProvider| String::new();
    let certificates = "mode = \"required\"\ntrust = \"ca\"\nca = \"ca.pem\"";
    let Some(run) = Run::start(certificates, discovered) else { return };
    for algorithm in ALGORITHMS {
        let token = run.token(Account::Tls(&run.pki.client_a), algorithm, "read");
        assert_eq!(header(&token)["alg"], algorithm);
        assert_eq!(run.verdict("/", Some(&run.pki.client_a), &token), passed(), "{algorithm}");
    }
}

#[test]
fn a_self_signed_client_passes_where_any_certificate_is_admitted() {
    // RFC 8705 §2.2, §6.2: no chain is needed for the binding; the handshake has proven the key.
    let jwks_uri = |oidc: &OidcProvider| format!("jwks_uri = \"{}/jwks\"", oidc.issuer);
    let Some(run) = Run::start("mode = \"required\"\ntrust = \"any\"", jwks_uri) else { return };
    let token = run.token(Account::SelfSigned(&run.pki.self_signed), "ES256", "read");
    assert_eq!(run.verdict("/", Some(&run.pki.self_signed), &token), passed());
    assert_eq!(run.verdict("/", Some(&run.pki.client_a), &token), refused(401, "thumbprint-mismatch"));
}

/// The server's part alone: without it, a passing test above would not tell whether the tokens are what they should be.
#[test]
fn the_server_issues_what_these_tests_build_on() {
    let pki = Pki::new();
    let Some(oidc) = OidcProvider::start(&pki) else { return };
    let client = Account::Tls(&pki.client_a);
    let bound_to_a = json!({"x5t#S256": pki.client_a.thumbprint()});

    let token = oidc.token(&pki, client, &resource("ES256"), "read");
    assert_eq!((&header(&token)["typ"], &header(&token)["kid"]), (&json!("at+jwt"), &json!("fixture-es256")));
    assert_eq!(claims(&token)["cnf"], bound_to_a);
    assert_eq!(claims(&token)["aud"], resource("ES256"));
    let unbound = oidc.token(&pki, Account::Unbound, &resource("ES256"), "read");
    assert_eq!(claims(&unbound).get("cnf"), None);

    let opaque = oidc.token(&pki, client, "https://opaque.example.test", "read");
    let answer = oidc.introspect(&pki, &opaque);
    assert_eq!((&answer["active"], &answer["cnf"]), (&json!(true), &bound_to_a));

    let another = oidc.request_token(&pki, Account::Tls(&pki.client_b), &resource("ES256"), "read");
    assert_eq!(another["error"], "invalid_client");
}

fn header(token: &str) -> Value {
    part(token, 0)
}

fn claims(token: &str) -> Value {
    part(token, 1)
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a JWS in compact form");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
