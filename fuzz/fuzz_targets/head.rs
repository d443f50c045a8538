//! A byte of settings, then the head of a request as HTTP/1.1 writes it: what goes on, written down and parsed again by another parser,
//! is what was decided on. Nobody but Boundgate has said what Boundgate says, and the body has one framing.
#![no_main]

use std::sync::LazyLock;

use boundgate_fuzz::decide::client_headers::{ClientCertForm, ClientCertHeaders};
use boundgate_fuzz::decide::headers::{Reserved, check_head};
use boundgate_fuzz::decide::onward::{self, ForwardAuthorization, Said, Words};
use boundgate_fuzz::decide::path::RequestPath;
use boundgate_fuzz::decide::policy::Permit;
use boundgate_fuzz::decide::route::{Access, Route, Routes};
use boundgate_fuzz::fixture::{CLAIM_HEADERS, CLIENT_CERT, bound};
use boundgate_fuzz::http1;
use boundgate_fuzz::names::{HOP_BY_HOP, IDENTITY, cgi, is_one_of};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use libfuzzer_sys::fuzz_target;

static RESERVED: LazyLock<Reserved> = LazyLock::new(|| Reserved::new(&CLAIM_HEADERS));
static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let route =
        |path: &str, access| Route::new(path, vec![Method::GET, Method::POST], access, vec![]).unwrap();
    Routes::new(vec![route("/admin/*", Access::Token), route("/public/*", Access::Public)])
});

const PEER: HeaderValue = HeaderValue::from_static("2001:db8::1");
const REQUEST_ID: &[u8] = b"request-1";

fuzz_target!(|data: &[u8]| {
    let Some((&settings, bytes)) = data.split_first() else { return };
    let Some(mut head) = receive(bytes, settings & 1 != 0) else { return };
    let received = head.clone();
    let Ok(authority) = check_head(&received) else { return };
    let Ok(path) = RequestPath::read(head.uri.path()) else { return };
    let demand = ROUTES.demand(&head.method, &path);
    let token = (demand.access == Access::Token).then(bound);
    let permit = Permit::grant(&demand, token).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let certificate = ClientCertHeaders::default();
    let said = Said {
        reserved: &RESERVED,
        authorization: match settings >> 1 & 3 {
            0 | 3 => ForwardAuthorization::Keep,
            1 => ForwardAuthorization::Remove,
            _ => ForwardAuthorization::Phantom,
        },
        public: (settings & 8 != 0).then_some("api.example.com"),
        peer: &PEER,
        request_id: REQUEST_ID,
        certificate: certificate.get(
            if settings & 16 != 0 { ClientCertForm::Rfc9440 } else { ClientCertForm::Xfcc },
            &CLIENT_CERT,
        ),
        http2: settings & 32 != 0,
    };
    let Ok(words) = onward::rewrite(&mut head, &path, &permit, &said) else { return };
    assert_eq!(words.is_none(), said.http2);
    let content = content(&received.headers);
    let text = write(&mut head, words.as_ref(), content);
    let seen = receive(&text, false).unwrap_or_else(|| panic!("no head: {}", text.escape_ascii()));

    // The same request.
    assert_eq!(seen.method, received.method);
    assert_eq!(seen.uri.query(), received.uri.query());
    assert_eq!(seen.uri.path(), path.sent());
    assert_eq!(check_head(&seen).as_ref(), Ok(&authority));
    assert_eq!(seen.headers.get_all("host").iter().collect::<Vec<_>>(), [authority]);
    let again = RequestPath::read(seen.uri.path()).unwrap();
    assert_eq!(ROUTES.demand(&seen.method, &again), demand);

    identity(&seen.headers, &permit, &said, authority);
    framing(&seen, content);
    others(&seen.headers, &received, &permit, &said);
    trailers(received.headers.clone());
});

/// A head as hyper hands it over: after an HTTP/1.1 parser, or as HTTP/2 has it.
fn receive(bytes: &[u8], http2: bool) -> Option<Parts> {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut parsed = httparse::Request::new(&mut fields);
    if !parsed.parse(bytes).ok()?.is_complete() {
        return None;
    }
    let mut head = Request::new(()).into_parts().0;
    head.method = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    head.uri = Uri::try_from(parsed.path?.as_bytes()).ok()?;
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        head.headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    if head.headers.contains_key("transfer-encoding") {
        head.headers.remove("content-length"); // RFC 9112 §6.3
    }
    if http2 { as_http2(head) } else { Some(head) }
}

/// RFC 9113 §8.2.2, §8.3.1
fn as_http2(mut head: Parts) -> Option<Parts> {
    let connection = ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"];
    if connection.iter().any(|name| head.headers.contains_key(*name)) {
        return None;
    }
    if let Some(authority) = head.headers.remove("host") {
        let mut parts = head.uri.into_parts();
        parts.scheme = Some("https".parse().unwrap());
        parts.authority = Some(authority.as_bytes().try_into().ok()?);
        head.uri = Uri::from_parts(parts).ok()?;
    }
    head.version = Version::HTTP_2;
    Some(head)
}

