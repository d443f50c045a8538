//! What an answer means, and how long.

use serde_json::{Value, json};

use super::super::support::issuer::now;
use super::super::support::server::Answer;
use super::stage::{BASIC, Stage, active_with, basic, form, passed, refused, until};

#[test]
fn an_active_token_passes_with_the_certificate_that_it_is_bound_to() {
    // RFC 8705 §3.2: `cnf` is a top-level member of the answer and is treated as in a JWT.
    let stage = Stage::with(BASIC, |_, mut config| {
        config.more = "[[routes]]\npath = \"/admin/*\"\nscopes = [\"admin\"]\n\n[forward.claims]\nX-Auth-Subject = \"sub\"\n".to_owned();
        config
    });
    stage.issuer.script.say("opaque", stage.active(stage.a()));
    assert_eq!(stage.verdict(stage.a(), "opaque"), passed());
    assert_eq!(stage.verdict(stage.b(), "opaque"), refused(401, "thumbprint-mismatch"));
    let admin = stage.client(stage.a()).get(stage.boundgate.address, "/admin/x", Some("opaque")).unwrap();
    assert_eq!(admin.verdict(), refused(403, "scope-missing"));
    assert_eq!(stage.issuer.calls(), 1, "binding and scope are judged on every request, cached or not");

    let api = stage.world.api.requests();
    assert_eq!(api.len(), 1);
    assert_eq!(api[0].value("x-auth-subject"), Some("alice"));
    assert_eq!(api[0].value("authorization"), Some("Bearer opaque"));
}

