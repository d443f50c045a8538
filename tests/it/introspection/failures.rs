//! What clients get while the authorization server fails, and how it comes back.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::super::support::boundgate::Boundgate;
use super::super::support::message::Message;
use super::super::support::server::{Answer, Server};
use super::super::support::world::World;
use super::stage::{
    AuthorizationServer, BASIC, Stage, active, active_with, passed, refused, section, token_in, until,
};
use serde_json::json;

type Fault = (&'static str, Box<dyn Fn(&Message) -> Answer + Send + Sync>);

fn json_of(bytes: usize) -> Answer {
    Answer::status(200, "application/json", &format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(bytes)))
}

fn faults() -> Vec<Fault> {
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let redirect = "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    vec![
        ("status", Box::new(|_| Answer::status(500, "application/json", "{\"active\":true}"))),
        ("status", Box::new(|_| Answer::status(503, "text/plain", "later"))),
        ("status", Box::new(|_| Answer::status(401, "application/json", "{\"error\":\"invalid_client\"}"))),
        ("invalid", Box::new(|_| Answer::status(200, "application/json", "{\"active\":tr"))),
        (
            "invalid",
            Box::new(|_| Answer::status(200, "application/json", "{\"active\":true,\"active\":true}")),
        ),
        ("invalid", Box::new(|_| Answer::status(200, "application/json", "[]"))),
        ("invalid", Box::new(|_| Answer::json(&json!({"error": "x"})))),
        ("invalid", Box::new(|_| Answer::status(204, "application/json", ""))),
        ("invalid", Box::new(|_| Answer::status(200, "text/html", "{\"active\":true}"))),
        (
            "invalid",
            Box::new(|_| Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"active\":true}")),
        ),
        ("invalid", Box::new(|_| Answer::raw("SSH-2.0-OpenSSH\r\n").close())),
        ("too-large", Box::new(|_| json_of(1 << 20))),
        (
            "too-large",
            Box::new(move |_| {
                let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
                Answer::raw(format!("{chunked}{chunk}{chunk}0\r\n\r\n"))
            }),
        ),
        ("redirect", Box::new(move |_| Answer::raw(redirect))),
        ("connect", Box::new(|_| Answer::raw("").close())),
        ("connect", Box::new(|_| Answer::raw("HTTP/1.1 200 OK\r\nContent-Le").reset())),
        (
            "timeout",
            Box::new(|_| {
                thread::sleep(Duration::from_millis(1500));
                json_of(1)
            }),
        ),
    ]
}

#[test]
fn every_failure_is_a_503_with_retry_after_and_nothing_is_forwarded() {
    for (word, fault) in faults() {
        let stage = Stage::new(&format!("{BASIC}\ntimeout = \"1s\""));
        stage.issuer.script.fail(fault);
        let answer = stage.get(stage.a(), "opaque");
        assert_eq!(answer.verdict(), refused(503, "introspection-unavailable"), "{word}");
        assert_eq!(answer.value("retry-after"), Some("5"), "{word}");
        assert_eq!(answer.value("www-authenticate"), None, "{word}");
        assert!(stage.world.api.requests().is_empty(), "{word}");
        let label = format!("outcome=\"{word}\"");
        assert_eq!(stage.boundgate.metric("boundgate_introspections_total", &[&label]), 1.0, "{word}");
        let line = stage.boundgate.log_line(|line| line["reason"] == "introspection-unavailable");
        assert!(line["note"].as_str().unwrap().starts_with(&stage.issuer.endpoint()), "{line}");
        let warning = stage.boundgate.log_line(|line| line["level"] == "WARN" || line["level"] == "warn");
        assert!(!warning.to_string().contains("opaque"), "{warning}");

        stage.issuer.script.recover();
        stage.issuer.script.say("opaque", stage.active(stage.a()));
        assert_eq!(stage.verdict(stage.a(), "opaque"), passed(), "a failure is not remembered: {word}");
    }
}

