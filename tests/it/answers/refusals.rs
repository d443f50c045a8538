//! Every refusal that a request's head can earn, over HTTP/1.1 and HTTP/2, to GET, to HEAD and to gRPC callers.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::json;

use super::{Form, hold, refused};
use crate::support::boundgate::Boundgate;
use crate::support::client::{Client, Connection};
use crate::support::h2::H2;
use crate::support::issuer::{AUDIENCE, Issuer, now};
use crate::support::message::Message;
use crate::support::pki::Identity;
use crate::support::world::{Config, World};

/// A request that is refused.
struct Case {
    reason: &'static str,
    target: &'static str,
    fields: Vec<(&'static str, String)>,
    /// Whose connection it comes on.
    who: Who,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    A,
    B,
    Nobody,
}

/// Client A's request with this token.
fn with(reason: &'static str, token: &str) -> Case {
    Case { reason, target: "/", fields: vec![("authorization", format!("Bearer {token}"))], who: Who::A }
}

fn cases(world: &World) -> Vec<Case> {
    let (issuer, a) = (&world.issuer, &world.pki.client_a);
    let good = issuer.token(a);
    let bearer = || ("authorization", format!("Bearer {good}"));
    let claim = |name: &str, value: serde_json::Value| {
        let mut claims = issuer.claims(a);
        claims[name] = value;
        issuer.mint(&claims)
    };
    let header = |header: serde_json::Value| issuer.sign(header.to_string(), issuer.claims(a).to_string());
    let forger = Issuer::new(issuer.name.clone());
    let in_query = "/?access_token=eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    let plain = |reason, target, fields| Case { reason, target, fields, who: Who::A };
    vec![
        plain("token-missing", "/", vec![]),
        plain("token-missing", "/", vec![("authorization", "Basic YTpi".to_owned())]),
        // RFC 6750 §2.2, §2.3: tokens in a form or in the query are not read; nor are those in other fields.
        plain("token-missing", in_query, vec![]),
        plain("token-missing", "/", vec![("x-access-token", good.clone()), ("cookie", good.clone())]),
        // RFC 6750 §2: no more than one way to send a token, be it twice the same.
        plain("authorization-repeated", "/", vec![bearer(), bearer()]),
        with("token-malformed", "not-a-jwt"),
        with("token-malformed", ""),
        with("token-type", &header(json!({"typ": "dpop+jwt", "alg": "ES256", "kid": "key-1"}))),
        with("issuer-unknown", &claim("iss", json!("https://elsewhere.example.test"))),
        with("algorithm-refused", &header(json!({"alg": "none"}))),
        with("key-unknown", &header(json!({"alg": "ES256", "kid": "key-2"}))),
        with("signature-invalid", &forger.token(a)),
        with("token-expired", &claim("exp", json!(now() - 60))),
        with("token-not-yet-valid", &claim("nbf", json!(now() + 600))),
        with("audience-mismatch", &claim("aud", json!("https://other.example.test"))),
        with("claims-invalid", &claim("exp", json!("tomorrow"))),
        with("token-unbound", &issuer.mint(&json!({"iss": issuer.name, "aud": AUDIENCE, "exp": now() + 60}))),
        with("confirmation-unsupported", &claim("cnf", json!({"jkt": "0".repeat(43)}))),
        Case { who: Who::Nobody, ..with("certificate-missing", &good) },
        Case { who: Who::B, ..with("thumbprint-mismatch", &good) },
        Case { target: "/admin/users", ..with("scope-missing", &good) },
        with("claim-unrepresentable", &claim("department", json!("a\nb"))),
        Case { target: "/%00", ..with("path-invalid", &good) },
        Case { target: "/a%c0%ae", ..with("path-invalid", &good) },
    ]
}

fn start(world: &World) -> Boundgate {
    let config = Config {
        client_certificates: "mode = \"optional\"\ntrust = \"ca\"\nca = \"ca.pem\"".to_owned(),
        more: "[[routes]]\npath = \"/admin/*\"\nscopes = [\"admin\", \"audit\"]\n\n\
               [forward.claims]\nX-Auth-Department = \"department\"\n"
            .to_owned(),
        ..world.config()
    };
    Boundgate::start(world.pki.path(), &config)
}

/// A client for each of whom requests come from.
struct Clients([(Who, Client); 3]);

impl Clients {
    fn of(world: &World) -> Clients {
        let client = |identity: Option<&Identity>| world.client(identity);
        let (a, b) = (&world.pki.client_a, &world.pki.client_b);
        Clients([(Who::A, client(Some(a))), (Who::B, client(Some(b))), (Who::Nobody, client(None))])
    }

