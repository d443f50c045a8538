//! What is to be said, before it is known how.

use serde_json::Value;

use super::checks::{Check, Checks};
use super::input::Input;
use super::thumbprints::{self, Thumbprint};
use super::times::seconds;
use super::twin::Twins;
use super::verdict::{self, Verdict};
use crate::cli::CliError;
use crate::decide::json::Object;
use crate::decide::refusal::Reason;
use crate::decide::route::Demand;

pub(super) struct Report {
    pub(super) verdict: Verdict,
    pub(super) checks: Vec<Check>,
    /// What can be done about the token as it was given.
    pub(super) hints: Vec<String>,
    pub(super) header: Option<Object>,
    pub(super) claims: Option<Object>,
    /// What the token is bound to.
    pub(super) bound_to: Option<Thumbprint>,
    pub(super) certificates: Vec<Certificate>,
    /// The times that the token has: its claim and seconds since 1970.
    pub(super) times: Vec<(&'static str, u64)>,
    pub(super) now: u64,
    /// Clock skew that is granted, in seconds.
    pub(super) leeway: u64,
    pub(super) route: Option<Route>,
}

/// A certificate of the command line.
pub(super) struct Certificate {
    pub(super) file: String,
    pub(super) subject: String,
    /// Seconds since 1970, both inclusive.
    pub(super) validity: (u64, u64),
    pub(super) thumbprint: Thumbprint,
    /// Whether the token was issued for it.
    pub(super) issued_for: bool,
    /// Whether it is admitted now, or why not; nothing where that is unknown.
    pub(super) admitted: Option<Result<(), String>>,
}

/// The request and what it needs.
pub(super) struct Route {
    pub(super) method: String,
    /// As it would be sent on.
    pub(super) path: String,
    pub(super) demand: Demand,
}

impl Report {
    /// Decides, and looks at everything besides.
    ///
    /// # Errors
    /// The system has no randomness for a key of our own.
    pub(super) fn new(input: &Input) -> Result<Report, CliError> {
        let twins = Twins::new()?;
        let checks = Checks::new(input, &twins)
            .ok_or_else(|| CliError::Unusable("the configuration has no issuer".to_owned()))?;
        let claims = checks.claims();
        let bound_to = claims.and_then(thumbprints::in_claims);
        let time = |name| Some((name, claims?.get(name).and_then(seconds)?));
        Ok(Report {
            verdict: verdict::decide(input, &twins),
            checks: checks.all(),
            hints: input.hints.clone(),
            header: checks.header().cloned(),
            claims: claims.cloned(),
            bound_to,
            certificates: input
                .certificates
                .iter()
                .map(|presented| {
                    let client = &presented.client;
                    let thumbprint = Thumbprint::of(client);
                    let admitted = input.trust.as_ref().ok().map(|trust| {
                        let judged = verdict::admit(trust, Some(client), input.now);
                        judged.map(drop).map_err(|refusal| refusal.note.unwrap_or_default().into_owned())
                    });
                    Certificate {
                        file: presented.file.clone(),
                        subject: client.subject().to_owned(),
                        validity: (client.not_before(), client.not_after()),
                        thumbprint,
                        issued_for: bound_to == Some(thumbprint),
                        admitted,
                    }
                })
                .collect(),
            times: ["iat", "nbf", "exp"].into_iter().filter_map(time).collect(),
            now: input.now,
            leeway: checks.leeway(),
            route: input.target.as_ref().and_then(|target| {
                Some(Route {
                    method: target.method.to_string(),
                    path: target.path.as_ref().ok()?.sent().to_owned(),
                    demand: checks.demand()?.clone(),
                })
            }),
        })
    }
}

impl Check {
    /// The stable word of its outcome.
    pub(super) fn word(&self) -> &'static str {
        match self.outcome {
            super::checks::Outcome::Pass => "pass",
            super::checks::Outcome::Fail(_) => "fail",
            super::checks::Outcome::NotChecked => "not-checked",
        }
    }
}

/// What a client's developer can do about it, without the pointer to this very command.
pub(super) fn advice(reason: Reason) -> &'static str {
    let detail = reason.detail();
    detail.strip_suffix(" 'boundgate explain' shows each check.").unwrap_or(detail)
}

/// A character that a terminal would not show as itself: it could move the cursor, recolour or reorder what stands there.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control() || c.escape_debug().len() > 2
}

/// The members in their order.
pub(super) fn members(object: Option<&Object>) -> impl Iterator<Item = (&String, &Value)> {
    object.into_iter().flatten()
}
