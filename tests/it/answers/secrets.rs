//! A token stands in no answer, no log and no metric, whatever becomes of it (RFC 9700 §4.9.3), and however talkative the log.

use serde_json::json;

use crate::support::boundgate::Boundgate;
use crate::support::client::{Client, Connection};
use crate::support::h2::H2;
use crate::support::issuer::{AUDIENCE, Issuer, now};
use crate::support::world::{Config, World};

/// Tokens of every kind: accepted, refused for every cause, and things that are none.
fn tokens(world: &World) -> Vec<String> {
    let (issuer, a) = (&world.issuer, &world.pki.client_a);
    let claims = |name: &str, value: serde_json::Value| {
        let mut claims = issuer.claims(a);
        claims["jti"] = json!(MARKER);
        claims[name] = value;
        claims
    };
    let with = |name: &str, value: serde_json::Value| issuer.mint(&claims(name, value));
    let header = |header: serde_json::Value| {
        issuer.sign(header.to_string(), claims("nonce", json!(MARKER)).to_string())
    };
    let good = with("nonce", json!(MARKER));
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    vec![
        good.clone(),
        issuer.token(&world.pki.client_b),
        with("exp", json!(now() - 600)),
        with("nbf", json!(now() + 600)),
        with("aud", json!([AUDIENCE.to_owned() + "/other"])),
        with("iss", json!("https://elsewhere.example.test")),
        with("scope", json!("")),
        with("exp", json!("never")),
        with("cnf", json!({"x5t#S256": "short"})),
        with("department", json!("two\nlines")),
        Issuer::new(issuer.name.clone()).token(a),
        header(json!({"alg": "ES256", "kid": "unknown", "typ": "at+jwt"})),
        header(json!({"alg": "none", "typ": "at+jwt"})),
        header(json!({"alg": "ES256", "typ": "dpop+jwt"})),
        header(json!({"alg": "ES256", "kid": 7})),
        issuer.sign("no JSON: Zm9yZ2VkLWhlYWRlci10ZXh0", "no JSON: Zm9yZ2VkLXBheWxvYWQtdGV4dA"),
        format!("{unsigned}="),
        format!("{unsigned}.{signature}="),
        format!("{good}.{signature}"),
        "opaque-2YotnFZFEjr1zCsicMWpAA.opaque".to_owned(),
    ]
}

/// A claim that nobody asked for.
const MARKER: &str = "bWFya2VyLW9mLWEtc2VjcmV0";

/// Everything that could give a token away: itself, its parts, halves of them, and what stands in it.
fn giveaways(tokens: &[String]) -> Vec<String> {
    let mut all = vec![MARKER.to_owned(), "c2VjcmV0LXBhc3N3b3Jk".to_owned()];
    for token in tokens {
        // The first part of a JWT is its header, which is no secret and the same in many.
        let parts = token.split('.').skip(1).flat_map(|part| part.as_bytes().chunks(24));
        all.extend(
            parts.filter(|part| part.len() >= 16).map(|part| String::from_utf8(part.to_vec()).unwrap()),
        );
    }
    assert!(all.len() > 50);
    all
}

#[test]
fn no_token_is_in_answers_logs_or_metrics() {
    let world = World::new();
    for format in ["json", "text"] {
        let tokens = tokens(&world);
        let more = format!(
            "[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n\n[[routes]]\npath = \"/*\"\nscopes = [\"read\"]\n\n\
             [forward.claims]\nX-Auth-Department = \"department\"\n\n[log]\nformat = \"{format}\"\nlevel = \"trace\"\n"
        );
        let boundgate = Boundgate::start(world.pki.path(), &Config { more, ..world.config() });
        let said = say_everything(&world, &boundgate, &tokens);
        let metrics = boundgate.ask("/metrics").unwrap().text().to_owned();
        // The log thread writes all there is before the process ends.
        let output = boundgate.process.stdout.clone();
        let errors = boundgate.process.stderr.clone();
        assert!(boundgate.stop().success());
        let log = output.all().join("\n") + &errors.all().join("\n");
        assert!(log.lines().count() > 100, "everything is logged:\n{log}");
        for giveaway in giveaways(&tokens) {
            for (where_, text) in [("an answer", &said), ("the metrics", &metrics), ("the log", &log)] {
                let line = text.lines().find(|line| line.contains(&giveaway));
                assert_eq!(line, None, "{giveaway} is in {where_}");
            }
        }
    }
}

/// Sends each token in every place where a client may put it; returns all answers.
fn say_everything(world: &World, boundgate: &Boundgate, tokens: &[String]) -> String {
    let client: Client = world.client(Some(&world.pki.client_a));
    let connect = || client.connect(boundgate.address).unwrap();
    let mut said = String::new();
    for token in tokens {
        let heads = [
            format!("GET /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"),
            format!("GET /public/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"),
            format!("GET /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n\r\n"),
            format!("GET /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token} {token}\r\n\r\n"),
            format!("GET /a?access_token={token} HTTP/1.1\r\nHost: localhost\r\nCookie: t={token}\r\n\r\n"),
            "GET /a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic c2VjcmV0LXBhc3N3b3Jk\r\n\r\n"
                .to_owned(),
            // Nothing of what cannot be read may be quoted either.
            format!("GET /a HTTP/1.1\r\nHost: localhost\r\nAuthorization : Bearer {token}\r\n\r\n"),
            format!("{token}\r\n\r\n"),
            format!("GET /a HTTP/1.1\r\nHost: {token}@localhost\r\n\r\n"),
        ];
        for head in heads {
            let mut connection: Connection = connect();
            said += &format!("{:?}\n", connection.exchange(head).unwrap());
        }
        let mut h2 = H2::connect(&client, boundgate.address).unwrap();
        said += &format!("{:?}\n", h2.get("/a", Some(token)).unwrap());
    }
    said
}
