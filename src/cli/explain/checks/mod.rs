//! Each check by itself: a fault in one hides none in another, as it would in a request.

mod claims;
mod origin;

use std::sync::Arc;

use serde_json::{Value, json};

use super::input::Input;
use super::times::date;
use super::twin::Twins;
use super::verdict;
use crate::config::settings::TrustKind;
use crate::decide::issuer::Issuer;
use crate::decide::json::Object;
use crate::decide::policy::ClaimHeaders;
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::route::{Access, Demand};
use crate::decide::verified::{Genuine, VerifiedToken};

/// One check with its outcome.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Where it is demanded.
    pub(super) source: &'static str,
    pub(super) outcome: Outcome,
    pub(super) detail: String,
}

pub(super) enum Outcome {
    Pass,
    Fail(Reason),
    NotChecked,
}

/// A sentence on a check that passed, or why it did not.
type Finding = Result<String, Failure>;

enum Failure {
    /// The proxy's own refusal, and the same for people.
    Refused(Refusal, String),
    NotChecked(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        let detail = refusal.note.as_deref().unwrap_or(refusal.reason.title()).to_owned();
        Failure::Refused(refusal, detail)
    }
}

fn not_checked<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::NotChecked(why.into()))
}

/// What the checks are made of.
pub(super) struct Checks<'a> {
    input: &'a Input,
    twins: &'a Twins,
    header: Result<Object, String>,
    claims: Result<Object, String>,
    /// The token's issuer; where it is unknown, the first one, so that the rest can be judged all the same.
    issuer: Arc<Issuer>,
    demand: Result<Demand, Refusal>,
}

