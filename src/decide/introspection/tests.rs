#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::decide::binding::{self, Require};
use crate::decide::fixture::{
    AUDIENCE, ISSUER, LEEWAY, NOW, THUMBPRINT, base64url, claims, claims_with, header_with, issuer, token,
    token_of, verify,
};
use crate::decide::verified::VerifiedToken;

fn introspected(answer: AnswerForm) -> Issuer {
    let client_id = "boundgate".to_owned();
    let introspection = Introspection {
        always: false,
        answer,
        client_id,
        require_audience: true,
        cache_ttl: Duration::from_secs(60),
        negative_ttl: Duration::from_secs(10),
        generation: 9,
    };
    Issuer { introspection: Some(introspection), ..issuer() }
}

fn read_as(form: AnswerForm, media_type: Option<&str>, body: &str) -> Result<Verdict, Unusable> {
    let (issuer, headers) = (introspected(form), ClaimHeaders::default());
    let reading = Reading { index: 0, issuer: &issuer, headers: &headers, keep_jwt: true, now: NOW };
    reading.read(&Answer { media_type, body: body.as_bytes() })
}

fn read(answer: &Value) -> Result<Verdict, Unusable> {
    read_as(AnswerForm::Json, Some("application/json"), &answer.to_string())
}

fn answer() -> Value {
    claims_with("active", json!(true))
}

fn active(verdict: Result<Verdict, Unusable>) -> Genuine {
    match verdict {
        Ok(Verdict::Active(genuine)) => *genuine,
        Ok(Verdict::Refused(refusal)) => panic!("{refusal:?}"),
        Err(unusable) => panic!("{unusable:?}"),
    }
}

fn refused(verdict: Result<Verdict, Unusable>) -> Reason {
    match verdict {
        Ok(Verdict::Refused(refusal)) => refusal.reason,
        Ok(Verdict::Active(_)) => panic!("accepted"),
        Err(unusable) => panic!("{unusable:?}"),
    }
}

#[test]
fn an_active_answer_says_what_a_jwt_says() {
    // RFC 7662 §2.2, RFC 8705 §3.2
    let genuine = active(read(&answer()));
    assert_eq!((&**genuine.issuer_name(), genuine.subject().unwrap().as_ref()), (ISSUER, "alice"));
    assert!(genuine.is_opaque() && genuine.phantom().is_none() && genuine.has_scopes("write read"));
    assert_eq!(genuine.exp(), Some(NOW + 300));
    let issuer = introspected(AnswerForm::Json);
    let verified = VerifiedToken::check(Arc::new(genuine), &issuer, NOW).unwrap_or_else(|r| panic!("{r:?}"));
    assert_eq!(verified.expires_at(), Some(NOW + 300 + LEEWAY));
}

#[test]
fn nothing_but_the_literal_true_is_active() {
    // RFC 7662 §2.2
    for odd in [json!(false), json!("true"), json!(1), json!(null), json!([true]), json!({})] {
        let mut answer = answer();
        answer["active"] = odd;
        assert_eq!(refused(read(&answer)), Reason::TokenInactive);
    }
    assert!(matches!(read(&claims()), Err(Unusable::Invalid(_))), "without 'active' it is no answer");
}

#[test]
fn only_what_was_asked_for_is_an_answer() {
    let text = answer().to_string();
    for good in ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"] {
        active(read_as(AnswerForm::Json, Some(good), &text));
    }
    for odd in [None, Some(""), Some("text/json"), Some("application/jsonp"), Some("application/jwt")] {
        assert!(matches!(read_as(AnswerForm::Json, odd, &text), Err(Unusable::Invalid(_))), "{odd:?}");
    }
    for body in [
        "",
        "null",
        "[]",
        "{\"active\":true,\"active\":true}",
        "{\"active\":true",
        "\u{feff}{\"active\":true}",
    ] {
        let read = read_as(AnswerForm::Json, Some("application/json"), body);
        assert!(matches!(read, Err(Unusable::Invalid(_))), "{body}");
    }
}

#[test]
fn times_and_audience_are_judged_when_the_token_is_used() {
    let issuer = introspected(AnswerForm::Json);
    let check_at = |issuer: &Issuer, name: &str, value: Value, now: u64| {
        let mut answer = answer();
        answer[name] = value;
        let genuine = Arc::new(active(read(&answer)));
        VerifiedToken::check(genuine, issuer, now).err().map(|refusal| refusal.reason)
    };
    let check = |name: &str, value: Value, now: u64| check_at(&issuer, name, value, now);
    assert_eq!(check("exp", json!(NOW), NOW + LEEWAY - 1), None);
    assert_eq!(check("exp", json!(NOW), NOW + LEEWAY), Some(Reason::TokenExpired));
    assert_eq!(check("nbf", json!(NOW + LEEWAY + 1), NOW), Some(Reason::TokenNotYetValid));
    assert_eq!(check("aud", json!(["x", AUDIENCE]), NOW), None);
    assert_eq!(check("aud", json!([]), NOW), Some(Reason::AudienceMismatch));
    assert_eq!(check("aud", json!("x"), NOW), Some(Reason::AudienceMismatch));

    // `require_audience = false` lets an answer say nothing, and nothing else: an empty `aud` names none of ours.
    let mut lenient = issuer.clone();
    lenient.introspection.as_mut().unwrap().require_audience = false;
    assert_eq!(check_at(&lenient, "aud", json!([]), NOW), Some(Reason::AudienceMismatch));
    let mut silent = answer();
    silent.as_object_mut().unwrap().remove("aud");
    let silent = || Arc::new(active(read(&silent)));
    assert!(VerifiedToken::check(silent(), &lenient, NOW).is_ok());
    let refused = VerifiedToken::check(silent(), &issuer, NOW).err().map(|refusal| refusal.reason);
    assert_eq!(refused, Some(Reason::AudienceMismatch));
}

