//! The table of answers, each refusal looked at from all sides: what the client reads over HTTP/1.1, HTTP/2 and gRPC, what
//! the log says, what the metrics count, and that the API has heard nothing.

mod admin;
mod admission;
mod bodies;
mod heads;
mod keys;
mod refusals;
mod secrets;
mod upstream;

use boundgate::decide::refusal::Reason;
use serde_json::Value;

use super::support::boundgate::Boundgate;
use super::support::message::Message;

/// What is promised for a `reason`: it, the status, gRPC's status, and the code of `WWW-Authenticate` (RFC 6750 §3.1), which
/// is there without one ("") where no credentials were sent.
type Row = (&'static str, u16, u16, Option<&'static str>);

const TABLE: [Row; 30] = [
    ("token-missing", 401, 16, Some("")),
    ("authorization-repeated", 400, 3, Some("invalid_request")),
    ("token-malformed", 401, 16, Some("invalid_token")),
    ("token-type", 401, 16, Some("invalid_token")),
    ("issuer-unknown", 401, 16, Some("invalid_token")),
    ("algorithm-refused", 401, 16, Some("invalid_token")),
    ("key-unknown", 401, 16, Some("invalid_token")),
    ("signature-invalid", 401, 16, Some("invalid_token")),
    ("token-expired", 401, 16, Some("invalid_token")),
    ("token-not-yet-valid", 401, 16, Some("invalid_token")),
    ("audience-mismatch", 401, 16, Some("invalid_token")),
    ("claims-invalid", 401, 16, Some("invalid_token")),
    ("token-inactive", 401, 16, Some("invalid_token")),
    ("token-unbound", 401, 16, Some("invalid_token")),
    ("confirmation-unsupported", 401, 16, Some("invalid_token")),
    ("certificate-missing", 401, 16, Some("invalid_token")),
    ("thumbprint-mismatch", 401, 16, Some("invalid_token")),
    ("certificate-not-admitted", 401, 16, Some("invalid_token")),
    ("scope-missing", 403, 7, Some("insufficient_scope")),
    ("claim-unrepresentable", 403, 7, None),
    ("keys-unavailable", 503, 14, None),
    ("introspection-unavailable", 503, 14, None),
    ("upstream-refused", 502, 14, None),
    ("upstream-failed", 502, 14, None),
    ("upstream-timeout", 504, 14, None),
    ("head-too-large", 431, 8, None),
    ("body-too-large", 413, 8, None),
    ("path-invalid", 400, 3, None),
    ("request-malformed", 400, 3, None),
    ("client-timeout", 408, 4, None), // gRPC's DEADLINE_EXCEEDED
];

#[test]
fn the_table_is_that_of_the_code() {
    let coded: Vec<_> = Reason::ALL.iter().map(|reason| (reason.name(), reason.status())).collect();
    assert_eq!(coded, TABLE.map(|(reason, status, ..)| (reason, status)));
}

/// How a refusal is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `application/problem+json`
    Problem,
    /// The same to HEAD: no content.
    Head,
    /// gRPC's trailers-only answer.
    Grpc,
}

/// Has something sent that is refused for this reason, and holds the answer, the log and the metrics against the table.
fn refused(boundgate: &Boundgate, reason: &str, form: Form, send: impl FnOnce() -> Message) -> Message {
    let (.., status, _, _) = row(reason);
    let decision = match reason {
        "upstream-refused" | "upstream-failed" | "upstream-timeout" => "failed",
        _ => "refused",
    };
    let labels = [format!("decision=\"{decision}\""), format!("reason=\"{reason}\"")];
    let counted = || boundgate.metric("boundgate_requests_total", &labels.each_ref().map(String::as_str));
    let before = counted();
    let answer = send();
    hold(&answer, reason, form);
    let id = answer.value("x-request-id").unwrap();
    let line = boundgate.log_line(|line| line["request_id"] == id);
    assert_eq!((&line["event"], &line["decision"]), (&"decision".into(), &decision.into()), "{line}");
    assert_eq!((&line["reason"], &line["status"]), (&reason.into(), &status.into()), "{line}");
    assert_eq!(counted(), before + 1.0, "{reason} is counted once");
    answer
}