impl<'a> Checks<'a> {
    /// Of this input.
    ///
    /// # Errors
    /// There is no issuer; no configuration is without one.
    pub(super) fn new(input: &'a Input, twins: &'a Twins) -> Option<Checks<'a>> {
        let claims = input.token.part(1);
        let iss = claims.as_ref().ok().and_then(|claims| claims.get("iss")?.as_str());
        let known = input.issuers.iter().find(|issuer| Some(&*issuer.name) == iss);
        let issuer = known.or(input.issuers.first())?.clone();
        let header = input.token.part(0);
        Some(Checks { input, twins, header, claims, issuer, demand: verdict::demand(input) })
    }

    /// All of them, in the order in which the proxy makes them.
    pub(super) fn all(&self) -> Vec<Check> {
        let all: [(&str, &str, Finding); 15] = [
            ("certificate", "RFC 5280 §6, RFC 8705 §2", self.certificate()),
            ("route", "RFC 3986 §6", self.route()),
            ("form", "RFC 6750 §2.1, RFC 7515 §7.1", self.form()),
            ("type", "RFC 9068 §4, RFC 8725 §3.11", self.token_type()),
            ("issuer", "RFC 9068 §4", self.issuer()),
            ("algorithm", "RFC 8725 §3.1, §3.2", self.algorithm()),
            ("signature", "RFC 7515 §5.2, RFC 9068 §4", self.signature()),
            ("claims", "RFC 9068 §2.2, RFC 7519 §4.1", self.well_formed_claims()),
            ("expiry", "RFC 7519 §4.1.4", self.expiry()),
            ("not-before", "RFC 7519 §4.1.5", self.not_in_future("nbf")),
            ("issued-at", "RFC 7519 §4.1.6", self.not_in_future("iat")),
            ("audience", "RFC 9068 §4, RFC 8725 §3.9", self.audience()),
            ("binding", "RFC 8705 §3, §3.1", self.binding()),
            ("scopes", "RFC 6750 §3.1", self.scopes()),
            ("headers", "RFC 9110 §5.5", self.headers()),
        ];
        all.into_iter().map(|(name, source, finding)| Check::new(name, source, finding)).collect()
    }

    /// The header as an object.
    pub(super) fn header(&self) -> Option<&Object> {
        self.header.as_ref().ok()
    }

    /// The claims as an object.
    pub(super) fn claims(&self) -> Option<&Object> {
        self.claims.as_ref().ok()
    }

    /// Clock skew that the issuer is granted, in seconds.
    pub(super) fn leeway(&self) -> u64 {
        self.issuer.leeway
    }

    /// What the route demands, where a path was given that can be read.
    pub(super) fn demand(&self) -> Option<&Demand> {
        self.input.target.as_ref().and(self.demand.as_ref().ok())
    }

    fn certificate(&self) -> Finding {
        let trust = match &self.input.trust {
            Ok(trust) => trust,
            Err(why) => return not_checked(why),
        };
        let admitted = match (verdict::admit(trust, self.input.client(), self.input.now), self.input.client())
        {
            (Ok(_), None) => return Ok("none given, and a handshake needs none".to_owned()),
            (Ok(admitted), Some(_)) => admitted,
            (Err(refusal), None) => {
                let detail =
                    "mode = \"required\": without a certificate there is no handshake; name it with --cert";
                return Err(Failure::Refused(refusal, detail.to_owned()));
            }
            (Err(refusal), Some(_)) => {
                let note = refusal.note.as_deref().unwrap_or_default();
                let detail = format!("{note}; a new connection does not get through its handshake");
                return Err(Failure::Refused(refusal, detail));
            }
        };
        let rule = match self.input.settings.client_certificates.trust {
            TrustKind::Ca { .. } => "it leads to the CA",
            TrustKind::Any => "trust = \"any\": its dates hold",
        };
        Ok(format!("{rule}; admitted until {}", date(admitted.until)))
    }

    fn route(&self) -> Finding {
        let Some(target) = &self.input.target else {
            return not_checked("no --path given: judged as for a route that needs a token and no scopes");
        };
        let demand = self.demand.clone()?;
        let rule = match &*demand.route {
            "-" => "no route matches".to_owned(),
            route => format!("route \"{route}\""),
        };
        let readings = target.path.as_ref().map_or(1, |path| path.readings().count());
        let ambiguous =
            if readings > 1 { format!(" (the strictest of its {readings} readings)") } else { String::new() };
        Ok(match demand.access {
            Access::Public => format!("{rule}{ambiguous}: public, forwarded without a look at the token"),
            Access::Token if demand.scope.is_empty() => format!("{rule}{ambiguous}: a token, no scopes"),
            Access::Token => format!("{rule}{ambiguous}: a token with scope {}", demand.scope),
        })
    }

    fn readable_header(&self) -> Result<&Object, Failure> {
        self.header.as_ref().or_else(|why| not_checked(format!("the header cannot be read: {why}")))
    }

    fn readable_claims(&self) -> Result<&Object, Failure> {
        self.claims.as_ref().or_else(|why| not_checked(format!("the claims cannot be read: {why}")))
    }

    /// A twin of the token with these claims of it, or without them as it is, and all others good.
    fn check(&self, names: &[&str]) -> Result<VerifiedToken, Failure> {
        let claims = self.readable_claims()?;
        let (exp, aud) = (self.input.now.saturating_add(3600), self.issuer.audiences.first());
        let mut twin = json!({"iss": *self.issuer.name, "exp": exp, "aud": aud});
        for name in names {
            twin = with(name, claims.get(*name), twin);
        }
        let genuine = self.verify(&twin, &ClaimHeaders::default())?;
        Ok(VerifiedToken::check(Arc::new(genuine), &self.issuer, self.input.now)?)
    }

    fn verify(&self, claims: &Value, headers: &ClaimHeaders) -> Result<Genuine, Refusal> {
        let issuer = std::slice::from_ref(&self.issuer);
        self.twins.verify(claims.to_string().as_bytes(), issuer, headers)
    }
}

/// The object with this member, or without it.
fn with(name: &str, value: Option<&Value>, mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.remove(name);
        members.extend(value.map(|value| (name.to_owned(), value.clone())));
    }
    object
}

impl Check {
    fn new(name: &'static str, source: &'static str, finding: Finding) -> Check {
        let (outcome, detail) = match finding {
            Ok(detail) => (Outcome::Pass, detail),
            Err(Failure::Refused(refusal, detail)) => (Outcome::Fail(refusal.reason), detail),
            Err(Failure::NotChecked(detail)) => (Outcome::NotChecked, detail),
        };
        Check { name, source, outcome, detail }
    }
}