#[test]
fn the_question_is_a_form_that_authenticates_the_resource_server() {
    // RFC 7662 §2.1; RFC 6749 §2.3.1: both parts are form-encoded before they are joined.
    let stage = Stage::new("client_id = \"bound gate:1\"\nclient_secret = \"a+b c%/ä\"");
    stage.verdict(stage.a(), "opa+que/1==");
    let call = &stage.issuer.server.requests()[0];
    assert_eq!((call.method(), call.target()), ("POST", "/introspect"));
    assert_eq!(call.value("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(call.value("accept"), Some("application/json"));
    assert_eq!(basic(call), ("bound gate:1".to_owned(), "a+b c%/ä".to_owned()));
    let form = form(call);
    assert_eq!((form["token"].as_str(), form["token_type_hint"].as_str()), ("opa+que/1==", "access_token"));
    assert_eq!(form.len(), 2);
}

#[test]
fn only_the_literal_true_is_active() {
    // RFC 7662 §2.2
    let stage = Stage::new(BASIC);
    for (token, active) in
        [("a", json!("true")), ("b", json!(1)), ("c", Value::Bool(false)), ("d", json!(["true"]))]
    {
        stage.issuer.script.say(token, active_with(stage.a(), "active", active));
        assert_eq!(stage.verdict(stage.a(), token), refused(401, "token-inactive"), "{token}");
    }
    assert_eq!(stage.verdict(stage.a(), "unknown"), refused(401, "token-inactive"));
    assert!(stage.world.api.requests().is_empty());
}

#[test]
fn an_active_answer_is_judged_like_a_token() {
    let stage = Stage::new(BASIC);
    for (name, value, expected) in [
        ("exp", Value::Null, passed()),
        ("exp", json!(now() - 60), refused(401, "token-expired")),
        ("nbf", json!(now() + 600), refused(401, "token-not-yet-valid")),
        ("exp", json!("tomorrow"), refused(401, "claims-invalid")),
        ("iss", Value::Null, passed()),
        ("iss", json!("https://other.example.test"), refused(401, "issuer-unknown")),
        ("iss", json!(7), refused(401, "claims-invalid")),
        ("aud", json!(["https://other.example.test"]), refused(401, "audience-mismatch")),
        ("aud", Value::Null, refused(401, "audience-mismatch")),
        ("cnf", Value::Null, refused(401, "token-unbound")),
        ("cnf", json!({}), refused(401, "confirmation-unsupported")),
        ("cnf", json!({"jkt": "a"}), refused(401, "confirmation-unsupported")),
        ("cnf", json!({"x5t#S256": "a="}), refused(401, "confirmation-unsupported")),
    ] {
        let token = format!("t-{name}-{}", value.to_string().len());
        stage.issuer.script.say(&token, active_with(stage.a(), name, value.clone()));
        assert_eq!(stage.verdict(stage.a(), &token), expected, "{name} = {value}");
    }
}

#[test]
fn without_require_audience_an_answer_may_say_nothing_but_not_something_else() {
    let stage = Stage::new(&format!("{BASIC}\nrequire_audience = false"));
    stage.issuer.script.say("none", active_with(stage.a(), "aud", Value::Null));
    stage.issuer.script.say("other", active_with(stage.a(), "aud", json!("https://other.example.test")));
    assert_eq!(stage.verdict(stage.a(), "none"), passed());
    assert_eq!(stage.verdict(stage.a(), "other"), refused(401, "audience-mismatch"));
    stage.issuer.script.say("nobody", active_with(stage.a(), "aud", json!([])));
    assert_eq!(
        stage.verdict(stage.a(), "nobody"),
        refused(401, "audience-mismatch"),
        "it names none of ours"
    );
}

#[test]
fn an_answer_serves_for_its_time_and_never_past_exp() {
    // RFC 7662 §4
    let stage =
        Stage::with(&format!("{BASIC}\ncache_ttl = \"1s\"\nnegative_ttl = \"500ms\""), |_, mut config| {
            config.issuer = config.issuer.replace("\n[issuers", "\nleeway = \"0s\"\n[issuers");
            config
        });
    stage.issuer.script.say("good", stage.active(stage.a()));
    assert_eq!(stage.verdict(stage.a(), "good"), passed());
    assert_eq!(stage.verdict(stage.a(), "good"), passed());
    assert_eq!(stage.issuer.calls(), 1);
    stage.issuer.script.say("good", json!({"active": false}));
    until("the answer runs out", || stage.verdict(stage.a(), "good") == refused(401, "token-inactive"));
    let calls = stage.issuer.calls();
    assert!(calls >= 2);
    stage.issuer.script.say("good", stage.active(stage.a()));
    until("the refusal runs out", || stage.verdict(stage.a(), "good") == passed());

    stage.issuer.script.say("short", active_with(stage.a(), "exp", json!(now() + 1)));
    stage.verdict(stage.a(), "short");
    until("the token ends", || stage.verdict(stage.a(), "short") == refused(401, "token-expired"));
}

#[test]
fn a_time_that_a_reload_makes_shorter_holds_for_what_is_remembered() {
    let lines =
        |active: &str, other: &str| format!("{BASIC}\ncache_ttl = \"{active}\"\nnegative_ttl = \"{other}\"");
    let stage = Stage::new(&lines("5m", "5m"));
    let reload = |active: &str, other: &str| {
        let mut config = stage.config.clone();
        config.issuer = config.issuer.replace(&lines("5m", "5m"), &lines(active, other));
        stage.boundgate.rewrite(&config);
        stage.boundgate.reload();
    };
    let verdicts = || ["good", "bad"].map(|token| stage.verdict(stage.a(), token));
    stage.issuer.script.say("good", stage.active(stage.a()));
    let before = [passed(), refused(401, "token-inactive")];
    assert_eq!(verdicts(), before);
    stage.issuer.script.say("good", json!({"active": false}));
    stage.issuer.script.say("bad", stage.active(stage.a()));
    assert_eq!(verdicts(), before);
    reload("10m", "10m");
    assert_eq!(verdicts(), before, "a longer one loses nothing");
    assert_eq!(stage.issuer.calls(), 2);
    reload("1s", "5m");
    until("the answer runs out", || stage.verdict(stage.a(), "good") == refused(401, "token-inactive"));
    assert_eq!(stage.verdict(stage.a(), "bad"), refused(401, "token-inactive"));
    reload("5m", "1s");
    until("the refusal runs out", || stage.verdict(stage.a(), "bad") == passed());
}

#[test]
fn a_decision_says_whether_it_came_from_the_cache_and_metrics_count_it() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.say("good", stage.active(stage.a()));
    let lookups = |outcome| stage.boundgate.metric("boundgate_token_cache_total", &[outcome]);
    for _ in 0..3 {
        stage.verdict(stage.a(), "good");
        stage.verdict(stage.a(), "bad");
    }
    assert_eq!(lookups("outcome=\"miss\""), 2.0);
    assert_eq!(lookups("outcome=\"hit\""), 2.0);
    assert_eq!(lookups("outcome=\"negative-hit\""), 2.0);
    let calls = |outcome: &str| {
        let outcome = format!("outcome=\"{outcome}\"");
        let labels = ["issuer=\"https://as.example.test\"", &outcome];
        stage.boundgate.metric("boundgate_introspections_total", &labels)
    };
    assert_eq!((calls("active"), calls("inactive"), calls("timeout")), (1.0, 1.0, 0.0));
    assert_eq!(stage.boundgate.metric("boundgate_introspection_duration_seconds_count", &[]), 2.0);
    assert_eq!(stage.boundgate.metric("boundgate_introspections_in_flight", &[]), 0.0);
    for (decision, cached) in [("accepted", false), ("accepted", true), ("refused", false), ("refused", true)]
    {
        let line = stage.boundgate.log_line(|line| line["decision"] == decision && line["cached"] == cached);
        assert_eq!(line["issuer"].is_null(), decision == "refused", "{line}");
    }
}

#[test]
fn what_looks_like_a_jwt_is_not_shown_to_anyone() {
    let stage = Stage::new(BASIC);
    let header = "eyJhbGciOiJFUzI1NiJ9";
    let mut foreign = stage.world.issuer.claims(stage.a());
    foreign["iss"] = json!("https://unknown.example.test");
    let foreign = stage.world.issuer.mint(&foreign);
    assert_eq!(stage.verdict(stage.a(), &foreign), refused(401, "issuer-unknown"));
    for odd in
        [format!("{header}.e30.a"), format!("{header}==.e30.a="), format!("{header}.. ").trim().to_owned()]
    {
        assert_eq!(stage.verdict(stage.a(), &odd), refused(401, "token-malformed"), "{odd}");
    }
    let good = stage.world.issuer.token(stage.a());
    assert_eq!(stage.verdict(stage.a(), &good), passed(), "a JWT of an issuer with introspection needs none");
    assert_eq!(stage.issuer.calls(), 0);
    for opaque in ["a.b.c", "a", "e30.e30", "a.b.c.d.e"] {
        assert_eq!(stage.verdict(stage.a(), opaque), refused(401, "token-inactive"), "{opaque}");
    }
    assert_eq!(stage.issuer.calls(), 4);
}

/// Whatever else is wrong with it, and whatever stands in the place of a known issuer.
#[test]
fn a_jwt_of_an_unknown_issuer_is_sent_nowhere() {
    for always in [false, true] {
        let stage = Stage::new(&format!("{BASIC}\nalways = {always}"));
        let issuer = &stage.world.issuer;
        let with = |iss: Option<Value>| {
            let mut claims = issuer.claims(stage.a());
            match iss {
                Some(iss) => claims["iss"] = iss,
                None => drop(claims.as_object_mut().unwrap().remove("iss")),
            }
            claims
        };
        let foreign = || with(Some(json!("https://unknown.example.test")));
        let header = |name: &str, value: Value| {
            let mut header = json!({"typ": "at+jwt", "alg": "ES256", "kid": "key-1"});
            header[name] = value;
            issuer.sign(header.to_string(), foreign().to_string())
        };
        let signed = issuer.mint(&foreign());
        let (unsigned, _) = signed.rsplit_once('.').unwrap();
        for (token, reason) in [
            (signed.clone(), "issuer-unknown"),
            (format!("{unsigned}.AAAA"), "issuer-unknown"),
            (format!("{unsigned}."), "issuer-unknown"),
            (issuer.mint(&with(None)), "issuer-unknown"),
            (issuer.mint(&with(Some(json!("")))), "issuer-unknown"),
            (issuer.mint(&with(Some(json!(7)))), "claims-invalid"),
            (issuer.mint(&with(Some(Value::Null))), "claims-invalid"),
            (issuer.mint(&with(Some(json!([issuer.name])))), "claims-invalid"),
            (header("typ", json!("weird")), "token-type"),
            (header("typ", json!(["at+jwt"])), "token-type"),
            (header("typ", json!("token-introspection+jwt")), "token-type"),
            (header("alg", json!("none")), "algorithm-refused"),
            (header("alg", json!("HS256")), "algorithm-refused"),
            (header("crit", json!(["exp"])), "token-malformed"),
            (header("kid", json!(1)), "token-malformed"),
        ] {
            assert_eq!(stage.verdict(stage.a(), &token), refused(401, reason), "{token}");
        }
        assert_eq!(stage.issuer.calls(), 0, "always = {always}");
        assert!(stage.world.api.requests().is_empty());
    }
}

#[test]
fn who_has_no_certificate_causes_no_call() {
    let stage = Stage::new(BASIC);
    stage.issuer.script.say("good", stage.active(stage.a()));
    let without = stage.world.client(None);
    let ask = || without.get(stage.boundgate.address, "/", Some("good")).unwrap().verdict();
    assert_eq!(ask(), refused(401, "certificate-missing"));
    assert_eq!(stage.issuer.calls(), 0);
}

#[test]
fn where_only_bound_tokens_are_checked_an_unbound_one_needs_no_certificate() {
    let stage = Stage::with(BASIC, |_, mut config| {
        config.more = "[binding]\nrequire = \"if-bound\"\n".to_owned();
        config
    });
    stage.issuer.script.say("unbound", active_with(stage.a(), "cnf", Value::Null));
    stage.issuer.script.say("bound", stage.active(stage.a()));
    let without = stage.world.client(None);
    let ask = |token| without.get(stage.boundgate.address, "/", Some(token)).unwrap().verdict();
    assert_eq!(ask("unbound"), passed());
    assert_eq!(ask("bound"), refused(401, "certificate-missing"));
    assert_eq!(stage.verdict(stage.a(), "bound"), passed());
}

#[test]
fn the_endpoint_is_discovered_and_readiness_waits_for_it() {
    use super::super::support::boundgate::Boundgate;
    use super::super::support::server::Server;
    use super::super::support::world::{Config, World};
    use std::sync::{Arc, OnceLock};

    let world = World::new();
    let url = Arc::<OnceLock<String>>::default();
    let (named, thumbprint) = (Arc::clone(&url), world.pki.client_a.thumbprint());
    let server = Server::http(move |request| {
        let url = named.get().unwrap();
        match request.target() {
            "/.well-known/oauth-authorization-server" => Answer::json(&json!({
                "issuer": url, "introspection_endpoint": format!("{url}/introspect"),
                "mtls_endpoint_aliases": {"introspection_endpoint": format!("{url}/mtls")},
            })),
            "/introspect" => Answer::json(&json!({
                "active": true, "aud": "https://api.example.test", "cnf": {"x5t#S256": thumbprint},
            })),
            _ => Answer::status(404, "text/plain", ""),
        }
    });
    url.set(server.url()).unwrap();
    let issuer = format!(
        "issuer = \"{}\"\naudiences = [\"https://api.example.test\"]\n[issuers.introspection]\n{BASIC}",
        server.url()
    );
    let config = Config { issuer, ..Config::new(&world.api) };
    // The metadata name no keys: introspection alone makes it ready.
    let boundgate = Boundgate::start(world.pki.path(), &config);
    let ready = boundgate.ask("/readyz").unwrap().json();
    assert_eq!(
        (&ready["issuers"][0]["introspection"], &ready["issuers"][0]["keys"]),
        (&json!("usable"), &json!(0))
    );
    let client = world.client(Some(&world.pki.client_a));
    assert_eq!(client.get(boundgate.address, "/", Some("opaque")).unwrap().verdict(), passed());
}