/// Holds an answer against its row.
fn hold(answer: &Message, reason: &str, form: Form) {
    let (_, status, grpc, challenge) = row(reason);
    assert_eq!(answer.value("cache-control"), Some("no-store"), "{reason}");
    assert_eq!(answer.value("retry-after").is_some(), status == 503, "{reason}");
    let id = answer.value("x-request-id").unwrap_or_default();
    assert_eq!(id.len(), 32, "{reason}: {answer:?}");
    let title = hold_challenge(answer.value("www-authenticate"), reason, challenge);
    match form {
        Form::Grpc => {
            assert_eq!((answer.status(), answer.text()), (200, ""), "{reason}");
            assert_eq!(answer.value("content-type"), Some("application/grpc"), "{reason}");
            assert_eq!(answer.value("grpc-status"), Some(grpc.to_string().as_str()), "{reason}");
            assert_eq!(answer.value("grpc-message"), Some(detail(reason)), "{reason}");
            assert!(answer.trailers.is_empty(), "trailers-only: they are in the head");
        }
        Form::Head => {
            assert_eq!((answer.status(), answer.text()), (status, ""), "{reason}");
            assert_eq!(answer.value("content-type"), Some("application/problem+json"), "{reason}");
        }
        Form::Problem => {
            assert_eq!(answer.status(), status, "{reason}: {answer:?}");
            assert_eq!(answer.value("content-type"), Some("application/problem+json"), "{reason}");
            let problem = answer.json();
            let (mut members, code) =
                (problem.as_object().unwrap().clone(), challenge.filter(|c| !c.is_empty()));
            assert_eq!(members.remove("status"), Some(status.into()), "{reason}");
            assert_eq!(members.remove("reason"), Some(reason.into()));
            assert_eq!(members.remove("request_id"), Some(id.into()), "{reason}");
            assert_eq!(members.remove("error"), code.map(Value::from), "{reason}");
            assert_eq!(members.remove("detail"), Some(detail(reason).into()), "{reason}");
            let its = members.remove("title").unwrap();
            assert!(title.is_none_or(|title| its == title), "{reason}: {its}");
            assert!(members.is_empty(), "{reason}: {members:?}");
        }
    }
}

/// RFC 6750 §3, §3.1: the challenge, and no `error` where no credentials were sent. Returns its `error_description`.
fn hold_challenge<'a>(found: Option<&'a str>, reason: &str, expected: Option<&str>) -> Option<&'a str> {
    let code = match expected {
        None | Some("") => {
            assert_eq!(found, expected.map(|_| "Bearer"), "{reason}");
            return None;
        }
        Some(code) => code,
    };
    let found = found.unwrap_or_else(|| panic!("{reason}: no challenge"));
    let parameters = found.strip_prefix("Bearer ").unwrap().split(", ").map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap();
        (name, value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap())
    });
    let parameters: Vec<_> = parameters.collect();
    let get = |name: &str| parameters.iter().find(|p| p.0 == name).map(|p| p.1);
    assert_eq!(get("error"), Some(code), "{reason}");
    assert_eq!(get("scope").is_some(), code == "insufficient_scope", "{reason}: {found}");
    Some(get("error_description").unwrap())
}

fn row(reason: &str) -> Row {
    *TABLE.iter().find(|row| row.0 == reason).unwrap_or_else(|| panic!("no such reason: {reason}"))
}

/// The text for the client's developer; that it helps is for people to judge.
fn detail(reason: &str) -> &'static str {
    Reason::ALL.iter().find(|r| r.name() == reason).unwrap().detail()
}
