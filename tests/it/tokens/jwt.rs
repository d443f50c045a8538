//! RFC 9068 §4 and RFC 8725: what makes a JWT an access token of a trusted issuer, and what an attacker would have it be.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Stage;
use crate::support::issuer::{AUDIENCE, Issuer, now};

impl Stage {
    /// A good token of client A but for its header.
    fn header(&self, header: Value) -> String {
        self.world.issuer.sign(header.to_string(), self.claims().to_string())
    }

    fn claims(&self) -> Value {
        self.world.issuer.claims(&self.world.pki.client_a)
    }

    /// A good token of client A but for this claim, which is left out for `None`.
    fn claim(&self, name: &str, value: Option<Value>) -> String {
        let mut claims = self.claims();
        match value {
            Some(value) => claims[name] = value,
            None => drop(claims.as_object_mut().unwrap().remove(name)),
        }
        self.world.issuer.mint(&claims)
    }
}

/// RFC 9068 §4: `typ` is `at+jwt` or `application/at+jwt`; RFC 8725 §3.11: every other type is refused.
#[test]
fn rfc_9068_section_4_the_type() {
    let stage = Stage::new();
    let only = Stage::with(|config| config.issuer.push_str("\ntoken_types = [\"at+jwt\"]"));
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "Application/At+Jwt"] {
        let header = json!({"typ": typ, "alg": "ES256", "kid": "key-1"});
        stage.passes(&stage.header(header.clone()), typ);
        only.passes(&only.header(header), typ);
    }
    for header in [json!({"typ": "JWT", "alg": "ES256"}), json!({"alg": "ES256"})] {
        stage.passes(&stage.header(header.clone()), "many servers still send it");
        only.refuses(&only.header(header), "token-type", "token_types says so");
    }
    let others = ["dpop+jwt", "id+jwt", "secevent+jwt", "token-introspection+jwt", "logout+jwt", "JOSE", ""];
    for typ in others.map(Value::from).into_iter().chain([json!(["at+jwt"]), json!(null)]) {
        let header = json!({"typ": typ, "alg": "ES256"});
        stage.refuses(&stage.header(header), "token-type", &typ.to_string());
    }
}

/// RFC 9068 §4: `iss` is exactly that of a trusted issuer.
#[test]
fn rfc_9068_section_4_the_issuer_is_exact() {
    let stage = Stage::new();
    let name = stage.world.issuer.name.clone();
    for iss in [format!("{name}/"), name.to_uppercase(), name.replace("https", "http"), String::new()] {
        stage.refuses(&stage.claim("iss", Some(json!(iss))), "issuer-unknown", &iss);
    }
    stage.refuses(&stage.claim("iss", None), "issuer-unknown", "none");
    stage.refuses(&stage.claim("iss", Some(json!([name]))), "claims-invalid", "a list");
}

/// RFC 9068 §4: `aud` contains one of ours.
#[test]
fn rfc_9068_section_4_the_audience() {
    let stage = Stage::new();
    stage
        .passes(&stage.claim("aud", Some(json!(["https://other.example.test", AUDIENCE]))), "one of several");
    for aud in [json!("https://other.example.test"), json!([]), json!(format!("{AUDIENCE}/")), json!([""])] {
        stage.refuses(&stage.claim("aud", Some(aud.clone())), "audience-mismatch", &aud.to_string());
    }
    stage.refuses(&stage.claim("aud", None), "audience-mismatch", "none");
    for aud in [json!(7), json!([AUDIENCE, 7]), json!({"0": AUDIENCE}), json!(null)] {
        stage.refuses(&stage.claim("aud", Some(aud.clone())), "claims-invalid", &aud.to_string());
    }
}

/// RFC 9068 §4: `exp` is required and in the future; RFC 7519 §4.1.4 allows a leeway, here of 30 s.
#[test]
fn rfc_9068_section_4_the_times() {
    let stage = Stage::new();
    let strict = Stage::with(|config| config.issuer.push_str("\nleeway = \"0s\""));
    stage.passes(&stage.claim("exp", Some(json!(now() - 10))), "within the leeway");
    stage.passes(&stage.claim("nbf", Some(json!(now() + 10))), "within the leeway");
    strict.refuses(&strict.claim("exp", Some(json!(now() - 1))), "token-expired", "no leeway");
    strict.refuses(&strict.claim("nbf", Some(json!(now() + 10))), "token-not-yet-valid", "no leeway");
    stage.refuses(&stage.claim("exp", Some(json!(now() - 31))), "token-expired", "beyond the leeway");
    stage.refuses(&stage.claim("exp", Some(json!(0))), "token-expired", "long ago");
    stage.refuses(&stage.claim("nbf", Some(json!(now() + 60))), "token-not-yet-valid", "nbf");
    stage.refuses(&stage.claim("iat", Some(json!(now() + 60))), "token-not-yet-valid", "iat");
    stage.refuses(&stage.claim("exp", None), "claims-invalid", "exp is required");
    for exp in [json!("9999999999"), json!(null), json!(-1), json!(true), json!([now() + 60])] {
        stage.refuses(&stage.claim("exp", Some(exp.clone())), "claims-invalid", &exp.to_string());
    }
}

/// A remembered token is judged by the clock all the same: a cache answers "is it genuine", never "may it be used".
#[test]
fn a_token_ends_while_it_is_remembered() {
    let stage = Stage::with(|config| config.issuer.push_str("\nleeway = \"0s\""));
    let token = stage.claim("exp", Some(json!(now() + 5)));
    stage.passes(&token, "still valid");
    let mut connection = stage.a.connect(stage.boundgate.address).unwrap();
    loop {
        let verdict = connection.get("/", Some(&token)).unwrap().verdict();
        if verdict.0 != 200 {
            assert_eq!(verdict, (401, "token-expired".to_owned()));
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50)); // time itself is what is waited for
    }
}

