use std::time::Duration;

use super::*;
use crate::config::settings::{
    ForwardAuthorization, HostPort, KeySource, Level, LogFormat, Mode, Stream, TrustKind, UpstreamUrl,
};
use crate::decide::binding::Require;
use crate::decide::client_headers::ClientCertForm;
use crate::decide::issuer::{Algorithm, TokenTypes};
use crate::decide::policy::ClaimHeaders;
use crate::decide::route::Routes;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// interface.md, config.toml: "A key left out has the value shown".
#[test]
fn every_default_is_that_of_the_interface() {
    let settings = accepted(MINIMAL);
    assert_eq!(settings.file, path("/etc/boundgate/config.toml"));

    assert_eq!(settings.listener.public_url, None);
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(settings.listener.workers, processors);

    assert_eq!(settings.client_certificates.mode, Mode::Required);
    let TrustKind::Ca { ca, crl, leaf_only, refuse_expired } = settings.client_certificates.trust else {
        panic!("trust is not ca");
    };
    assert_eq!(ca.value, path("/etc/boundgate/certs/clients-ca.pem"));
    assert_eq!((crl.len(), leaf_only, refuse_expired), (0, false, false));

    let [issuer] = settings.issuers.as_slice() else { panic!("not one issuer") };
    assert_eq!(issuer.audiences, ["https://api.example.com"]);
    assert_eq!(issuer.algorithms, [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Rs256]);
    assert_eq!(issuer.token_types, TokenTypes { at_jwt: true, jwt: true });
    assert_eq!(issuer.keys, KeySource::Discovered);
    assert_eq!(issuer.jwks_refresh, seconds(600));
    assert_eq!(issuer.jwks_max_stale, seconds(86_400));
    assert_eq!(issuer.leeway, seconds(30));
    assert_eq!((&issuer.ca, &issuer.tls), (&None, &None));

    assert_eq!(settings.require, Require::Always);
    assert_eq!(settings.routes, Routes::default());

    assert_eq!(settings.upstream.connect_timeout, seconds(5));
    assert_eq!(settings.upstream.timeout, seconds(30));
    assert_eq!(settings.upstream.ca, None);

    assert_eq!(settings.forward.authorization, ForwardAuthorization::Keep);
    assert_eq!(settings.forward.claims, ClaimHeaders::default());

    assert_eq!(settings.limits.request_head, 65_536);
    assert_eq!(settings.limits.request_body, None);
    assert_eq!(settings.limits.head_timeout, seconds(10));
    assert_eq!(settings.limits.idle_timeout, seconds(75));
    assert_eq!(settings.limits.stall_timeout, seconds(60));
    assert_eq!(settings.limits.stream, Stream::Keep);
    assert_eq!(settings.limits.connections, 10_000);
    assert_eq!(settings.limits.drain_delay, seconds(0));
    assert_eq!(settings.limits.drain, seconds(20));

    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.log.level, Level::Info);
    assert_eq!(settings.admin.address.value, "127.0.0.1:9901".parse().unwrap());
    assert_eq!(settings.admin.address.at.line, None);
}

#[test]
fn values_know_their_places() {
    let settings = accepted(MINIMAL);
    let certificate = &settings.listener.certificate;
    assert_eq!((certificate.at.line, certificate.at.key.as_str()), (Some(5), "listener.certificate"));
    let issuer = &settings.issuers[0].issuer;
    assert_eq!((issuer.at.line, issuer.at.key.as_str()), (Some(12), "issuers[0].issuer"));
}

#[test]
fn the_sample_that_ships_is_accepted() {
    let settings = accepted(SAMPLE);
    assert_eq!(settings.listener.certificate.value, path("/etc/boundgate/certs/server.pem"));
    assert_eq!(
        settings.upstream.url,
        UpstreamUrl::Http(HostPort { host: "127.0.0.1".to_owned(), port: 8080 })
    );
    let claims: Vec<_> =
        settings.forward.claims.entries().iter().map(|(n, c)| (n.as_str(), c.as_str())).collect();
    assert_eq!(claims, [("x-auth-subject", "sub"), ("x-auth-client", "client_id")]);
}

