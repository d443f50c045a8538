//! interface.md, `[upstream] url`: h2c with prior knowledge (RFC 9113 §3.3), which gRPC needs.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinSet;

use crate::support::boundgate::Boundgate;
use crate::support::client::Connection;
use crate::support::h2::H2;
use crate::support::h2c::{self, Frames, GOAWAY, H2c, HEADERS, RST_STREAM, STATUS_200, WHOLE};
use crate::support::server::Server;
use crate::support::world::{Config, World};

/// A sidecar of one worker in front of this URL.
fn in_front_of(world: &World, url: &str) -> Boundgate {
    let (listener, upstream) = ("workers = 1".to_owned(), format!("url = \"{url}\""));
    Boundgate::start(world.pki.path(), &Config { listener, upstream, ..world.config() })
}

fn connect(world: &World, boundgate: &Boundgate) -> H2 {
    H2::connect(&world.client(Some(&world.pki.client_a)), boundgate.address).unwrap()
}

fn connect_http1(world: &World, boundgate: &Boundgate) -> Connection {
    world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap()
}

/// A good request over HTTP/2.
fn request(world: &World, method: Method, target: &str, body: &'static str) -> Request<Full<Bytes>> {
    let token = world.issuer.token(&world.pki.client_a);
    let request = Request::builder().method(method).uri(format!("https://localhost{target}"));
    request.header("authorization", format!("Bearer {token}")).body(Full::from(body)).unwrap()
}

/// The same over HTTP/1.1, without the empty line that ends its head.
fn request_http1(world: &World, start: &str) -> String {
    let token = world.issuer.token(&world.pki.client_a);
    format!("{start} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n")
}

/// gRPC over HTTP/2, "Requests" and "Responses": `te: trailers` arrives, and the status comes in trailers.
#[test]
fn a_grpc_call_passes_whole() {
    let world = World::new();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let api = H2c::start(100, move |request, mut respond| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, mut body) = request.into_parts();
            let (message, trailers) = h2c::read(&mut body).await;
            seen.lock().unwrap().push((head, message, trailers));
            let answer = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut stream = respond.send_response(answer, false).unwrap();
            stream.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), false).unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            stream.send_trailers(trailers).unwrap();
        }
    });
    let boundgate = in_front_of(&world, &api.url());
    let mut call = request(&world, Method::POST, "/pkg.Greeter/Hello?x=%20", "\0\0\0\0\x01x");
    call.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    call.headers_mut().insert("te", "trailers".parse().unwrap());
    let answer = connect(&world, &boundgate).send(call).unwrap();
    assert_eq!((answer.status(), &*answer.body), (200, &b"\0\0\0\0\x02hi"[..]));
    assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())]);

    let heads = heads.lock().unwrap();
    let [(head, message, None)] = &heads[..] else { panic!("{heads:?}") };
    assert_eq!(message, b"\0\0\0\0\x01x");
    assert_eq!((&head.method, head.version), (&Method::POST, Version::HTTP_2));
    assert_eq!(head.uri, "http://localhost/pkg.Greeter/Hello?x=%20", "the client's Host is :authority");
    assert_eq!(head.headers["te"], "trailers");
    assert_eq!(head.headers["x-forwarded-proto"], "https");
    for gone in ["host", "connection"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn trailers_interim_answers_and_heads_pass() {
    let world = World::new();
    let api = H2c::start(100, |request, mut respond| async move {
        let early = Response::builder().status(103).header("link", "</a>").body(()).unwrap();
        respond.send_informational(early).unwrap();
        let answer = Response::builder().header("content-length", "5").body(()).unwrap();
        if request.method() == Method::HEAD {
            respond.send_response(answer, true).unwrap();
        } else {
            let mut stream = respond.send_response(answer, false).unwrap();
            stream.send_data(Bytes::from_static(b"hello"), true).unwrap();
        }
    });
    let boundgate = in_front_of(&world, &api.url());
    let mut http1 = connect_http1(&world, &boundgate);
    for _ in 0..2 {
        assert_eq!(http1.exchange(request_http1(&world, "GET /") + "\r\n").unwrap().text(), "hello");
        http1.send(request_http1(&world, "HEAD /") + "\r\n").unwrap();
        let head = http1.head().unwrap();
        assert_eq!((head.status(), head.value("content-length")), (200, Some("5")));
    }
    let head = connect(&world, &boundgate).send(request(&world, Method::HEAD, "/", "")).unwrap();
    assert_eq!((head.status(), head.value("content-length"), head.text()), (200, Some("5"), ""));
    assert_eq!(api.connections(), 1);
}

/// RFC 9113 §8.1: an answer may be over before its request is; the rest of that is then asked for no more.
#[test]
fn an_early_answer_does_not_wait_for_the_request() {
    let world = World::new();
    let api = H2c::start(100, |_, mut respond| async move {
        let answer = Response::builder().status(StatusCode::CONFLICT).body(()).unwrap();
        respond.send_response(answer, true).unwrap(); // then h2 resets the stream with NO_ERROR
    });
    let boundgate = in_front_of(&world, &api.url());
    let mut http1 = connect_http1(&world, &boundgate);
    let unfinished = request_http1(&world, "POST /") + "Content-Length: 10\r\n\r\nhalf.";
    assert_eq!(http1.exchange(unfinished).unwrap().status(), 409);
}

/// All wait for each other, so that they pass only if they run side by side.
#[test]
fn requests_share_a_connection() {
    const MANY: usize = 50;
    let world = World::new();
    let all = Arc::new(Barrier::new(MANY));
    let api = H2c::start(100, move |_, respond| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            h2c::ok(respond, "together");
        }
    });
    let boundgate = in_front_of(&world, &api.url());
    let h2 = connect(&world, &boundgate);
    assert_eq!(at_once(&world, &h2, MANY), ["together"; MANY]);
    assert_eq!(api.connections(), 1);
}

