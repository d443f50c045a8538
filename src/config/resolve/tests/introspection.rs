use std::time::Duration;

use super::*;
use crate::config::settings::{
    ClientAuth, ForwardAuthorization, Introspection, Located, Secret, SecretSource,
};
use crate::decide::issuer::{Algorithm, AnswerForm};

/// The minimal configuration with this section, or with a certificate for calls as well.
fn section(lines: &str) -> String {
    with("issuers.introspection", &format!("client_id = \"boundgate\"\n{lines}"))
}

fn with_tls(lines: &str) -> String {
    let tls = "[issuers.tls]\ncertificate = \"a.pem\"\nprivate_key = \"a.key\"\n";
    section(lines) + tls
}

fn introspection(text: &str) -> Introspection {
    accepted(text).issuers[0].introspection.clone().expect("a section")
}

fn fault_of(lines: &str) -> String {
    fault(&section(lines)).replace("issuers[0].introspection", "…")
}

/// interface.md, `[issuers.introspection]`: "A key left out has the value shown".
#[test]
fn every_default_is_that_of_the_interface() {
    let found = introspection(&section("client_secret = \"${WORD}\""));
    assert_eq!(
        found,
        Introspection {
            endpoint: None,
            always: false,
            client_id: "boundgate".to_owned(),
            client_auth: ClientAuth::SecretBasic(SecretSource::Text(Secret("hidden-word".to_owned()))),
            answer: AnswerForm::Json,
            require_audience: true,
            cache_ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }
    );
    assert!(!format!("{found:?}").contains("hidden"), "{found:?}");
    assert_eq!(accepted(MINIMAL).issuers[0].introspection, None);
    assert_eq!(accepted(MINIMAL).admin.control, None);
}

#[test]
fn every_way_of_authenticating_takes_what_it_needs() {
    let file = |auth| match auth {
        ClientAuth::SecretPost(SecretSource::File(Located { value, .. })) => value,
        other => panic!("{other:?}"),
    };
    let post = introspection(&section("client_auth = \"client_secret_post\"\nclient_secret_file = \"a\""));
    assert_eq!(file(post.client_auth), path("/etc/boundgate/a"));

    let signed = "client_auth = \"private_key_jwt\"\nsigning_key = \"jwt.key\"\nkey_id = \"1\"\n";
    let signed = introspection(&section(signed));
    let ClientAuth::PrivateKeyJwt { signing_key, key_id, signing_algorithm } = &signed.client_auth else {
        panic!("{signed:?}");
    };
    assert_eq!((signing_key.value.clone(), key_id.as_str()), (path("/etc/boundgate/jwt.key"), "1"));
    assert_eq!(*signing_algorithm, Algorithm::Es256);
    assert_eq!(signed.file(), Some(signing_key));

    let tls = introspection(&with_tls("client_auth = \"tls_client_auth\""));
    assert_eq!((&tls.client_auth, tls.file()), (&ClientAuth::Tls, None));
}

#[test]
fn what_a_way_needs_is_missed_and_a_secret_is_given_once() {
    for (lines, expected) in [
        (
            "",
            "….client_secret: found nothing; allowed: client_secret or client_secret_file (client_auth = \"client_secret_basic\" needs it)",
        ),
        (
            "client_auth = \"client_secret_post\"",
            "….client_secret: found nothing; allowed: client_secret or client_secret_file (client_auth = \"client_secret_post\" needs it)",
        ),
        (
            "client_secret = \"${WORD}\"\nclient_secret_file = \"a\"",
            "….client_secret_file: found client_secret_file besides client_secret; allowed: one of the two (the secret comes from one place only)",
        ),
        (
            "client_auth = \"private_key_jwt\"\nsigning_key = \"a\"",
            "….key_id: found nothing; allowed: the key's kid at the authorization server (client_auth = \"private_key_jwt\" needs it)",
        ),
        (
            "client_auth = \"private_key_jwt\"\nkey_id = \"a\"",
            "….signing_key: found nothing; allowed: the name of a file (client_auth = \"private_key_jwt\" needs it)",
        ),
        (
            "client_auth = \"tls_client_auth\"",
            "….client_auth: found \"tls_client_auth\" without [issuers.tls]; allowed: a section [issuers.tls] besides (the certificate to authenticate with is that of [issuers.tls])",
        ),
        ("client_secret = \"a\"\nalways = \"yes\"", "….always: found \"yes\"; allowed: true or false"),
        (
            "client_secret = \"a\"\nanswer = \"jwt\"",
            "….answer: found \"jwt\"; allowed: \"json\", \"signed\" or \"phantom\"",
        ),
    ] {
        let found = fault_of(lines);
        assert_eq!(found, expected);
    }
    let nameless = fault(&with("issuers.introspection", "client_secret = \"a\""));
    assert!(nameless.starts_with("issuers[0].introspection.client_id: found nothing"), "{nameless}");
}

/// What is given for another way is not looked at, so that a word is enough to go back to it.
#[test]
fn what_another_way_needs_may_be_there() {
    let lines = "client_secret = \"a\"\nsigning_key = \"b\"\nkey_id = \"1\"\nsigning_algorithm = \"PS256\"";
    assert_eq!(introspection(&section(lines)).file(), None);
    let twice =
        "client_auth = \"private_key_jwt\"\nsigning_key = \"b\"\nkey_id = \"1\"\nclient_secret = \"a\"";
    introspection(&section(twice));
}

#[test]
fn under_phantom_every_introspection_answers_with_a_jwt() {
    let phantom = "\n[forward]\nauthorization = \"phantom\"\n";
    let secret = "client_secret = \"a\"\n";
    let settings = accepted(&(section(&format!("{secret}answer = \"phantom\"")) + phantom));
    assert_eq!(settings.forward.authorization, ForwardAuthorization::Phantom);
    accepted(&(MINIMAL.to_owned() + phantom));
    for answer in ["json", "signed"] {
        let text = section(&format!("{secret}answer = \"{answer}\"")) + phantom;
        assert_eq!(
            fault(&text),
            "forward.authorization: found \"phantom\", while https://as.example.com answers introspections without a JWT; \
             allowed: \"keep\" or \"remove\" (set answer = \"phantom\" there)"
        );
    }
}

#[test]
fn the_control_socket_is_a_path_after_its_scheme() {
    let control = |text: &str| accepted(&with("admin", text)).admin.control.expect("a socket").value;
    assert_eq!(control("control = \"unix:/run/boundgate.sock\""), path("/run/boundgate.sock"));
    assert_eq!(control("control = \"unix:b.sock\""), path("/etc/boundgate/b.sock"));
    for odd in ["/run/boundgate.sock", "unix:", "tcp:127.0.0.1:1", ""] {
        let found = fault(&with("admin", &format!("control = \"{odd}\"")));
        assert_eq!(
            found,
            format!(
                "admin.control: found \"{odd}\"; allowed: a unix socket, as \"unix:/run/boundgate.sock\""
            )
        );
    }
}
