#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;

use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::decide::refusal::Reason;
use crate::metrics::Worker;
use crate::state::status::Usability;

/// A running admin server and what its issuers are said to be.
struct Admin {
    address: SocketAddr,
    state: Arc<AdminState>,
    board: Arc<Board>,
}

async fn admin(workers: Vec<Arc<Worker>>) -> Admin {
    let board = Arc::new(Board::default());
    board.show(vec![issuer(Usability::NotYet)]);
    let metrics = Arc::new(Registry::new(workers, Counter::default()));
    let state = Arc::new(AdminState::new(metrics, board.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, state.clone()));
    Admin { address, state, board }
}

fn issuer(state: Usability) -> IssuerStatus {
    let error = (state != Usability::Usable).then(|| "connection refused".to_owned());
    IssuerStatus {
        issuer: "https://as.example.com".into(),
        state,
        introspection: None,
        keys: 2,
        error,
        fetched_at: None,
    }
}

impl Admin {
    /// One request on a connection of its own; head and body of the answer.
    async fn ask(&self, method: &str, target: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_ascii_lowercase(), body.to_owned())
    }

    async fn status(&self, method: &str, target: &str) -> u16 {
        let (head, _) = self.ask(method, target).await;
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn issuer_is(&self, state: Usability) {
        self.board.show(vec![issuer(state)]);
    }
}

#[tokio::test]
async fn ready_once_it_accepts_and_an_issuer_has_been_usable() {
    let admin = admin(vec![]).await;
    assert_eq!(admin.status("GET", "/readyz").await, 503);
    admin.state.accepting();
    assert_eq!(admin.status("GET", "/readyz").await, 503, "no issuer has been usable");
    admin.issuer_is(Usability::Usable);
    assert_eq!(admin.status("GET", "/readyz").await, 200);
    admin.issuer_is(Usability::Stale);
    assert_eq!(admin.status("GET", "/readyz").await, 200, "a later outage does not turn it back");
    admin.issuer_is(Usability::NotYet);
    assert_eq!(admin.status("GET", "/readyz").await, 200, "nor does a reload with another issuer");
    admin.state.draining();
    assert_eq!(admin.status("GET", "/readyz").await, 503, "a drain does");
}

#[tokio::test]
async fn an_issuer_that_was_usable_before_anyone_asked_counts() {
    let admin = admin(vec![]).await;
    admin.state.accepting();
    admin.issuer_is(Usability::Usable);
    admin.issuer_is(Usability::Stale);
    assert_eq!(admin.status("GET", "/readyz").await, 200);
}

#[tokio::test]
async fn a_usable_issuer_is_not_enough() {
    let admin = admin(vec![]).await;
    admin.issuer_is(Usability::Usable);
    assert_eq!(admin.status("GET", "/readyz").await, 503);
}

