#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;
use crate::state::fixture::server::{Reply, Server};
use crate::state::fixture::{call_material, loopback, server_tls};
use crate::state::pki::Authority;

const NOTHING: CallMaterial = CallMaterial { roots: Vec::new(), identity: None };
const SHORT: Duration = Duration::from_millis(400);

fn caller() -> Caller {
    Caller::new(&NOTHING, TIMEOUT).unwrap()
}

async fn get(caller: &Caller, url: &str) -> Result<String, CallError> {
    match caller.get(&endpoint("url", url)?, None).await?.content {
        Content::Body(body) => Ok(String::from_utf8(body).unwrap()),
        Content::Unmodified => panic!("304 without If-None-Match"),
    }
}

#[tokio::test]
async fn a_document_is_fetched_with_our_name_and_nothing_that_asks_for_compression() {
    let server = Server::plain().await;
    server.set("/doc", Reply::ok("hello"));
    assert_eq!(get(&caller(), &server.url("/doc")).await.unwrap(), "hello");
    let request = server.seen().remove(0);
    let headers = request.headers();
    assert_eq!(headers["user-agent"], concat!("boundgate/", env!("CARGO_PKG_VERSION")));
    for absent in ["accept-encoding", "cookie", "referer", "if-none-match"] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn calls_share_a_connection_and_send_no_cookie_back() {
    let server = Server::plain().await;
    server.set("/doc", Reply::ok("hello").header("set-cookie", "a=b"));
    let caller = caller();
    for _ in 0..3 {
        get(&caller, &server.url("/doc")).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    assert!(server.seen().iter().all(|request| !request.headers().contains_key("cookie")));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_says_so() {
    let server = Server::plain().await;
    server.set("/doc", Reply::status(302).header("location", "/other"));
    server.set("/other", Reply::ok("hello"));
    let url = server.url("/doc");
    let error = get(&caller(), &url).await.unwrap_err();
    assert_eq!((error.outcome(), error.cause.clone()), ("redirect", Cause::Redirect(302)));
    assert_eq!(error.to_string(), format!("{url}: status 302, a redirect, which is not followed"));
    assert_eq!(server.hits("/other"), 0);
}

#[tokio::test]
async fn any_status_but_200_is_a_failure_and_its_url_is_told_without_the_query() {
    let server = Server::plain().await;
    for status in [201, 204, 304, 401, 404, 500, 503] {
        server.set("/doc", Reply::status(status));
        let error = get(&caller(), &server.url("/doc?secret=1")).await.unwrap_err();
        assert_eq!((error.outcome(), error.cause.clone()), ("status", Cause::Status(status)));
        assert_eq!(error.to_string(), format!("{}: status {status}", server.url("/doc")));
    }
}

#[tokio::test]
async fn a_body_ends_at_1_mib_with_and_without_a_content_length() {
    let server = Server::plain().await;
    server.set("/fits", Reply::ok(vec![b'a'; MAX_BODY]));
    server.set("/declared", Reply::ok(vec![b'a'; 2 * MAX_BODY]));
    server.set("/chunked", Reply::chunks(vec![Bytes::from(vec![b'a'; 64 * 1024]); 32], Duration::ZERO));
    assert_eq!(get(&caller(), &server.url("/fits")).await.unwrap().len(), MAX_BODY);
    for path in ["/declared", "/chunked"] {
        let error = get(&caller(), &server.url(path)).await.unwrap_err();
        assert_eq!((error.outcome(), error.cause), ("too-large", Cause::TooLarge), "{path}");
    }
}

#[tokio::test]
async fn a_call_ends_in_time_however_slowly_the_answer_drips() {
    let server = Server::plain().await;
    let drips = vec![Bytes::from_static(b" "); 10_000];
    server.set("/drip", Reply::chunks(drips, Duration::from_millis(20)));
    server.set("/never", Reply::ok("").gate(&Arc::new(Semaphore::new(0))));
    let caller = Caller::new(&NOTHING, SHORT).unwrap();
    for path in ["/drip", "/never"] {
        let begun = std::time::Instant::now();
        let error = get(&caller, &server.url(path)).await.unwrap_err();
        assert_eq!((error.outcome(), error.cause), ("timeout", Cause::Timeout), "{path}");
        assert!((SHORT..SHORT * 5).contains(&begun.elapsed()), "{path}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let caller = Caller::new(&NOTHING, SHORT).unwrap();
    assert_eq!(get(&caller, &url).await.unwrap_err().outcome(), "timeout");
}

#[tokio::test]
async fn refused_and_broken_connections_and_what_is_no_http_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = get(&caller(), &url).await.unwrap_err();
    assert_eq!(error.outcome(), "connect");
    assert!(error.to_string().contains("refused"), "{error}");

    for (answer, outcome) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"[..], "connect"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "invalid"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await.unwrap();
            socket.write_all(answer).await.unwrap();
        };
        let caller = caller();
        let (result, ()) = tokio::join!(get(&caller, &url), server);
        let error = result.unwrap_err();
        assert_eq!(error.outcome(), outcome, "{error}");
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_issuers_own_root_only() {
    let ca = Authority::root("servers");
    for alpn in [&["http/1.1"][..], &["h2"], &[]] {
        let server = Server::tls(server_tls(&ca, None, alpn)).await;
        server.set("/doc", Reply::ok("hello"));
        let trusting = Caller::new(&call_material(Some(&ca), None), TIMEOUT).unwrap();
        assert_eq!(get(&trusting, &server.url("/doc")).await.unwrap(), "hello");
        let version = server.seen()[0].version();
        assert_eq!(version == http::Version::HTTP_2, alpn == ["h2"]);

        let error = get(&caller(), &server.url("/doc")).await.unwrap_err();
        assert_eq!(error.outcome(), "tls", "{error}");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_that_of_issuers_tls() {
    // RFC 8705 §2: the client authenticates with its certificate.
    let (ca, clients) = (Authority::root("servers"), Authority::root("clients"));
    let caller = |holder| Caller::new(&call_material(Some(&ca), holder), TIMEOUT).unwrap();
    let (admitted, unknown) = (loopback(&clients), loopback(&Authority::root("others")));
    for alpn in ["http/1.1", "h2"] {
        let server = Server::tls(server_tls(&ca, Some(&clients), &[alpn])).await;
        server.set("/doc", Reply::ok("hello"));
        assert_eq!(get(&caller(Some(&admitted)), &server.url("/doc")).await.unwrap(), "hello");
        for holder in [None, Some(&unknown)] {
            let error = get(&caller(holder), &server.url("/doc")).await.unwrap_err();
            assert_eq!(error.outcome(), "tls", "{error}");
        }
    }
}

#[test]
fn a_key_that_is_not_the_certificates_is_an_error() {
    let ca = Authority::root("servers");
    let identity = Some((loopback(&ca).chain, loopback(&ca).key_der()));
    let material = CallMaterial { roots: Vec::new(), identity };
    assert_eq!(Caller::new(&material, TIMEOUT).unwrap_err().outcome(), "tls");
}

#[tokio::test]
async fn a_validator_is_sent_back_and_304_means_unmodified() {
    // RFC 9110 §13.1.2
    let server = Server::plain().await;
    server.set("/doc", Reply::ok("hello").header("etag", "\"v1\"").header("cache-control", "max-age=60"));
    let (caller, url) = (caller(), endpoint("url", &server.url("/doc")).unwrap());
    let first = caller.get(&url, None).await.unwrap();
    assert_eq!(first.max_age, Some(Duration::from_secs(60)));
    let etag = first.etag.unwrap();
    let second = caller.get(&url, Some(&etag)).await.unwrap();
    assert!(matches!(second.content, Content::Unmodified));
    let other = HeaderValue::from_static("\"v0\"");
    assert!(matches!(caller.get(&url, Some(&other)).await.unwrap().content, Content::Body(_)));
}

#[test]
fn max_age_counts_only_where_it_says_something_about_the_keys() {
    for (value, expected) in [
        ("max-age=60", Some(60)),
        ("public, Max-Age=\"60\", must-revalidate", Some(60)),
        ("max-age=0", None),
        ("max-age=-1", None),
        ("no-cache, no-store, max-age=60", None),
        ("private", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(value));
        assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{value}");
    }
}

#[test]
fn only_https_or_this_machine_may_be_called() {
    for good in
        ["https://as.example.com/jwks?x=y", "http://127.0.0.1:9/", "http://[::1]/", "http://localhost:80/a"]
    {
        assert!(endpoint("jwks_uri", good).is_ok(), "{good}");
    }
    for bad in [
        "http://as.example.com/jwks",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "ftp://as.example.com/",
        "file:///etc/passwd",
        "https://user:hunter2@as.example.com/",
        "https://as.example.com/#a",
        "/jwks",
        "",
    ] {
        let error = endpoint("jwks_uri", bad).unwrap_err();
        assert_eq!(error.outcome(), "invalid", "{bad}");
        assert!(!error.to_string().contains("hunter2"));
    }
}
