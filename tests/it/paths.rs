//! The path that is checked is the path that the API gets (RFC 9110, 9112: one meaning; the interface: canonical form, readings).

use super::support::frames::END_STREAM;
use super::support::outcome::Frames;
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

const ROUTES: &str = r#"
[[routes]]
path = "/public/*"
methods = ["GET"]
access = "public"

[[routes]]
path = "/public/post"
methods = ["POST"]
access = "public"

[[routes]]
path = "/admin/*"
scopes = ["admin"]

[[routes]]
path = "/files/*"
scopes = ["files"]

[[routes]]
path = "/café"
access = "public"
"#;

fn stage() -> Stage {
    Stage::new(Server::http(|_| Answer::ok("hello")), ROUTES)
}

/// The verdict on a GET of this target over HTTP/1.1, with a token if there is one.
fn h1(stage: &Stage, target: &str, token: Option<&str>) -> (u16, String) {
    stage.connect().get(target, token).unwrap().verdict()
}

/// The same over HTTP/2.
fn h2(stage: &Stage, target: &str) -> Option<(u16, String)> {
    let mut frames = Frames::connect(&stage.client(), stage.boundgate.address);
    let fields = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", target)];
    frames.headers(1, &fields, END_STREAM).unwrap();
    frames.outcome(1).verdict()
}

#[test]
fn no_spelling_leads_from_a_public_route_to_another_one() {
    let stage = stage();
    for target in [
        "/public/../admin/x",
        "/public/./../admin/x",
        "/public/%2e%2e/admin/x",
        "/public/%2E./admin/x",
        "/public/.%2e/admin/x",
        "/public/..%2fadmin/x",
        "/public/%2e%2e%2fadmin/x",
        "/public/..%5cadmin%5cx",
        "/public/..\\admin\\x",
        "/public\\..\\admin\\x",
        "/public/%252e%252e/admin/x",
        "/public/%252e%252e%252fadmin/x",
        "/public/..%252fadmin/x",
        "/public/..%255cadmin/x",
        "/public/..;/admin/x",
        "/public/..;a=b/admin/x",
        "/public/%2e%2e;/admin/x",
        "/public/..%3b/admin/x",
        "/public/x;/../../admin/x",
        "/public//../admin/x",
        "/public///../../admin/x",
        "//public/../admin/x",
        "//admin/public/x",
        "//localhost/admin/x",
        "/public/x/../../admin/x",
        "/public/.%2e%2fadmin/x",
        "/public%2f..%2fadmin/x",
        "/public/x%3f/../../admin/x",
        "/admin%2fx",
        "/admin;/public/../x",
        "/%61dmin/x",
        "/%2561dmin/x",
        "/PUBLIC/x",
        "/public",
        "/publicx",
        "/public../admin/x",
        "/public%2fx/..%2f..%2fadmin/x",
        // Sent unchanged, these are below "/admin/" to a router that does not resolve dot segments.
        "/admin/../public/;",
        "/admin/%2e%2e/public/;",
        "/admin/x/../../public/%2f",
        "/./admin/../public/;",
        "/admin/x/../../public/%5c",
    ] {
        let (status, reason) = h1(&stage, target, None);
        assert!(matches!(status, 400 | 401), "{target}: {status} {reason}");
        if let Some((status, reason)) = h2(&stage, target) {
            assert!(matches!(status, 400 | 401), "HTTP/2 {target}: {status} {reason}");
        }
    }
    assert!(stage.world.api.requests().is_empty(), "{:?}", stage.world.api.requests());
}

