#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod servers;

use super::*;

fn read(path: &str) -> Result<(String, Vec<String>), Reason> {
    let read = RequestPath::read(path).map_err(|refusal| refusal.reason)?;
    Ok((read.sent().to_owned(), read.readings().map(str::to_owned).collect()))
}

fn assert_one_reading(path: &str, canonical: &str) {
    assert_eq!(read(path), Ok((canonical.to_owned(), vec![canonical.to_owned()])), "{path}");
}

/// The path goes out as it came, and has these readings besides others that hold it to more.
fn assert_ambiguous(path: &str, expected: &[&str]) {
    let (sent, readings) = read(path).unwrap_or_else(|reason| panic!("{path}: {reason:?}"));
    assert_eq!(sent, path);
    for reading in expected {
        assert!(readings.iter().any(|found| found == reading), "{path}: {reading} is not in {readings:?}");
    }
}

/// RFC 3986 §6.2.2: case (§6.2.2.1), escapes of unreserved characters (§6.2.2.2) and dot segments (§6.2.2.3) are no difference.
#[test]
fn a_path_with_one_reading_is_sent_in_its_canonical_form() {
    for (path, canonical) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("/A/b", "/A/b"),
        ("/a-b._~!$&'()*+,=:@c", "/a-b._~!$&'()*+,=:@c"),
        ("/.well-known/x", "/.well-known/x"),
        ("/..a/...", "/..a/..."),
        // escapes
        ("/%61%7E%2D%2e%5F%39", "/a~-._9"),
        ("/a%20b", "/a%20b"),
        ("/%c3%a9", "/%C3%A9"),
        ("/é", "/%C3%A9"),
        ("/%e2%82%ac", "/%E2%82%AC"),
        ("/{a}|\"b\"^[c]", "/%7Ba%7D%7C%22b%22%5E%5Bc%5D"),
        ("/%7ba%7d", "/%7Ba%7D"),
        ("/100%25", "/100%25"),
        ("/100%25/x", "/100%25/x"),
        ("/%25zz", "/%25zz"),
        // dot segments (RFC 3986 §5.2.4)
        ("/public/../admin", "/admin"),
        ("/public/%2e%2e/admin", "/admin"),
        ("/public/.%2E/admin", "/admin"),
        ("/public/./x", "/public/x"),
        ("/public/%2e/x", "/public/x"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../", "/a/"),
        ("/..", "/"),
        ("/../../etc", "/etc"),
        ("/a/../../../b", "/b"),
        ("/mid/content=5/../6", "/mid/6"),
        ("/a/b/c/./../../g", "/a/g"),
        // slashes
        ("//", "/"),
        ("//a///b//", "/a/b/"),
        ("/public//../admin", "/admin"),
        ("/public/..//admin", "/admin"),
        ("//public/admin", "/public/admin"),
    ] {
        assert_one_reading(path, canonical);
    }
}

/// RFC 3986 §2.2: an escaped reserved character may differ from a plain one, and to most servers does not. Both are matched; no
/// server finds another structure in it, so the canonical form is sent.
#[test]
fn an_escaped_reserved_character_has_two_readings() {
    for (path, canonical, decoded) in [
        ("/users/a%40b.com", "/users/a%40b.com", "/users/a@b.com"),
        ("/v1/users%3aexport", "/v1/users%3Aexport", "/v1/users:export"),
        ("/%7Ea//%2b", "/~a/%2B", "/~a/+"),
        ("/x/../a%21", "/a%21", "/a!"),
    ] {
        let expected = vec![canonical.to_owned(), decoded.to_owned()];
        assert_eq!(read(path), Ok((canonical.to_owned(), expected)), "{path}");
    }
}