    fn get(&self, who: Who) -> &Client {
        self.0.iter().find(|(client, _)| *client == who).map(|(_, client)| client).unwrap()
    }
}

#[test]
fn over_http1_to_get_and_to_head_on_one_connection() {
    let world = World::new();
    let (boundgate, clients) = (start(&world), Clients::of(&world));
    for case in cases(&world) {
        let mut connection = clients.get(case.who).connect(boundgate.address).unwrap();
        let get = refused(&boundgate, case.reason, Form::Problem, || h1(&mut connection, "GET", &case, ""));
        // If HEAD were answered with content, the next answer would begin with it.
        refused(&boundgate, case.reason, Form::Head, || h1(&mut connection, "HEAD", &case, ""));
        let post = "content-length: 4\r\n\r\nbody";
        refused(&boundgate, case.reason, Form::Problem, || h1(&mut connection, "POST", &case, post));
        if case.reason == "scope-missing" {
            let challenge = get.value("www-authenticate").unwrap();
            assert!(challenge.contains("scope=\"admin audit\""), "all that are needed: {challenge}");
        }
    }
    assert_eq!(world.api.requests(), [], "the API has heard nothing");
}

#[test]
fn over_http2() {
    let world = World::new();
    let (boundgate, clients) = (start(&world), Clients::of(&world));
    for case in cases(&world) {
        let mut h2 = H2::connect(clients.get(case.who), boundgate.address).unwrap();
        refused(&boundgate, case.reason, Form::Problem, || h2.send(h2_request("GET", &case, None)).unwrap());
        refused(&boundgate, case.reason, Form::Head, || h2.send(h2_request("HEAD", &case, None)).unwrap());
    }
    assert_eq!(world.api.requests(), [], "the API has heard nothing");
}

#[test]
fn to_grpc_callers() {
    let world = World::new();
    let (boundgate, clients) = (start(&world), Clients::of(&world));
    for case in cases(&world) {
        let mut h2 = H2::connect(clients.get(case.who), boundgate.address).unwrap();
        for kind in ["application/grpc", "application/grpc+proto", "Application/gRPC; charset=utf-8"] {
            let request = h2_request("POST", &case, Some(kind));
            refused(&boundgate, case.reason, Form::Grpc, || h2.send(request).unwrap());
        }
        let mut connection = clients.get(case.who).connect(boundgate.address).unwrap();
        let rest = "content-type: application/grpc\r\ncontent-length: 0\r\n\r\n";
        refused(&boundgate, case.reason, Form::Grpc, || h1(&mut connection, "POST", &case, rest));
    }
    // gRPC-Web is another protocol, and its callers read problem documents.
    let mut h2 = H2::connect(clients.get(Who::A), boundgate.address).unwrap();
    let request = h2_request("POST", &with("token-malformed", "x"), Some("application/json"));
    hold(&h2.send(request).unwrap(), "token-malformed", Form::Problem);
    assert_eq!(world.api.requests(), [], "the API has heard nothing");
}

/// RFC 6750 §2.2: a token in the body is not read, whatever the content type says.
#[test]
fn a_token_in_a_form_is_no_token() {
    let world = World::new();
    let (boundgate, clients) = (start(&world), Clients::of(&world));
    let form = format!("access_token={}", world.issuer.token(&world.pki.client_a));
    let case = Case { reason: "token-missing", target: "/", fields: vec![], who: Who::A };
    let mut connection = clients.get(Who::A).connect(boundgate.address).unwrap();
    let rest = format!(
        "content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    refused(&boundgate, case.reason, Form::Problem, || h1(&mut connection, "POST", &case, &rest));
    assert_eq!(world.api.requests(), []);
}

/// One identifier for the answer, the API and the log, and it is ours.
#[test]
fn an_accepted_request_has_one_identifier_everywhere() {
    let world = World::new();
    let (boundgate, clients) = (start(&world), Clients::of(&world));
    let good = world.issuer.token(&world.pki.client_a);
    let mut case = with("", &good);
    case.fields.push(("x-request-id", "the-clients-own".to_owned()));
    let mut connection = clients.get(Who::A).connect(boundgate.address).unwrap();
    let mut h2 = H2::connect(clients.get(Who::A), boundgate.address).unwrap();
    let answers = [h1(&mut connection, "GET", &case, ""), h2.send(h2_request("GET", &case, None)).unwrap()];
    for (answer, heard) in answers.iter().zip(world.api.requests()) {
        assert_eq!((answer.status(), answer.text()), (200, "hello"));
        let id = answer.value("x-request-id").unwrap();
        assert_eq!(heard.value("x-request-id"), Some(id));
        let line = boundgate.log_line(|line| line["request_id"] == id);
        assert_eq!((&line["decision"], &line["reason"]), (&"accepted".into(), &serde_json::Value::Null));
    }
    assert_ne!(answers[0].value("x-request-id"), answers[1].value("x-request-id"));
    let labels = ["decision=\"accepted\"", "reason=\"none\""];
    assert_eq!(boundgate.metric("boundgate_requests_total", &labels), 2.0);
}

/// `rest` is what follows the fields: further ones, the empty line, a body; "" is the empty line alone.
fn h1(connection: &mut Connection, method: &str, case: &Case, rest: &str) -> Message {
    let fields: String = case.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let rest = if rest.is_empty() { "\r\n" } else { rest };
    let request = format!("{method} {} HTTP/1.1\r\nhost: localhost\r\n{fields}{rest}", case.target);
    connection.send(request).unwrap();
    let answer = if method == "HEAD" { connection.head() } else { connection.response() };
    answer.unwrap()
}

fn h2_request(method: &str, case: &Case, content_type: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(format!("https://localhost{}", case.target));
    for (name, value) in &case.fields {
        request = request.header(*name, value);
    }
    if let Some(kind) = content_type {
        request = request.header("content-type", kind);
    }
    request.body(Full::default()).unwrap()
}
