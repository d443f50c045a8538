#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::state::calls::TIMEOUT;
use crate::state::fixture::metadata;
use crate::state::fixture::server::{Reply, Server};
use crate::state::snapshot::CallMaterial;

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

fn caller() -> Caller {
    Caller::new(&CallMaterial { roots: Vec::new(), identity: None }, TIMEOUT).unwrap()
}

fn paths(issuer: &str) -> [String; 2] {
    locations(issuer).unwrap().map(|url| url.to_string())
}

#[test]
fn the_well_known_part_stands_before_the_path_in_rfc_8414_and_after_it_in_openid_connect() {
    // RFC 8414 §3.1; OpenID Connect Discovery §4.1. Both remove a slash at the issuer's end.
    for (issuer, oauth, openid) in [
        ("https://as", format!("https://as{OAUTH}"), format!("https://as{OPENID}")),
        ("https://as/", format!("https://as{OAUTH}"), format!("https://as{OPENID}")),
        ("https://as/tenant", format!("https://as{OAUTH}/tenant"), format!("https://as/tenant{OPENID}")),
        (
            "https://as:8443/a/b/",
            format!("https://as:8443{OAUTH}/a/b"),
            format!("https://as:8443/a/b{OPENID}"),
        ),
    ] {
        assert_eq!(paths(issuer), [oauth, openid], "{issuer}");
    }
    // RFC 8414 §2: an issuer is an https URL without query and fragment.
    for issuer in ["https://as/?a=b", "https://as/#a", "http://as/", "as"] {
        assert_eq!(locations(issuer).unwrap_err().outcome(), "invalid", "{issuer}");
    }
}

#[tokio::test]
async fn metadata_is_taken_from_rfc_8414s_place_if_it_is_there() {
    let server = Server::plain().await;
    let issuer = server.url("/tenant");
    server.set(&format!("{OAUTH}/tenant"), Reply::ok(metadata(&issuer, "https://as/jwks")));
    let found = discover(&caller(), &issuer).await.unwrap();
    assert_eq!(found.jwks_uri.unwrap().as_str(), "https://as/jwks");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn whatever_else_that_place_answers_openid_connects_place_is_asked() {
    let server = Server::plain().await;
    let issuer = server.url("/tenant");
    server.set(&format!("/tenant{OPENID}"), Reply::ok(metadata(&issuer, "https://as/jwks")));
    for first in [
        Reply::status(404),
        Reply::status(500),
        Reply::status(302).header("location", "/login"),
        Reply::ok("<html>"),
        Reply::ok("{}"),
    ] {
        server.set(&format!("{OAUTH}/tenant"), first);
        assert!(discover(&caller(), &issuer).await.is_ok());
    }
}

#[tokio::test]
async fn a_server_that_has_metadata_nowhere_is_told_with_both_places() {
    let server = Server::plain().await;
    server.set(OAUTH, Reply::status(404));
    server.set(OPENID, Reply::status(500));
    let error = discover(&caller(), &server.url("")).await.unwrap_err();
    assert_eq!(error.outcome(), "status");
    let [oauth, openid] = [OAUTH, OPENID].map(|path| server.url(path));
    assert_eq!(error.to_string(), format!("{oauth}: status 404; {openid}: status 500"));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_not_asked_twice() {
    let server = Server::plain().await;
    let issuer = server.url("");
    server.stop().await;
    assert_eq!(discover(&caller(), &issuer).await.unwrap_err().outcome(), "connect");
}

#[tokio::test]
async fn metadata_of_another_issuer_is_refused_without_a_second_try() {
    // RFC 8414 §3.3: the issuer MUST be identical, otherwise the metadata MUST NOT be used.
    let server = Server::plain().await;
    let issuer = server.url("");
    server.set(OPENID, Reply::ok(metadata(&issuer, "https://as/jwks")));
    for other in ["https://evil.example.com", &format!("{issuer}/"), &issuer.to_uppercase()] {
        server.set(OAUTH, Reply::ok(metadata(other, "https://as/jwks")));
        let error = discover(&caller(), &issuer).await.unwrap_err();
        assert_eq!(error.cause, Cause::WrongIssuer(other.to_owned()));
        assert_eq!(error.outcome(), "invalid");
    }
    assert_eq!(server.hits(OPENID), 0);
}

#[test]
fn what_is_no_metadata_is_refused() {
    let issuer = r#""issuer":"https://as""#;
    for bad in [
        "".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        "{}".to_owned(),
        r#"{"issuer":["https://as"]}"#.to_owned(),
        format!("{{{issuer},{issuer}}}"),
        format!(r#"{{{issuer},"jwks_uri":1}}"#),
        format!(r#"{{{issuer},"jwks_uri":"http://as/jwks"}}"#),
        format!(r#"{{{issuer},"jwks_uri":"/jwks"}}"#),
        format!(r#"{{{issuer},"mtls_endpoint_aliases":[]}}"#),
    ] {
        assert!(matches!(Metadata::parse(bad.as_bytes(), "https://as"), Err(Cause::Invalid(_))), "{bad}");
    }
}

#[test]
fn endpoints_for_introspection_are_kept_with_their_alias_and_cost_nobody_the_keys() {
    // RFC 8705 §5
    let text = |endpoint: &str| {
        format!(
            r#"{{"issuer":"https://as","jwks_uri":"http://127.0.0.1:1/jwks","introspection_endpoint":"{endpoint}",
                "mtls_endpoint_aliases":{{"introspection_endpoint":"https://mtls.as/introspect","token_endpoint":"x"}}}}"#
        )
    };
    let found = Metadata::parse(text("https://as/introspect").as_bytes(), "https://as").unwrap();
    assert_eq!(found.introspection_endpoint.unwrap().as_str(), "https://as/introspect");
    assert_eq!(found.mtls_introspection_endpoint.unwrap().as_str(), "https://mtls.as/introspect");
    assert_eq!(found.jwks_uri.unwrap().as_str(), "http://127.0.0.1:1/jwks");
    let odd = Metadata::parse(text("http://as/introspect").as_bytes(), "https://as").unwrap();
    assert_eq!((odd.introspection_endpoint, odd.jwks_uri.is_some()), (None, true));
}
