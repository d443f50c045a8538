//! How calls reach the authorization server: over which connections, with what trust, how many at once.

use std::sync::{Arc, OnceLock};
use std::thread;

use http::Request;
use serde_json::json;

use super::super::support::boundgate::Boundgate;
use super::super::support::h2::H2;
use super::super::support::pki::Identity;
use super::super::support::server::{Answer, Server};
use super::super::support::world::World;
use super::stage::{BASIC, Stage, active, active_with, form, passed, refused, until};

/// With this in `[[issuers]]` besides the introspection's endpoint; tells of client A's token and of what was logged.
fn ask(world: &World, server: &Server, ca: &str, tokens: &[&str]) -> (Vec<(u16, String)>, Boundgate) {
    let mut config = world.config();
    config.issuer += &format!("\n{ca}\n[issuers.introspection]\nendpoint = \"{}/i\"\n{BASIC}", server.url());
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let client = world.client(Some(&world.pki.client_a));
    let verdict = |token: &&str| client.get(boundgate.address, "/", Some(token)).unwrap().verdict();
    (tokens.iter().map(verdict).collect(), boundgate)
}

#[test]
fn calls_share_a_connection_and_trust_the_issuers_ca() {
    let world = World::new();
    let answer = active(&world.pki.client_a);
    let server = Server::https(&world.pki.server, move |_| Answer::json(&answer));
    let (verdicts, _boundgate) = ask(&world, &server, "ca = \"ca.pem\"", &["one", "two", "three"]);
    assert_eq!(verdicts, [passed(), passed(), passed()]);
    assert_eq!((server.requests().len(), server.connections()), (3, 1));

    let (verdicts, boundgate) = ask(&world, &server, "", &["one"]);
    assert_eq!(verdicts, [refused(503, "introspection-unavailable")]);
    assert_eq!(boundgate.metric("boundgate_introspections_total", &["outcome=\"tls\""]), 1.0);
    let line = boundgate.log_line(|line| line["reason"] == "introspection-unavailable");
    assert!(line["note"].as_str().unwrap().contains("TLS: "), "{line}");
    assert_eq!(server.requests().len(), 3, "no token is shown to it");
}

#[test]
fn with_a_certificate_of_our_own_the_mtls_alias_is_called() {
    // RFC 8705 §2.1: the form names the client, the certificate proves it; §5: the alias comes first.
    let world = World::new();
    let url = Arc::<OnceLock<String>>::default();
    let (named, answer) = (Arc::clone(&url), active_with(&world.pki.client_a, "iss", json!(null)));
    let server = Server::https(&world.pki.server, move |request| {
        let url = named.get().unwrap();
        match request.target() {
            "/.well-known/oauth-authorization-server" => Answer::json(&json!({
                "issuer": url, "introspection_endpoint": format!("{url}/plain"),
                "mtls_endpoint_aliases": {"introspection_endpoint": format!("{url}/mtls")},
            })),
            "/plain" | "/mtls" => Answer::json(&answer),
            _ => Answer::status(404, "text/plain", ""),
        }
    });
    url.set(server.url()).unwrap();
    let mut config = world.config();
    let own = &world.pki.client_b;
    config.issuer = format!(
        "issuer = \"{}\"\naudiences = [\"https://api.example.test\"]\nca = \"ca.pem\"\n\
         [issuers.tls]\ncertificate = \"{}\"\nprivate_key = \"{}\"\n\
         [issuers.introspection]\nclient_id = \"boundgate\"\nclient_auth = \"tls_client_auth\"\n",
        server.url(),
        own.certificate.display(),
        own.private_key.display()
    );
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let client = world.client(Some(&world.pki.client_a));
    assert_eq!(client.get(boundgate.address, "/", Some("opaque")).unwrap().verdict(), passed());
    let calls = server.requests();
    let call = calls.iter().find(|call| call.method() == "POST").unwrap();
    assert_eq!((call.target(), call.value("authorization")), ("/mtls", None));
    let form = form(call);
    assert_eq!(form["client_id"], "boundgate");
    assert!(!form.contains_key("client_secret") && !form.contains_key("client_assertion"));
}

#[test]
fn an_issuer_has_at_most_64_calls_whoever_they_are_for() {
    let stage = Stage::new(&format!("{BASIC}\ntimeout = \"60s\""));
    let clients: Vec<Identity> =
        (0..18).map(|n| stage.world.pki.authority.issue_client(&format!("client-{n}"))).collect();
    stage.issuer.script.hold(true);
    thread::scope(|scope| {
        let requests = clients.iter().enumerate().map(|(n, client)| {
            let mut connection = H2::connect(&stage.client(client), stage.boundgate.address).unwrap();
            scope.spawn(move || {
                let sent = (0..4).map(|m| {
                    let request = Request::get("https://localhost/")
                        .header("authorization", format!("Bearer t-{n}-{m}"));
                    connection.sender.send_request(request.body(Default::default()).unwrap())
                });
                let sent: Vec<_> = sent.collect();
                connection.runtime.block_on(async {
                    for answer in sent {
                        assert_eq!(answer.await.unwrap().status(), 401);
                    }
                });
            })
        });
        let requests: Vec<_> = requests.collect();
        let misses = || stage.boundgate.metric("boundgate_token_cache_total", &["outcome=\"miss\""]);
        until("all have asked", || misses() == 72.0);
        let in_flight = || stage.boundgate.metric("boundgate_introspections_in_flight", &[]);
        stage.issuer.until_calls(64);
        assert_eq!((stage.issuer.calls(), in_flight()), (64, 64.0));
        stage.issuer.script.hold(false);
        requests.into_iter().for_each(|request| request.join().unwrap());
    });
    assert_eq!(stage.issuer.calls(), 72, "the others had their turn");
}
