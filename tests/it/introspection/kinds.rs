//! `always`, `signed` and `phantom`; and the ways to authenticate.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::support::issuer::{AUDIENCE, Issuer, now};
use super::super::support::message::Message;
use super::super::support::pki::Identity;
use super::super::support::server::Answer;
use super::stage::{BASIC, Stage, active, active_with, basic, form, passed, refused, until};

const AS: &str = "https://as.example.test";

fn bound_to(identity: &Identity) -> Value {
    json!({"x5t#S256": identity.thumbprint()})
}

#[test]
fn always_asks_about_a_jwt_that_has_been_verified_and_both_must_hold() {
    let stage = Stage::new(&format!("{BASIC}\nalways = true"));
    let (a, b) = (stage.a(), stage.b());
    let issuer = &stage.world.issuer;
    let mut number = 0;
    let mut verdict = |claims: &dyn Fn(&mut Value), answer: Value| {
        let mut these = issuer.claims(a);
        number += 1;
        these["jti"] = json!(number);
        claims(&mut these);
        let token = issuer.mint(&these);
        stage.issuer.script.say(&token, answer);
        stage.verdict(a, &token)
    };
    let without = |name: &str| active_with(a, name, Value::Null);
    let same = |_: &mut Value| {};
    assert_eq!(verdict(&same, active(a)), passed());
    assert_eq!(verdict(&same, json!({"active": false})), refused(401, "token-inactive"));
    assert_eq!(verdict(&same, without("cnf")), passed(), "the JWT is bound");
    assert_eq!(verdict(&|c| c["cnf"] = Value::Null, active(a)), refused(401, "confirmation-unsupported"));
    let unbound = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("cnf"));
    assert_eq!(verdict(&unbound, active(a)), passed(), "the answer is bound");
    assert_eq!(verdict(&unbound, active(b)), refused(401, "thumbprint-mismatch"));
    assert_eq!(verdict(&unbound, without("cnf")), refused(401, "token-unbound"));
    assert_eq!(verdict(&same, active(b)), refused(401, "thumbprint-mismatch"), "they must agree");
    assert_eq!(
        verdict(&same, active_with(a, "cnf", json!({"jkt": "x"}))),
        refused(401, "confirmation-unsupported")
    );
    assert_eq!(verdict(&same, active_with(a, "exp", json!(now() - 90))), refused(401, "token-expired"));
    assert_eq!(verdict(&same, active_with(a, "aud", json!("other"))), refused(401, "audience-mismatch"));
    assert_eq!(verdict(&same, without("aud")), refused(401, "audience-mismatch"), "require_audience");
    assert_eq!(
        verdict(&same, active_with(a, "iss", json!("https://x.test"))),
        refused(401, "issuer-unknown")
    );

    // What the JWT alone decides needs no call.
    let calls = stage.issuer.calls();
    assert_eq!(verdict(&|c| c["exp"] = json!(now() - 90), active(a)), refused(401, "token-expired"));
    assert_eq!(verdict(&|c| c["aud"] = json!("other"), active(a)), refused(401, "audience-mismatch"));
    assert_eq!(verdict(&|c| c["cnf"] = bound_to(b), active(a)), refused(401, "thumbprint-mismatch"));
    assert_eq!(verdict(&|c| c["iss"] = json!("https://x.test"), active(a)), refused(401, "issuer-unknown"));
    assert_eq!(stage.issuer.calls(), calls);
    let foreign = Issuer::new(AS).token(a);
    assert_eq!(stage.verdict(a, &foreign), refused(401, "signature-invalid"));
    assert_eq!(stage.issuer.calls(), calls, "a wrong signature is asked about nobody");
}

#[test]
fn under_always_scopes_are_what_both_grant_and_answers_are_cached_or_missed() {
    let stage = Stage::with(&format!("{BASIC}\nalways = true"), |_, mut config| {
        config.more = "[[routes]]\npath = \"/*\"\nscopes = [\"write\"]\n".to_owned();
        config
    });
    let a = stage.a();
    let token = stage.world.issuer.token(a);
    stage.issuer.script.say(&token, active_with(a, "scope", Value::Null));
    assert_eq!(stage.verdict(a, &token), passed(), "an answer without scope takes none away");
    assert_eq!(stage.verdict(a, &token), passed());
    assert_eq!(stage.issuer.calls(), 1);
    let mut claims = stage.world.issuer.claims(a);
    claims["jti"] = json!(1);
    let narrowed = stage.world.issuer.mint(&claims);
    stage.issuer.script.say(&narrowed, active_with(a, "scope", json!("read")));
    assert_eq!(stage.verdict(a, &narrowed), refused(403, "scope-missing"));

    stage.issuer.script.fail(|_| Answer::status(500, "text/plain", ""));
    claims["jti"] = json!(2);
    let unknown = stage.world.issuer.mint(&claims);
    assert_eq!(stage.verdict(a, &unknown), refused(503, "introspection-unavailable"));
    assert_eq!(stage.verdict(a, &token), passed(), "a fresh answer serves");
}

