//! `/metrics` after real traffic: every family of the interface with its labels, in a text that Prometheus' own tool accepts.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::boundgate::Boundgate;
use crate::support::client::Client;
use crate::support::issuer::AUDIENCE;
use crate::support::message::Message;
use crate::support::process::eventually;
use crate::support::server::{Answer, Server};
use crate::support::world::{Config, World};

/// The families that the interface names: type, and labels of their own.
const FAMILIES: [(&str, &str, &[&str]); 13] = [
    ("boundgate_requests_total", "counter", &["decision", "reason"]),
    ("boundgate_request_duration_seconds", "histogram", &[]),
    ("boundgate_upstream_duration_seconds", "histogram", &[]),
    ("boundgate_connections", "gauge", &[]),
    ("boundgate_handshakes_total", "counter", &["outcome"]),
    ("boundgate_token_cache_total", "counter", &["outcome"]),
    ("boundgate_jwks_fetches_total", "counter", &["issuer", "outcome"]),
    ("boundgate_certificate_expiry_timestamp_seconds", "gauge", &["file"]),
    ("boundgate_crl_next_update_timestamp_seconds", "gauge", &["file"]),
    ("boundgate_reloads_total", "counter", &["outcome"]),
    ("boundgate_log_dropped_total", "counter", &[]),
    ("boundgate_trace_spans_total", "counter", &["outcome"]),
    ("boundgate_build_info", "gauge", &["version"]),
];

/// An issuer whose keys are fetched, clients with and without a certificate, a CRL.
fn start(world: &World, keys: &Server) -> Boundgate {
    let next_update = time::OffsetDateTime::now_utc() + time::Duration::days(1);
    world.pki.authority.revoke("clients", &[], next_update);
    Boundgate::start(world.pki.path(), &config(world, keys))
}

fn config(world: &World, keys: &Server) -> Config {
    let (name, url) = (&world.issuer.name, keys.url());
    Config {
        client_certificates:
            "mode = \"required\"\ntrust = \"ca\"\nca = \"ca.pem\"\ncrl = [\"clients.crl.pem\"]".to_owned(),
        issuer: format!("issuer = \"{name}\"\naudiences = [\"{AUDIENCE}\"]\njwks_uri = \"{url}/jwks\""),
        ..world.config()
    }
}

/// Waits until the request of this answer is counted: its line comes afterwards.
fn counted(boundgate: &Boundgate, answer: &Message) -> u16 {
    let id = answer.value("x-request-id").unwrap();
    boundgate.log_line(|line| line["request_id"] == id);
    answer.status()
}

#[test]
fn every_metric_counts_what_happens() {
    let world = World::new();
    let jwks = world.issuer.jwks();
    let keys = Server::http(move |_| Answer::json(&jwks));
    let boundgate = start(&world, &keys);
    let value = |name: &str, labels: &[&str]| boundgate.metric(&format!("boundgate_{name}"), labels);
    let token = world.issuer.token(&world.pki.client_a);

    // A full handshake, then a resumed one; one without a certificate.
    let client = world.client(Some(&world.pki.client_a));
    let mut first = client.connect(boundgate.address).unwrap();
    assert_eq!(counted(&boundgate, &first.get("/", Some(&token)).unwrap()), 200);
    let mut second = client.connect(boundgate.address).unwrap();
    assert!(second.resumed());
    assert_eq!(counted(&boundgate, &second.get("/", Some(&token)).unwrap()), 200);
    assert_eq!(counted(&boundgate, &second.get("/", None).unwrap()), 401);
    let nobody = Client::new(&world.pki.authority, None);
    assert!(nobody.get(boundgate.address, "/", None).is_err());
    // The refused one is closed in stages, so that its client can read why.
    eventually("two connections are open", || value("connections", &[]) == 2.0);
    for (outcome, times) in [("full", 1.0), ("resumed", 1.0), ("certificate-refused", 1.0), ("failed", 0.0)] {
        assert_eq!(value("handshakes_total", &[&format!("outcome=\"{outcome}\"")]), times, "{outcome}");
    }

    // Another's token is a miss of the cache or a hit, whichever worker gets it, and refused.
    let thief = world.client(Some(&world.pki.client_b));
    assert_eq!(counted(&boundgate, &thief.get(boundgate.address, "/", Some(&token)).unwrap()), 401);
    assert_eq!(value("requests_total", &["decision=\"accepted\"", "reason=\"none\""]), 2.0);
    assert_eq!(value("requests_total", &["decision=\"refused\"", "reason=\"token-missing\""]), 1.0);
    assert_eq!(value("requests_total", &["decision=\"refused\"", "reason=\"thumbprint-mismatch\""]), 1.0);
    assert_eq!(value("requests_total", &[]), 4.0);
    assert_eq!(value("request_duration_seconds_count", &[]), 4.0);
    assert_eq!(value("request_duration_seconds_bucket", &["le=\"+Inf\""]), 4.0);
    assert!(value("request_duration_seconds_sum", &[]) > 0.0);
    assert_eq!(value("upstream_duration_seconds_count", &[]), 2.0);
    let (hits, misses) =
        (value("token_cache_total", &["outcome=\"hit\""]), value("token_cache_total", &["outcome=\"miss\""]));
    assert!(misses >= 1.0 && hits + misses == 3.0, "{hits} {misses}");

    let issuer = format!("issuer=\"{}\"", world.issuer.name);
    assert_eq!(value("jwks_fetches_total", &[&issuer, "outcome=\"ok\""]), keys.connections() as f64);
    assert_eq!(value("jwks_fetches_total", &[&issuer, "outcome=\"failed\""]), 0.0);
    assert_eq!(value("log_dropped_total", &[]), 0.0);
}

