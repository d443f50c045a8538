#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use http::{Request, Version};

use super::*;
use crate::decide::refusal::Reason;

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    headers
}

fn reserved() -> Reserved {
    let claims = [("X-Auth-Subject", "sub"), ("tenant", "org.id")];
    let entries =
        claims.map(|(name, claim)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), claim.to_owned()));
    Reserved::new(&ClaimHeaders::new(entries.to_vec()).unwrap())
}

fn stripped(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = map(fields);
    reserved().strip_request(&mut headers);
    headers
}

/// RFC 9440 §2.4, RFC 9700 §4.13, RFC 3875 §4.1.18: under every spelling that a server behind could fold.
#[test]
fn a_client_cannot_send_what_boundgate_writes() {
    for name in [
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-FORWARDED-HOST",
        "X-Forwarded-Port",
        "Forwarded",
        "X-Request-Id",
        "X-Real-IP",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Forwarded-Client-Cert",
        "X-Auth-Subject",
        "Tenant",
        "X_Forwarded_For",
        "X_Forwarded-For",
        "X.Forwarded.For",
        "x~forwarded!for",
        "Client_Cert",
        "Client_Cert-Chain",
        "X_Forwarded_Client_Cert",
        "x_request_id",
        "x_auth_subject",
        "X.Auth.Subject",
        "X-Auth_Subject",
        "x+auth'subject",
    ] {
        let headers = stripped(&[(name, "forged"), ("accept", "*/*"), (name, "again")]);
        assert_eq!(headers, map(&[("accept", "*/*")]), "{name}");
    }
}

#[test]
fn names_that_only_resemble_ours_pass() {
    let fields = [
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("forwarded-by", "x"),
        ("x-forwarded-forx", "x"),
        ("xforwarded-for", "x"),
        ("x-auth-subjects", "x"),
        ("tenants", "x"),
        ("x-forwarded", "x"),
        ("expect", "100-continue"),
        ("trailer", "x-sum"),
        ("content-length", "5"),
        ("host", "a"),
        ("accept", "a"),
        ("accept", "b"),
    ];
    assert_eq!(stripped(&fields), map(&fields));
}

/// RFC 9110 §7.6.1: these, and what `Connection` names, end here.
#[test]
fn hop_by_hop_fields_are_not_forwarded() {
    for name in [
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Transfer-Encoding",
        "Upgrade",
        "HTTP2-Settings",
        "TE",
        // and what some servers take for them
        "Transfer_Encoding",
        "transfer.encoding",
        "Proxy_Authorization",
        "Content_Length",
    ] {
        assert_eq!(stripped(&[(name, "x"), ("accept", "*/*")]), map(&[("accept", "*/*")]), "{name}");
    }
    let headers = stripped(&[
        ("connection", "close, X-Hop ,,\tx-other"),
        ("connection", "Keep-Alive, x-third, not a token, \"q\""),
        ("x-hop", "1"),
        ("x-hop", "2"),
        ("x-other", "3"),
        ("x-third", "4"),
        ("x-end-to-end", "5"),
    ]);
    assert_eq!(headers, map(&[("x-end-to-end", "5")]));
}

#[test]
fn connection_cannot_take_off_what_frames_or_routes_the_message() {
    let fields = [("host", "a"), ("content-length", "5")];
    let mut named = fields.to_vec();
    named.push(("connection", "host, content-length, authorization"));
    named.push(("authorization", "Bearer x"));
    assert_eq!(stripped(&named), map(&fields), "a client that names Authorization goes without it");

    let mut answer = map(&named);
    strip_response(&mut answer);
    assert_eq!(answer, map(&fields));
}

/// RFC 9110 §10.1.4: `trailers` is the one member that says something about the whole chain.
#[test]
fn of_te_exactly_trailers_stays() {
    for (te, stays) in [
        (&["trailers"][..], true),
        (&["gzip;q=0.5, Trailers"], true),
        (&["gzip", "trailers, deflate"], true),
        (&["gzip"], false),
        (&["trailers;q=1"], false),
        (&[], false),
    ] {
        let mut fields: Vec<_> = te.iter().map(|te| ("te", *te)).collect();
        fields.push(("connection", "te"));
        let expected = if stays { map(&[("te", "trailers")]) } else { HeaderMap::new() };
        assert_eq!(stripped(&fields), expected, "{te:?}");
    }
}