/// Canonical where it has one reading, unchanged where it has several; the query never touched.
#[test]
fn the_api_gets_the_form_that_was_matched() {
    let stage = stage();
    for (target, sent) in [
        ("/public/a", "/public/a"),
        ("/public/%61%2Db", "/public/a-b"),
        ("/public/./a/../b", "/public/b"),
        ("/public//a///b", "/public/a/b"),
        ("/x/../public/a/", "/public/a/"),
        ("/public/a/..", "/public/"),
        ("/%70ublic/%7e", "/public/~"),
        ("/public/caf%c3%a9", "/public/caf%C3%A9"),
        ("/public/café/{a}", "/public/caf%C3%A9/%7Ba%7D"),
        ("/public/a%20b?q=%2e%2e/%2f;&r=//", "/public/a%20b?q=%2e%2e/%2f;&r=//"),
        ("/public/./a?../../admin", "/public/a?../../admin"),
        ("/public/a?", "/public/a?"),
        // Several readings, all of them public.
        ("/public/a%2fb", "/public/a%2fb"),
        ("/public/a;v=1/b", "/public/a;v=1/b"),
        ("/public/a%252fb", "/public/a%252fb"),
        ("/public/x/..%2fy", "/public/x/..%2fy"),
        ("/public/a\\b", "/public/a\\b"),
        ("/caf%C3%A9", "/caf%C3%A9"),
    ] {
        assert_eq!(h1(&stage, target, None).0, 200, "{target}");
        assert_eq!(stage.seen().target(), sent, "{target}");
        assert_eq!(h2(&stage, target).map(|verdict| verdict.0), Some(200), "{target}");
        assert_eq!(stage.seen().target(), sent, "HTTP/2 {target}");
    }
}

#[test]
fn a_path_without_one_safe_reading_is_refused_on_every_route_even_with_a_token() {
    let stage = stage();
    let many = format!("/public/{}", "%252525252f..;/".repeat(6));
    for target in [
        "/public/%00",
        "/public/a%0d%0aX-Admin:%201",
        "/public/%0a",
        "/public/%7f",
        "/public/%c2%80",
        "/public/%ff",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%c0%af",
        "/public/%e0%80%af",
        "/public/%ed%a0%80",
        "/public/%",
        "/public/%2",
        "/public/%zz",
        "/public/%u002e",
        "/public/%25%30%30",
        "/public/%2500",
        many.as_str(),
    ] {
        let expected = (400, "path-invalid".to_owned());
        assert_eq!(h1(&stage, target, Some(&stage.token)), expected, "{target}");
        assert_eq!(h1(&stage, target, None), expected, "{target}");
        assert_eq!(h2(&stage, target), Some(expected), "HTTP/2 {target}");
    }
    assert!(stage.world.api.requests().is_empty());
}

/// Any `token` beats `public`, and the scopes of all readings are needed at once.
#[test]
fn of_several_readings_the_strictest_holds() {
    let stage = stage();
    let token = |scope: &str| {
        let mut claims = stage.world.issuer.claims(&stage.world.pki.client_a);
        claims["scope"] = scope.into();
        stage.world.issuer.mint(&claims)
    };
    let target = "/admin/..%2ffiles/x";
    assert_eq!(h1(&stage, target, None), (401, "token-missing".to_owned()));
    for too_few in ["read", "admin", "files"] {
        let answer = stage.connect().get(target, Some(&token(too_few))).unwrap();
        assert_eq!(answer.verdict(), (403, "scope-missing".to_owned()), "{too_few}");
        let challenge = answer.value("www-authenticate").unwrap();
        assert!(challenge.contains("admin") && challenge.contains("files"), "{challenge}");
    }
    assert!(stage.world.api.requests().is_empty());
    assert_eq!(h1(&stage, target, Some(&token("files read admin"))).0, 200);
    assert_eq!(stage.seen().target(), target, "unchanged");
    // One reading each: one scope each.
    assert_eq!(h1(&stage, "/admin/../files/x", Some(&token("files"))).0, 200);
    assert_eq!(stage.seen().target(), "/files/x");
    assert_eq!(h1(&stage, "/files/%2e%2e/admin/x", Some(&token("files"))).0, 403);
}

