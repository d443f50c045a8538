//! Who the client is: only Boundgate says so, on every route, over every protocol, under every spelling.

use serde_json::{Value, json};

use super::support::frames::{DATA, END_STREAM};
use super::support::message::Message;
use super::support::outcome::{Frames, Outcome};
use super::support::server::{Answer, Server};
use super::support::stage::Stage;

const CONFIG: &str = "[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n\n\
     [forward.claims]\nX-Auth-Subject = \"sub\"\nX-Auth-Client = \"client_id\"\nTenant = \"tenant\"\n";

/// Written or dropped by Boundgate, besides the headers of `[forward.claims]`.
const RESERVED: [&str; 10] = [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "Forwarded",
    "X-Request-Id",
    "X-Real-IP",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Client-Cert",
];
const CLAIMS: [&str; 3] = ["X-Auth-Subject", "X-Auth-Client", "Tenant"];

fn stage() -> Stage {
    Stage::new(Server::http(|_| Answer::ok("hello")), CONFIG)
}

/// What a server that makes `HTTP_X_AUTH_SUBJECT` of a name takes for it (RFC 3875 §4.1.18).
fn spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![name.to_owned(), name.to_lowercase(), name.to_uppercase()];
    spellings.extend(["_", ".", "~", "'", "+"].map(|mark| name.replace('-', mark)));
    spellings.extend([name.replacen('-', "_", 1), name.to_lowercase().replacen('-', "_", 1)]);
    spellings.sort();
    spellings.dedup();
    spellings
}

fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// Nothing forged arrived, and what Boundgate says arrived once, in one spelling.
fn assert_honest(seen: &Message, is_public: bool, what: &str) {
    for (name, value) in seen.fields.iter().chain(&seen.trailers) {
        assert!(!value.contains("forged"), "{what}: {name}: {value}");
    }
    let told = |name: &str| seen.fields.iter().filter(|(n, _)| fold(n) == fold(name)).count();
    for name in ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Request-Id"] {
        assert_eq!(told(name), 1, "{what}: {name}");
    }
    for name in ["X-Auth-Subject", "X-Auth-Client"] {
        assert_eq!(told(name), usize::from(!is_public), "{what}: {name}");
    }
    for name in ["Tenant", "X-Forwarded-Port", "X-Real-IP", "Client-Cert", "Client-Cert-Chain"] {
        assert_eq!(told(name), 0, "{what}: {name}");
    }
    if !is_public {
        assert_eq!(seen.value("x-auth-subject"), Some("alice"), "{what}");
    }
}

/// RFC 9440 §2.4, RFC 9700 §4.13: removed, always, and then set.
#[test]
fn what_a_client_says_under_our_names_never_arrives_over_http1() {
    let stage = stage();
    for name in RESERVED.iter().chain(&CLAIMS) {
        let fields: String =
            spellings(name).iter().map(|spelling| format!("{spelling}: forged\r\n")).collect();
        // Twice each, and named in Connection, so that whoever obeys that first would take off ours.
        let lines = format!("{fields}Connection: {name}\r\n{fields}");
        for (path, is_public) in [("/x", false), ("/public/x", true)] {
            let answer = stage.exchange(&format!("GET {path}"), &lines, "");
            assert_eq!(answer.status(), 200, "{name} {path}");
            assert_honest(&stage.seen(), is_public, &format!("{name} {path}"));
        }
    }
}

#[test]
fn what_a_client_says_under_our_names_never_arrives_over_http2() {
    let stage = stage();
    let mut h2 = Frames::connect(&stage.client(), stage.boundgate.address);
    let bearer = format!("Bearer {}", stage.token);
    let mut stream = 1;
    for name in RESERVED.iter().chain(&CLAIMS) {
        for (path, is_public) in [("/x", false), ("/public/x", true)] {
            let mut names: Vec<_> = spellings(name).iter().map(|name| name.to_lowercase()).collect();
            names.dedup();
            let start = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost")];
            let mut fields: Vec<(&str, &str)> = start.to_vec();
            fields.extend([(":path", path), ("authorization", &bearer)]);
            names.iter().for_each(|name| fields.extend([(name.as_str(), "forged"); 2]));
            h2.headers(stream, &fields, END_STREAM).unwrap();
            assert_eq!(h2.outcome(stream), Outcome::Answer(200, "hello".to_owned()), "{name} {path}");
            assert_honest(&stage.seen(), is_public, &format!("{name} {path}"));
            stream += 2;
        }
    }
}