#[test]
fn self_signed_clients_and_keys_from_a_file() {
    let settings = accepted(include_str!("../../../../tests/configs/trust-any.toml"));
    assert_eq!(settings.client_certificates.trust, TrustKind::Any);
    assert!(settings.listener.address.value.is_ipv6());
    let KeySource::File(file) = &settings.issuers[0].keys else { panic!("not a file") };
    assert_eq!(file.value, path("/etc/boundgate/certs/jwks.json"));
    assert_eq!(file.at.key, "issuers[0].jwks_file");
}

#[test]
fn two_issuers_and_every_key_set() {
    let settings = accepted(include_str!("../../../../tests/configs/two-issuers.toml"));
    assert_eq!(settings.listener.workers, 2);
    assert_eq!(settings.listener.public_url.as_deref(), Some("https://api.example.com"));
    let TrustKind::Ca { crl, leaf_only, refuse_expired, .. } = &settings.client_certificates.trust else {
        panic!("trust is not ca");
    };
    let crl: Vec<_> = crl.iter().map(|file| (file.at.key.as_str(), file.value.clone())).collect();
    let root = ("client_certificates.crl[0]", path("/etc/boundgate/certs/root.crl"));
    let intermediate = ("client_certificates.crl[1]", path("/etc/boundgate/certs/intermediate.crl"));
    assert_eq!(crl, [root, intermediate]);
    assert!(*leaf_only && *refuse_expired);

    let [first, second] = settings.issuers.as_slice() else { panic!("not two issuers") };
    assert_eq!(first.algorithms, [Algorithm::Ps256]);
    assert_eq!(first.token_types, TokenTypes { at_jwt: true, jwt: false });
    assert_eq!(first.keys, KeySource::Uri("https://as.example.com/jwks?kind=signing".to_owned()));
    assert_eq!((first.jwks_refresh, first.jwks_max_stale), (seconds(300), seconds(5_400)));
    assert_eq!(first.leeway, seconds(0));
    assert_eq!(first.ca.as_ref().unwrap().value, path("/etc/boundgate/certs/as-ca.pem"));
    let tls = first.tls.as_ref().unwrap();
    assert_eq!(tls.certificate.at.key, "issuers[0].tls.certificate");
    assert_eq!(tls.private_key.value, path("/etc/boundgate/certs/boundgate.key"));
    assert_eq!(second.issuer.value, "http://localhost:9000");
    assert_eq!(second.tls, None);

    assert_eq!(settings.upstream.timeout, Duration::from_millis(500));
    assert_eq!(settings.forward.authorization, ForwardAuthorization::Remove);
    assert_eq!(settings.forward.claims.entries()[1].1, "https://example.com/tenant");
    assert_eq!(settings.limits.request_head, 16_384);
    assert_eq!(settings.limits.request_body, Some(10 << 20));
    assert_eq!(settings.log.format, LogFormat::Text);
    assert_eq!(settings.log.level, Level::Debug);
}

