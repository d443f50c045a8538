//! RFC 8705: the token and the certificate of this very connection. RFC 7800 §3.1: what `cnf` may say. RFC 6750 §2, §3.1.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::Stage;
use crate::support::pki::{Identity, self_signed};

impl Stage {
    /// A token of client A with this `cnf`; without any for `None`.
    fn confirmed(&self, cnf: Option<Value>) -> String {
        let mut claims = self.world.issuer.claims(&self.world.pki.client_a);
        match cnf {
            Some(cnf) => claims["cnf"] = cnf,
            None => drop(claims.as_object_mut().unwrap().remove("cnf")),
        }
        self.world.issuer.mint(&claims)
    }
}

/// RFC 8705 §3: "the protected resource MUST obtain, from its TLS implementation layer, the client certificate used for mutual
/// TLS and MUST verify that the certificate matches the certificate associated with the access token"; else 401 `invalid_token`.
#[test]
fn rfc_8705_section_3_the_certificate_of_this_connection() {
    let stage = Stage::new();
    let pki = &stage.world.pki;
    let (of_a, of_b) = (stage.world.issuer.token(&pki.client_a), stage.world.issuer.token(&pki.client_b));
    let mismatch = (401, "thumbprint-mismatch".to_owned());
    for _ in 0..2 {
        // The second time the tokens are remembered, and the binding is judged all the same.
        assert_eq!(stage.verdict(&stage.a, &of_a).0, 200);
        assert_eq!(stage.verdict(&stage.b, &of_b).0, 200);
        assert_eq!(stage.verdict(&stage.a, &of_b), mismatch);
        assert_eq!(stage.verdict(&stage.b, &of_a), mismatch);
    }
    // From no other place than TLS.
    let mut connection = stage.b.connect(stage.boundgate.address).unwrap();
    let certificate = STANDARD.encode(&pki.client_a.der);
    let answer = connection.exchange(format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {of_a}\r\nClient-Cert: :{certificate}:\r\n\
         X-Forwarded-Client-Cert: Cert={certificate}\r\n\r\n"
    ));
    assert_eq!(answer.unwrap().verdict(), mismatch);
}

/// RFC 8705 §3.1: "base64url-encoded SHA-256 […] of the DER encoding of the X.509 certificate"; "omitting trailing '=' and
/// without any line breaks, whitespace, or other additional characters".
#[test]
fn rfc_8705_section_3_1_one_spelling_of_the_thumbprint() {
    let stage = Stage::new();
    let good = stage.world.pki.client_a.thumbprint();
    let bytes = URL_SAFE_NO_PAD.decode(&good).unwrap();
    // The last of 43 characters has two bits that mean nothing: a lax decoder takes four spellings for one.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(good.chars().last().unwrap()).unwrap();
    let unused_bit = format!("{}{}", &good[..42], &alphabet[last + 1..=last + 1]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let spellings = [
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{}\r\n{}", &good[..20], &good[20..]),
        STANDARD.encode(&bytes),
        unused_bit,
        hex,
        good[..42].to_owned(),
        URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat()),
        String::new(),
    ];
    for spelling in spellings {
        let token = stage.confirmed(Some(json!({"x5t#S256": spelling})));
        stage.refuses(&token, "confirmation-unsupported", &spelling);
    }
    stage.passes(&stage.confirmed(Some(json!({"x5t#S256": good}))), "the one spelling");
}

/// RFC 8705 §6.2, §2.2: no chain to an authority is needed for the binding, and the handshake still proves the key.
#[test]
fn rfc_8705_section_6_2_self_signed_clients() {
    let stage = Stage::with(|config| {
        config.client_certificates = "mode = \"required\"\ntrust = \"any\"".to_owned();
    });
    let world = &stage.world;
    let own = world.client(Some(&world.pki.self_signed));
    let token = world.issuer.token(&world.pki.self_signed);
    assert_eq!(stage.verdict(&own, &token).0, 200);
    let another = world.client(Some(&self_signed(world.pki.path(), "another")));
    assert_eq!(stage.verdict(&another, &token), (401, "thumbprint-mismatch".to_owned()));
    assert_eq!(stage.verdict(&stage.a, &token), (401, "thumbprint-mismatch".to_owned()));
    stage.passes(&world.issuer.token(&world.pki.client_a), "one with an authority is as welcome");
}

/// RFC 8705 §6.3: a renewed certificate does not match old tokens; the answer says what to do.
#[test]
fn rfc_8705_section_6_3_a_renewed_certificate() {
    let stage = Stage::new();
    let old = stage.world.issuer.token(&stage.world.pki.client_a);
    stage.passes(&old, "before the renewal");
    let renewed: Identity = stage.world.pki.authority.issue_client("client-a");
    let client = stage.world.client(Some(&renewed));
    let answer = client.get(stage.boundgate.address, "/", Some(&old)).unwrap();
    assert_eq!(answer.verdict(), (401, "thumbprint-mismatch".to_owned()));
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("renewed") && detail.contains("new token"), "{detail}");
    assert_eq!(stage.verdict(&client, &stage.world.issuer.token(&renewed)).0, 200);
}