/// RFC 8725 §3.1, §3.2: algorithms are pinned, a key serves its own alone; never `none`, never HMAC.
#[test]
fn rfc_8725_section_3_1_the_algorithm_is_not_the_tokens_to_choose() {
    let stage = Stage::new();
    let claims = URL_SAFE_NO_PAD.encode(stage.claims().to_string());
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "at+jwt"}).to_string());
        stage.refuses(&format!("{header}.{claims}."), "algorithm-refused", alg);
        stage.refuses(&stage.header(json!({"alg": alg})), "algorithm-refused", alg);
    }
    // The public key as an HMAC secret, in the forms that an attacker can know it.
    let jwks = stage.world.issuer.jwks();
    for secret in [jwks.to_string(), jwks["keys"][0].to_string(), jwks["keys"][0]["x"].to_string()] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": "key-1"}).to_string());
        let input = format!("{header}.{claims}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, input.as_bytes()));
        stage.refuses(&format!("{input}.{tag}"), "algorithm-refused", "HS256");
    }
    for alg in ["ES384", "ES256K", "RS512", "HS512", "es256", "EdDSA2", "RSA-OAEP"] {
        stage.refuses(&stage.header(json!({"alg": alg, "kid": "key-1"})), "algorithm-refused", alg);
    }
    for alg in ["RS256", "PS256", "EdDSA"] {
        // Admitted for the issuer, but not what this key is for.
        stage.refuses(&stage.header(json!({"alg": alg, "kid": "key-1"})), "algorithm-refused", alg);
    }
}

/// RFC 8725 §3.10: `kid` is data, and `jku`, `jwk`, `x5u`, `x5c` of a token are never used.
#[test]
fn rfc_8725_section_3_10_the_token_does_not_bring_its_key() {
    let stage = Stage::new();
    let forger = Issuer::new(stage.world.issuer.name.clone());
    let key = forger.jwks()["keys"][0].clone();
    let url = stage.world.api.url();
    for (name, value) in [
        ("jwk", key),
        ("jku", json!(format!("{url}/jwks"))),
        ("x5u", json!(format!("{url}/x5u"))),
        ("x5c", json!(["AAAA"])),
    ] {
        let header = json!({"alg": "ES256", "kid": "key-1", name: value});
        let token = forger.sign(header.to_string(), stage.claims().to_string());
        stage.refuses(&token, "signature-invalid", name);
        stage.passes(&stage.header(header), "without effect on a good one");
    }
    for kid in ["../jwks.json", "/dev/null", "' OR 1=1 --", "http://127.0.0.1/", ""] {
        stage.refuses(&stage.header(json!({"alg": "ES256", "kid": kid})), "key-unknown", kid);
    }
    assert!(stage.world.api.requests().iter().all(|request| request.target() == "/"), "nothing was fetched");
}

/// RFC 7515 §4.1.11: nothing critical is understood. RFC 8725 §3.12, §2.8: what is not one plain JSON object is refused.
#[test]
fn rfc_8725_what_is_ambiguous_is_refused_not_guessed() {
    let stage = Stage::new();
    for header in [
        json!({"alg": "ES256", "crit": ["exp"], "exp": 1}),
        json!({"alg": "ES256", "crit": []}),
        json!({"alg": "ES256", "b64": false, "crit": ["b64"]}),
        json!({"alg": "ES256", "zip": "DEF"}),
        json!({"alg": "ES256", "kid": 1}),
        json!({"kid": "key-1"}),
        json!([]),
    ] {
        stage.refuses(&stage.header(header.clone()), "token-malformed", &header.to_string());
    }
    let issuer = &stage.world.issuer;
    let claims = stage.claims().to_string();
    let header = json!({"alg": "ES256", "kid": "key-1"}).to_string();
    let payload = |payload: &str| issuer.sign(&header, payload);
    let open = claims.strip_suffix('}').unwrap();
    let deep = format!("{open},\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    for twisted in [
        format!("{open},\"cnf\":{{}}}}"),
        format!("{open},\"\\u0063nf\":{{}}}}"), // the same name by an escape
        deep,
        format!("{claims}{claims}"),
        format!("{claims}x"),
        "null".to_owned(),
        String::new(),
    ] {
        stage.refuses(&payload(&twisted), "token-malformed", &twisted);
    }
    let doubled = "{\"alg\":\"ES256\",\"alg\":\"none\"}";
    stage.refuses(&issuer.sign(doubled, &claims), "token-malformed", doubled);
    let huge = claims.replace(&format!("\"exp\":{}", stage.claims()["exp"]), "\"exp\":1e400");
    assert_ne!(huge, claims);
    let verdict = stage.verdict(&stage.a, &payload(&huge));
    assert_eq!(verdict.0, 401, "a number that no one can read: {verdict:?}");
    let good = issuer.token(&stage.world.pki.client_a);
    for twisted in [
        format!("{good}."),
        format!(".{good}"),
        good.replace('.', ".."),
        good.rsplit_once('.').unwrap().0.to_owned(),
        format!("{good}="),
        format!("{good}A"),
    ] {
        let (status, reason) = stage.verdict(&stage.a, &twisted);
        assert!(
            status == 401 && ["token-malformed", "signature-invalid"].contains(&reason.as_str()),
            "{reason}"
        );
    }
}