/// A signed answer (RFC 9701 §5) to every call.
fn signed(
    header: &Value,
    payload: &Value,
    issuer: &Issuer,
) -> impl Fn(&Message) -> Answer + Send + Sync + use<> {
    let jwt = issuer.sign(header.to_string(), payload.to_string());
    move |_| Answer::status(200, "application/token-introspection+jwt", &jwt)
}

#[test]
fn a_signed_answer_is_the_issuers_for_us_and_of_now() {
    let stage = Stage::new(&format!("{BASIC}\nanswer = \"signed\"\nnegative_ttl = \"0s\""));
    let a = stage.a();
    let header = json!({"typ": "token-introspection+jwt", "alg": "ES256", "kid": "key-1"});
    let payload = json!({"iss": AS, "aud": "boundgate", "iat": now(), "token_introspection": active(a)});
    let with = |object: &Value, name: &str, value: Value| {
        let mut changed = object.clone();
        changed[name] = value;
        changed
    };
    let unavailable = || refused(503, "introspection-unavailable");
    let issuer = &stage.world.issuer;
    let mut number = 0;
    let mut play = |header: &Value, payload: &Value, by: &Issuer| {
        number += 1;
        stage.issuer.script.fail(signed(header, payload, by));
        stage.verdict(a, &format!("t{number}"))
    };
    assert_eq!(play(&header, &payload, issuer), passed());
    let call = &stage.issuer.server.requests()[0];
    assert_eq!(call.value("accept"), Some("application/token-introspection+jwt"), "RFC 9701 §4");
    for (name, value, expected) in [
        ("aud", json!(["x", AUDIENCE]), passed()),
        ("iat", json!(now() + 10), passed()),
        ("aud", json!("someone-else"), unavailable()),
        ("aud", Value::Null, unavailable()),
        ("iss", json!("https://other.example.test"), unavailable()),
        ("iss", Value::Null, unavailable()),
        ("iat", json!(now() + 600), unavailable()),
        ("iat", json!(now() - 600), unavailable()),
        ("iat", Value::Null, unavailable()),
        ("exp", json!(now() - 60), unavailable()),
        ("token_introspection", json!({"active": false}), refused(401, "token-inactive")),
        ("token_introspection", json!(true), unavailable()),
        ("token_introspection", Value::Null, unavailable()),
    ] {
        assert_eq!(play(&header, &with(&payload, name, value.clone()), issuer), expected, "{name} = {value}");
        // A call that succeeds keeps the breaker closed.
        assert_eq!(play(&header, &payload, issuer), passed());
    }
    // Only `token_introspection` speaks of the token, and whether it is active.
    let beside = with(&with(&payload, "token_introspection", json!({})), "active", json!(true));
    assert_eq!(play(&header, &beside, issuer), unavailable());
    assert_eq!(
        play(&with(&header, "typ", json!("application/token-introspection+jwt")), &payload, issuer),
        passed()
    );
    for (name, value) in
        [("typ", json!("at+jwt")), ("typ", json!("JWT")), ("kid", json!("other")), ("alg", json!("none"))]
    {
        assert_eq!(
            play(&with(&header, name, value.clone()), &payload, issuer),
            unavailable(),
            "{name} = {value}"
        );
        assert_eq!(play(&header, &payload, issuer), passed());
    }
    assert_eq!(play(&header, &payload, &Issuer::new(AS)), unavailable(), "signed by somebody else");
    stage.issuer.script.recover();
    assert_eq!(stage.verdict(a, "plain"), unavailable(), "plain JSON is not what was asked for");

    // RFC 9701 §8.1: such a JWT is never an access token.
    let mut as_token = payload.clone();
    as_token.as_object_mut().unwrap().extend(issuer.claims(a).as_object().unwrap().clone());
    let token = issuer.sign(header.to_string(), as_token.to_string());
    assert_eq!(stage.verdict(a, &token), refused(401, "token-type"));
}

/// What hands out this JWT for every token.
fn phantom(jwt: String) -> impl Fn(&Message) -> Answer + Send + Sync {
    move |_| Answer::status(200, "application/jwt", &jwt)
}

