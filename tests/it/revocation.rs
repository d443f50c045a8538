//! `POST /revocations` on the control socket: what was remembered is forgotten at once, and nothing older comes back.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::introspection::stage::{BASIC, Stage, passed, refused};
use super::support::boundgate::{Boundgate, command};
use super::support::message::{Message, read_response};
use super::support::process::PATIENCE;
use super::support::server::Answer;

const CONTROL: &str = "control = \"unix:control.sock\"";

fn stage(introspection: &str) -> Stage {
    Stage::with(&format!("{BASIC}\n{introspection}"), |_, mut config| {
        config.admin = CONTROL.to_owned();
        config.listener = "workers = 4".to_owned();
        config
    })
}

fn socket(stage: &Stage) -> PathBuf {
    stage.world.pki.path().join("control.sock")
}

fn request(socket: &Path, method: &str, target: &str, body: &str) -> Message {
    let mut stream = BufReader::new(UnixStream::connect(socket).unwrap());
    stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream.get_mut(),
        "{method} {target} HTTP/1.1\r\nHost: boundgate\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    read_response(&mut stream).unwrap()
}

/// How many tokens were forgotten.
fn revoke(stage: &Stage, what: &Value) -> u64 {
    let answer = request(&socket(stage), "POST", "/revocations", &what.to_string());
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()["dropped"].as_u64().unwrap()
}