#[test]
fn every_word_has_its_meaning() {
    let certificates = |line: &str| accepted(&with("client_certificates", line)).client_certificates;
    assert_eq!(certificates("mode = \"required\"").mode, Mode::Required);
    assert_eq!(certificates("mode = \"optional\"").mode, Mode::Optional);
    for (line, expected) in [
        ("crl_depth = \"chain\"", (false, false)),
        ("crl_depth = \"leaf\"", (true, false)),
        ("crl_expired = \"warn\"", (false, false)),
        ("crl_expired = \"refuse\"", (false, true)),
    ] {
        let TrustKind::Ca { leaf_only, refuse_expired, .. } = certificates(line).trust else {
            panic!("trust is not ca");
        };
        assert_eq!((leaf_only, refuse_expired), expected, "{line}");
    }
    for (word, level) in [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ] {
        assert_eq!(accepted(&with("log", &format!("level = \"{word}\""))).log.level, level);
    }
    assert_eq!(accepted(&with("log", "format = \"text\"")).log.format, LogFormat::Text);
    assert_eq!(accepted(&with("binding", "require = \"if-bound\"")).require, Require::IfBound);
    let client_cert =
        |word: &str| accepted(&with("forward", &format!("client_cert = \"{word}\""))).forward.client_cert;
    assert_eq!(client_cert("none"), ClientCertForm::None);
    assert_eq!(client_cert("rfc9440"), ClientCertForm::Rfc9440);
    assert_eq!(client_cert("xfcc"), ClientCertForm::Xfcc);
    let remove = accepted(&with("forward", "authorization = \"remove\""));
    assert_eq!(remove.forward.authorization, ForwardAuthorization::Remove);
    for algorithm in Algorithm::ALL {
        let line = format!("algorithms = [\"{}\"]", algorithm.name());
        assert_eq!(accepted(&with("issuers", &line)).issuers[0].algorithms, [algorithm]);
    }
}

/// RFC 9068 §4, RFC 7515 §4.1.9: media types compare without case, with or without `application/`.
#[test]
fn token_types_in_every_spelling() {
    for (list, at_jwt, jwt) in [
        (r#"["at+jwt"]"#, true, false),
        (r#"["application/AT+JWT"]"#, true, false),
        (r#"["jwt"]"#, false, true),
        (r#"["application/jwt", "at+jwt"]"#, true, true),
    ] {
        let settings = accepted(&with("issuers", &format!("token_types = {list}")));
        assert_eq!(settings.issuers[0].token_types, TokenTypes { at_jwt, jwt }, "{list}");
    }
}

#[test]
fn an_absolute_path_stays_and_a_relative_one_starts_at_the_file() {
    let settings = accepted(&instead("certificate", "certificate = \"/run/tls/server.pem\""));
    assert_eq!(settings.listener.certificate.value, path("/run/tls/server.pem"));
    let settings = super::super::parse(Path::new("config.toml"), MINIMAL, &|_| None).unwrap();
    assert_eq!(settings.listener.certificate.value, path("certs/server.pem"));
}

#[test]
fn variables_are_replaced_in_every_string() {
    let settings = accepted(&instead("issuer", "issuer = \"https://${HOST}/tenant\""));
    assert_eq!(settings.issuers[0].issuer.value, "https://as.internal.example/tenant");
    let settings = accepted(&instead("audiences", "audiences = [\"a\", \"${WORD}\", \"$${WORD}\"]"));
    assert_eq!(settings.issuers[0].audiences, ["a", "hidden-word", "${WORD}"]);
}

/// A file that turns out wrong only later is named without what came from the environment.
#[test]
fn places_mask_variables_in_later_messages() {
    let settings = accepted(&instead("certificate", "certificate = \"${FOLDER}/server.pem\""));
    let certificate = &settings.listener.certificate;
    assert_eq!(certificate.value, path("/run/hidden-folder/server.pem"));
    let found = format!("no file {}", certificate.value.display());
    let fault = crate::config::error::Fault::new(&settings.file, &certificate.at, found, "a PEM file");
    assert_eq!(
        fault.to_string(),
        "/etc/boundgate/config.toml:5: listener.certificate: found no file ${FOLDER}/server.pem; allowed: a PEM file"
    );
    assert!(!format!("{:?}", certificate.at).contains("hidden"));
}

#[test]
fn inline_tables_and_dotted_keys_are_sections_too() {
    let text = "listener = { address = \"127.0.0.1:1\", certificate = \"a\", private_key = \"b\" }\n\
                client_certificates.trust = \"any\"\n\
                issuers = [{ issuer = \"https://a\", audiences = [\"b\"] }]\n\
                upstream.url = \"http://a\"\n";
    assert_eq!(accepted(text).issuers[0].issuer.at.key, "issuers[0].issuer");
}