/// RFC 9113 §5.1.2: never more streams than the upstream allows; what is above them gets another connection.
#[test]
fn a_connection_has_no_more_streams_than_the_upstream_allows() {
    const MANY: usize = 9;
    let world = World::new();
    let all = Arc::new(Barrier::new(MANY));
    let waits = Arc::new(AtomicUsize::new(0));
    let waiting = Arc::clone(&waits);
    let api = H2c::start(3, move |_, respond| {
        let (all, waiting) = (Arc::clone(&all), Arc::clone(&waiting));
        async move {
            if waiting.load(Ordering::Acquire) > 0 {
                all.wait().await;
            }
            h2c::ok(respond, "served");
        }
    });
    let boundgate = in_front_of(&world, &api.url());
    let h2 = connect(&world, &boundgate);
    assert_eq!(at_once(&world, &h2, 30), ["served"; 30], "before its limit is known");
    waits.store(1, Ordering::Release);
    assert_eq!(at_once(&world, &h2, MANY), ["served"; MANY]);
    assert!((3..=10).contains(&api.connections()), "{} connections", api.connections());
}

/// So many requests side by side on one connection of the client: the answers' texts.
fn at_once(world: &World, h2: &H2, count: usize) -> Vec<String> {
    let calls: Vec<_> = (0..count).map(|_| request(world, Method::GET, "/", "")).collect();
    h2.runtime.block_on(async {
        let mut answers = JoinSet::new();
        for call in calls {
            let answer = h2.sender.clone().send_request(call);
            answers.spawn(async move {
                let body = http_body_util::BodyExt::collect(answer.await.unwrap().into_body()).await;
                String::from_utf8(body.unwrap().to_bytes().into()).unwrap()
            });
        }
        answers.join_all().await
    })
}

/// An upstream that does this to the first request and answers all others; and how many there were.
fn first_fails(
    fail: impl Fn(&mut Frames, u32) -> std::io::Result<()> + Send + Sync + 'static,
) -> (Server, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let server = Server::script(move |socket| {
        let mut frames = Frames::begin(socket)?;
        loop {
            let stream = frames.request()?;
            match counter.fetch_add(1, Ordering::AcqRel) {
                0 => fail(&mut frames, stream)?,
                _ => frames.send(HEADERS, WHOLE, stream, STATUS_200)?,
            }
        }
    });
    (server, requests)
}

/// RFC 9113 §8.7, §6.8: what was refused, or lies beyond a GOAWAY, was not processed, so it may be sent again: whatever it does.
#[test]
fn what_was_not_processed_is_sent_again() {
    let refused = |frames: &mut Frames, stream| frames.send(RST_STREAM, 0, stream, &7u32.to_be_bytes());
    let leaving = |frames: &mut Frames, _| frames.send(GOAWAY, 0, 0, &[0; 8]);
    for method in [Method::GET, Method::DELETE] {
        for server in [first_fails(refused), first_fails(leaving)] {
            let world = World::new();
            let boundgate = in_front_of(&world, &format!("h2c://{}", server.0.address));
            let answer = connect(&world, &boundgate).send(request(&world, method.clone(), "/", "")).unwrap();
            assert_eq!(answer.status(), 200);
            assert_eq!(server.1.load(Ordering::Acquire), 2);
        }
    }
}

