//! What the API gets of a request, and the client of an answer: "Towards the upstream" of the interface.

use http::Request;
use http_body_util::Full;

use super::support::message::Message;
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

const PUBLIC: &str = "[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n";

fn api() -> Server {
    Server::http(|_| Answer::ok("hello"))
}

/// What the API must be told about a request to this host, whatever the client said.
fn assert_told(request: &Message, host: &str, public: &str) {
    assert_eq!(request.value("host"), Some(host));
    assert_eq!(request.value("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.value("x-forwarded-proto"), Some("https"));
    assert_eq!(request.value("x-forwarded-host"), Some(public));
    // RFC 7239 §4: a host with a port is no token, so it stands in quotes.
    let forwarded = format!("for=127.0.0.1;host=\"{public}\";proto=https");
    assert_eq!(request.value("forwarded"), Some(forwarded.as_str()));
}

#[test]
fn the_host_is_kept_and_the_way_to_here_is_told_on_every_route_and_protocol() {
    let stage = Stage::new(api(), PUBLIC);
    let host = "api.example.com:8443";
    let mut connection = stage.connect();
    for (path, authorization) in [
        ("/orders?a=%2f&b", format!("Authorization: Bearer {}\r\n", stage.token)),
        ("/public/x", String::new()),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
        assert_eq!(connection.exchange(request).unwrap().status(), 200);
        assert_eq!(stage.seen().target(), path);
        assert_told(&stage.seen(), host, host);
    }
    let mut h2 = stage.h2();
    for (path, token) in [("/orders?a=%2f&b", Some(&stage.token)), ("/public/x", None)] {
        let mut request = Request::get(format!("https://{host}{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        assert_eq!(h2.send(request.body(Full::default()).unwrap()).unwrap().status(), 200);
        assert_eq!((stage.seen().method(), stage.seen().target()), ("GET", path));
        assert_told(&stage.seen(), host, host);
    }
}

#[test]
fn public_url_is_what_the_api_is_told_and_never_changes_the_host() {
    let stage = Stage::with(api(), |config| {
        config.listener = "public_url = \"https://api.example.com\"".to_owned();
    });
    assert_eq!(stage.connect().get("/", Some(&stage.token)).unwrap().status(), 200);
    assert_told(&stage.seen(), "localhost", "api.example.com");
}

#[test]
fn one_request_id_is_in_the_answer_at_the_api_and_in_the_log() {
    let stage = Stage::new(api(), PUBLIC);
    for (path, token) in [("/x", Some(stage.token.as_str())), ("/public/x", None), ("/x", None)] {
        let answer = stage.connect().get(path, token).unwrap();
        let id = answer.value("x-request-id").expect("every answer has one").to_owned();
        stage.boundgate.log_line(|line| line["request_id"] == id.as_str());
        if answer.status() == 200 {
            assert_eq!(stage.seen().value("x-request-id"), Some(id.as_str()));
        } else {
            assert_eq!(answer.json()["request_id"], id);
        }
    }
    assert_eq!(stage.world.api.requests().len(), 2);
}

/// RFC 9110 §7.6.1, RFC 9113 §8.2.2: these are about one connection. §10.1.4: `TE` is for the next one only, and what is left of it
/// is named in `Connection`.
#[test]
fn what_is_about_one_connection_goes_no_further() {
    let api = Server::http(|_| {
        Answer::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Internal, keep-alive\r\nX-Internal: 1\r\n\
             Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\n\
             Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Kept: 1\r\nX-Request-Id: theirs\r\n\r\nok",
        )
    });
    let stage = Stage::new(api, "");
    let answer = stage.exchange(
        "GET /",
        "Connection: X-Hop, keep-alive\r\nconnection: x-other\r\nX-Hop: 1\r\nX-Other: 1\r\nX-Other: 2\r\nKeep-Alive: 5\r\n\
         Proxy-Authorization: Basic Zm9v\r\nProxy-Connection: keep-alive\r\nTE: gzip, trailers\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\nAccept: a\r\nAccept: b\r\nX-Empty:\r\nX-Kept: \t1 2\t\r\n",
        "",
    );
    let seen = stage.seen();
    for gone in
        ["x-hop", "x-other", "keep-alive", "proxy-authorization", "proxy-connection", "http2-settings"]
    {
        assert_eq!(seen.values(gone), [""; 0], "{gone}");
    }
    assert_eq!((seen.value("te"), seen.value("connection")), (Some("trailers"), Some("te")));
    assert_eq!(seen.values("accept"), ["a", "b"], "every line, in its order");
    assert_eq!((seen.value("x-empty"), seen.value("x-kept")), (Some(""), Some("1 2")));
    let h2 = stage.h2().get("/", Some(&stage.token)).unwrap();
    for answer in [answer, h2] {
        for gone in
            ["x-internal", "keep-alive", "proxy-authenticate", "proxy-connection", "upgrade", "connection"]
        {
            assert_eq!(answer.values(gone), [""; 0], "{gone}");
        }
        assert_eq!((answer.text(), answer.value("x-kept")), ("ok", Some("1")));
        assert_eq!(answer.values("set-cookie"), ["a=1", "b=2"]);
        assert_ne!(answer.value("x-request-id"), Some("theirs"), "ours, and one");
    }
}

/// RFC 9110 §7.6.1: `Connection` must not take off what makes the message what it is.
#[test]
fn host_and_length_survive_being_named_in_connection() {
    let stage = Stage::new(api(), "");
    let lines = "Connection: Host, Content-Length, Transfer-Encoding\r\nContent-Length: 5\r\n";
    assert_eq!(stage.exchange("POST /", lines, "12345").status(), 200);
    let seen = stage.seen();
    assert_eq!((seen.value("host"), seen.value("content-length")), (Some("localhost"), Some("5")));
    assert_eq!(seen.text(), "12345");
}

#[test]
fn the_token_is_kept_by_default_and_taken_off_every_route_where_it_is_to_be_removed() {
    for (more, expected) in [("", true), ("[forward]\nauthorization = \"remove\"\n", false)] {
        let stage = Stage::new(api(), &format!("{PUBLIC}{more}"));
        let bearer = format!("Bearer {}", stage.token);
        for path in ["/x", "/public/x"] {
            assert_eq!(stage.connect().get(path, Some(&stage.token)).unwrap().status(), 200);
            assert_eq!(stage.seen().value("authorization"), expected.then_some(bearer.as_str()), "{path}");
            stage.h2().get(path, Some(&stage.token)).unwrap();
            assert_eq!(stage.seen().value("authorization"), expected.then_some(bearer.as_str()), "{path}");
        }
        // On a public route nothing reads it, so nothing says that it is one field or a token at all.
        let twice = "Authorization: Basic Zm9vOmJhcg==\r\n";
        assert_eq!(stage.exchange("GET /public/x", twice, "").status(), 200);
        assert_eq!(stage.seen().values("authorization").len(), if expected { 2 } else { 0 });
    }
}

/// RFC 9113 §8.2.3: over HTTP/1.1 the crumbs are one `Cookie` again.
#[test]
fn cookies_of_http2_are_joined() {
    let stage = Stage::new(api(), "");
    let request = Request::get("https://localhost/")
        .header("authorization", format!("Bearer {}", stage.token))
        .header("cookie", "a=1")
        .header("cookie", "b=2; c=3")
        .header("cookie", "d=4");
    assert_eq!(stage.h2().send(request.body(Full::default()).unwrap()).unwrap().status(), 200);
    assert_eq!(stage.seen().value("cookie"), Some("a=1; b=2; c=3; d=4"));
}