#[tokio::test]
async fn readyz_lists_each_issuers_state() {
    let admin = admin(vec![]).await;
    admin.state.accepting();
    let (head, body) = admin.ask("GET", "/readyz").await;
    assert!(
        head.contains("\r\ncontent-type: application/json") && head.contains("\r\ncache-control: no-store")
    );
    let expected = json!({
        "ready": false, "accepting": true, "draining": false,
        "issuers": [{
            "issuer": "https://as.example.com", "state": "not-yet", "keys": 2, "error": "connection refused"
        }]
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

#[tokio::test]
async fn alive_while_every_worker_beats() {
    let worker = Arc::new(Worker::silent_since(SILENCE + Duration::from_secs(2)));
    let admin = admin(vec![Arc::default(), worker.clone()]).await;
    let (head, body) = admin.ask("GET", "/livez").await;
    assert!(
        head.starts_with("http/1.1 503 ") && body.starts_with("worker 1 has been silent for 3"),
        "{body}"
    );
    worker.beat();
    let (head, body) = admin.ask("GET", "/livez").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("cache-control: no-store"), "{head}");
    assert!(head.contains("content-type: text/plain"), "{head}");
    assert_eq!(body, "alive\n");
}

#[tokio::test]
async fn metrics_are_those_of_the_workers() {
    let worker = Arc::new(Worker::default());
    worker.request(Some(Reason::ScopeMissing), Duration::from_millis(1));
    let admin = admin(vec![worker]).await;
    let (head, body) = admin.ask("GET", "/metrics").await;
    assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let line = "boundgate_requests_total{decision=\"refused\",reason=\"scope-missing\"} 1";
    assert!(body.lines().any(|found| found == line), "{body}");
}

#[tokio::test]
async fn it_only_reads_and_knows_three_paths() {
    let admin = admin(vec![]).await;
    for path in ["/livez", "/readyz", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "ODD"] {
            let (head, _) = admin.ask(method, path).await;
            assert!(head.starts_with("http/1.1 405 ") && head.contains("\r\nallow: get, head"), "{head}");
        }
        let (get, body) = admin.ask("GET", path).await;
        let (head, nothing) = admin.ask("HEAD", path).await;
        assert_eq!(get.lines().next(), head.lines().next());
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        assert_eq!(nothing, "");
    }
    for path in ["/", "/revocations", "/livez/", "/LIVEZ", "//livez", "/%6civez"] {
        assert_eq!(admin.status("GET", path).await, 404, "{path}");
    }
    assert_eq!(admin.status("GET", "/livez?verbose").await, 200);
}

#[tokio::test]
async fn a_connection_serves_more_than_one_request() {
    let admin = admin(vec![]).await;
    let mut stream = TcpStream::connect(admin.address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"alive\n") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
        }
    }
}

#[tokio::test]
async fn no_more_than_so_many_connections_are_served_at_once() {
    let admin = admin(vec![]).await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(admin.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n").await.unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).await.unwrap();
        held.push(stream);
    }
    let mut waiting = pin!(admin.status("GET", "/livez"));
    assert!(tokio::time::timeout(Duration::from_millis(200), waiting.as_mut()).await.is_err());
    held.pop();
    assert_eq!(waiting.await, 200, "a place that is given up goes to the next");
}

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(600);

/// How long a client that sends only this is served; with an interval it sends it again and again.
async fn served_for(deadlines: Deadlines, sent: &[u8], again: Option<Duration>) -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Registry::new(vec![], Counter::default()));
    tokio::spawn(serve_within(deadlines, listener, Arc::new(AdminState::new(metrics, Arc::default()))));
    let start = std::time::Instant::now();
    let (mut read, mut write) = TcpStream::connect(address).await.unwrap().into_split();
    let mut answers = Vec::new();
    let reading = async { drop(read.read_to_end(&mut answers).await) };
    let writing = async {
        write.write_all(sent).await.unwrap();
        while let Some(interval) = again {
            tokio::time::sleep(interval).await;
            if write.write_all(sent).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await
    };
    tokio::select! { () = reading => {} () = writing => {} }
    start.elapsed()
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_head_is_closed() {
    let deadlines = Deadlines { head: SHORT, life: LONG, last_answer: LONG };
    for sent in ["", "GET /livez HTTP/1.1\r\nHo", "GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n"] {
        let elapsed = served_for(deadlines, sent.as_bytes(), None).await;
        assert!((SHORT..LONG / 10).contains(&elapsed), "{sent:?}: {elapsed:?}");
    }
}

#[tokio::test]
async fn a_client_that_keeps_asking_gives_up_its_place_in_time() {
    let deadlines = Deadlines { head: LONG, life: SHORT, last_answer: SHORT };
    let request = b"GET /livez HTTP/1.1\r\nHost: admin\r\n\r\n";
    let elapsed = served_for(deadlines, request, Some(SHORT / 10)).await;
    assert!((SHORT..LONG / 10).contains(&elapsed), "{elapsed:?}");
}
