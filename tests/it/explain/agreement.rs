//! The one thing that must never happen to a tool that explains decisions: that it tells of another decision.

use serde_json::{Value, json};

use super::{config, explained, outcome, with};
use crate::support::boundgate::Boundgate;
use crate::support::issuer::{Issuer, now};
use crate::support::pki::Identity;
use crate::support::world::World;

#[test]
fn it_never_disagrees_with_the_proxy() {
    let world = World::new();
    let outsider = &world.pki.self_signed;
    let (client_a, client_b) = (&world.pki.client_a, &world.pki.client_b);
    let boundgate = Boundgate::start(world.pki.path(), &config(&world));
    let mut compared = 0;
    for (number, token) in tokens(&world.issuer, client_a).into_iter().enumerate() {
        for identity in [None, Some(client_a), Some(client_b)] {
            let mut connection = world.client(identity).connect(boundgate.address).unwrap();
            let paths = ["/", "/admin/x", "/public/x", "/public/..%2fadmin/x", "/a%00b"];
            // A process for each: what the path decides alone is not asked of every token.
            let asked = match identity {
                Some(identity) if identity.der == client_a.der && number % 5 == 0 => paths.len(),
                Some(identity) if identity.der == client_a.der => 2,
                _ => 1,
            };
            for path in paths.into_iter().take(asked) {
                let answer = connection.get(path, Some(&token)).unwrap();
                let identities: Vec<_> = identity.into_iter().collect();
                let (code, report) = explained(&boundgate.file, &token, &identities, &["--path", path]);
                let context = format!("{path} {report:#}");
                let (status, reason) = answer.verdict();
                if status == 200 {
                    assert_eq!((code, &report["verdict"]), (0, &json!("pass")), "{context}");
                    assert_eq!((&report["reason"], &report["status"]), (&Value::Null, &Value::Null));
                } else {
                    assert_eq!((code, &report["verdict"]), (1, &json!("refused")), "{context}");
                    assert_eq!(
                        (&report["reason"], &report["status"]),
                        (&json!(reason), &json!(status)),
                        "{context}"
                    );
                    let checks = report["checks"].as_array().unwrap();
                    assert!(checks.iter().any(|c| c["reason"] == reason.as_str()), "{context}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 150, "{compared}");
    // The proxy shakes no hand with it, so that there is no answer to compare with.
    let token = world.issuer.token(outsider);
    let (code, report) = explained(&boundgate.file, &token, &[outsider], &[]);
    assert_eq!((code, report["reason"].as_str()), (1, Some("certificate-not-admitted")));
    assert_eq!(outcome(&report, "binding"), ("pass", None), "it goes on with the other checks");
}

/// Tokens with every kind of fault, and good ones.
fn tokens(issuer: &Issuer, client: &Identity) -> Vec<String> {
    let good = issuer.claims(client);
    let mint = |name: &str, value: Value| issuer.mint(&with(good.clone(), name, value));
    let header = |header: Value| issuer.sign(header.to_string(), good.to_string());
    let token = issuer.token(client);
    let mut tokens = vec![
        token.clone(),
        mint("exp", json!(now() - 3600)),
        mint("exp", json!(now() - 1)),
        mint("exp", json!("soon")),
        mint("exp", Value::Null),
        mint("nbf", json!(now() + 600)),
        mint("iat", json!(now() + 600)),
        mint("aud", json!("https://other.example.test")),
        mint("aud", json!(["https://other.example.test", 1])),
        mint("aud", Value::Null),
        mint("iss", json!("https://evil.example.test")),
        mint("iss", json!(1)),
        mint("cnf", Value::Null),
        mint("cnf", json!({"jkt": "x"})),
        mint("cnf", json!({"x5t#S256": "x"})),
        mint("scope", json!("read admin")),
        mint("sub", json!("Zoë")),
        mint("sub", json!(["a", "b"])),
        mint("token_introspection", json!({})),
        header(json!({"typ": "at+jwt", "alg": "RS512", "kid": "key-1"})),
        header(json!({"typ": "at+jwt", "alg": "none"})),
        header(json!({"typ": "at+jwt", "alg": "ES256", "kid": "key-2"})),
        header(json!({"typ": "dpop+jwt", "alg": "ES256", "kid": "key-1"})),
        header(json!({"alg": "ES256"})),
        header(json!({"alg": "ES256", "crit": []})),
        issuer.sign("{", good.to_string()),
        issuer.sign(json!({"alg": "ES256"}).to_string(), r#"{"iss":"a","iss":"b"}"#),
        Issuer::new(issuer.name.clone()).mint(&good),
        format!("{}A", &token[..token.len() - 1]),
        token.rsplit_once('.').unwrap().0.to_owned(),
        format!("{token}.x.y"),
        format!("{token}="),
        "opaque-reference".to_owned(),
        String::new(),
    ];
    // Two faults at once: the first one of the proxy's order counts.
    let both = with(with(good.clone(), "exp", json!(1)), "aud", json!("x"));
    tokens.push(issuer.mint(&both));
    tokens.push(Issuer::new(issuer.name.clone()).mint(&both));
    tokens
}