#[test]
fn an_ambiguous_path_is_matched_in_every_reading_and_sent_unchanged() {
    for (path, readings) in [
        // decoded before or after it is split
        ("/a%2fb", &["/a%2Fb", "/a/b"][..]),
        ("/public/..%2fadmin", &["/public/..%2Fadmin", "/admin"]),
        ("/public/%2e%2e%2fadmin", &["/public/..%2Fadmin", "/admin"]),
        ("/public%2f..%2fadmin", &["/public%2F..%2Fadmin", "/admin"]),
        ("/public/x%2f..%2f..%2fadmin", &["/public/x%2F..%2F..%2Fadmin", "/admin"]),
        ("/%2e%2e%2f", &["/..%2F", "/"]),
        ("/a%2fb%40c", &["/a%2Fb%40c", "/a%2Fb@c", "/a/b%40c", "/a/b@c"]),
        // backslashes: IIS, .NET, the URL standard
        ("/public\\..\\admin", &["/public%5C..%5Cadmin", "/admin"]),
        ("/public/..\\admin", &["/public/..%5Cadmin", "/admin"]),
        ("/public/..%5cadmin", &["/public/..%5Cadmin", "/admin"]),
        ("/public%5C..%5Cadmin", &["/public%5C..%5Cadmin", "/admin"]),
        ("/public/x%5c..\\..\\..\\admin", &["/admin", "/public/x%5C..%5C..%5C..%5Cadmin"]),
        // parameters: Tomcat, Jetty, Spring
        ("/public/..;/admin", &["/public/..;/admin", "/admin"]),
        ("/public/..;a=b/admin", &["/public/..;a=b/admin", "/admin"]),
        ("/public/.;/..;/admin", &["/public/.;/..;/admin", "/admin"]),
        ("/public/%2e%2e;/admin", &["/public/..;/admin", "/admin"]),
        ("/public/%2e%2e%3b/admin", &["/public/..%3B/admin", "/public/..;/admin", "/admin"]),
        ("/public;x/../admin", &["/admin"]),
        ("/admin;/x", &["/admin;/x", "/admin/x", "/admin"]),
        ("/admin;a=b", &["/admin;a=b", "/admin"]),
        ("/admin%3b", &["/admin%3B", "/admin;", "/admin"]),
        ("/;/admin", &["/;/admin", "/admin"]),
        ("/;x=/public/admin", &["/;x=/public/admin", "/public/admin", "/"]),
        ("/admin/;jsessionid=/../public", &["/admin/public", "/admin/"]),
        // decoded twice, and more often
        ("/public/%252e%252e/admin", &["/public/%252e%252e/admin", "/admin"]),
        ("/public/..%252fadmin", &["/public/..%252fadmin", "/public/..%2Fadmin", "/admin"]),
        ("/public/..%255cadmin", &["/public/..%255cadmin", "/public/..%5Cadmin", "/admin"]),
        ("/public/..%25252fadmin", &["/public/..%25252fadmin", "/public/..%252fadmin", "/admin"]),
        ("/public/%25%32%65%25%32%65/admin", &["/public/%252e%252e/admin", "/admin"]),
        ("/public/..%253b/admin", &["/public/..%253b/admin", "/public/..;/admin", "/admin"]),
        ("/a%2541", &["/a%2541", "/aA"]),
        ("/%25zz/..%252f..%252fadmin", &["/%25zz/..%252f..%252fadmin", "/admin"]),
        // a query or fragment in what was decoded
        ("/admin%3f/public", &["/admin%3F/public", "/admin"]),
        ("/admin%23", &["/admin%23", "/admin"]),
        ("/admin%253fx", &["/admin%253fx", "/admin%3Fx", "/admin"]),
        // read as a reference with an authority (RFC 3986 §4.2)
        ("//public/admin;x", &["/public/admin;x", "/admin;x", "/admin"]),
        ("/\\public/admin", &["/%5Cpublic/admin", "/public/admin", "/admin"]),
        ("/%5c/public/admin", &["/%5C/public/admin", "/public/admin", "/admin"]),
        // dot segments resolved before the rest or after it, with empty segments or without
        ("/public/%2e%2e/../b;x", &["/b;x", "/public/b;x"]),
        ("/a/b//../%2e%2e/../c;", &["/c", "/a/c", "/a/b/c"]),
        ("/public//../admin;x", &["/admin;x", "/public/admin;x", "/admin", "/public/admin"]),
        ("/public/x/..;/../admin", &["/public/x/admin", "/admin"]),
        ("/public/a%2fb/../../admin", &["/admin", "/public/admin"]),
        // dot segments that stay: what is sent unchanged is below "/admin/" to every router that takes them for names
        ("/admin/../public/;", &["/public/;", "/admin/../public/;"]),
        ("/admin/%2e%2e/public/;", &["/public/;", "/admin/../public/;"]),
        ("/a/../admin/%2e%2e/public/;", &["/public/;", "/admin/../public/;"]),
        ("/%61dmin/../x;", &["/x;", "/admin/../x;"]),
        ("/admin%2f..", &["/", "/admin/.."]),
        ("/a%2Fb/../..", &["/", "/a%2Fb/../.."]),
        ("/%7Ba/{b};", &["/%7Ba/%7Bb%7D;", "/%7Ba/%7Bb%7D"]),
        ("/é;", &["/%C3%A9;", "/%C3%A9"]),
    ] {
        assert_ambiguous(path, readings);
    }
}

