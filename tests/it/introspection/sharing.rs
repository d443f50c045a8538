//! One call a token, whoever waits for it, and no more calls for one client than it is due.

use std::sync::Barrier;
use std::thread;

use super::super::support::h2::H2;
use super::stage::{BASIC, Stage, passed, refused, until};

#[test]
fn a_hundred_requests_for_one_token_make_one_call() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.say("opaque", stage.active(stage.a()));
    stage.issuer.script.hold(true);
    let (client, address) = (stage.client(stage.a()), stage.boundgate.address);
    let start = Barrier::new(101);
    thread::scope(|scope| {
        let requests: Vec<_> = (0..100)
            .map(|_| {
                let start = &start;
                let mut connection = client.connect(address).unwrap();
                scope.spawn(move || {
                    start.wait();
                    connection.get("/", Some("opaque")).unwrap().verdict()
                })
            })
            .collect();
        start.wait();
        stage.issuer.until_calls(1);
        stage.issuer.script.hold(false);
        for request in requests {
            assert_eq!(request.join().unwrap(), passed());
        }
    });
    assert_eq!(stage.issuer.calls(), 1);
}

#[test]
fn a_thief_and_the_owner_share_a_call_and_not_its_outcome() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.say("opaque", stage.active(stage.a()));
    stage.issuer.script.hold(true);
    thread::scope(|scope| {
        let thief = scope.spawn(|| stage.verdict(stage.b(), "opaque"));
        stage.issuer.until_calls(1);
        let owner = scope.spawn(|| stage.verdict(stage.a(), "opaque"));
        stage.issuer.script.hold(false);
        assert_eq!(owner.join().unwrap(), passed());
        assert_eq!(thief.join().unwrap(), refused(401, "thumbprint-mismatch"));
    });
    assert_eq!((stage.issuer.calls(), stage.world.api.requests().len()), (1, 1));
}

#[test]
fn a_call_outlives_the_request_that_caused_it() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.say("opaque", stage.active(stage.a()));
    stage.issuer.script.hold(true);
    let mut first = stage.client(stage.a()).connect(stage.boundgate.address).unwrap();
    first.send("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer opaque\r\n\r\n").unwrap();
    stage.issuer.until_calls(1);
    drop(first);
    stage.boundgate.log_line(|line| line["note"].as_str().is_some_and(|note| note.contains("client left")));
    stage.issuer.script.hold(false);
    until("the answer comes in", || {
        stage.boundgate.metric("boundgate_introspections_total", &["active"]) == 1.0
    });
    assert_eq!(stage.verdict(stage.a(), "opaque"), passed());
    assert_eq!(stage.issuer.calls(), 1);
}

#[test]
fn one_clients_random_tokens_starve_nobody() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.say("good", stage.active(stage.a()));
    stage.issuer.script.hold(true);
    let connection = || H2::connect(&stage.client(stage.b()), stage.boundgate.address).unwrap();
    thread::scope(|scope| {
        for flood in 0..20 {
            let mut connection = connection();
            scope.spawn(move || connection.get("/", Some(&format!("random-{flood}"))).unwrap());
        }
        stage.issuer.until_calls(4);
        let in_flight = || stage.boundgate.metric("boundgate_introspections_in_flight", &[]);
        until("four are in flight", || in_flight() == 4.0);
        // The fifth call is another client's.
        let owner = scope.spawn(|| stage.verdict(stage.a(), "good"));
        stage.issuer.until_calls(5);
        assert_eq!((stage.issuer.calls(), in_flight()), (5, 5.0));
        stage.issuer.script.hold(false);
        assert_eq!(owner.join().unwrap(), passed());
    });
    assert_eq!(stage.issuer.calls(), 21, "those that waited had their turn");
}

#[test]
fn nobody_holds_up_another_clients_token() {
    // The thief's slots are taken, and he asks about the owner's token too: it waits, until the owner asks.
    let stage = Stage::new(BASIC);
    stage.issuer.script.say("good", stage.active(stage.a()));
    stage.issuer.script.hold(true);
    thread::scope(|scope| {
        for token in ["r1", "r2", "r3", "r4"] {
            let stage = &stage;
            scope.spawn(move || stage.verdict(stage.b(), token));
        }
        stage.issuer.until_calls(4);
        let thief = scope.spawn(|| stage.verdict(stage.b(), "good"));
        let owner = scope.spawn(|| stage.verdict(stage.a(), "good"));
        stage.issuer.until_calls(5);
        stage.issuer.script.hold(false);
        assert_eq!(owner.join().unwrap(), passed());
        assert_eq!(thief.join().unwrap(), refused(401, "thumbprint-mismatch"));
    });
    assert_eq!(stage.issuer.calls(), 5);
}

#[test]
fn too_many_waiting_tokens_of_one_client_are_refused_at_once() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.hold(true);
    thread::scope(|scope| {
        let mut requests = Vec::new();
        for worker in 0..14 {
            let mut connection = H2::connect(&stage.client(stage.b()), stage.boundgate.address).unwrap();
            requests.push(scope.spawn(move || {
                let sent = (0..10).map(|n| {
                    let request = http::Request::get("https://localhost/")
                        .header("authorization", format!("Bearer t-{worker}-{n}"));
                    connection.sender.send_request(request.body(Default::default()).unwrap())
                });
                let sent: Vec<_> = sent.collect();
                connection.runtime.block_on(async {
                    for answer in sent {
                        answer.await.unwrap();
                    }
                });
            }));
        }
        let refused = || stage.boundgate.metric("boundgate_requests_total", &["introspection-unavailable"]);
        // 140 tokens, of which 4 are asked about and 128 wait.
        until("eight are refused", || refused() == 8.0);
        stage.issuer.script.hold(false);
        requests.into_iter().for_each(|request| request.join().unwrap());
        assert_eq!(refused(), 8.0);
    });
    assert_eq!(stage.issuer.calls(), 132);
    let note = "too many introspections wait already";
    stage.boundgate.log_line(|line| line["note"].as_str() == Some(note));
}