/// RFC 9110 §9.2.2: whatever may have been done is not done twice.
#[test]
fn what_may_have_been_processed_is_not_sent_again() {
    let failed = |frames: &mut Frames, stream| frames.send(RST_STREAM, 0, stream, &2u32.to_be_bytes());
    let garbage = |frames: &mut Frames, stream| frames.send(HEADERS, WHOLE, stream, &[0xff; 4]);
    let broken = |_: &mut Frames, _| Err(std::io::ErrorKind::ConnectionAborted.into());
    for server in [first_fails(failed), first_fails(garbage), first_fails(broken)] {
        let world = World::new();
        let boundgate = in_front_of(&world, &format!("h2c://{}", server.0.address));
        let mut h2 = connect(&world, &boundgate);
        let answer = h2.send(request(&world, Method::DELETE, "/", "")).unwrap();
        assert_eq!(answer.verdict(), (502, "upstream-failed".to_owned()));
        assert_eq!(server.1.load(Ordering::Acquire), 1);
        // and the next request finds its way
        assert_eq!(h2.send(request(&world, Method::DELETE, "/", "")).unwrap().status(), 200);
    }
}

#[test]
fn an_upstream_that_speaks_no_http2() {
    let world = World::new();
    let api = Server::script(|mut socket| {
        let mut heard = [0; 16];
        socket.read_exact(&mut heard)?;
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    });
    let boundgate = in_front_of(&world, &format!("h2c://{}", api.address));
    let answer = connect(&world, &boundgate).send(request(&world, Method::GET, "/", "")).unwrap();
    assert_eq!(answer.verdict(), (502, "upstream-failed".to_owned()));
}

/// interface.md, "Towards the upstream": a client that leaves ends its request upstream.
#[test]
fn a_client_that_leaves_ends_its_stream() {
    let world = World::new();
    let (tell, told) = mpsc::channel();
    let api = H2c::start(100, move |request, mut respond| {
        let tell = tell.clone();
        async move {
            if request.uri().path() == "/stream" {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"first"), false).unwrap();
                tell.send(None).unwrap();
                let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
                return tell.send(reason.ok()).unwrap();
            }
            tell.send(None).unwrap();
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            tell.send(reason.ok()).unwrap();
        }
    });
    let boundgate = in_front_of(&world, &api.url());
    for target in ["GET /head", "GET /stream"] {
        let mut http1 = connect_http1(&world, &boundgate);
        http1.send(request_http1(&world, target) + "\r\n").unwrap();
        assert_eq!(told.recv().unwrap(), None);
        drop(http1);
        assert_eq!(told.recv().unwrap(), Some(Reason::CANCEL), "{target}");
    }
    assert_eq!(api.connections(), 1, "the connection goes on");
}

/// Clients that do not read hold up nobody else on the connection that they share.
#[test]
fn slow_readers_do_not_hold_up_others() {
    const SLOW: usize = 12;
    let world = World::new();
    let (tell, stalled) = mpsc::channel();
    let api = H2c::start(100, move |request, mut respond| {
        let tell = tell.clone();
        async move {
            if request.uri().path() != "/endless" {
                return h2c::ok(respond, "quick");
            }
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            loop {
                stream.reserve_capacity(16 << 10);
                let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx));
                match tokio::time::timeout(Duration::from_millis(500), capacity).await {
                    Ok(Some(Ok(granted))) => stream.send_data(vec![0; granted].into(), false).unwrap(),
                    _ => break tell.send(stream).unwrap(), // the stream stays open with the channel
                }
            }
        }
    });
    let boundgate = in_front_of(&world, &api.url());
    let slow = [(); SLOW].map(|()| {
        let mut http1 = connect_http1(&world, &boundgate);
        http1.send(request_http1(&world, "GET /endless") + "\r\n").unwrap();
        http1
    });
    let _stalled: Vec<_> = stalled.iter().take(SLOW).collect();
    let mut http1 = connect_http1(&world, &boundgate);
    assert_eq!(http1.exchange(request_http1(&world, "GET /") + "\r\n").unwrap().text(), "quick");
    assert_eq!(api.connections(), 1);
    drop(slow);
}

#[test]
fn an_answer_that_breaks_off_is_an_error_for_the_client() {
    let world = World::new();
    let arrived = Arc::new(Notify::new());
    let go_on = Arc::clone(&arrived);
    let api = H2c::start(100, move |_, mut respond| {
        let go_on = Arc::clone(&go_on);
        async move {
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            stream.send_data(Bytes::from_static(b"half"), false).unwrap();
            go_on.notified().await;
            stream.send_reset(Reason::INTERNAL_ERROR);
        }
    });
    let boundgate = in_front_of(&world, &api.url());
    let mut http1 = connect_http1(&world, &boundgate);
    http1.send(request_http1(&world, "GET /") + "\r\n").unwrap();
    assert_eq!(http1.head().unwrap().status(), 200);
    arrived.notify_one();
    let rest = http1.rest().unwrap();
    assert_eq!(rest, b"4\r\nhalf\r\n", "without the chunk that ends it");
    boundgate.log_line(|line| line["reason"] == "upstream-failed");
}