#[test]
fn a_path_without_a_safe_reading_is_refused() {
    for path in [
        "",
        "*",
        "a",
        "http://a/b",
        "/a?b",
        "/a#b",
        // bad escapes
        "/%",
        "/%4",
        "/%zz",
        "/%u002e",
        "/%%32%65",
        "/%+1",
        "/a%2",
        // control characters, in any decoding
        "/%00",
        "/a\0b",
        "/public%00.html",
        "/%0d%0aHost:x",
        "/a\tb",
        "/%7f",
        "/\u{85}",
        "/%c2%85",
        "/%2500",
        "/%252500",
        "/%25%30%30",
        "/a;%250a",
        // broken and overlong UTF-8 (RFC 3629 §3), in any decoding
        "/%ff",
        "/%c3",
        "/%c3/%a9",
        "/%c0%ae%c0%ae/admin",
        "/public/..%c0%afadmin",
        "/%e0%80%af",
        "/%f0%80%80%af",
        "/%ed%a0%80",
        "/%f4%90%80%80",
        "/public/%25c0%25ae%25c0%25ae/admin",
    ] {
        assert_eq!(read(path), Err(Reason::PathInvalid), "{path:?}");
    }
}

#[test]
fn sixteen_readings_are_accepted_and_seventeen_refused() {
    // A slash in n decodings can be read in n + 3 ways: as each decoding leaves it, and as a slash.
    let nested = |decodings: usize| format!("/a%{}2Fb", "25".repeat(decodings));
    assert_eq!(read(&nested(0)).unwrap().1.len(), 2);
    assert_eq!(read(&nested(14)).unwrap().1.len(), 16);
    assert_eq!(read(&nested(15)), Err(Reason::PathInvalid));
    assert_eq!(read(&nested(10_000)), Err(Reason::PathInvalid));
}

#[test]
fn the_search_for_readings_is_bounded() {
    for unit in ["/..;%252f%5c", "/%252525252525", "\\", "a;/..", "/;", "//", "/%3A/../", "/%252e%252e"] {
        let path = format!("/a;b%2f\\%253f/../{}", unit.repeat(60_000 / unit.len()));
        assert_eq!(read(&path), Err(Reason::PathInvalid), "{unit}");
    }
    let long = format!("/{}", "a%2Fb".repeat(10_000));
    assert_eq!(read(&long).unwrap().1.len(), 2, "a long path may still have a few readings");
}

#[test]
fn a_note_says_what_is_wrong_and_nothing_of_the_path() {
    let refusal = RequestPath::read("/secret%zz").unwrap_err();
    assert_eq!(refusal.note.as_deref(), Some("the path has a bad escape"));
}

#[test]
fn the_fast_path_agrees_with_the_slow_one() {
    let mut accepted = 0;
    for path in servers::hostile_paths(20_000) {
        if is_canonical(&path) {
            accepted += 1;
            let slow = RequestPath::read_slowly(&path).unwrap();
            assert_eq!((slow.sent(), slow.others.len()), (path.as_str(), 0));
        }
    }
    assert!(accepted > 100, "{accepted}");
}
