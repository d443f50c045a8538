//! The keys of an authorization server that no one here wrote: replaced, withdrawn, out of reach, late.

use std::time::{Duration, Instant};

use serde_json::json;

use super::reload::until;
use super::support::boundgate::{Boundgate, free_address};
use super::support::client::Client;
use super::support::issuer::AUDIENCE;
use super::support::oidc::{Account, OidcProvider, resource};
use super::support::pki::Pki;
use super::support::server::{Answer, Server};
use super::support::world::{Config, World};

struct Run {
    pki: Pki,
    _api: Server,
    boundgate: Boundgate,
    port: u16,
}

impl Run {
    /// Boundgate in front of an API, with an issuer on this port.
    fn spawn(pki: Pki, port: u16, keys: &str) -> Run {
        let api = Server::http(|_| Answer::ok("hello"));
        let issuer = format!(
            "issuer = \"https://127.0.0.1:{port}\"\naudiences = [\"{}\"]\nca = \"ca.pem\"\n{keys}",
            resource("ES256")
        );
        let boundgate = Boundgate::spawn(pki.path(), &Config { issuer, ..Config::new(&api) });
        Run { pki, _api: api, boundgate, port }
    }

    /// The same with an authorization server that is there already; `None` where it cannot run.
    fn start(keys: &str) -> Option<(OidcProvider, Run)> {
        let (pki, port) = (Pki::new(), free_address().port());
        let oidc = OidcProvider::start_on(&pki, port)?;
        let mut run = Run::spawn(pki, port, keys);
        run.boundgate.wait_until_ready();
        Some((oidc, run))
    }

    fn token(&self, oidc: &OidcProvider) -> String {
        oidc.token(&self.pki, Account::Tls(&self.pki.client_a), &resource("ES256"), "read")
    }

    /// The status and the reason of a request with this token, on a connection of its own.
    fn verdict(&self, token: &str) -> (u16, String) {
        let client = Client::new(&self.pki.authority, Some(&self.pki.client_a));
        client.get(self.boundgate.address, "/", Some(token)).unwrap().verdict()
    }

    /// What `/readyz` says of the issuer.
    fn state(&self) -> (u16, serde_json::Value) {
        let answer = self.boundgate.ask("/readyz").unwrap();
        (answer.status(), answer.json()["issuers"][0].clone())
    }
}

fn passed() -> (u16, String) {
    (200, String::new())
}

#[test]
fn a_new_key_is_known_with_its_first_token() {
    let Some((mut oidc, run)) = Run::start("jwks_refresh = \"1h\"") else { return };
    let old = run.token(&oidc);
    assert_eq!(run.verdict(&old), passed());
    oidc.rotate("second");
    let new = run.token(&oidc);
    assert_eq!(run.verdict(&new), passed(), "at once");
    assert_eq!(run.verdict(&old), passed(), "it is still published");
}

#[test]
fn a_key_that_is_withdrawn_counts_until_the_next_refresh() {
    let Some((mut oidc, run)) = Run::start("jwks_refresh = \"2s\"") else { return };
    let old = run.token(&oidc);
    oidc.rotate("second");
    let new = run.token(&oidc);
    assert_eq!([run.verdict(&old), run.verdict(&new)], [passed(), passed()]);
    oidc.withdraw();
    let withdrawn = (401, "key-unknown".to_owned());
    let took = until("the refresh", || run.verdict(&old) == withdrawn);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(run.verdict(&new), passed());
}

#[test]
fn a_key_that_was_exchanged_under_its_name_is_found() {
    let Some((oidc, run)) = Run::start("jwks_refresh = \"1h\"") else { return };
    let old = run.token(&oidc);
    assert_eq!(run.verdict(&old), passed());
    drop(oidc);
    // New keys, the same names.
    let oidc = OidcProvider::start_on(&run.pki, run.port).unwrap();
    let new = run.token(&oidc);
    assert_eq!(run.verdict(&new), passed(), "at once");
    assert_eq!(run.verdict(&old), (401, "signature-invalid".to_owned()));
}

