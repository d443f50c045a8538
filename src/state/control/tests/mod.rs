#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod outages;
mod reloads;

use std::sync::Mutex;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::*;
use crate::config::settings::Issuer;
use crate::state::fixture::issuers::issuer;
use crate::state::fixture::server::{Reply, Server};
use crate::state::fixture::{jwk, jwks, loopback, metadata, server_tls};
use crate::state::folder::Folder;
use crate::state::pki::Authority;
use crate::state::status::{IssuerStatus, Usability};

const JWKS: &str = "/jwks";

/// A control loop with everything that it shows to the outside.
struct Rig {
    control: Control,
    shared: Arc<Shared>,
    board: Arc<Board>,
    /// The outcomes of fetches.
    counted: Arc<Mutex<Vec<&'static str>>>,
    folder: Folder,
    /// What the next look at the files finds.
    found: Arc<Mutex<Option<Snapshot>>>,
    task: JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rig {
    fn new(folder: Folder, issuers: Vec<Issuer>) -> Rig {
        let shared = Arc::new(Shared::new(folder.load_with(issuers, None)));
        let (control, commands) = Control::new(Arc::clone(&shared));
        let (counted, found, board) =
            (Arc::<Mutex<Vec<_>>>::default(), Arc::<Mutex<Option<Snapshot>>>::default(), Arc::default());
        let (outcomes, next) = (Arc::clone(&counted), Arc::clone(&found));
        let tools = Tools {
            reload: Box::new(move |_, _| next.lock().unwrap().take()),
            reloaded: Box::new(|_| ()),
            count_fetch: Arc::new(move |_, outcome| outcomes.lock().unwrap().push(outcome)),
            board: Arc::clone(&board),
            introspections: crate::metrics::Registry::new(Vec::new(), Default::default())
                .introspections()
                .clone(),
            call_timeout: calls::TIMEOUT,
        };
        let task = tokio::spawn(run(Arc::clone(&shared), commands, tools));
        Rig { control, shared, board, counted, folder, found, task }
    }

    /// One issuer, with its keys at `JWKS` of that server, which have been fetched.
    async fn ready(server: &Server) -> Rig {
        let rig = Rig::new(Folder::new(), vec![at(server)]);
        rig.until(|rig| rig.keys(0).is_some()).await;
        rig
    }

    fn generation(&self, issuer: usize) -> u64 {
        self.shared.load().issuers[issuer].keys.generation
    }

    /// How many keys serve.
    fn keys(&self, issuer: usize) -> Option<usize> {
        self.shared.load().issuers[issuer].keys.set.as_ref().map(|set| set.len())
    }

    fn status(&self) -> IssuerStatus {
        self.board.issuers()[0].clone()
    }

    fn counted(&self) -> Vec<&'static str> {
        self.counted.lock().unwrap().clone()
    }

    /// Asks as a request does that saw the present keys.
    async fn refresh(&self) {
        self.control.refresh_keys(0, self.generation(0)).await;
    }

    async fn until(&self, condition: impl Fn(&Rig) -> bool) {
        let begun = Instant::now();
        while !condition(self) {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "in time; {:?} {:?}",
                self.status(),
                self.counted()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn at(server: &Server) -> Issuer {
    named("https://as", server, JWKS)
}

fn named(name: &str, server: &Server, path: &str) -> Issuer {
    issuer(name, KeySource::Uri(server.url(path)))
}

#[tokio::test]
async fn keys_are_fetched_at_the_start_and_published() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a"), &jwk("b")])));
    let rig = Rig::new(Folder::new(), vec![at(&server)]);
    let before = rig.generation(0);
    assert_eq!((rig.keys(0), rig.board.has_been_usable()), (None, false));

    rig.refresh().await;
    assert_eq!(rig.keys(0), Some(2));
    assert_ne!(rig.generation(0), before);
    let status = rig.status();
    assert_eq!((status.state, status.keys, status.error), (Usability::Usable, 2, None));
    assert!(status.fetched_at.is_some() && rig.board.has_been_usable());
    assert_eq!((rig.counted(), server.hits(JWKS)), (vec!["ok"], 1), "the request shared the first fetch");
}

#[tokio::test]
async fn a_rotated_key_is_there_when_the_request_that_needs_it_goes_on() {
    let server = Server::plain().await;
    let old = jwk("old");
    server.set(JWKS, Reply::ok(jwks(&[&old])));
    let rig = Rig::ready(&server).await;
    let seen = rig.generation(0);
    server.set(JWKS, Reply::ok(jwks(&[&old, &jwk("new")])));

    rig.control.refresh_keys(0, seen).await;
    assert_eq!(rig.keys(0), Some(2));
    assert_ne!(rig.generation(0), seen);
    rig.control.refresh_keys(0, seen).await;
    assert_eq!(server.hits(JWKS), 2, "who saw older keys need not ask: the snapshot has newer ones");
}

#[tokio::test]
async fn the_same_keys_again_publish_nothing() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    let rig = Rig::ready(&server).await;
    let (generation, fetched_at) = (rig.generation(0), rig.status().fetched_at);
    rig.refresh().await;
    assert_eq!((rig.generation(0), rig.counted()), (generation, vec!["ok", "ok"]));
    assert!(rig.status().fetched_at > fetched_at, "but they count as fresh");
}

#[tokio::test]
async fn keys_with_a_validator_are_asked_for_only_if_they_changed() {
    // RFC 9110 §13.1.2
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])).header("etag", "\"1\""));
    let rig = Rig::ready(&server).await;
    let generation = rig.generation(0);
    for _ in 0..2 {
        rig.refresh().await;
    }
    let asked: Vec<_> = server.seen().iter().map(|r| r.headers().get("if-none-match").cloned()).collect();
    assert_eq!(asked, [None, Some("\"1\"".parse().unwrap()), Some("\"1\"".parse().unwrap())]);
    assert_eq!((rig.generation(0), rig.counted()), (generation, vec!["ok"; 3]));

    server.set(JWKS, Reply::ok(jwks(&[&jwk("a"), &jwk("b")])).header("etag", "\"2\""));
    rig.refresh().await;
    assert_eq!(rig.keys(0), Some(2));
}

