//! Heads that cannot be read (a bare 400 or 431, and the connection closes), that are too large, or that have more than one
//! meaning (RFC 9110, RFC 9112).

use std::cell::Cell;

use super::{Form, refused, row};
use crate::support::boundgate::Boundgate;
use crate::support::client::Client;
use crate::support::frames::{self, Raw};
use crate::support::h2::H2;
use crate::support::world::{Config, World};

struct Stage {
    world: World,
    boundgate: Boundgate,
    client: Client,
    token: String,
}

fn stage(limits: &str) -> Stage {
    let world = World::new();
    let config = Config { more: format!("[limits]\n{limits}\n"), ..world.config() };
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    Stage { world, boundgate, client, token }
}

/// Each of these requests gets a status line and an end, nothing else, and is counted and logged.
fn bare(stage: &Stage, reason: &str, requests: &[String]) {
    let (_, status, ..) = row(reason);
    for (index, request) in requests.iter().enumerate() {
        let mut connection = stage.client.connect(stage.boundgate.address).unwrap();
        connection.send(request).unwrap();
        let answer = connection.head().unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert_eq!(answer.status(), status, "{request:?}: {answer:?}");
        assert_eq!(answer.value("content-type"), None, "{request:?}: {answer:?}");
        assert_eq!(connection.rest().unwrap(), b"", "{request:?}: the connection closes");
        drop(connection); // or its line would come a second later, when Boundgate no longer waits for this end to close
        let left = Cell::new(index + 1);
        stage.boundgate.log_line(|line| {
            line["reason"] == reason && line["status"] == status && left.replace(left.get() - 1) == 1
        });
        let labels = ["decision=\"refused\"", &format!("reason=\"{reason}\"")];
        let counted = stage.boundgate.metric("boundgate_requests_total", &labels);
        assert_eq!(counted, (index + 1) as f64, "{request:?}");
    }
    assert_eq!(stage.world.api.requests(), []);
}

#[test]
fn what_the_parser_cannot_read_is_a_bare_400() {
    let stage = stage("");
    let good = format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", stage.token);
    let head = |fields: &str| format!("GET / HTTP/1.1\r\n{good}{fields}\r\n");
    let requests = [
        "garbage\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n".to_owned(),
        format!("GET /\r\n{good}\r\n"),
        format!("GET / HTTP/9.9\r\n{good}\r\n"),
        format!("GET  / HTTP/1.1\r\n{good}\r\n"),
        format!("GET /a b HTTP/1.1\r\n{good}\r\n"),
        head("X-A: 1\r\n folded\r\n"), // RFC 9112 §5.2: obs-fold
        head("X-A : 1\r\n"),           // §5.1: a space before the colon
        head(" X-A: 1\r\n"),           // §2.2: whitespace before the first field, or obs-fold
        head("X-A\r\n"),               // no colon
        head("X-A: 1\rX-B: 2\r\n"),    // §2.2: a bare CR
        head("X-A: \0\r\n"),           // RFC 9110 §5.5: NUL
        head("X(A): 1\r\n"),           // RFC 9110 §5.1: no token
        head("Content-Length: 1\r\nContent-Length: 2\r\n"), // RFC 9112 §6.3
        head("Content-Length: abc\r\n"),
        head("Content-Length: -1\r\n"),
        head("Content-Length: 99999999999999999999\r\n"),
    ];
    bare(&stage, "request-malformed", &requests);
}