fn hex(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_is_revoked_is_asked_about_again() {
    let stage = stage("");
    let a = stage.a();
    let say = |token: &str, sub: &str, client: &str| {
        let mut answer = stage.active(a);
        (answer["sub"], answer["client_id"]) = (json!(sub), json!(client));
        stage.issuer.script.say(token, answer);
    };
    say("one", "alice", "c1");
    say("two", "alice", "c2");
    say("three", "bob", "c2");
    let iss = "https://as.example.test";
    for (what, dropped, asked_again) in [
        (json!({"token_sha256": hex("one")}), 1, vec!["one"]),
        (json!({"token_sha256": hex("one").to_uppercase()}), 1, vec!["one"]),
        (json!({"token_sha256": hex("four")}), 0, vec![]),
        (json!({"issuer": iss, "sub": "alice"}), 2, vec!["one", "two"]),
        (json!({"issuer": iss, "client_id": "c2"}), 2, vec!["two", "three"]),
        (json!({"issuer": "https://other.example.test", "sub": "alice"}), 0, vec![]),
        (json!({"issuer": iss, "sub": "c1"}), 0, vec![]),
        (json!({"all": true}), 3, vec!["one", "two", "three"]),
    ] {
        // Each on several connections, so that several workers remember it.
        for token in ["one", "two", "three"] {
            (0..6).for_each(|_| assert_eq!(stage.verdict(a, token), passed()));
        }
        let before = stage.issuer.calls();
        assert_eq!(revoke(&stage, &what), dropped, "{what}");
        for token in ["one", "two", "three"] {
            (0..6).for_each(|_| assert_eq!(stage.verdict(a, token), passed()));
        }
        assert_eq!(stage.issuer.calls() - before, asked_again.len(), "{what}");
    }
}

/// RFC 7662 §2.2: `sub` and `client_id` are optional in an answer. With `always` the operator knows them from the JWT.
#[test]
fn a_jwt_is_asked_about_again_though_the_answer_does_not_name_its_subject() {
    let stage = stage("always = true");
    let (a, iss) = (stage.a(), &stage.world.issuer.name);
    let token = stage.world.issuer.token(a);
    for name in ["sub", "client_id"] {
        let mut answer = stage.active(a);
        for optional in ["sub", "client_id"] {
            answer.as_object_mut().unwrap().remove(optional);
        }
        stage.issuer.script.say(&token, answer);
        assert_eq!(stage.verdict(a, &token), passed());
        stage.issuer.script.say(&token, json!({"active": false}));
        let value = if name == "sub" { "alice" } else { "client" };
        assert_eq!(revoke(&stage, &json!({"issuer": iss, name: value})), 1);
        assert_eq!(stage.verdict(a, &token), refused(401, "token-inactive"), "{name}");
        assert_eq!(revoke(&stage, &json!({"all": true})), 1);
    }
}

#[test]
fn a_revoked_token_is_refused_by_every_worker_from_the_answer_on() {
    let stage = stage("");
    let (a, address) = (stage.a(), stage.boundgate.address);
    stage.issuer.script.say("opaque", stage.active(a));
    let mut connections: Vec<_> = (0..12).map(|_| stage.client(a).connect(address).unwrap()).collect();
    for round in 0..10 {
        for connection in &mut connections {
            assert_eq!(connection.get("/", Some("opaque")).unwrap().verdict(), passed(), "{round}");
        }
        stage.issuer.script.say("opaque", json!({"active": false}));
        assert_eq!(revoke(&stage, &json!({"token_sha256": hex("opaque")})), 1);
        for connection in &mut connections {
            let verdict = connection.get("/", Some("opaque")).unwrap().verdict();
            assert_eq!(verdict, refused(401, "token-inactive"), "{round}");
        }
        stage.issuer.script.say("opaque", stage.active(a));
        assert_eq!(revoke(&stage, &json!({"all": true})), 1, "refusals are forgotten too");
    }
}

#[test]
fn what_was_looked_up_before_a_revocation_is_not_remembered_after_it() {
    let stage = stage("");
    let a = stage.a();
    stage.issuer.script.say("opaque", stage.active(a));
    stage.issuer.script.hold(true);
    thread::scope(|scope| {
        let before = scope.spawn(|| stage.verdict(a, "opaque"));
        stage.issuer.until_calls(1);
        assert_eq!(revoke(&stage, &json!({"all": true})), 0);
        // Who comes after it does not share the older call, and who waits already comes over to the younger one.
        let after = scope.spawn(|| stage.verdict(a, "opaque"));
        stage.issuer.until_calls(2);
        stage.issuer.script.hold(false);
        assert_eq!((before.join().unwrap(), after.join().unwrap()), (passed(), passed()));
    });
    assert_eq!(stage.verdict(a, "opaque"), passed());
    assert_eq!(stage.issuer.calls(), 2, "the younger answer is remembered");

    // The same with nobody coming after it: a revocation of others changes nothing for who waits, and the answer is not kept.
    stage.issuer.script.say("other", stage.active(a));
    stage.issuer.script.hold(true);
    thread::scope(|scope| {
        let before = scope.spawn(|| stage.verdict(a, "other"));
        stage.issuer.until_calls(3);
        revoke(&stage, &json!({"issuer": stage.world.issuer.name, "sub": "bob"}));
        stage.issuer.script.hold(false);
        assert_eq!(before.join().unwrap(), passed());
    });
    assert_eq!(stage.issuer.calls(), 3);
    stage.issuer.script.say("other", json!({"active": false}));
    for _ in 0..8 {
        assert_eq!(stage.verdict(a, "other"), refused(401, "token-inactive"));
    }
}

/// An answer to each call in turn: what it is, and that it is held back until told.
fn scripted(stage: &Stage, answers: Vec<Value>) -> Vec<mpsc::Sender<()>> {
    let (senders, receivers): (Vec<_>, Vec<_>) = answers.iter().map(|_| mpsc::channel()).unzip();
    let answers = Mutex::new(answers.into_iter().zip(receivers).collect::<VecDeque<_>>());
    stage.issuer.script.fail(move |_| {
        let (answer, told) = answers.lock().unwrap().pop_front().unwrap();
        let _ = told.recv_timeout(PATIENCE);
        Answer::json(&answer)
    });
    senders
}

#[test]
fn a_revocation_reaches_the_requests_that_wait_for_a_call() {
    let stage = stage("timeout = \"30s\"");
    let a = stage.a();
    let iss = &stage.world.issuer.name;
    let all = [
        json!({"token_sha256": hex("t0")}),
        json!({"issuer": iss, "sub": "alice"}),
        json!({"issuer": iss, "client_id": "client"}),
        json!({"all": true}),
    ];
    for (n, what) in all.iter().enumerate() {
        let token = format!("t{n}");
        let before = stage.issuer.calls();
        let tell = scripted(&stage, vec![stage.active(a), json!({"active": false})]);
        thread::scope(|scope| {
            let requests: Vec<_> = (0..8).map(|_| scope.spawn(|| stage.verdict(a, &token))).collect();
            stage.issuer.until_calls(before + 1);
            revoke(&stage, what);
            tell.iter().for_each(|tell| tell.send(()).unwrap());
            for request in requests {
                assert_eq!(request.join().unwrap(), refused(401, "token-inactive"), "{what}");
            }
        });
        assert_eq!(stage.issuer.calls() - before, 2, "one fresh call for all of them: {what}");
    }

    // Overtaken for a second time: nothing is known.
    let tell = scripted(&stage, vec![stage.active(a), stage.active(a)]);
    let before = stage.issuer.calls();
    thread::scope(|scope| {
        let request = scope.spawn(|| stage.verdict(a, "late"));
        for (n, tell) in tell.iter().enumerate() {
            stage.issuer.until_calls(before + 1 + n);
            revoke(&stage, &json!({"token_sha256": hex("late")}));
            tell.send(()).unwrap();
        }
        assert_eq!(request.join().unwrap(), refused(503, "introspection-unavailable"));
    });
    assert_eq!(stage.issuer.calls() - before, 2);
    stage.boundgate.log_line(|line| line["note"].as_str().is_some_and(|note| note.contains("revoked twice")));
    assert!(stage.world.api.requests().is_empty());
}

#[test]
fn idle_connections_delay_no_revocation() {
    let stage = stage("");
    stage.issuer.script.say("opaque", stage.active(stage.a()));
    for idle in [15, 16, 17, 64, 200] {
        assert_eq!(stage.verdict(stage.a(), "opaque"), passed());
        let mut open: Vec<_> = (0..idle).map(|_| UnixStream::connect(socket(&stage)).unwrap()).collect();
        // Half a request is none.
        for stream in open.iter_mut().step_by(2) {
            let _ = stream.write_all(b"POST /revocations HTTP/1.1\r\nHost: b\r\nContent-Length: 12\r\n\r\n{");
        }
        let begun = Instant::now();
        assert_eq!(revoke(&stage, &json!({"all": true})), 1);
        assert!(begun.elapsed() < Duration::from_secs(1), "{idle}: {:?}", begun.elapsed());
        drop(open);
    }
    // Those who do not idle have their places: as many as there are and more, all at once.
    thread::scope(|scope| {
        let revocations: Vec<_> =
            (0..100).map(|_| scope.spawn(|| revoke(&stage, &json!({"all": true})))).collect();
        let dropped: u64 = revocations.into_iter().map(|revocation| revocation.join().unwrap()).sum();
        assert_eq!(dropped, 0);
    });
}

#[test]
fn jwts_are_forgotten_too() {
    let stage = stage("always = true");
    let (a, token) = (stage.a(), stage.world.issuer.token(stage.a()));
    stage.issuer.script.say(&token, stage.active(a));
    assert_eq!(stage.verdict(a, &token), passed());
    assert_eq!(stage.verdict(a, &token), passed());
    stage.issuer.script.say(&token, json!({"active": false}));
    assert_eq!(stage.verdict(a, &token), passed(), "the window that a revocation closes");
    assert_eq!(revoke(&stage, &json!({"issuer": stage.world.issuer.name, "sub": "alice"})), 1);
    assert_eq!(stage.verdict(a, &token), refused(401, "token-inactive"));
}

#[test]
fn anything_else_is_400_and_forgets_nothing() {
    let stage = stage("");
    stage.issuer.script.say("opaque", stage.active(stage.a()));
    assert_eq!(stage.verdict(stage.a(), "opaque"), passed());
    for body in [
        "",
        "{}",
        "[]",
        "{\"all\":false}",
        "{\"all\":true,\"all\":true}",
        "{\"sub\":\"alice\"}",
        "{\"all\":true}x",
    ] {
        let answer = request(&socket(&stage), "POST", "/revocations", body);
        assert_eq!(answer.status(), 400, "{body}");
        assert!(answer.json()["error"].is_string(), "{body}");
    }
    let large = format!("{{\"all\":true{}}}", " ".repeat(20_000));
    assert_eq!(request(&socket(&stage), "POST", "/revocations", &large).status(), 400);
    let get = request(&socket(&stage), "GET", "/revocations", "");
    assert_eq!((get.status(), get.value("allow")), (405, Some("POST")));
    assert_eq!(request(&socket(&stage), "POST", "/", "{\"all\":true}").status(), 404);
    assert_eq!(stage.verdict(stage.a(), "opaque"), passed());
    assert_eq!(stage.issuer.calls(), 1);
    assert_eq!(stage.boundgate.ask("/revocations").unwrap().status(), 404, "never on the admin port");
}

#[test]
fn the_socket_is_its_owners_alone_and_a_dead_one_is_replaced() {
    let stage = stage("");
    let socket = socket(&stage);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    // A second process does not take it away from a living one.
    let second = fs::read_to_string(&stage.boundgate.file).unwrap().replace("127.0.0.1:2", "127.0.0.1:1");
    let file = stage.world.pki.path().join("second.toml");
    fs::write(&file, second).unwrap();
    let output = command().arg("run").arg("--config").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("admin.control") && message.contains("another process"), "{message}");

    let Stage { world, config, boundgate, issuer } = stage;
    boundgate.process.signal("KILL");
    drop(boundgate);
    assert!(socket.exists(), "a process that is killed leaves it behind");
    let mut boundgate = Boundgate::spawn(world.pki.path(), &config);
    boundgate.wait_until_ready();
    assert_eq!(request(&socket, "POST", "/revocations", "{\"all\":true}").status(), 200);

    let moved =
        super::support::world::Config { admin: "control = \"unix:elsewhere.sock\"".to_owned(), ..config };
    boundgate.rewrite(&moved);
    boundgate.process.signal("HUP");
    let note = boundgate.log_line(|line| line.to_string().contains("needs a restart"));
    assert!(note.to_string().contains("admin.control"), "{note}");
    assert_eq!(request(&socket, "POST", "/revocations", "{\"all\":true}").status(), 200);
    assert!(boundgate.stop().success());
    assert!(!socket.exists(), "one that ends in order does not");
    drop(issuer);
}