/// RFC 9110 §6.5.1: no trailer frames, routes or authenticates; and it must not bring back what the head lost.
#[test]
fn trailers_bring_back_nothing() {
    let mut trailers = map(&[
        ("x_auth_subject", "forged"),
        ("x-forwarded-for", "forged"),
        ("authorization", "forged"),
        ("cookie", "forged"),
        ("host", "forged"),
        ("content-length", "0"),
        ("content-type", "forged"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("trailer", "x"),
        ("grpc-status", "0"),
    ]);
    reserved().strip_trailers(&mut trailers);
    assert_eq!(trailers, map(&[("grpc-status", "0")]));
}

#[test]
fn trailers_of_an_answer_say_nothing_that_only_a_head_may_say() {
    let mut trailers = map(&[
        ("content-length", "3"),
        ("content-type", "text/html"),
        ("set-cookie", "a=b"),
        ("x-request-id", "theirs"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("grpc-status", "0"),
        ("grpc-message", "ok"),
        ("digest", "sha-256=x"),
    ]);
    strip_response_trailers(&mut trailers);
    let expected = [("grpc-status", "0"), ("grpc-message", "ok"), ("digest", "sha-256=x")];
    assert_eq!(trailers, map(&expected));
}

#[test]
fn an_answer_loses_only_hop_by_hop_fields() {
    let mut answer = map(&[
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authenticate", "Basic"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("trailer", "grpc-status"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("x-request-id", "theirs"),
    ]);
    strip_response(&mut answer);
    let expected = [
        ("trailer", "grpc-status"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("x-request-id", "theirs"),
    ];
    assert_eq!(answer, map(&expected));
}

fn checked(version: Version, method: &str, target: &str, fields: &[(&str, &str)]) -> Result<String, Reason> {
    let mut request = Request::builder().version(version).method(method).uri(target).body(()).unwrap();
    *request.headers_mut() = map(fields);
    check_head(&request.into_parts().0).map(str::to_owned).map_err(|refusal| refusal.reason)
}

/// RFC 9110 §7.2, RFC 3986 §3.2.2.
#[test]
fn a_host_is_a_name_or_an_address_and_a_port() {
    for host in [
        "a",
        "api.example.com",
        "API.example.com:8443",
        "my_svc.ns",
        "127.0.0.1:0",
        "[::1]",
        "[2001:DB8::1]:65535",
    ] {
        assert_eq!(checked(Version::HTTP_11, "GET", "/", &[("host", host)]), Ok(host.to_owned()));
    }
    for host in [
        "",
        " ",
        ":80",
        "a:",
        "a:b",
        "a:65536",
        "a:+1",
        "a:-1",
        "a:80:80",
        "a b",
        "a,b",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a%2eb",
        "user@a",
        "user:pw@a",
        "@",
        "[::1",
        "::1",
        "[]",
        "[1.2.3.4]",
        "[::1]x",
        "[::1]:",
        "[fe80::1%25eth0]",
        "[v1.x]",
        "a;b",
        "a\"b",
        "<a>",
    ] {
        let outcome = checked(Version::HTTP_11, "GET", "/", &[("host", host)]);
        assert_eq!(outcome, Err(Reason::RequestMalformed), "{host:?}");
    }
    let mut request = Request::builder().uri("/").body(()).unwrap();
    request.headers_mut().insert(header::HOST, HeaderValue::from_bytes(b"a\xff").unwrap());
    assert!(check_head(&request.into_parts().0).is_err());
}

/// RFC 9112 §3.2, RFC 9113 §8.3.1: exactly one authority.
#[test]
fn a_request_has_one_authority() {
    let ok = |host: &str| Ok(host.to_owned());
    let refused = Err(Reason::RequestMalformed);
    for (version, target, hosts, expected) in [
        (Version::HTTP_11, "/", &["a"][..], ok("a")),
        (Version::HTTP_11, "/", &[], refused.clone()),
        (Version::HTTP_10, "/", &[], refused.clone()),
        (Version::HTTP_10, "/", &["a"], ok("a")),
        (Version::HTTP_11, "/", &["a", "a"], refused.clone()),
        (Version::HTTP_11, "/", &["a", "b"], refused.clone()),
        // absolute form (RFC 9112 §3.2.2)
        (Version::HTTP_11, "http://a/x", &["a"], ok("a")),
        (Version::HTTP_11, "https://A:1", &["a:1"], ok("a:1")),
        (Version::HTTP_11, "http://a/x", &["b"], refused.clone()),
        (Version::HTTP_11, "http://a/x", &["a:80"], refused.clone()),
        (Version::HTTP_11, "http://a/x", &[], refused.clone()),
        (Version::HTTP_11, "http://user@a/x", &["user@a"], refused.clone()),
        (Version::HTTP_11, "http://user@a/x", &["a"], refused.clone()),
        // HTTP/2: ":authority", "Host", or both alike
        (Version::HTTP_2, "https://a/x", &[], ok("a")),
        (Version::HTTP_2, "https://a/x", &["a"], ok("a")),
        (Version::HTTP_2, "https://a/x", &["b"], refused.clone()),
        (Version::HTTP_2, "https://a/x", &["a", "a"], refused.clone()),
        (Version::HTTP_2, "https://user@a/x", &[], refused.clone()),
        (Version::HTTP_2, "https://a:99999/x", &[], refused.clone()),
        (Version::HTTP_2, "/x", &["a"], ok("a")),
        (Version::HTTP_2, "/x", &[], refused.clone()),
    ] {
        let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        assert_eq!(checked(version, "GET", target, &fields), expected, "{version:?} {target} {hosts:?}");
    }
}

/// RFC 9112 §3.2: origin and absolute form; authority form is for CONNECT, which is not served, and `*` names no resource.
#[test]
fn a_target_is_in_origin_or_absolute_form() {
    for (method, target, is_ok) in [
        ("GET", "/", true),
        ("GET", "/a?b", true),
        ("BREW", "/a", true),
        ("brew", "/a", false),
        ("post", "/a", false),
        ("Get", "/a", false),
        ("GET", "http://a", true),
        ("GET", "http://a?b", true),
        ("OPTIONS", "/", true),
        ("OPTIONS", "*", false),
        ("GET", "*", false),
        ("GET", "a", false),
        ("GET", "a:80", false),
        ("CONNECT", "a:80", false),
        ("CONNECT", "http://a/", false),
        ("GET", "ftp://a/", false),
        ("GET", "ws://a/", false),
    ] {
        assert_eq!(
            checked(Version::HTTP_11, method, target, &[("host", "a")]).is_ok(),
            is_ok,
            "{method} {target}"
        );
    }
}

/// RFC 9112 §6.1, §6.3, RFC 9110 §8.6.
#[test]
fn a_message_has_one_length() {
    for (name, values, is_ok) in [
        ("transfer-encoding", &["chunked"][..], true),
        ("transfer-encoding", &["Chunked"], true),
        ("transfer-encoding", &["gzip, chunked"], false),
        ("transfer-encoding", &["chunked, chunked"], false),
        ("transfer-encoding", &["chunked", "chunked"], false),
        ("transfer-encoding", &["gzip", "chunked"], false),
        ("transfer-encoding", &["identity"], false),
        ("transfer-encoding", &["chunked;x=1"], false),
        ("transfer-encoding", &["xchunked"], false),
        ("transfer-encoding", &[""], false),
        ("content-length", &["0"], true),
        ("content-length", &["18446744073709551615"], true),
        ("content-length", &["18446744073709551616"], false),
        ("content-length", &["5, 5"], false),
        ("content-length", &["5", "5"], false),
        ("content-length", &["+5"], false),
        ("content-length", &["-5"], false),
        ("content-length", &["0x5"], false),
        ("content-length", &["5 5"], false),
        ("content-length", &[""], false),
    ] {
        let mut fields: Vec<_> = values.iter().map(|value| (name, *value)).collect();
        fields.push(("host", "a"));
        assert_eq!(checked(Version::HTTP_11, "POST", "/", &fields).is_ok(), is_ok, "{name}: {values:?}");
    }
}

/// RFC 9112 §6.3: what an answer's length is, is said once.
#[test]
fn an_answer_has_one_framing() {
    let settled = |fields: &[(&str, &str)]| {
        let mut headers = map(fields);
        settle_answer(&mut headers).map(|()| headers).map_err(|refusal| refusal.reason)
    };
    let (chunked, length) = (("transfer-encoding", "Chunked"), ("content-length", "5"));
    for (fields, expected) in [
        (vec![], vec![]),
        (vec![length], vec![length]),
        (vec![length, length], vec![length]),
        (vec![("content-length", "5 , 5")], vec![length]),
        (vec![chunked], vec![chunked]),
        (vec![length, chunked], vec![chunked]),
    ] {
        assert_eq!(settled(&fields), Ok(map(&expected)), "{fields:?}");
    }
    for coding in ["gzip, chunked", "identity", "", "chunked, chunked"] {
        assert_eq!(settled(&[("transfer-encoding", coding)]), Err(Reason::UpstreamFailed), "{coding}");
    }
    assert_eq!(settled(&[chunked, chunked]), Err(Reason::UpstreamFailed));
    for length in ["", "five", "+5", "5, 6", "5,", "18446744073709551616"] {
        assert_eq!(settled(&[("content-length", length)]), Err(Reason::UpstreamFailed), "{length}");
    }
    assert_eq!(settled(&[length, ("content-length", "6")]), Err(Reason::UpstreamFailed));
}
