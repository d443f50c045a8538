#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! How a report is written; what stands in it is compared with the running proxy in tests/it/explain/.

use super::checks::{Check, Outcome};
use super::report::Report;
use super::verdict::Verdict;
use super::{json, text};
use crate::decide::refusal::Reason;

fn report(verdict: Verdict, checks: Vec<Check>) -> Report {
    Report {
        verdict,
        checks,
        hints: Vec::new(),
        header: None,
        claims: None,
        bound_to: None,
        certificates: Vec::new(),
        times: Vec::new(),
        now: 0,
        leeway: 30,
        route: None,
    }
}

fn check(name: &'static str, outcome: Outcome, detail: &str) -> Check {
    Check { name, source: "RFC 1", outcome, detail: detail.to_owned() }
}

#[test]
fn colours_are_for_terminals() {
    let report = || report(Verdict::Pass, vec![check("form", Outcome::Pass, "good")]);
    assert_eq!(
        text::write(&report(), false),
        "The request would pass.\n\nChecks\n  ✓ form          good [RFC 1]\n"
    );
    assert!(text::write(&report(), true).starts_with("\u{1b}[32mThe request would pass.\u{1b}[0m\n"));
}

#[test]
fn a_refusal_names_what_would_come_next() {
    let checks = vec![
        check("expiry", Outcome::Fail(Reason::TokenExpired), "expired"),
        check("audience", Outcome::Fail(Reason::AudienceMismatch), "other"),
        check("scopes", Outcome::NotChecked, "no path"),
    ];
    let text = text::write(&report(Verdict::Refused(Reason::TokenExpired.into()), checks), false);
    let expected = "The request would be refused: token-expired (401).\n\
                    The token's lifetime ('exp') is over. Obtain a new one.\n\
                    Besides: audience-mismatch.\n\nChecks\n";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("  – scopes        not checked: no path [RFC 1]\n"), "{text}");
}

#[test]
fn what_is_not_known_is_not_a_pass() {
    let report = report(Verdict::Unknown(vec!["certificate", "signature"]), Vec::new());
    assert!(text::write(&report, false).starts_with(
        "Not known: nothing refuses the request, but the certificate and the signature could not be checked.\n"
    ));
    let object: serde_json::Value = serde_json::from_str(&json::write(&report)).unwrap();
    assert_eq!((&object["verdict"], &object["reason"]), (&"unknown".into(), &serde_json::Value::Null));
}

#[test]
fn nothing_of_a_client_moves_the_cursor() {
    let odd = "a\u{1b}[2J\u{9b}\u{202e}\u{7f}\r\nb é 😀";
    let report = report(Verdict::Pass, vec![check("form", Outcome::Pass, odd)]);
    let harmless = |text: &str| !text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}');
    let written = text::write(&report, false);
    assert!(harmless(&written) && written.lines().count() == 4 && written.contains("b é 😀"), "{written:?}");
    let written = json::write(&report);
    assert!(harmless(&written), "{written:?}");
    let object: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(object["checks"][0]["detail"], odd, "to a script it says the same");
}