#[test]
fn keys_serve_through_an_outage() {
    let Some((oidc, run)) = Run::start("jwks_refresh = \"1s\"") else { return };
    let token = run.token(&oidc);
    drop(oidc);
    until("an outage", || run.state().1["error"].is_string());
    let (status, issuer) = run.state();
    assert_eq!((status, &issuer["state"]), (200, &json!("usable")), "an outage does not turn readiness back");
    assert_eq!(run.verdict(&token), passed(), "a token that was not seen before");

    let oidc = OidcProvider::start_on(&run.pki, run.port).unwrap();
    let began = Instant::now();
    until("the recovery", || run.state().1["error"].is_null());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(run.verdict(&run.token(&oidc)), passed());
}

#[test]
fn keys_that_are_too_old_serve_no_longer() {
    let Some((oidc, run)) = Run::start("jwks_refresh = \"1s\"\njwks_max_stale = \"2s\"") else { return };
    let token = run.token(&oidc);
    assert_eq!(run.verdict(&token), passed());
    drop(oidc);
    until("the end of the keys", || run.verdict(&token) == (503, "keys-unavailable".to_owned()));
    let (status, issuer) = run.state();
    assert_eq!((status, &issuer["state"]), (200, &json!("stale")));
    let _oidc = OidcProvider::start_on(&run.pki, run.port).unwrap();
    // Its keys are new, so that the old token's is not among them; but they can be had.
    until("the recovery", || run.verdict(&token) == (401, "signature-invalid".to_owned()));
}

#[test]
fn boundgate_may_be_there_first() {
    let (pki, port) = (Pki::new(), free_address().port());
    // For a token, the authorization server is needed for a moment.
    let Some(oidc) = OidcProvider::start_on(&pki, port) else { return };
    let early = oidc.token(&pki, Account::Tls(&pki.client_a), &resource("ES256"), "read");
    drop(oidc);
    let run = Run::spawn(pki, port, "");
    run.boundgate.process.stdout.find(|line| line.contains("listening").then_some(())).unwrap();
    let client = Client::new(&run.pki.authority, Some(&run.pki.client_a));
    let answer = client.get(run.boundgate.address, "/", Some(&early)).unwrap();
    assert_eq!(answer.verdict(), (503, "keys-unavailable".to_owned()));
    assert!(answer.value("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    let (status, issuer) = run.state();
    assert_eq!((status, &issuer["state"]), (503, &json!("not-yet")));

    let oidc = OidcProvider::start_on(&run.pki, port).unwrap();
    let token = run.token(&oidc);
    // Nobody asks for the keys here: it recovers by itself.
    let took = until("readiness", || run.state().0 == 200);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(run.verdict(&token), passed());
}

#[test]
fn tokens_with_invented_keys_cause_few_calls() {
    let mut world = World::new();
    let keys = world.issuer.jwks();
    let server = Server::https(&world.pki.server, move |_| Answer::json(&keys));
    let issuer = format!(
        "issuer = \"{}\"\naudiences = [\"{AUDIENCE}\"]\nca = \"ca.pem\"\njwks_uri = \"{}/jwks\"",
        world.issuer.name,
        server.url()
    );
    let boundgate = Boundgate::start(world.pki.path(), &Config { issuer, ..world.config() });
    let good = world.issuer.token(&world.pki.client_a);
    let mut connection = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    let began = Instant::now();
    for number in 0..100 {
        world.issuer.key_id = format!("invented-{number}");
        let token = world.issuer.token(&world.pki.client_a);
        let verdict = connection.get("/", Some(&token)).unwrap().verdict();
        assert_eq!(verdict, (401, "key-unknown".to_owned()));
    }
    // The first, a few at once, then one in 10 s.
    let most = 1 + 4 + began.elapsed().as_secs() / 10;
    assert!(server.requests().len() as u64 <= most, "{} calls", server.requests().len());
    assert_eq!(connection.get("/", Some(&good)).unwrap().status(), 200);
}