#[tokio::test]
async fn a_hundred_requests_share_one_fetch() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    let rig = Rig::ready(&server).await;
    let gate = Arc::new(Semaphore::new(0));
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a"), &jwk("b")])).gate(&gate));

    let mut requests = JoinSet::new();
    for _ in 0..100 {
        let (control, generation) = (rig.control.clone(), rig.generation(0));
        requests.spawn(async move { control.refresh_keys(0, generation).await });
    }
    server.until_hits(JWKS, 2).await;
    gate.add_permits(100);
    requests.join_all().await;
    assert_eq!((server.hits(JWKS), rig.keys(0)), (2, Some(2)));
}

#[tokio::test]
async fn fifty_requests_with_unknown_keys_cause_four_fetches_and_wait_for_no_more() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    let rig = Rig::ready(&server).await;
    let begun = Instant::now();
    for _ in 0..50 {
        rig.refresh().await;
    }
    assert_eq!(server.hits(JWKS), 1 + 4);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_request_waits_no_longer_than_a_call_may_take() {
    let folder = Folder::new();
    let issuers = vec![issuer("https://as", KeySource::Discovered), folder.issuer("https://b")];
    let shared = Arc::new(Shared::new(folder.load_with(issuers, None)));
    let generation = |issuer: usize| shared.load().issuers[issuer].keys.generation;
    let (control, commands) = Control::new(Arc::clone(&shared));
    let begun = Instant::now();
    for other in [(1, generation(1)), (0, generation(0) + 1), (7, 0)] {
        control.refresh_keys(other.0, other.1).await;
    }
    assert!(begun.elapsed() < PATIENCE / 2, "keys in a file, other keys, no such issuer: nothing to ask for");

    // Nobody reads the queue.
    let mut asked = JoinSet::new();
    for _ in 0..QUEUE + 10 {
        let (control, generation) = (control.clone(), generation(0));
        asked.spawn(async move { control.refresh_keys(0, generation).await });
    }
    for _ in 0..10 {
        asked.join_next().await.unwrap().unwrap();
    }
    assert!(begun.elapsed() < PATIENCE / 2, "a full queue is not waited for");
    while asked.join_next().await.is_some() {
        assert!((PATIENCE..PATIENCE * 2).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    }
    drop(commands);
    control.refresh_keys(0, generation(0)).await;
    assert!(begun.elapsed() < PATIENCE * 2, "nor is one that is gone");
}

#[tokio::test]
async fn a_worker_asks_from_its_own_runtime() {
    let server = Server::plain().await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    let rig = Rig::ready(&server).await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a"), &jwk("b")])));
    let (control, generation) = (rig.control.clone(), rig.generation(0));
    let worker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(control.refresh_keys(0, generation));
    });
    tokio::task::spawn_blocking(|| worker.join().unwrap()).await.unwrap();
    assert_eq!(rig.keys(0), Some(2));
}

#[tokio::test]
async fn an_issuer_that_demands_a_certificate_gets_ours() {
    let (ca, clients) = (Authority::root("servers"), Authority::root("clients"));
    let server = Server::tls(server_tls(&ca, Some(&clients), &["h2", "http/1.1"])).await;
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])));
    let folder = Folder::new();
    let ours = folder.with_tls(at(&server), &ca, Some(&loopback(&clients)));
    let without = folder.with_tls(named("https://b", &server, JWKS), &ca, None);
    let rig = Rig::new(folder, vec![ours, without]);
    rig.until(|rig| rig.keys(0).is_some() && rig.counted().contains(&"tls")).await;
    assert_eq!(rig.keys(1), None);
}

#[tokio::test]
async fn keys_are_discovered_and_their_place_is_read_again_after_a_failure_only() {
    const OPENID: &str = "/tenant/.well-known/openid-configuration";
    let server = Server::plain().await;
    let name = server.url("/tenant");
    server.set(OPENID, Reply::ok(metadata(&name, &server.url(JWKS))));
    server.set(JWKS, Reply::ok(jwks(&[&jwk("a")])).header("etag", "\"1\""));
    let rig = Rig::new(Folder::new(), vec![issuer(&name, KeySource::Discovered)]);
    rig.until(|rig| rig.keys(0) == Some(1)).await;
    rig.refresh().await;
    assert_eq!((server.hits(OPENID), server.hits(JWKS)), (1, 2));

    server.set(OPENID, Reply::ok(metadata(&name, &server.url("/moved"))));
    server.set("/moved", Reply::ok(jwks(&[&jwk("a"), &jwk("b")])).header("etag", "\"1\""));
    server.set(JWKS, Reply::status(410));
    rig.refresh().await;
    rig.until(|rig| rig.keys(0) == Some(2)).await;
    assert_eq!(
        (server.hits(JWKS), rig.counted()),
        (3, vec!["ok", "ok", "status", "ok"]),
        "a validator is its URL's own"
    );
}
