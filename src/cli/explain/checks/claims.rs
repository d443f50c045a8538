//! What the claims say: may this client do this now?

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Checks, Failure, Finding, not_checked, with};
use crate::cli::explain::thumbprints;
use crate::cli::explain::times::{relative, seconds, span};
use crate::decide::binding::{BoundToken, Require};
use crate::decide::issuer::Issuer;
use crate::decide::policy::Permit;
use crate::decide::refusal::Reason;
use crate::decide::route::{Access, Demand};
use crate::decide::verified::VerifiedToken;

impl Checks<'_> {
    pub(super) fn expiry(&self) -> Finding {
        let exp = self.readable_claims()?.get("exp").and_then(seconds);
        let (now, leeway) = (self.input.now, self.issuer.leeway);
        let detail = exp.map(|exp| {
            let (word, late) = if exp > now { ("expires", "") } else { ("expired", ", within the leeway") };
            let late = if exp.saturating_add(leeway) > now { late } else { "" };
            format!("{word} {}{late} (leeway {})", relative(exp, now), span(leeway))
        });
        match (self.check(&["exp"]), detail) {
            (Ok(_), detail) => Ok(detail.unwrap_or_default()),
            (Err(Failure::Refused(refusal, _)), Some(detail)) => Err(Failure::Refused(refusal, detail)),
            (Err(failure), _) => Err(failure),
        }
    }

    pub(super) fn not_in_future(&self, name: &'static str) -> Finding {
        let at = self.readable_claims()?.get(name).and_then(seconds);
        let (now, leeway) = (self.input.now, self.issuer.leeway);
        let detail = at.map(|at| {
            let ahead = if at > now && at <= now.saturating_add(leeway) { ", within the leeway" } else { "" };
            format!("{name} is {}{ahead} (leeway {})", relative(at, now), span(leeway))
        });
        match (self.check(&[name]), detail) {
            (Ok(_), detail) => Ok(detail.unwrap_or_else(|| format!("no {name}, and none is needed"))),
            (Err(Failure::Refused(refusal, _)), Some(detail)) => Err(Failure::Refused(refusal, detail)),
            (Err(failure), _) => Err(failure),
        }
    }

    pub(super) fn audience(&self) -> Finding {
        let aud = self.readable_claims()?.get("aud").unwrap_or(&Value::Null);
        let ours = self.issuer.audiences.join(", ");
        match self.check(&["aud"]) {
            Ok(_) => Ok(format!("aud is {aud}")),
            Err(Failure::Refused(refusal, _)) => {
                Err(Failure::Refused(refusal, format!("aud is {aud}; configured: {ours}")))
            }
            Err(failure) => Err(failure),
        }
    }

    pub(super) fn binding(&self) -> Finding {
        let token = self.check(&["cnf"])?;
        let claims = self.readable_claims()?;
        let bound = BoundToken::bind(token, self.input.client(), self.input.settings.require);
        let refusal = match bound {
            Ok(_) if claims.get("cnf").is_none() => {
                return Ok("not bound, which require = \"if-bound\" allows".to_owned());
            }
            Ok(_) => return Ok("the token was issued for this certificate".to_owned()),
            Err(refusal) => refusal,
        };
        let note = refusal.note.as_deref().unwrap_or(refusal.reason.title());
        let detail = match thumbprints::in_claims(claims) {
            Some(thumbprint) if refusal.reason == Reason::CertificateMissing => {
                format!("the token is bound to {}; name that certificate with --cert", thumbprint.base64url())
            }
            Some(thumbprint) => match thumbprint.find(&self.input.certificates) {
                Some(other) => format!("{note}; it was issued for {}", other.file),
                None => note.to_owned(),
            },
            None => note.to_owned(),
        };
        Err(Failure::Refused(refusal, detail))
    }

    pub(super) fn scopes(&self) -> Finding {
        let Some(_) = self.input.target else { return not_checked("no --path given") };
        let Ok(demand) = &self.demand else { return not_checked("the path cannot be read") };
        if demand.access == Access::Public {
            return not_checked("the route is public");
        }
        let token = self.check(&["scope", "scp"])?;
        let bound = BoundToken::bind(token, None, Require::IfBound)?;
        let claims = self.readable_claims()?;
        let granted = claims.get("scope").or_else(|| claims.get("scp")).unwrap_or(&Value::Null);
        match Permit::grant(demand, Some(bound)) {
            Ok(_) if demand.scope.is_empty() => Ok("none are needed".to_owned()),
            Ok(_) => Ok(format!("needed: {}; granted: {granted}", demand.scope)),
            Err(refusal) => {
                let detail = format!("needed: {}; granted: {granted}", demand.scope);
                Err(Failure::Refused(refusal, detail))
            }
        }
    }

    /// `[forward.claims]`
    pub(super) fn headers(&self) -> Finding {
        let headers = &self.input.settings.forward.claims;
        let claims = self.readable_claims()?;
        if headers.entries().is_empty() {
            return Ok("no claims are forwarded".to_owned());
        }
        // With an issuer that leaves nothing to refuse but the headers.
        let twin = with("iss", Some(&json!(*self.issuer.name)), Value::Object(claims.clone()));
        let twin = with("cnf", None, twin);
        let audiences = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            one => one.and_then(Value::as_str).map(str::to_owned).into_iter().collect(),
        };
        let token = match self.verify(&twin, headers) {
            Ok(genuine) => Arc::new(genuine),
            Err(refusal) => {
                return not_checked(format!("the claims do not get so far: {}", refusal.reason.name()));
            }
        };
        let issuer = Issuer { leeway: u64::MAX, audiences, ..Issuer::clone(&self.issuer) };
        let Ok(token) = VerifiedToken::check(token, &issuer, self.input.now) else {
            return not_checked("there is no aud");
        };
        let bound = BoundToken::bind(token, None, Require::IfBound)?;
        let demand = Demand { access: Access::Token, scope: "".into(), route: "-".into() };
        let permit = Permit::grant(&demand, Some(bound))?;
        let names: Vec<_> = permit.identity().iter().map(|(name, _)| name.as_str()).collect();
        Ok(format!("to be set: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }))
    }
}