/// The head in bytes; of HTTP/2 as a server writes it that goes on over HTTP/1.1.
fn write(head: &mut Parts, words: Option<&Words<'_>>, content: Option<Option<u64>>) -> Vec<u8> {
    if words.is_none() {
        assert_eq!((head.uri.scheme_str(), head.headers.get("host")), (Some("http"), None));
        let connection = ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"];
        assert!(connection.iter().all(|name| !head.headers.contains_key(*name)), "{:?}", head.headers);
        let authority = HeaderValue::from_str(head.uri.authority().unwrap().as_str()).unwrap();
        head.headers.insert("host", authority);
        head.uri = head.uri.path_and_query().unwrap().clone().into();
    } else {
        assert_eq!((head.version, head.uri.scheme(), head.uri.authority()), (Version::HTTP_11, None, None));
    }
    http1::write(head, words, content)
}

/// Under every spelling of an identity field stands what Boundgate says, once, or nothing.
fn identity(seen: &HeaderMap, permit: &Permit, said: &Said<'_>, authority: &str) {
    let host = said.public.unwrap_or(authority);
    let forwarded = format!("for=\"[2001:db8::1]\";host=\"{host}\";proto=https");
    let mut expected = vec![
        ("forwarded", forwarded),
        ("x-forwarded-for", "2001:db8::1".to_owned()),
        ("x-forwarded-proto", "https".to_owned()),
        ("x-forwarded-host", host.to_owned()),
        ("x-request-id", "request-1".to_owned()),
    ];
    let certificate = said.certificate.iter().filter(|_| permit.token().is_some());
    for (name, value) in certificate.chain(permit.identity()) {
        expected.push((name.as_str(), value.to_str().unwrap().to_owned()));
    }
    let found = seen.iter().filter(|(name, _)| is_one_of(name.as_str(), &IDENTITY));
    let mut found: Vec<_> =
        found.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?").to_owned())).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// The content that a head announces: of which length, if that is known.
fn content(received: &HeaderMap) -> Option<Option<u64>> {
    let length = received.get("content-length").map(|length| length.to_str().unwrap().parse().unwrap());
    if received.contains_key("transfer-encoding") { Some(None) } else { length.filter(|n| *n > 0).map(Some) }
}

/// One framing, which is that of the content, and nothing else about the connection.
fn framing(seen: &Parts, content: Option<Option<u64>>) {
    let framing = ["content-length", "transfer-encoding"];
    let seen_framing: Vec<_> =
        seen.headers.iter().filter(|(name, _)| is_one_of(name.as_str(), &framing)).collect();
    match (content, &seen_framing[..]) {
        (None, []) => assert_ne!(seen.method, Method::POST),
        (None, [(name, value)]) => {
            assert_eq!((name.as_str(), value.as_bytes()), ("content-length", &b"0"[..]))
        }
        (Some(None), [(name, value)]) => {
            assert_eq!((name.as_str(), value.as_bytes()), ("transfer-encoding", &b"chunked"[..]));
        }
        (Some(Some(length)), [(name, value)]) => {
            assert_eq!((name.as_str(), value.to_str().unwrap()), ("content-length", &*length.to_string()));
        }
        (_, more) => panic!("{more:?}"),
    }
    let seen = &seen.headers;
    for (name, value) in seen.iter().filter(|(name, _)| is_one_of(name.as_str(), &HOP_BY_HOP)) {
        let pair = (name.as_str(), value.to_str().unwrap());
        assert!(
            matches!(pair, ("te", "trailers") | ("connection", "te") | ("transfer-encoding", _)),
            "{pair:?}"
        );
    }
    assert!(!seen.contains_key("expect"));
}

/// Whatever else goes on came from the client, and what may go on does.
fn others(seen: &HeaderMap, received: &Parts, permit: &Permit, said: &Said<'_>) {
    let is_ours = |name: &HeaderName| {
        let name = name.as_str();
        is_one_of(name, &IDENTITY)
            || is_one_of(name, &HOP_BY_HOP)
            || matches!(name, "host" | "cookie" | "expect" | "content-length")
    };
    for (name, value) in seen.iter().filter(|(name, _)| !is_ours(name)) {
        assert!(received.headers.get_all(name).iter().any(|line| line == value), "{name}: nobody said so");
    }
    let named = received.headers.get_all("connection").iter();
    let named: Vec<_> = named.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
    let is_named = |name: &str| named.iter().any(|o| o.trim_ascii().eq_ignore_ascii_case(name.as_bytes()));
    for name in received.headers.keys().filter(|name| !is_ours(name)) {
        let text = name.as_str();
        let stays = match text {
            "authorization" => {
                let kept = match said.authorization {
                    ForwardAuthorization::Keep => true,
                    ForwardAuthorization::Remove => false,
                    ForwardAuthorization::Phantom => permit.token().is_some(),
                };
                kept && !is_named(text)
            }
            _ => !is_named(text) && cgi(text) != "CONTENT_LENGTH",
        };
        let lines = |headers: &HeaderMap| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
        let expected = if stays { lines(&received.headers) } else { Vec::new() };
        assert_eq!(lines(seen), expected, "{name}");
    }
    let cookies = seen.get_all("cookie").iter().count();
    assert!(received.version != Version::HTTP_2 || cookies <= 1, "{cookies} cookies");
}

/// The same fields behind the body.
fn trailers(mut fields: HeaderMap) {
    RESERVED.strip_trailers(&mut fields);
    for name in fields.keys().map(HeaderName::as_str) {
        let framing =
            name.starts_with("content-") || matches!(name, "authorization" | "cookie" | "host" | "trailer");
        assert!(!framing && !is_one_of(name, &IDENTITY) && !is_one_of(name, &HOP_BY_HOP), "{name}");
    }
}
