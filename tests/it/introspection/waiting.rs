//! How long a request waits for an introspection: for its turn and for the answer, no longer than `timeout` in all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use http::Request;
use serde_json::json;

use super::super::support::boundgate::Boundgate;
use super::super::support::h2::H2;
use super::super::support::server::Answer;
use super::super::support::world::World;
use super::stage::{
    AuthorizationServer, BASIC, Stage, active, active_with, passed, refused, section, token_in, until,
};

const TIMEOUT: Duration = Duration::from_secs(4);
/// What the server takes for an answer.
const SLOW: Duration = Duration::from_secs(2);

#[test]
fn forty_tokens_of_one_client_wait_no_longer_than_timeout_and_hold_up_nobody_else() {
    // interface.md: a call to an issuer ends after `timeout`; the turn that it waits for counts too.
    let stage = Stage::new(&format!("{BASIC}\ntimeout = \"4s\""));
    let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let (answers, peak) = ([stage.a(), stage.b()].map(active), Arc::clone(&most));
    stage.issuer.script.fail(move |request| {
        let of_b = token_in(request).starts_with("b-");
        if of_b {
            peak.fetch_max(now.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
        }
        thread::sleep(SLOW);
        now.fetch_sub(usize::from(of_b), Ordering::AcqRel);
        Answer::json(&answers[usize::from(of_b)])
    });
    thread::scope(|scope| {
        let flood = scope.spawn(|| at_once(&stage, 40));
        stage.issuer.until_calls(4);
        let begun = Instant::now();
        assert_eq!(stage.verdict(stage.a(), "a-1"), passed());
        assert!(begun.elapsed() < SLOW * 2 - Duration::from_millis(200), "as alone: {:?}", begun.elapsed());
        let answers = flood.join().unwrap();
        let longest = answers.iter().map(|(_, took)| *took).max().unwrap();
        assert!(longest < TIMEOUT * 2 - Duration::from_millis(500), "{longest:?}");
        let count = |verdict| answers.iter().filter(|(its, _)| *its == verdict).count();
        let (good, late) = (count(passed()), count(refused(503, "introspection-unavailable")));
        assert!(good >= 4 && late >= 20 && good + late == 40, "{good} passed, {late} were late");
    });
    assert_eq!(most.load(Ordering::Acquire), 4, "calls for one client");
    let line = stage.boundgate.log_line(|line| {
        line["note"].as_str().is_some_and(|note| note.starts_with("it waited for its turn in vain"))
    });
    assert_eq!(line["reason"], "introspection-unavailable");

    // Those that nobody waits for are not made: what is under way ends, and nothing comes after it.
    until("the calls end", || stage.boundgate.metric("boundgate_introspections_in_flight", &[]) == 0.0);
    let calls = stage.issuer.calls();
    assert!(calls <= 17, "{calls}");
    assert_eq!(
        stage.boundgate.metric("boundgate_introspections_total", &["outcome=\"active\""]),
        calls as f64
    );
    assert_eq!(stage.boundgate.metric("boundgate_introspection_breaker_state", &[]), 0.0, "it did not fail");
    assert_eq!(stage.verdict(stage.a(), "a-1"), passed());
    assert_eq!(stage.issuer.calls(), calls);
}

/// So many tokens of client B at once on one connection: each one's verdict, and what it took.
fn at_once(stage: &Stage, tokens: usize) -> Vec<((u16, String), Duration)> {
    let mut connection = H2::connect(&stage.client(stage.b()), stage.boundgate.address).unwrap();
    let sent: Vec<_> = (0..tokens)
        .map(|n| {
            let request = Request::get("https://localhost/").header("authorization", format!("Bearer b-{n}"));
            (Instant::now(), connection.sender.send_request(request.body(Default::default()).unwrap()))
        })
        .collect();
    let answers = sent.into_iter().map(|(begun, answer)| {
        connection.runtime.spawn(async move {
            let (head, body) = answer.await.unwrap().into_parts();
            let took = begun.elapsed();
            let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
            let reason = match head.status.as_u16() {
                200 => String::new(),
                _ => {
                    assert_eq!(head.headers["retry-after"], "5");
                    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
                    problem["reason"].as_str().unwrap().to_owned()
                }
            };
            ((head.status.as_u16(), reason), took)
        })
    });
    let answers: Vec<_> = answers.collect();
    connection.runtime.block_on(async {
        let mut all = Vec::new();
        for answer in answers {
            all.push(answer.await.unwrap());
        }
        all
    })
}

#[test]
fn a_slow_issuer_holds_up_the_next_one_for_a_part_of_its_time_only() {
    let world = World::new();
    let (first, second) = (AuthorizationServer::new(), AuthorizationServer::new());
    let mut config = world.config();
    config.issuer += &section(&first, &format!("timeout = \"30s\"\n{BASIC}"));
    config.issuer += "\n\n[[issuers]]\nissuer = \"https://second.example.test\"\naudiences = [\"https://api.example.test\"]\njwks_file = \"jwks.json\"\n";
    config.issuer += &section(&second, BASIC);
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let identity = &world.pki.client_a;
    let client = world.client(Some(identity));
    let ask = |token: &str| client.get(boundgate.address, "/", Some(token)).unwrap().verdict();
    second.script.say("two", active_with(identity, "iss", json!("https://second.example.test")));
    first.script.say("one", active(identity));

    first.script.hold(true);
    let begun = Instant::now();
    assert_eq!(ask("two"), passed());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((first.calls(), second.calls()), (1, 1));
    thread::scope(|scope| {
        // Inactive at the second is not the end of the search.
        let slow = scope.spawn(|| ask("one"));
        let nobodys = scope.spawn(|| ask("nobodys"));
        second.until_calls(3);
        first.script.hold(false);
        assert_eq!(slow.join().unwrap(), passed());
        assert_eq!(nobodys.join().unwrap(), refused(401, "token-inactive"));
    });
    assert_eq!((first.calls(), second.calls()), (3, 3), "each is asked once about each token");
    assert_eq!(ask("one"), passed());
    assert_eq!((first.calls(), second.calls()), (3, 3));
}