#[test]
fn behind_phantom_the_api_sees_jwts_alone() {
    let stage = Stage::with(&format!("{BASIC}\nanswer = \"phantom\""), |_, mut config| {
        config.more =
            "[forward]\nauthorization = \"phantom\"\n[forward.claims]\nX-Auth-Subject = \"sub\"\n\n\
                       [[routes]]\npath = \"/public/*\"\naccess = \"public\"\n"
                .to_owned();
        config
    });
    let (a, issuer) = (stage.a(), &stage.world.issuer);
    let jwt = issuer.token(a);
    stage.issuer.script.fail(phantom(jwt.clone()));
    assert_eq!(stage.verdict(a, "opaque"), passed());
    assert_eq!(stage.verdict(a, "opaque"), passed());
    assert_eq!(stage.verdict(stage.b(), "opaque"), refused(401, "thumbprint-mismatch"));
    assert_eq!(stage.issuer.calls(), 1);
    assert_eq!(stage.issuer.server.requests()[0].value("accept"), Some("application/jwt"));
    let own = issuer.token(a);
    assert_eq!(stage.verdict(a, &own), passed(), "a JWT passes as it is");
    let public = stage.client(a).get(stage.boundgate.address, "/public/x", Some("opaque")).unwrap();
    assert_eq!(public.status(), 200);

    let seen = stage.world.api.requests();
    let forwarded: Vec<_> = seen.iter().map(|request| request.value("authorization")).collect();
    let bearer = format!("Bearer {jwt}");
    assert_eq!(forwarded, [Some(&*bearer), Some(&*bearer), Some(&*format!("Bearer {own}")), None]);
    assert_eq!(seen[0].value("x-auth-subject"), Some("alice"));
    assert!(!stage.boundgate.process.output().contains(&jwt), "no token in the log");
}

#[test]
fn a_phantom_is_verified_as_an_access_token_of_that_issuer() {
    let stage = Stage::new(&format!("{BASIC}\nanswer = \"phantom\""));
    let (a, issuer) = (stage.a(), &stage.world.issuer);
    let mut number = 0;
    let mut play = |answer: Answer2| {
        number += 1;
        match answer {
            Answer2::Jwt(jwt) => stage.issuer.script.fail(phantom(jwt)),
            Answer2::Raw(status, kind, body) => {
                stage.issuer.script.fail(move |_| Answer::status(status, kind, body));
            }
        }
        stage.verdict(a, &format!("t{number}"))
    };
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims(a);
        claims[name] = value;
        Answer2::Jwt(issuer.mint(&claims))
    };
    let mut endless = issuer.claims(a);
    endless.as_object_mut().unwrap().remove("exp");
    assert_eq!(play(Answer2::Jwt(format!("{}\n", issuer.token(a)))), passed());
    assert_eq!(play(with("iss", json!("https://other.example.test"))), refused(401, "issuer-unknown"));
    assert_eq!(play(with("aud", json!("other"))), refused(401, "audience-mismatch"));
    assert_eq!(play(with("exp", json!(now() - 90))), refused(401, "token-expired"));
    assert_eq!(play(Answer2::Jwt(issuer.mint(&endless))), refused(401, "claims-invalid"));
    assert_eq!(play(Answer2::Jwt(Issuer::new(AS).token(a))), refused(401, "signature-invalid"));
    let introspection = json!({"typ": "token-introspection+jwt", "alg": "ES256", "kid": "key-1"});
    let not_a_token = issuer.sign(introspection.to_string(), issuer.claims(a).to_string());
    assert_eq!(play(Answer2::Jwt(not_a_token)), refused(401, "token-type"));
    // Inactive: no content, or an empty one.
    assert_eq!(play(Answer2::Raw(204, "application/jwt", "")), refused(401, "token-inactive"));
    assert_eq!(play(Answer2::Raw(200, "text/plain", "")), refused(401, "token-inactive"));
    assert_eq!(
        play(Answer2::Raw(200, "application/jwt", "not a jwt")),
        refused(503, "introspection-unavailable")
    );
    assert_eq!(play(Answer2::Raw(200, "application/jwt", "a.b.c")), refused(401, "token-malformed"));
    assert_eq!(
        play(Answer2::Raw(200, "application/json", "{\"active\":true}")),
        refused(503, "introspection-unavailable")
    );
}

enum Answer2 {
    Jwt(String),
    Raw(u16, &'static str, &'static str),
}