#[test]
fn what_the_parser_reads_but_has_no_one_meaning_is_400() {
    let stage = stage("");
    let token = format!("Authorization: Bearer {}\r\n", stage.token);
    let good = format!("Host: localhost\r\n{token}");
    let requests = [
        format!("GET / HTTP/1.1\r\n{token}\r\n"), // RFC 9112 §3.2: no Host
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n{token}\r\n"), // two
        format!("GET / HTTP/1.1\r\nHost:\r\n{token}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a b\r\n{token}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: user@localhost\r\n{token}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost/path\r\n{token}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost:99999\r\n{token}\r\n"),
        format!("GET http://other/ HTTP/1.1\r\n{good}\r\n"), // §3.2.2
        format!("GET ftp://localhost/ HTTP/1.1\r\n{good}\r\n"),
        format!("OPTIONS * HTTP/1.1\r\n{good}\r\n"), // §3.2.4
        format!("CONNECT localhost:443 HTTP/1.1\r\n{good}\r\n"), // §3.2.3
        format!("POST / HTTP/1.1\r\n{good}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), // §6.1
        format!("POST / HTTP/1.1\r\n{good}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    ];
    for request in requests {
        let mut connection = stage.client.connect(stage.boundgate.address).unwrap();
        refused(&stage.boundgate, "request-malformed", Form::Problem, || {
            connection.exchange(&request).unwrap_or_else(|error| panic!("{request:?}: {error}"))
        });
    }
    assert_eq!(stage.world.api.requests(), []);
}

fn fields(count: usize, length: usize) -> String {
    (0..count).map(|n| format!("X-{n}: {}\r\n", "v".repeat(length))).collect()
}

#[test]
fn more_than_100_fields_are_431() {
    let stage = stage("");
    let head = |more: usize| {
        let fields = fields(more - 2, 1);
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{fields}\r\n", stage.token)
    };
    bare(&stage, "head-too-large", &[head(101), head(1000)]);
    let answer = stage.client.connect(stage.boundgate.address).unwrap().exchange(head(100));
    assert_eq!(answer.unwrap().status(), 200, "100 pass");

    let h2 = |more: usize| {
        let mut request = http::Request::get("https://localhost/");
        request = request.header("authorization", format!("Bearer {}", stage.token));
        for n in 1..more {
            request = request.header(format!("x-{n}"), "1");
        }
        let mut h2 = H2::connect(&stage.client, stage.boundgate.address).unwrap();
        h2.send(request.body(Default::default()).unwrap()).unwrap()
    };
    refused(&stage.boundgate, "head-too-large", Form::Problem, || h2(101));
    assert_eq!(h2(100).status(), 200);
}

#[test]
fn a_head_above_request_head_is_431() {
    let stage = stage("request_head = \"16KiB\"");
    let head = |bytes: usize| {
        let start =
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nX: ", stage.token);
        let padding = "v".repeat(bytes - start.len() - 4);
        format!("{start}{padding}\r\n\r\n")
    };
    // The parser gives up on one that does not end; one that came whole is answered in full.
    bare(&stage, "head-too-large", &[head(70 << 10), head(1 << 20)]);
    let mut connection = stage.client.connect(stage.boundgate.address).unwrap();
    assert_eq!(connection.exchange(head(16 << 10)).unwrap().status(), 200, "what fits passes");
    for bytes in [(16 << 10) + 1, 30 << 10] {
        let answer = connection.exchange(head(bytes)).unwrap();
        assert_eq!(answer.verdict(), (431, "head-too-large".to_owned()));
    }
    assert_eq!(stage.world.api.requests().len(), 1);
}

#[test]
fn over_http2_a_head_above_request_head_is_431_too() {
    let stage = stage("request_head = \"16KiB\"");
    let get = |padding: usize| {
        let request = http::Request::get("https://localhost/")
            .header("authorization", format!("Bearer {}", stage.token))
            .header("x", "v".repeat(padding));
        let mut h2 = H2::connect(&stage.client, stage.boundgate.address).unwrap();
        h2.send(request.body(Default::default()).unwrap()).unwrap()
    };
    refused(&stage.boundgate, "head-too-large", Form::Problem, || get(16 << 10));
    assert_eq!(get(14 << 10).status(), 200, "what fits passes");
    assert_eq!(get(40 << 10).status(), 431, "so large that HTTP/2 answers by itself");
    assert_eq!(stage.world.api.requests().len(), 1);
}

/// RFC 9113 §5.4.1: a connection error is answered with GOAWAY; it is counted and logged like what HTTP/1.1 cannot read.
#[test]
fn what_http2_cannot_read_ends_the_connection() {
    let stage = stage("");
    let address = stage.boundgate.address;
    let attacks: [fn(&mut Raw); 4] = [
        |raw| raw.0.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap(), // no preface (§3.4)
        |raw| raw.send(frames::DATA, 0, 0, b"x").unwrap(), // data on the connection (§6.1)
        |raw| raw.send(frames::HEADERS, 5, 1, &[0xff; 20]).unwrap(), // no field in the table (RFC 7541 §2.3.3)
        |raw| raw.send(frames::HEADERS, 5, 2, &frames::block("GET", "x")).unwrap(), // a server's stream (§5.1.1)
    ];
    for (index, attack) in attacks.iter().enumerate() {
        let mut raw = match index {
            0 => Raw::connect_silently(&stage.client, address),
            _ => Raw::connect(&stage.client, address, &[]),
        };
        attack(&mut raw);
        let said_so = raw.rest().iter().any(|frame| frame.kind == frames::GOAWAY);
        assert!(said_so || index == 0, "attack {index}"); // to a peer that speaks no HTTP/2 it may be left out (§3.4)
        drop(raw);
        let labels = ["decision=\"refused\"", "reason=\"request-malformed\""];
        stage.boundgate.wait_for_metric("boundgate_requests_total", &labels, (index + 1) as f64);
    }
    stage.boundgate.log_line(|line| line["reason"] == "request-malformed" && line["status"] == 400);
    assert_eq!(stage.world.api.requests(), []);
}
