//! gRPC end to end: a client and a server that no one here wrote, with a certificate and a bound token on the one side and HTTP/2 with
//! prior knowledge on the other. Where Python or its packages are missing, these tests say so and pass; on CI they fail.

use serde_json::{Value, json};

use super::support::boundgate::Boundgate;
use super::support::pki::Identity;
use super::support::process::Process;
use super::support::python;
use super::support::world::{Config, World};

/// One run: the server, and Boundgate between it and the clients.
struct Run {
    world: World,
    server: Process,
    boundgate: Boundgate,
}

impl Run {
    fn start() -> Option<Run> {
        if !python::available() {
            return None;
        }
        let (server, port) = python::serve("grpc_server.py");
        let world = World::new();
        let upstream = format!("url = \"h2c://127.0.0.1:{port}\"");
        let boundgate = Boundgate::start(world.pki.path(), &Config { upstream, ..world.config() });
        Some(Run { world, server, boundgate })
    }

    fn client(&self, scenario: &str, identity: &Identity, token: &str) -> Process {
        let (pki, port) = (&self.world.pki, self.boundgate.address.port());
        python::client("grpc_client.py", scenario, port, pki, identity, token)
    }

    /// What client A says of a scenario.
    fn plays(&self, scenario: &str) -> Value {
        let client = &self.world.pki.client_a;
        python::said(&self.client(scenario, client, &self.world.issuer.token(client)))
    }

    /// Waits until the server says that this call was cancelled.
    fn was_cancelled(&self, call: &str) {
        let words = json!({ "cancelled": call });
        let is_it = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|said| said == words);
        let found = self.server.stdout.find(|line| is_it(line).then_some(()));
        assert!(found.is_some(), "{call}: {}", self.server.output());
    }
}

#[test]
fn all_four_kinds_of_call_pass_with_their_metadata() {
    let Some(run) = Run::start() else { return };
    let binary = json!([0, 255, 10]);
    assert_eq!(
        run.plays("calls"),
        json!({
            "unary": {"token": true, "x-text": "a b", "x-forwarded-proto": "https", "binary": binary},
            "initial": "first",
            "trailing": {"x-trailing": "last", "x-data-bin": binary},
            "down": [5, 5, 5],
            "nothing": [],
            "up": [3, 3],
            "both": ["one", "two", "three"],
        })
    );
    let line = run.boundgate.log_line(|line| line["path"] == "/test.Calls/Both");
    assert_eq!((&line["decision"], &line["status"]), (&json!("accepted"), &json!(200)));
}

#[test]
fn the_servers_own_statuses_pass() {
    let Some(run) = Run::start() else { return };
    let failures = run.plays("failures");
    let (failed, unknown) = (&failures[0], &failures[1]);
    assert_eq!((&failed["code"], &failed["details"]), (&json!(9), &json!("no: ünder 100%\n")));
    assert_eq!(failed["metadata"]["x-trailing"], "last");
    assert_eq!(unknown["code"], 12);
}

/// interface.md, "Answers": gRPC callers get a trailers-only answer; `grpc-message` is the detail, and the challenge is kept.
#[test]
fn a_refused_call_has_its_status_whatever_its_kind() {
    let Some(run) = Run::start() else { return };
    let (a, b) = (&run.world.pki.client_a, &run.world.pki.client_b);
    let token = run.world.issuer.token(a);
    for (identity, token, detail, challenge) in [
        (a, "", "Send an access token in the Authorization header", "Bearer"),
        (b, &token, "The token was issued to another certificate", "Bearer error=\"invalid_token\""),
    ] {
        let kinds = python::said(&run.client("every_kind", identity, token));
        assert_eq!(kinds.as_array().unwrap().len(), 4);
        for kind in kinds.as_array().unwrap() {
            assert_eq!(kind["code"], 16, "UNAUTHENTICATED: {kind}");
            assert!(kind["details"].as_str().unwrap().starts_with(detail), "{kind}");
            let found = kind["metadata"]["www-authenticate"].as_str().unwrap();
            assert!(found.starts_with(challenge), "{kind}");
        }
    }
}

/// interface.md, "Towards the upstream": a client that leaves ends its request upstream.
#[test]
fn a_deadline_and_a_cancellation_reach_the_server() {
    let Some(run) = Run::start() else { return };
    assert_eq!(run.plays("cancellations"), json!([4, 1, 1]), "DEADLINE_EXCEEDED, CANCELLED, CANCELLED");
    for call in ["deadline", "waiting", "reading"] {
        run.was_cancelled(call);
    }
}

#[test]
fn large_messages_pass_and_slow_readers_cost_no_memory() {
    let Some(run) = Run::start() else { return };
    assert!(run.plays("calls").is_object());
    let before = run.boundgate.process.peak_memory();
    assert_eq!(run.plays("large"), json!({"echoed": true, "received": 64 << 20, "sent": [1024, 64 << 20]}));
    let after = run.boundgate.process.peak_memory();
    assert!(after < before + 16, "{before} MiB before, {after} MiB after");
}

#[test]
fn a_server_that_is_gone_is_unavailable() {
    let Some(run) = Run::start() else { return };
    let client = &run.world.pki.client_a;
    let mut reading = run.client("broken", client, &run.world.issuer.token(client));
    assert_eq!(python::said(&reading), json!("reading"));
    let Run { world, server, boundgate } = run;
    drop(server);
    let status = reading.stdout.find(|line| line.parse::<u64>().ok());
    assert!(status.is_some_and(|status| status != 0), "{}", reading.output());
    assert!(reading.wait().success());
    let port = boundgate.address.port();
    let token = world.issuer.token(client_a(&world));
    let kinds = python::client("grpc_client.py", "every_kind", port, &world.pki, client_a(&world), &token);
    for kind in python::said(&kinds).as_array().unwrap() {
        assert_eq!(kind["code"], 14, "UNAVAILABLE: {kind}");
        assert_eq!(kind["details"], "The API behind this gateway did not accept a connection.");
    }
}

fn client_a(world: &World) -> &Identity {
    &world.pki.client_a
}