#[test]
fn newer_keys_are_fetched_for_a_signed_answer() {
    use super::super::support::server::Server;
    let stage = Stage::with(&format!("{BASIC}\nanswer = \"phantom\""), |_, config| config);
    // The same issuer again, now with its keys at a URL, which rotate.
    let mut issuer = Issuer::new(AS);
    let jwks = Arc::new(std::sync::Mutex::new(issuer.jwks()));
    let published = Arc::clone(&jwks);
    let keys = Server::http(move |_| Answer::json(&published.lock().unwrap()));
    let mut config = stage.config.clone();
    config.issuer =
        config.issuer.replace("jwks_file = \"jwks.json\"", &format!("jwks_uri = \"{}/jwks\"", keys.url()));
    stage.boundgate.rewrite(&config);
    stage.boundgate.process.signal("HUP");
    until("the keys are fetched", || !keys.requests().is_empty());
    issuer.rotate("key-2");
    *jwks.lock().unwrap() = issuer.jwks();
    stage.issuer.script.fail(phantom(issuer.token(stage.a())));
    until("with newer keys it passes", || stage.verdict(stage.a(), "opaque") == passed());
}

#[test]
fn the_secret_may_stand_in_the_form_and_come_from_a_file_that_changes() {
    // RFC 6749 §2.3.1
    let stage = Stage::with(
        "client_id = \"boundgate\"\nclient_auth = \"client_secret_post\"\nclient_secret_file = \"secret\"\nnegative_ttl = \"0s\"",
        |world, config| {
            fs::write(world.pki.path().join("secret"), "first secret\n").unwrap();
            config
        },
    );
    let secret = || {
        stage.verdict(stage.a(), "opaque");
        let call = stage.issuer.server.requests().pop().unwrap();
        assert_eq!((call.value("authorization"), form(&call)["client_id"].as_str()), (None, "boundgate"));
        form(&call)["client_secret"].clone()
    };
    assert_eq!(secret(), "first secret", "it loses one line break");
    fs::write(stage.world.pki.path().join("secret"), "second\n\n").unwrap();
    stage.boundgate.process.signal("HUP");
    until("the new secret is used", || secret() == "second\n");
    fs::write(stage.world.pki.path().join("secret"), "").unwrap();
    stage.boundgate.process.signal("HUP");
    let fault = stage.boundgate.log_line(|line| line.to_string().contains("client_secret_file"));
    assert!(fault.to_string().contains("an empty file"), "{fault}");
    assert_eq!(secret(), "second\n", "what does not validate changes nothing");
}

#[test]
fn the_secret_comes_from_the_environment_and_is_shown_nowhere() {
    let stage = Stage::new("client_id = \"boundgate\"\nclient_secret = \"${PATH}\"");
    stage.issuer.script.fail(|_| Answer::status(401, "application/json", "{}"));
    stage.verdict(stage.a(), "opaque");
    let path = std::env::var("PATH").unwrap();
    assert_eq!(basic(&stage.issuer.server.requests()[0]).1, path);
    let shown = stage.boundgate.process.output() + stage.boundgate.ask("/metrics").unwrap().text();
    assert!(!shown.contains(&path));
}

#[test]
fn a_client_assertion_is_signed_for_the_issuer_and_used_once() {
    // RFC 7523 §2.2, §3
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let stage = Stage::with(
        "client_id = \"boundgate\"\nclient_auth = \"private_key_jwt\"\nsigning_key = \"jwt.key\"\nkey_id = \"k1\"",
        |world, config| {
            fs::copy(&world.pki.client_a.private_key, world.pki.path().join("jwt.key")).unwrap();
            config
        },
    );
    stage.verdict(stage.a(), "one");
    stage.verdict(stage.a(), "two");
    let calls = stage.issuer.server.requests();
    let assertions = calls.iter().map(|call| {
        assert_eq!(call.value("authorization"), None);
        let form = form(call);
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        form["client_assertion"].clone()
    });
    let part = |jwt: &str, index: usize| -> Value {
        let part = jwt.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let assertions: Vec<_> = assertions.collect();
    let mut ids = Vec::new();
    for assertion in &assertions {
        assert_eq!((&part(assertion, 0)["alg"], &part(assertion, 0)["kid"]), (&json!("ES256"), &json!("k1")));
        let claims = part(assertion, 1);
        assert_eq!(
            (&claims["iss"], &claims["sub"], &claims["aud"]),
            (&json!("boundgate"), &json!("boundgate"), &json!(AS))
        );
        let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
        assert!(exp - iat == 60 && iat <= now() && now() < exp, "{claims}");
        ids.push(claims["jti"].as_str().unwrap().to_owned());
        verify(assertion, stage.a());
    }
    assert!(ids[0] != ids[1] && ids[0].len() >= 16, "{ids:?}");
}

/// Verifies an ES256 signature with the key of a certificate.
pub(crate) fn verify(jwt: &str, signer: &Identity) {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use x509_parser::prelude::FromDer as _;
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(&signer.der).unwrap();
    let key = &certificate.public_key().subject_public_key.data;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
    key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
}