#[test]
fn a_jwt_is_asked_about_nowhere_however_badly_it_is_spelled() {
    let issuers = [issuer(), introspected(AnswerForm::Json), introspected(AnswerForm::Json)].map(Arc::new);
    let ask = |text: &str| asked(Token::parse(text).unwrap(), &issuers);
    let jwt = token(&claims());
    let spaced = format!("{}.e30.x", base64url(" {} "));
    for text in [&jwt, &spaced, &format!("{}..", base64url("{}")), &"e31.a.b".to_owned()] {
        assert!(ask(text).is_empty(), "{text}");
    }
    for text in ["opaque", "a.b.c", "e30.e30", "e30.e30.e30.e30.e30", "..", ".e30.e30", "eyJh.a.b"] {
        assert_eq!(ask(text), [1, 2], "{text}");
    }
    assert!(asked(Token::parse("opaque").unwrap(), &issuers[..1]).is_empty());
}

#[test]
fn a_signed_answer_is_read_only_in_its_one_member() {
    // RFC 9701 §5
    let header = header_with("typ", json!("token-introspection+jwt"));
    let read = |payload: Value| {
        let media_type = "application/token-introspection+jwt";
        read_as(AnswerForm::Signed, Some(media_type), &token_of(&header, &payload))
    };
    let payload = json!({"iss": ISSUER, "aud": "boundgate", "iat": NOW, "token_introspection": answer()});
    active(read(payload.clone()));
    for (name, value) in [
        ("iss", json!("x")),
        ("aud", json!("x")),
        ("iat", json!(NOW + LEEWAY + 1)),
        ("iat", json!(NOW - LEEWAY - MAX_AGE - 1)),
        ("iat", json!("now")),
        ("nbf", json!(NOW + LEEWAY + 1)),
        ("exp", json!(NOW - LEEWAY)),
        ("token_introspection", json!("x")),
    ] {
        let mut odd = payload.clone();
        odd[name] = value;
        assert!(matches!(read(odd), Err(Unusable::Invalid(_))), "{name}");
    }
    for name in ["iss", "aud", "iat", "token_introspection"] {
        let mut odd = payload.clone();
        odd.as_object_mut().unwrap().remove(name);
        assert!(matches!(read(odd), Err(Unusable::Invalid(_))), "without {name}");
    }
}

#[test]
fn a_phantom_is_kept_where_it_is_forwarded_and_never_shown() {
    let jwt = token(&claims());
    let kept = active(read_as(AnswerForm::Phantom, Some("application/jwt"), &format!("{jwt}\r\n")));
    assert_eq!(kept.phantom().unwrap(), &format!("Bearer {jwt}"));
    assert!(!format!("{:?}", kept.phantom()).contains(&jwt));
    let inactive = read_as(AnswerForm::Phantom, None, "");
    assert_eq!(refused(inactive), Reason::TokenInactive);
    let unbound = active(read_as(
        AnswerForm::Phantom,
        Some("application/jwt"),
        &token(&claims_with("cnf", Value::Null)),
    ));
    assert!(kept.weight() > unbound.weight(), "what is kept counts");
}

#[test]
fn a_jwt_and_its_answer_must_agree_on_the_certificate() {
    let jwt = |cnf: Value| verify(&token(&claims_with("cnf", cnf))).unwrap_or_else(|miss| panic!("{miss:?}"));
    let said = |cnf: Value| {
        let mut answer = answer();
        match cnf {
            Value::Null => drop(answer.as_object_mut().unwrap().remove("cnf")),
            cnf => answer["cnf"] = cnf,
        }
        active(read(&answer))
    };
    let (ours, other) = (json!({"x5t#S256": THUMBPRINT}), json!({"x5t#S256": "A".repeat(43)}));
    let joined = |cnf: &Value, answer: &Value| jwt(cnf.clone()).confirmed(&said(answer.clone()));
    let bound = |genuine: Genuine| binding::foresee(Some(&genuine), None, Require::IfBound).err();
    for (cnf, answer) in [(&ours, &ours), (&ours, &Value::Null), (&Value::Null, &ours)] {
        let genuine = joined(cnf, answer).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(bound(genuine), Some(Reason::CertificateMissing.into()));
    }
    assert_eq!(joined(&ours, &other).err().unwrap().reason, Reason::ThumbprintMismatch);
    let unsupported = joined(&ours, &json!({"jkt": "x"})).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(bound(unsupported).unwrap().reason, Reason::ConfirmationUnsupported);
    let unbound = joined(&Value::Null, &Value::Null).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    assert_eq!(bound(unbound), None);
}

#[test]
fn what_is_remembered_is_current_as_long_as_what_it_was_judged_by() {
    let json = introspected(AnswerForm::Json);
    let genuine = active(read(&answer()));
    assert!(genuine.is_current(&json));
    let rotated = Issuer { keys: crate::decide::issuer::Keys { generation: 8, set: None }, ..json.clone() };
    assert!(genuine.is_current(&rotated), "its answers are not signed");
    let mut changed = json.clone();
    changed.introspection.as_mut().unwrap().generation = 10;
    assert!(!genuine.is_current(&changed));

    let phantom = active(read_as(AnswerForm::Phantom, Some("application/jwt"), &token(&claims())));
    let now = introspected(AnswerForm::Phantom);
    assert!(phantom.is_current(&now) && !phantom.is_current(&Issuer { keys: rotated.keys, ..now }));
}
