//! Clients who do as they should, each a thread with a habit of its own. Every answer must be the right one.

use std::error::Error;
use std::io::{self, Read as _};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};

use super::servers::{BIG, EVENTS};
use super::stage::Stage;
use crate::support::client::Connection;
use crate::support::h2::H2;
use crate::support::message::Message;

/// Between two requests of one client.
const PAUSE: Duration = Duration::from_millis(10);
/// So long a client stays on one connection and keeps a token.
const STAY: Duration = Duration::from_secs(2);

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// A client's name, and what it does on one connection.
type Habit = (&'static str, fn(&Stage) -> Outcome);

const HABITS: [Habit; 11] = [
    ("GET", gets),
    ("GET", gets),
    ("GET", gets),
    ("POST", posts),
    ("HTTP/2", streams),
    ("large download", downloads),
    ("large upload", uploads),
    ("WebSocket", web_sockets),
    ("server-sent events", events),
    ("opaque token", opaque),
    ("failing API", failures),
];

pub(super) fn start<'s>(scope: &'s Scope<'s, '_>, stage: &'s Stage) -> Vec<ScopedJoinHandle<'s, ()>> {
    HABITS.into_iter().map(|habit| scope.spawn(move || run(stage, habit))).collect()
}

fn run(stage: &Stage, (name, turn): Habit) {
    while !stage.stopped() {
        if let Err(error) = turn(stage) {
            stage.tally.fault(format!("{name}: {error}"));
            thread::sleep(STAY / 4); // a fault, not a storm of them
        }
    }
}

/// As long as the connection lasts and its time is not over.
fn on_one_connection(
    stage: &Stage,
    mut ask: impl FnMut(&mut Connection, &str) -> Result<bool, Box<dyn Error + Send + Sync>>,
) -> Outcome {
    let (mut connection, token) = (stage.client().connect(stage.address())?, stage.token());
    let start = Instant::now();
    while start.elapsed() < STAY && !stage.stopped() {
        if !ask(&mut connection, &token)? {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Whether the connection stays.
fn stays(answer: &Message) -> bool {
    !answer.value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

fn expect(answer: &Message, body: &str) -> Outcome {
    let right = answer.status() == 200 && answer.body == body.as_bytes();
    if right && answer.value("x-subject") == Some("alice") {
        return Ok(());
    }
    Err(format!("{}: {}", answer.start, String::from_utf8_lossy(&answer.body)).into())
}

/// The requests whose time is taken.
fn gets(stage: &Stage) -> Outcome {
    on_one_connection(stage, |connection, token| {
        let start = Instant::now();
        let answer = connection.get("/get", Some(token))?;
        stage.tally.took(start.elapsed());
        expect(&answer, "/get 0")?;
        stage.tally.count("good: GET");
        Ok(stays(&answer))
    })
}

/// A request that may have reached the API is not sent twice: where the API closed without a word, 502 is the right answer.
fn posts(stage: &Stage) -> Outcome {
    on_one_connection(stage, |connection, token| {
        let answer = connection.exchange(head("POST /post", token, "Content-Length: 4\r\n") + "body")?;
        if answer.verdict() == (502, "upstream-failed".to_owned()) {
            stage.tally.count("good: POST that the API broke off (502)");
        } else {
            expect(&answer, "/post 4")?;
            stage.tally.count("good: POST");
        }
        Ok(stays(&answer))
    })
}

fn streams(stage: &Stage) -> Outcome {
    let (mut connection, token) = (H2::connect(&stage.client(), stage.address())?, stage.token());
    let start = Instant::now();
    while start.elapsed() < STAY && !stage.stopped() {
        let requests = (0..8).map(|_| {
            let request =
                Request::get("https://localhost/h2").header("authorization", format!("Bearer {token}"));
            let sent =
                request.body(Full::<Bytes>::default()).map(|request| connection.sender.send_request(request));
            async move {
                let (head, body) = sent?.await?.into_parts();
                Ok::<_, Box<dyn Error + Send + Sync>>((
                    head.status.as_u16(),
                    body.collect().await?.to_bytes(),
                ))
            }
        });
        let requests: Vec<_> = requests.collect();
        for answer in
            requests.into_iter().map(|request| connection.runtime.spawn(request)).collect::<Vec<_>>()
        {
            let (status, body) = connection.runtime.block_on(answer)??;
            if (status, &body[..]) != (200, b"/h2 0") {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
            }
            stage.tally.count("good: HTTP/2 stream");
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn downloads(stage: &Stage) -> Outcome {
    on_one_connection(stage, |connection, token| {
        let answer = connection.get("/big", Some(token))?;
        if answer.status() != 200 || answer.body.len() != BIG {
            return Err(format!("{} with {} bytes", answer.start, answer.body.len()).into());
        }
        stage.tally.count("good: download of 2 MiB");
        thread::sleep(20 * PAUSE);
        Ok(stays(&answer))
    })
}

fn uploads(stage: &Stage) -> Outcome {
    let body = vec![b'u'; BIG];
    on_one_connection(stage, |connection, token| {
        connection.send(head("PUT /up", token, &format!("Content-Length: {BIG}\r\n")))?;
        connection.send(&body)?;
        let answer = connection.response()?;
        if answer.verdict() == (502, "upstream-failed".to_owned()) {
            stage.tally.count("good: upload that the API broke off (502)");
        } else {
            expect(&answer, &format!("/up {BIG}"))?;
            stage.tally.count("good: upload of 2 MiB");
        }
        thread::sleep(20 * PAUSE);
        Ok(stays(&answer))
    })
}

fn web_sockets(stage: &Stage) -> Outcome {
    let mut connection = stage.client().connect(stage.address())?;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    connection.send(head("GET /ws", &stage.token(), upgrade))?;
    let answer = connection.head()?;
    if answer.status() != 101 {
        return Err(answer.start.into());
    }
    for number in 0..20_u32 {
        let said = number.to_be_bytes();
        connection.send(said)?;
        let mut heard = [0; 4];
        connection.stream.read_exact(&mut heard)?;
        if heard != said {
            return Err("another echo".into());
        }
        thread::sleep(PAUSE);
    }
    stage.tally.count("good: WebSocket with 20 messages");
    Ok(())
}

fn events(stage: &Stage) -> Outcome {
    on_one_connection(stage, |connection, token| {
        let answer = connection.get("/events", Some(token))?;
        if answer.status() != 200 || answer.body != b"data: 1\n\n".repeat(EVENTS) {
            return Err(format!("{}: {:?}", answer.start, String::from_utf8_lossy(&answer.body)).into());
        }
        stage.tally.count("good: stream of events");
        Ok(stays(&answer))
    })
}

/// Passes, or, while the authorization server fails, is put off; never refused.
fn opaque(stage: &Stage) -> Outcome {
    let token = format!("good-{}", stage.tally.next());
    on_one_connection(stage, |connection, _| {
        let failed_before = stage.authorization_server.has_failed();
        let answer = connection.get("/opaque", Some(&token))?;
        let put_off = answer.verdict() == (503, "introspection-unavailable".to_owned());
        if put_off && (failed_before || stage.authorization_server.has_failed()) {
            stage.tally.count("good: opaque token while its server failed (503)");
        } else {
            expect(&answer, "/opaque 0")?;
            stage.tally.count("good: opaque token");
        }
        thread::sleep(5 * PAUSE);
        Ok(stays(&answer))
    })
}

/// What comes back where the API fails as it was asked to.
const FAILURES: [(&str, u16, &str); 5] = [
    ("/fail/close", 502, "upstream-failed"),
    ("/fail/reset", 502, "upstream-failed"),
    ("/fail/garbage", 502, "upstream-failed"),
    ("/fail/500", 500, ""),
    ("/fail/slow", 504, "upstream-timeout"),
];

fn failures(stage: &Stage) -> Outcome {
    let (client, token) = (stage.client(), stage.token());
    for (target, status, reason) in FAILURES {
        let verdict = client.get(stage.address(), target, Some(&token))?.verdict();
        if verdict != (status, reason.to_owned()) {
            return Err(format!("{target}: {verdict:?}").into());
        }
        stage.tally.count(&format!("good: {target} ({status})"));
    }
    // Half an answer is an error, never a whole one.
    match client.get(stage.address(), "/fail/half", Some(&token)) {
        Ok(answer) => Err(format!("/fail/half: {}", answer.start).into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err("/fail/half: nothing comes".into()),
        Err(_) => {
            stage.tally.count("good: /fail/half (an error)");
            Ok(())
        }
    }
}

fn head(start: &str, token: &str, lines: &str) -> String {
    format!("{start} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{lines}\r\n")
}
