//! `Expect: 100-continue` (RFC 9110 §10.1.1) with other people's clients over TLS: the body is asked for once the request is accepted, and of
//! a refused one nothing is read.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::support::curl::Curl;
use super::support::message::read_response;
use super::support::process::Process;
use super::support::python;
use super::support::server::{Answer, Server};
use super::support::skip::has;
use super::support::stage::Stage;

fn stage() -> Stage {
    Stage::new(
        Server::http(|request| match request.target() {
            "/decline" => Answer::status(422, "text/plain", "no"),
            _ => Answer::ok(&request.body.len().to_string()),
        }),
        "[limits]\nrequest_body = \"1MiB\"\n",
    )
}

/// curl shows what it got in its order: a line for each interim answer, and how much it sent.
#[test]
fn curl_sends_the_body_of_an_accepted_request_alone() {
    if !has("curl", "--version") {
        return;
    }
    let stage = stage();
    let url = format!("https://{}/", stage.boundgate.address);
    let file = stage.world.pki.path().join("body");
    std::fs::write(&file, vec![b'x'; 500_000]).unwrap();
    let large = stage.world.pki.path().join("large");
    std::fs::write(&large, vec![b'x'; 2_000_000]).unwrap();
    let foreign = stage.world.issuer.token(&stage.world.pki.client_b);
    for (token, file, expected, sent) in [
        (stage.token.as_str(), &file, (200, ""), 500_000),
        (&foreign, &file, (401, "thumbprint-mismatch"), 0),
        (&stage.token, &large, (413, "body-too-large"), 0),
    ] {
        let curl = Curl::to(&url, &stage.world.pki.authority.certificate).token(token);
        let curl = curl.identity(&stage.world.pki.client_a).args(&["--http1.1", "--expect100-timeout", "60"]);
        let data = format!("@{}", file.display());
        let curl = curl.args(&["-H", "Expect: 100-continue", "--data-binary", &data]);
        let mut answer = curl.args(&["--max-time", "90", "--write-out", "\n%{size_upload}"]).run().unwrap();
        let end = answer.body.iter().rposition(|byte| *byte == b'\n').unwrap();
        assert_eq!(answer.body.split_off(end), format!("\n{sent}").as_bytes(), "{}", answer.text());
        if sent > 0 {
            // What follows the interim answer is the answer.
            assert_eq!(answer.start, "HTTP/1.1 100 Continue");
            answer = read_response(&mut &answer.body[..]).unwrap();
            assert_eq!(answer.text(), sent.to_string());
        }
        assert_eq!(answer.verdict(), (expected.0, expected.1.to_owned()));
    }
    assert_eq!(stage.world.api.requests().len(), 1);
}

/// Node tells the 100 from the answer, and sends nothing of its own accord.
#[test]
fn node_is_told_to_go_on_only_where_it_may() {
    if !has("node", "--version") {
        return;
    }
    let stage = stage();
    let pki = &stage.world.pki;
    let ask = |target: &str, token: &str| -> Value {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/expect.mjs");
        let mut node = Command::new("node");
        node.arg(program).arg(format!("https://localhost:{}{target}", stage.boundgate.address.port()));
        node.arg(&pki.authority.certificate).arg(&pki.client_a.certificate).arg(&pki.client_a.private_key);
        python::said(&Process::spawn(node.env("TOKEN", token)))
    };
    assert_eq!(ask("/", &stage.token), json!({"continued": true, "status": 200, "body": "5"}));
    assert_eq!(ask("/decline", &stage.token), json!({"continued": true, "status": 422, "body": "no"}));
    let foreign = stage.world.issuer.token(&pki.client_b);
    let refused = ask("/", &foreign);
    assert_eq!((&refused["continued"], &refused["status"]), (&json!(false), &json!(401)));
    assert!(refused["body"].as_str().unwrap().contains("thumbprint-mismatch"), "{refused}");
    assert_eq!(stage.world.api.requests().len(), 2);
    assert!(stage.world.api.requests().iter().all(|request| request.value("expect").is_none()));
}