#[test]
fn a_slow_drip_ends_with_the_timeout() {
    let drip = Server::script(|mut socket| {
        let _ = socket.read(&mut [0; 4096])?;
        socket.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n",
        )?;
        for _ in 0..100 {
            socket.write_all(b" ")?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
    let world = World::new();
    let mut config = world.config();
    config.issuer +=
        &format!("\n[issuers.introspection]\nendpoint = \"{}/i\"\ntimeout = \"1s\"\n{BASIC}", drip.url());
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let begun = Instant::now();
    let client = world.client(Some(&world.pki.client_a));
    let answer = client.get(boundgate.address, "/", Some("opaque")).unwrap();
    assert_eq!(answer.verdict(), refused(503, "introspection-unavailable"));
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(boundgate.metric("boundgate_introspections_total", &["outcome=\"timeout\""]), 1.0);
}

#[test]
fn a_fresh_answer_serves_through_an_outage_and_a_dead_server_costs_no_waiting() {
    let stage = Stage::new(&format!("{BASIC}\ntimeout = \"1s\""));
    stage.issuer.script.say("known", stage.active(stage.a()));
    assert_eq!(stage.verdict(stage.a(), "known"), passed());
    stage.issuer.script.hold(true);
    for n in 0..5 {
        assert_eq!(stage.verdict(stage.a(), &format!("t{n}")), refused(503, "introspection-unavailable"));
    }
    let state = || stage.boundgate.metric("boundgate_introspection_breaker_state", &[]);
    assert_eq!(state(), 2.0);
    assert_eq!(stage.boundgate.ask("/readyz").unwrap().json()["issuers"][0]["introspection"], "failing");
    assert_eq!(stage.boundgate.ask("/readyz").unwrap().status(), 200, "an outage does not turn it back");

    // The breaker is open: a probe now and then waits, nobody else does.
    let calls = stage.issuer.calls();
    let begun = Instant::now();
    let mut fast = 0;
    for n in 0..40 {
        let asked = Instant::now();
        assert_eq!(stage.verdict(stage.a(), &format!("u{n}")), refused(503, "introspection-unavailable"));
        fast += usize::from(asked.elapsed() < Duration::from_millis(900));
        assert_eq!(stage.verdict(stage.a(), "known"), passed());
    }
    let probes = stage.issuer.calls() - calls;
    assert!(fast + probes >= 40 && probes < 20, "{fast} were fast, {probes} probes in {:?}", begun.elapsed());
    let line =
        stage.boundgate.log_line(|line| line["note"].as_str().is_some_and(|n| n.contains("not due yet")));
    assert_eq!(line["reason"], "introspection-unavailable");

    // interface.md: "one that failed is tried again within 5 s"
    stage.issuer.script.hold(false);
    let back = Instant::now();
    stage.issuer.script.say("after", stage.active(stage.a()));
    until("it recovers", || stage.verdict(stage.a(), "after") == passed());
    assert!(back.elapsed() < Duration::from_secs(8), "{:?}", back.elapsed());
    until("the breaker closes", || state() == 0.0);
}

/// What a server says of one token is nothing about the server: one client's tokens pause the calls of nobody else.
#[test]
fn tokens_that_the_server_turns_down_pause_no_calls() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.fail(|_| Answer::status(400, "application/json", "{\"error\":\"invalid_request\"}"));
    for n in 0..12 {
        assert_eq!(stage.verdict(stage.b(), &format!("odd{n}")), refused(503, "introspection-unavailable"));
    }
    stage.issuer.script.recover();
    stage.issuer.script.say("good", stage.active(stage.a()));
    assert_eq!(stage.verdict(stage.a(), "good"), passed());
    assert_eq!(stage.issuer.calls(), 13);
}

/// So is what it chokes on: as long as all failures are one client's, they may be its tokens' doing.
#[test]
fn tokens_that_the_server_chokes_on_pause_their_own_client_alone() {
    let stage = Stage::new(BASIC);
    let good = active(stage.a());
    stage.issuer.script.fail(move |request| match token_in(request).starts_with("odd") {
        true => Answer::status(500, "text/plain", "it broke"),
        false => Answer::json(&good),
    });
    let unavailable = || refused(503, "introspection-unavailable");
    for round in 0..3 {
        for n in 0..12 {
            assert_eq!(stage.verdict(stage.b(), &format!("odd-{round}-{n}")), unavailable());
        }
        let state = stage.boundgate.metric("boundgate_introspection_breaker_state", &[]);
        assert!(state > 0.0, "B's calls pause");
        assert_eq!(stage.verdict(stage.a(), &format!("good-{round}")), passed(), "and A's do not");
    }
    stage.boundgate.log_line(|line| line.to_string().contains("for one client: its calls pause"));
    let odd = |call: &&Message| token_in(call).starts_with("odd");
    let calls = stage.issuer.server.requests().iter().filter(odd).count();
    assert!((15..36).contains(&calls), "five a round, and a probe where it took long: {calls}");
}

#[test]
fn a_server_that_fails_two_clients_is_down_for_all() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.fail(|_| Answer::status(500, "text/plain", "it broke"));
    let unavailable = || refused(503, "introspection-unavailable");
    for n in 0..5 {
        assert_eq!(stage.verdict(stage.b(), &format!("b{n}")), unavailable());
    }
    assert_eq!(stage.verdict(stage.a(), "a"), unavailable());
    stage.boundgate.log_line(|line| line.to_string().contains("too often: calls pause"));
    let (calls, begun) = (stage.issuer.calls(), Instant::now());
    for n in 0..20 {
        assert_eq!(stage.verdict(stage.a(), &format!("c{n}")), unavailable());
    }
    // The shortest pause is a quarter of a second.
    let probes = 1 + begun.elapsed().as_millis() / 250;
    assert!(stage.issuer.calls() - calls <= probes as usize, "{probes}");

    // Failures of both by turns open it as those of one do.
    let stage = Stage::new(BASIC);
    stage.issuer.script.fail(|_| Answer::status(500, "text/plain", "it broke"));
    for n in 0..5 {
        let client = if n % 2 == 0 { stage.a() } else { stage.b() };
        assert_eq!(stage.verdict(client, &format!("t{n}")), unavailable());
    }
    assert_eq!(stage.boundgate.metric("boundgate_introspection_breaker_state", &[]), 2.0);
    stage.boundgate.log_line(|line| line.to_string().contains("too often: calls pause"));
}

