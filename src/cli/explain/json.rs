//! The report for scripts. A key that stands here keeps its name and meaning.

use serde_json::{Value, json};

use super::checks::{Check, Outcome};
use super::report::{Certificate, Report, Route, advice, is_unprintable};
use super::thumbprints::Thumbprint;
use super::times::{date, relative};
use super::verdict::Verdict;
use crate::decide::route::Access;

/// One object.
pub(super) fn write(report: &Report) -> String {
    let (verdict, refusal) = match &report.verdict {
        Verdict::Pass => ("pass", None),
        Verdict::Refused(refusal) => ("refused", Some(refusal)),
        Verdict::Unknown(_) => ("unknown", None),
    };
    let issued_for = report.certificates.iter().filter(|c| c.issued_for).map(|c| c.file.as_str());
    let object = json!({
        "verdict": verdict,
        "reason": refusal.map(|refusal| refusal.reason.name()),
        "status": refusal.map(|refusal| refusal.reason.status()),
        "detail": refusal.map(|refusal| advice(refusal.reason)),
        "checks": report.checks.iter().map(check).collect::<Vec<_>>(),
        "hints": report.hints,
        "token": {"header": report.header, "claims": report.claims},
        "thumbprints": {
            "token": report.bound_to.as_ref().map(thumbprint),
            "certificates": report.certificates.iter().map(certificate).collect::<Vec<_>>(),
            "issued_for": issued_for.collect::<Vec<_>>(),
        },
        "times": times(report),
        "route": report.route.as_ref().map(route),
    });
    escaped(&format!("{object:#}"))
}

fn check(check: &Check) -> Value {
    let reason = match check.outcome {
        Outcome::Fail(reason) => Some(reason.name()),
        Outcome::Pass | Outcome::NotChecked => None,
    };
    json!({
        "name": check.name,
        "outcome": check.word(),
        "reason": reason,
        "detail": check.detail,
        "source": check.source,
    })
}

fn thumbprint(thumbprint: &Thumbprint) -> Value {
    json!({"base64url": thumbprint.base64url(), "hex": thumbprint.hex()})
}

fn certificate(certificate: &Certificate) -> Value {
    json!({
        "file": certificate.file,
        "subject": certificate.subject,
        "not_before": date(certificate.validity.0),
        "not_after": date(certificate.validity.1),
        "base64url": certificate.thumbprint.base64url(),
        "hex": certificate.thumbprint.hex(),
        "issued_for": certificate.issued_for,
        "admitted": certificate.admitted.as_ref().map(Result::is_ok),
        "not_admitted_because": certificate.admitted.as_ref().and_then(|admitted| admitted.as_ref().err()),
    })
}

fn times(report: &Report) -> Value {
    let mut times =
        json!({"now": report.now, "leeway": report.leeway, "iat": null, "nbf": null, "exp": null});
    for (name, at) in &report.times {
        let from_now = i128::from(*at) - i128::from(report.now);
        let from_now = i64::try_from(from_now).unwrap_or(i64::MAX);
        times[name] = json!({
            "at": at, "time": date(*at), "seconds_from_now": from_now, "text": relative(*at, report.now),
        });
    }
    times
}

fn route(route: &Route) -> Value {
    let access = match route.demand.access {
        Access::Public => "public",
        Access::Token => "token",
    };
    let scopes: Vec<_> = route.demand.scope.split(' ').filter(|scope| !scope.is_empty()).collect();
    json!({
        "method": route.method,
        "path": route.path,
        "route": *route.demand.route,
        "access": access,
        "scopes": scopes,
    })
}

/// Scripts are run on terminals too. Outside of strings JSON has none of these characters, so that escaping them changes nothing.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => text.push(c),
            c if is_unprintable(c) => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
            }
            c => text.push(c),
        }
    }
    text
}
