//! WebSockets with clients and a server that no one here wrote: the `websockets` package over HTTP/1.1, Node's HTTP/2 client over RFC 8441.
//! Where Python or Node.js is missing, these tests say so and pass; on CI they fail.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::support::boundgate::Boundgate;
use super::support::pki::Identity;
use super::support::process::Process;
use super::support::python;
use super::support::skip::has;
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
        let (server, port) = python::serve("websocket_server.py");
        let world = World::new();
        let upstream = format!("url = \"http://127.0.0.1:{port}\"");
        let boundgate = Boundgate::start(world.pki.path(), &Config { upstream, ..world.config() });
        Some(Run { world, server, boundgate })
    }

    /// What a client says of a scenario, with client A's token.
    fn plays(&self, scenario: &str, identity: &Identity) -> Value {
        let (pki, port) = (&self.world.pki, self.boundgate.address.port());
        let token = self.world.issuer.token(&pki.client_a);
        python::said(&python::client("websocket_client.py", scenario, port, pki, identity, &token))
    }

    /// The same for Node's HTTP/2 client.
    fn plays_over_http2(&self, identity: &Identity) -> Value {
        let pki = &self.world.pki;
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/websocket_h2.mjs");
        let mut node = Command::new("node");
        node.arg(program).arg(format!("https://localhost:{}/chat?room=2", self.boundgate.address.port()));
        node.arg(&pki.authority.certificate).arg(&identity.certificate).arg(&identity.private_key);
        python::said(&Process::spawn(node.env("TOKEN", self.world.issuer.token(&pki.client_a))))
    }

    /// Waits until the server says this.
    fn hears(&self, words: &Value) {
        let found = self
            .server
            .stdout
            .find(|line| serde_json::from_str::<Value>(line).is_ok_and(|said| said == *words).then_some(()));
        assert!(found.is_some(), "{words}: {}", self.server.output());
    }
}

#[test]
fn everything_passes_both_ways() {
    let Some(run) = Run::start() else { return };
    assert_eq!(
        run.plays("talk", &run.world.pki.client_a),
        json!({
            "protocol": "chat.v1",
            "text": "hello",
            "large": [true, true],
            "pings": [true, "ponged"],
            "closed": [1000, "bye"],
        })
    );
    run.hears(&json!({"opened": "/chat?room=1"}));
    run.hears(&json!({"closed": 1000, "reason": "bye"}));
}

#[test]
fn who_leaves_is_missed_by_the_other() {
    let Some(run) = Run::start() else { return };
    assert_eq!(run.plays("closed_by_server", &run.world.pki.client_a), json!([4001, "my own"]));
    run.hears(&json!({"closed": 4001, "reason": "my own"}));
    assert_eq!(run.plays("leave", &run.world.pki.client_a), json!("left"));
    // RFC 6455 §7.1.5: 1006 is what a connection without a last word ends with.
    run.hears(&json!({"closed": 1006, "reason": ""}));
}

#[test]
fn a_refused_handshake_is_a_plain_401() {
    let Some(run) = Run::start() else { return };
    let refused = run.plays("refused", &run.world.pki.client_b);
    assert_eq!((&refused["status"], &refused["reason"]), (&json!(401), &json!("thumbprint-mismatch")));
    assert!(
        refused["challenge"].as_str().unwrap().starts_with("Bearer error=\"invalid_token\""),
        "{refused}"
    );
}

/// RFC 8441 with an HTTP/2 client of other people, in front of a server that knows HTTP/1.1 alone.
#[test]
fn a_stream_of_http2_becomes_a_websocket() {
    let Some(run) = Run::start() else { return };
    if !has("node", "--version") {
        return;
    }
    assert_eq!(
        run.plays_over_http2(&run.world.pki.client_a),
        json!({
            "enableConnectProtocol": true,
            "status": 200,
            "protocol": "chat.v1",
            "odd": [],
            "text": "hello",
            "bytes": 1 << 20,
            "closed": [1000, "bye"],
        })
    );
    run.hears(&json!({"opened": "/chat?room=2"}));
    run.hears(&json!({"closed": 1000, "reason": "bye"}));
    let refused = run.plays_over_http2(&run.world.pki.client_b);
    assert_eq!((&refused["status"], &refused["reason"]), (&json!(401), &json!("thumbprint-mismatch")));
}