#[test]
fn a_server_that_was_gone_is_found_again() {
    let world = World::new();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = world.config();
    config.issuer += &format!("\n[issuers.introspection]\nendpoint = \"http://{address}/i\"\n{BASIC}");
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let client = world.client(Some(&world.pki.client_a));
    let ask = |token: &str| client.get(boundgate.address, "/", Some(token)).unwrap().verdict();
    for n in 0..10 {
        assert_eq!(ask(&format!("t{n}")), refused(503, "introspection-unavailable"));
    }
    let answer = active(&world.pki.client_a).to_string();
    let length = answer.len();
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let _ = socket.read(&mut [0; 4096]);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            let _ = socket.write_all((head + &answer).as_bytes());
        }
    });
    until("it is back", || ask("t0") == passed());
}

#[test]
fn of_two_issuers_one_that_is_gone_costs_the_other_nothing() {
    // standards.md: an active answer ends the search; none active and one unreachable: 503; all inactive: 401.
    let world = World::new();
    let (first, second) = (AuthorizationServer::new(), AuthorizationServer::new());
    let mut config = world.config();
    config.issuer += &section(&first, BASIC);
    config.issuer += "\n\n[[issuers]]\nissuer = \"https://second.example.test\"\naudiences = [\"https://api.example.test\"]\njwks_file = \"jwks.json\"\n";
    config.issuer += &section(&second, BASIC);
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let identity = &world.pki.client_a;
    let client = world.client(Some(identity));
    let ask = |token: &str| client.get(boundgate.address, "/", Some(token)).unwrap().verdict();
    let of_second = || active_with(identity, "iss", json!("https://second.example.test"));

    first.script.say("one", active(identity));
    second.script.say("two", of_second());
    assert_eq!(ask("one"), passed());
    assert_eq!((first.calls(), second.calls()), (1, 0), "an active answer ends the search");
    assert_eq!(ask("two"), passed());
    assert_eq!(ask("none"), refused(401, "token-inactive"));
    assert_eq!((first.calls(), second.calls()), (3, 2));

    first.script.fail(|_| Answer::status(500, "text/plain", ""));
    assert_eq!(ask("two"), passed(), "what is known of one issuer needs no other");
    second.script.say("three", of_second());
    assert_eq!(ask("three"), passed());
    assert_eq!(ask("nowhere"), refused(503, "introspection-unavailable"));
    first.script.recover();
    assert_eq!(ask("nowhere"), refused(401, "token-inactive"), "{}", token_in(&second.server.requests()[0]));
}