#[test]
fn reloads_and_failed_fetches_are_counted() {
    let world = World::new();
    let jwks = world.issuer.jwks();
    let keys = Server::http(move |_| Answer::json(&jwks));
    let boundgate = start(&world, &keys);
    let reloads =
        |outcome: &str| boundgate.metric("boundgate_reloads_total", &[&format!("outcome=\"{outcome}\"")]);
    boundgate.rewrite(&Config { more: "[log]\nlevel = \"debug\"".to_owned(), ..config(&world, &keys) });
    boundgate.process.signal("HUP");
    boundgate.log_line(|line| line["event"] == "configuration reloaded");
    assert_eq!((reloads("ok"), reloads("failed")), (1.0, 0.0));

    let broken = Config { upstream: "url = 1".to_owned(), ..config(&world, &keys) };
    boundgate.rewrite(&broken);
    boundgate.process.signal("HUP");
    boundgate.log_line(|line| line["event"] == "reload failed, nothing has changed");
    assert!(reloads("failed") >= 1.0);
    assert_eq!(reloads("ok"), 1.0);

    let missing = Server::http(|_| Answer::status(404, "text/plain", "gone"));
    boundgate.rewrite(&config(&world, &missing));
    boundgate.process.signal("HUP");
    let failed = [&format!("issuer=\"{}\"", world.issuer.name)[..], "outcome=\"failed\""];
    // A fetch that failed is tried again, and each is counted.
    eventually("a failed fetch is counted", || {
        boundgate.metric("boundgate_jwks_fetches_total", &failed) >= 1.0
    });
}

#[test]
fn prometheus_accepts_it_and_every_family_says_what_it_is() {
    let world = World::new();
    let jwks = world.issuer.jwks();
    let keys = Server::http(move |_| Answer::json(&jwks));
    let boundgate = start(&world, &keys);
    let token = world.issuer.token(&world.pki.client_a);
    let client = world.client(Some(&world.pki.client_a));
    counted(&boundgate, &client.get(boundgate.address, "/", Some(&token)).unwrap());
    counted(&boundgate, &client.get(boundgate.address, "/", None).unwrap());

    let answer = boundgate.ask("/metrics").unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.value("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let lines: Vec<&str> = answer.text().lines().collect();
    for (name, kind, labels) in FAMILIES {
        let help = lines.iter().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.len() > 10), "{name}: {help:?}");
        assert!(lines.contains(&&format!("# TYPE {name} {kind}")[..]), "{name} is no {kind}");
        let samples = lines.iter().filter(|line| line.starts_with(&format!("{name}{{")));
        let all = |sample: &str| labels.iter().all(|label| sample.contains(&format!("{label}=\"")));
        assert!(labels.is_empty() || samples.clone().count() > 0, "{name} has no sample");
        assert!(samples.clone().all(|sample| all(sample)), "{name}: {:?}", samples.collect::<Vec<_>>());
    }
    for file in ["server.pem", "ca.pem"] {
        let expiry = boundgate.metric("boundgate_certificate_expiry_timestamp_seconds", &[file]);
        let day = (expiry - crate::support::issuer::now() as f64) / 86_400.0;
        assert!((0.9..=1.0).contains(&day), "{file}: {expiry}");
    }
    assert!(boundgate.metric("boundgate_crl_next_update_timestamp_seconds", &["clients.crl.pem"]) > 0.0);
    assert!(!answer.text().contains(&token[..20]));
    check(answer.text());
}

/// `promtool check metrics` has nothing to say. Where it is missing the test says so; on CI it fails.
fn check(text: &str) {
    let mut command = Command::new("promtool");
    let pipes = command.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut promtool) = pipes.spawn() else {
        assert!(
            !std::env::var("CI").is_ok_and(|ci| ci == "true"),
            "promtool is missing, and CI skips nothing"
        );
        let _ =
            writeln!(std::io::stderr(), "skipped: promtool is not installed (Debian's package prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}