/// The interface: GET does not imply HEAD, and no header changes the method. RFC 9110 §9.1: methods are case-sensitive; a server that
/// takes "get" for GET must not get one that passed by another rule.
#[test]
fn a_route_is_for_the_methods_that_it_names() {
    let stage = stage();
    let mut connection = stage.connect();
    let mut verdict = |method: &str, target: &str, more: &str| {
        connection.send(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")).unwrap();
        if method == "HEAD" { connection.head() } else { connection.response() }.unwrap().status()
    };
    assert_eq!(verdict("GET", "/public/x", ""), 200);
    assert_eq!(verdict("POST", "/public/post", "Content-Length: 0\r\n"), 200);
    assert_eq!(stage.world.api.requests().len(), 2);
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"] {
        let more = "X-HTTP-Method-Override: GET\r\nX-HTTP-Method: GET\r\nX-Method-Override: GET\r\n";
        assert_eq!(verdict(method, "/public/x", more), 401, "{method}");
    }
    for method in ["get", "Get", "gET"] {
        let request = format!("{method} /public/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let verdict = stage.connect().exchange(request).unwrap().verdict();
        assert_eq!(verdict, (400, "request-malformed".to_owned()), "{method}");
    }
    assert_eq!(stage.world.api.requests().len(), 2);
}

/// RFC 9112 §3.2: origin and absolute form; §3.2.2: in the absolute form the path is matched like any other.
#[test]
fn the_target_is_in_origin_or_absolute_form() {
    let stage = stage();
    let verdict = |method: &str, target: &str, host: &str| {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        stage.connect().exchange(request).unwrap().verdict()
    };
    for target in ["https://localhost/public/x", "http://localhost/public/x", "HTTPS://LOCALHOST/public/x"] {
        assert_eq!(verdict("GET", target, "localhost").0, 200, "{target}");
        assert_eq!((stage.seen().target(), stage.seen().value("host")), ("/public/x", Some("localhost")));
    }
    assert_eq!(verdict("GET", "https://localhost/public/../admin", "localhost").0, 401);
    // The path of a target without one is "/".
    assert_eq!(stage.exchange("GET https://localhost?public/x", "", "").status(), 200);
    assert_eq!(stage.seen().target(), "/?public/x");
    let asked = stage.world.api.requests().len();
    for (method, target, host) in [
        ("GET", "https://localhost/public/x", "other"),
        ("GET", "https://localhost:1/public/x", "localhost"),
        ("GET", "https://user@localhost/public/x", "localhost"),
        ("GET", "ftp://localhost/public/x", "localhost"),
        ("GET", "localhost", "localhost"),
        ("GET", "localhost:443", "localhost"),
        ("GET", "public/x", "localhost"),
        ("GET", "*", "localhost"),
        ("OPTIONS", "*", "localhost"),
        ("CONNECT", "localhost:443", "localhost"),
        ("CONNECT", "/public/x", "localhost"),
        ("GET", "?/public/x", "localhost"),
    ] {
        assert_eq!(verdict(method, target, host).0, 400, "{method} {target}");
    }
    assert_eq!(stage.world.api.requests().len(), asked);
}

/// Servers behind may obey such headers; the rules look at the request line alone (CVE-2023-27487, CVE-2026-40575).
#[test]
fn no_header_changes_the_path_that_is_matched() {
    let stage = stage();
    for name in
        ["X-Original-URL", "X-Rewrite-URL", "X-Envoy-Original-Path", "X-Forwarded-Uri", "X-Forwarded-Prefix"]
    {
        let request = format!("GET /admin/x HTTP/1.1\r\nHost: localhost\r\n{name}: /public/x\r\n\r\n");
        let verdict = stage.connect().exchange(request).unwrap().verdict();
        assert_eq!(verdict, (401, "token-missing".to_owned()), "{name}");
    }
    assert!(stage.world.api.requests().is_empty());
}