/// RFC 9110 §6.5.1: a server may merge trailers into the head, so they are stripped like it.
#[test]
fn what_a_client_says_under_our_names_never_arrives_in_trailers() {
    let stage = stage();
    let names: Vec<String> = RESERVED.iter().chain(&CLAIMS).flat_map(|name| spellings(name)).collect();
    let forbidden = ["Authorization", "Host", "Content-Length", "Transfer-Encoding", "Connection", "Cookie"];
    let names: Vec<&str> = names.iter().map(String::as_str).chain(forbidden).collect();
    for (at, names) in names.chunks(40).enumerate() {
        let lines = format!("Transfer-Encoding: chunked\r\nTrailer: X-Sum, {}\r\n", names.join(", "));
        let trailers: String = names.iter().map(|name| format!("{name}: forged\r\n")).collect();
        let body = format!("3\r\nabc\r\n0\r\n{trailers}X-Sum: 7\r\n\r\n");
        for (path, is_public) in [("/x", false), ("/public/x", true)] {
            assert_eq!(stage.exchange(&format!("POST {path}"), &lines, &body).status(), 200);
            assert_honest(&stage.seen(), is_public, path);
            assert_eq!(stage.seen().trailers, [("x-sum".to_owned(), "7".to_owned())], "the others pass");
        }
        let mut h2 = Frames::connect(&stage.client(), stage.boundgate.address);
        let bearer = format!("Bearer {}", stage.token);
        let listed = format!("x-sum, {}", names.join(", "));
        let start = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/x"),
            ("authorization", bearer.as_str()),
            ("trailer", listed.as_str()),
        ];
        h2.headers(1, &start, 0).unwrap();
        h2.raw.send(DATA, 0, 1, b"abc").unwrap();
        // The connection-specific ones are an error of their own in HTTP/2 (RFC 9113 §8.2.2).
        let lower: Vec<_> = names
            .iter()
            .map(|name| name.to_lowercase())
            .filter(|name| !["transfer-encoding", "connection", "content-length"].contains(&name.as_str()))
            .collect();
        let trailers: Vec<_> =
            lower.iter().map(|name| (name.as_str(), "forged")).chain([("x-sum", "7")]).collect();
        h2.headers(1, &trailers, END_STREAM).unwrap();
        assert_eq!(h2.outcome(1), Outcome::Answer(200, "hello".to_owned()), "{at}");
        assert_honest(&stage.seen(), false, "HTTP/2");
        assert_eq!(stage.seen().trailers, [("x-sum".to_owned(), "7".to_owned())]);
    }
}

/// What the API gets for this claim, under a name that stands literally and as a path.
fn forwarded(stage: &Stage, claims: &[(&str, Value)]) -> Result<Option<String>, (u16, String)> {
    let mut all = stage.world.issuer.claims(&stage.world.pki.client_a);
    for (name, value) in claims {
        all[*name] = value.clone();
    }
    let answer = stage.connect().get("/", Some(&stage.world.issuer.mint(&all))).unwrap();
    match answer.status() {
        200 => Ok(stage.seen().value("x-claim").map(str::to_owned)),
        _ => Err(answer.verdict()),
    }
}

#[test]
fn a_claim_is_a_header_as_the_interface_says() {
    let stage = Stage::new(
        Server::http(|_| Answer::ok("hello")),
        "[forward.claims]\nX-Claim = \"a.b\"\n\n[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n",
    );
    let text = |text: &str| Ok(Some(text.to_owned()));
    for (value, expected) in [
        (json!("alice"), text("alice")),
        (json!("CN=Alice, O=Org"), text("CN=Alice, O=Org")),
        (json!(42), text("42")),
        (json!(-1.5), text("-1.5")),
        (json!(true), text("true")),
        (json!(["a", "b"]), text("a b")),
        (json!(null), Ok(None)),
        (json!({"c": 1}), Ok(None)),
    ] {
        assert_eq!(forwarded(&stage, &[("a.b", value.clone())]), expected, "{value}");
        assert_eq!(forwarded(&stage, &[("a", json!({"b": value}))]), expected, "{value}, by its path");
    }
    assert_eq!(forwarded(&stage, &[]), Ok(None), "absent");
    let both = [("a", json!({"b": "path"})), ("a.b", json!("literal"))];
    assert_eq!(forwarded(&stage, &both), text("literal"), "the literal name comes first");
    let refused = Err((403, "claim-unrepresentable".to_owned()));
    for value in [
        json!("a\r\nX-Admin: 1"),
        json!("a\nb"),
        json!("a\u{0}b"),
        json!("Zo\u{eb}"),
        json!([1, 2]),
        json!(["a b", "c"]),
        json!([["a"]]),
    ] {
        let asked = stage.world.api.requests().len();
        assert_eq!(forwarded(&stage, &[("a.b", value.clone())]), refused, "{value}");
        assert_eq!(stage.world.api.requests().len(), asked, "{value} reached the API");
    }
    // A public route looks at no token, so none can be refused there.
    let mut claims = stage.world.issuer.claims(&stage.world.pki.client_a);
    claims["a.b"] = json!("a\nb");
    let token = stage.world.issuer.mint(&claims);
    assert_eq!(stage.connect().get("/public/x", Some(&token)).unwrap().status(), 200);
    assert_eq!(stage.seen().value("x-claim"), None);
}
