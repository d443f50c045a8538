//! Binding, scopes and identity headers of a token that was verified.
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::decide::binding::{BoundToken, Require};
use crate::decide::fixture::*;
use crate::decide::jwt;
use crate::decide::policy::{ClaimHeaders, Permit};
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::route::{Access, Demand};
use crate::decide::token::Token;
use crate::decide::verified::VerifiedToken;

const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const ROLES: HeaderName = HeaderName::from_static("x-auth-roles");

fn demand(access: Access, scope: &str) -> Demand {
    Demand { access, scope: scope.into(), route: "/".into() }
}

fn verified(claims: &Value) -> VerifiedToken {
    let headers = vec![(SUBJECT, "sub".to_owned()), (ROLES, "realm.roles".to_owned())];
    let headers = ClaimHeaders::new(headers).unwrap();
    let issuer = Arc::new(issuer());
    let genuine = jwt::verify(Token::parse(&token(claims)).unwrap(), std::slice::from_ref(&issuer), &headers);
    let genuine = genuine.unwrap_or_else(|miss| panic!("{miss:?}"));
    VerifiedToken::check(Arc::new(genuine), &issuer, NOW).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// A token without confirmation, so that no certificate is needed here.
fn bound(name: &str, value: Value) -> BoundToken {
    let mut claims = claims_with(name, value);
    claims.as_object_mut().unwrap().remove("cnf");
    BoundToken::bind(verified(&claims), None, Require::IfBound)
        .unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

fn refusal(demand: &Demand, token: Option<BoundToken>) -> Refusal {
    match Permit::grant(demand, token) {
        Ok(_) => panic!("granted"),
        Err(refusal) => refusal,
    }
}

#[test]
fn binding_looks_at_the_tokens_own_confirmation() {
    // RFC 8705 §3, §3.1; what follows from it is tested beside `bind`.
    let bind = |claims: &Value, require| {
        BoundToken::bind(verified(claims), None, require).err().map(|refusal| refusal.reason)
    };
    for require in [Require::Always, Require::IfBound] {
        assert_eq!(bind(&claims(), require), Some(Reason::CertificateMissing));
        let jkt = claims_with("cnf", json!({"jkt": "a"}));
        assert_eq!(bind(&jkt, require), Some(Reason::ConfirmationUnsupported));
    }
    let unbound = claims_with("cnf", Value::Null);
    assert_eq!(bind(&unbound, Require::Always), Some(Reason::TokenUnbound));
    assert_eq!(bind(&unbound, Require::IfBound), None);
}

#[test]
fn every_scope_that_is_needed_must_be_granted() {
    // RFC 6750 §3.1: insufficient_scope names all that are needed.
    for needed in ["", "read", "write", "read write", "write read"] {
        assert!(
            Permit::grant(&demand(Access::Token, needed), Some(bound("scope", json!("read write")))).is_ok()
        );
    }
    for (granted, needed) in [
        ("read write", "read admin"),
        ("read write", "rea"),
        ("read", "READ"),
        ("read", "read:all"),
        ("", "read"),
        ("read\twrite", "write"),
        ("read,write", "write"),
    ] {
        let refusal = refusal(&demand(Access::Token, needed), Some(bound("scope", json!(granted))));
        assert_eq!(
            (refusal.reason, refusal.scope.as_deref()),
            (Reason::ScopeMissing, Some(needed)),
            "{granted}"
        );
    }
    assert_eq!(
        refusal(&demand(Access::Token, "read"), Some(bound("scope", Value::Null))).reason,
        Reason::ScopeMissing
    );
}

#[test]
fn a_route_that_needs_a_token_gets_one() {
    assert_eq!(refusal(&demand(Access::Token, ""), None), Reason::TokenMissing.into());
    assert_eq!(refusal(&demand(Access::Token, "read"), None), Reason::TokenMissing.into());
}

#[test]
fn a_public_route_keeps_no_token_and_sets_no_identity() {
    for token in [None, Some(bound("scope", json!("read"))), Some(bound("sub", json!("Zoë")))] {
        let permit = Permit::grant(&demand(Access::Public, ""), token).unwrap_or_else(|r| panic!("{r:?}"));
        assert!(permit.token().is_none() && permit.identity().is_empty());
    }
}

#[test]
fn identity_headers_come_from_the_claims() {
    let token = bound("realm", json!({"roles": ["user", "admin"]}));
    let permit = Permit::grant(&demand(Access::Token, ""), Some(token)).unwrap_or_else(|r| panic!("{r:?}"));
    let expected = [(SUBJECT, "alice"), (ROLES, "user admin")].map(|(n, v)| (n, HeaderValue::from_static(v)));
    assert_eq!(permit.identity(), expected);
    assert_eq!(permit.token().unwrap().token().genuine().subject().map(|sub| &**sub), Some("alice"));
}

#[test]
fn a_claim_that_no_header_can_carry_is_refused_last() {
    let odd = || Some(bound("sub", json!("alice\r\nx-admin: 1")));
    let refused = refusal(&demand(Access::Token, "read"), odd());
    assert_eq!(refused.reason, Reason::ClaimUnrepresentable);
    assert!(!refused.note.unwrap().contains("admin"), "the note names the claim, not its value");
    assert_eq!(refusal(&demand(Access::Token, "admin"), odd()).reason, Reason::ScopeMissing);
}
