//! Times and audience, which are judged on every request.
use std::sync::Arc;

use serde_json::{Value, json};

use crate::decide::fixture::*;
use crate::decide::issuer::Issuer;
use crate::decide::refusal::Reason;
use crate::decide::verified::{Genuine, VerifiedToken};

fn genuine(name: &str, value: Value) -> Arc<Genuine> {
    Arc::new(verify(&token(&claims_with(name, value))).unwrap_or_else(|miss| panic!("{miss:?}")))
}

fn check(name: &str, value: Value, now: u64) -> Result<VerifiedToken, Reason> {
    VerifiedToken::check(genuine(name, value), &issuer(), now).map_err(|refusal| refusal.reason)
}

#[test]
fn exp_ends_a_token_after_the_leeway() {
    // RFC 7519 §4.1.4: the current time must be before it; RFC 9068 §4
    let end = NOW + 100 + LEEWAY;
    let verified = check("exp", json!(NOW + 100), end - 1).unwrap_or_else(|reason| panic!("{reason:?}"));
    assert_eq!(verified.expires_at(), Some(end));
    for now in [end, end + 1, u64::MAX] {
        assert_eq!(check("exp", json!(NOW + 100), now).err(), Some(Reason::TokenExpired), "{now}");
    }
    assert_eq!(check("exp", json!(0), NOW).err(), Some(Reason::TokenExpired));
    assert_eq!(check("exp", json!(NOW as f64 + 0.5), NOW + LEEWAY).err(), Some(Reason::TokenExpired));
}

#[test]
fn nbf_and_iat_may_lie_ahead_by_the_leeway() {
    // RFC 7519 §4.1.5, §4.1.6
    for name in ["nbf", "iat"] {
        assert!(check(name, json!(NOW + LEEWAY), NOW).is_ok(), "{name}");
        assert_eq!(check(name, json!(NOW + LEEWAY + 1), NOW).err(), Some(Reason::TokenNotYetValid), "{name}");
        assert_eq!(check(name, json!(u64::MAX), NOW).err(), Some(Reason::TokenNotYetValid), "{name}");
        assert!(check(name, Value::Null, NOW).is_ok(), "{name} is optional");
        assert!(
            check(name, json!(NOW as f64 + 0.9), NOW).is_ok(),
            "{name} with the fraction that our clock lacks"
        );
    }
}

#[test]
fn the_end_of_time_is_no_overflow() {
    let verified = check("exp", json!(u64::MAX), NOW).unwrap_or_else(|reason| panic!("{reason:?}"));
    assert_eq!(verified.expires_at(), Some(u64::MAX));
    assert!(check("exp", json!(u64::MAX), u64::MAX).is_err());
}

#[test]
fn without_leeway_the_second_counts() {
    let strict = Issuer { leeway: 0, ..issuer() };
    let check =
        |now| VerifiedToken::check(genuine("exp", json!(NOW)), &strict, now).map_err(|r| r.reason).err();
    assert_eq!(check(NOW - 1), None);
    assert_eq!(check(NOW), Some(Reason::TokenExpired));
}

#[test]
fn one_audience_must_be_exactly_ours() {
    // RFC 9068 §4, RFC 8725 §3.9
    for aud in [json!(AUDIENCE), json!(["https://x.example", AUDIENCE]), json!("https://other.example.com")] {
        assert!(check("aud", aud, NOW).is_ok());
    }
    for aud in [
        Value::Null,
        json!([]),
        json!(""),
        json!("https://x.example"),
        json!("https://api.example.com/"),
        json!("https://API.example.com"),
        json!("https://api.example.com https://other.example.com"),
        json!(["https://api"]),
    ] {
        assert_eq!(check("aud", aud.clone(), NOW).err(), Some(Reason::AudienceMismatch), "{aud}");
    }
}

#[test]
fn a_token_is_not_judged_by_another_issuer() {
    // RFC 8725 §3.8
    let other = Issuer { name: "https://other.example.com".into(), ..issuer() };
    let outcome = VerifiedToken::check(genuine("sub", json!("alice")), &other, NOW);
    assert_eq!(outcome.err().map(|refusal| refusal.reason), Some(Reason::IssuerUnknown));
}

#[test]
fn the_weight_grows_with_what_is_kept() {
    let light = genuine("sub", json!("a")).weight();
    assert!(light >= size_of::<Genuine>() + AUDIENCE.len(), "{light}");
    assert_eq!(genuine("sub", json!("a".repeat(101))).weight(), light + 100);
    assert!(genuine("scope", json!("s".repeat(10_000))).weight() > light + 9_900);
    assert!(genuine("aud", json!(vec!["a"; 1_000])).weight() > light + 24_000);
    assert!(genuine("unused", json!("u".repeat(10_000))).weight() < light + 100, "other claims are not kept");
}