/// RFC 8705 §7.2, RFC 7800 §3.1: a `cnf` that is not understood is not "unbound"; members beside a known one are ignored,
/// except those that demand a proof that cannot be checked.
#[test]
fn rfc_7800_section_3_1_a_confirmation_that_is_not_understood_is_not_none() {
    let confirmations = |stage: &Stage| {
        let good = stage.world.pki.client_a.thumbprint();
        [
            json!({}),
            json!(null),
            json!("x5t#S256"),
            json!([good]),
            json!({"x5t#S256": null}),
            json!({"x5t#S256": [good]}),
            json!({"x5t": good}),
            json!({"X5T#S256": good}),
            json!({"jwk": {"kty": "EC"}}),
            json!({"kid": "key-1"}),
            json!({"jkt": good}),
            json!({"jkt": good, "x5t#S256": good}),
        ]
    };
    let always = Stage::new();
    let if_bound = Stage::with(|config| "[binding]\nrequire = \"if-bound\"\n".clone_into(&mut config.more));
    for stage in [&always, &if_bound] {
        for cnf in confirmations(stage) {
            let token = stage.confirmed(Some(cnf.clone()));
            stage.refuses(&token, "confirmation-unsupported", &cnf.to_string());
        }
        let good = stage.world.pki.client_a.thumbprint();
        stage.passes(&stage.confirmed(Some(json!({"x5t#S256": good, "future": {"a": 1}}))), "ignored");
        assert_eq!(
            stage.verdict(&stage.b, &stage.confirmed(Some(json!({"x5t#S256": good})))),
            (401, "thumbprint-mismatch".to_owned())
        );
    }
    always.refuses(&always.confirmed(None), "token-unbound", "always");
    if_bound.passes(&if_bound.confirmed(None), "if-bound: only a bound token is checked");
}

/// `optional`: without a certificate a bound token is as good as none, an unbound one passes where it may be unbound.
#[test]
fn without_a_certificate_a_bound_token_is_refused() {
    for (require, unbound) in [("always", (401, "token-unbound")), ("if-bound", (200, ""))] {
        let stage = Stage::with(|config| {
            config.client_certificates = config.client_certificates.replace("required", "optional");
            config.more = format!("[binding]\nrequire = \"{require}\"\n");
        });
        let nobody = stage.world.client(None);
        let bound = stage.world.issuer.token(&stage.world.pki.client_a);
        assert_eq!(stage.verdict(&nobody, &bound), (401, "certificate-missing".to_owned()), "{require}");
        let verdict = stage.verdict(&nobody, &stage.confirmed(None));
        assert_eq!((verdict.0, verdict.1.as_str()), unbound, "{require}");
    }
}

/// RFC 6750 §2.1, RFC 9110 §11.1: the scheme is case-insensitive, and one or more spaces follow it.
#[test]
fn rfc_6750_section_2_1_the_scheme_in_any_case() {
    let stage = Stage::new();
    let token = stage.world.issuer.token(&stage.world.pki.client_a);
    let answers = |field: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n");
        stage.a.connect(stage.boundgate.address).unwrap().exchange(request).unwrap()
    };
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR    "] {
        assert_eq!(answers(&format!("Authorization: {scheme}{token}")).status(), 200, "{scheme}");
    }
    for (field, reason) in [
        (format!("Authorization: DPoP {token}"), "token-missing"),
        (format!("Authorization: {token}"), "token-missing"),
        (format!("Authorization: Bearer{token}"), "token-missing"),
        (format!("Authorization: Bearer\t{token}"), "token-malformed"),
        (format!("Authorization: Bearer {token},{token}"), "token-malformed"),
        (format!("Authorization: Bearer {token} {token}"), "token-malformed"),
        (format!("Authorization: Bearer \"{token}\""), "token-malformed"),
        (format!("X-Authorization: Bearer {token}"), "token-missing"),
        (format!("Proxy-Authorization: Bearer {token}"), "token-missing"),
    ] {
        let answer = answers(&field);
        assert_eq!(answer.verdict(), (401, reason.to_owned()), "{field}");
        // RFC 6750 §3.1: no error code where no credentials were sent.
        let bare = answer.value("www-authenticate") == Some("Bearer");
        assert_eq!(bare, reason == "token-missing", "{field}");
    }
    for second in [token.as_str(), "x", ""] {
        let twice = format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {second}");
        assert_eq!(answers(&twice).verdict(), (400, "authorization-repeated".to_owned()));
    }
}
