//! The verdict: every check of the proxy, by its own functions and in its order.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::UnixTime;

use super::input::Input;
use super::twin::Twins;
use crate::decide::binding::{BoundToken, Require};
use crate::decide::client::ClientCert;
use crate::decide::jwt::{self, Miss};
use crate::decide::policy::Permit;
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::route::{Access, Demand};
use crate::decide::token::Token;
use crate::decide::verified::{Genuine, VerifiedToken};
use crate::state::trust::{Admitted, Trust};

/// What would become of the request.
pub(super) enum Verdict {
    /// It would pass: every check was made.
    Pass,
    /// It would be refused, for this reason first.
    Refused(Refusal),
    /// Nothing refuses it, but these checks could not be made.
    Unknown(Vec<&'static str>),
}

/// Decides as `serve::pipeline` does.
pub(super) fn decide(input: &Input, twins: &Twins) -> Verdict {
    let mut not_made = Vec::new();
    match pass(input, twins, &mut not_made) {
        Err(refusal) => Verdict::Refused(refusal),
        Ok(_) if not_made.is_empty() => Verdict::Pass,
        Ok(_) => Verdict::Unknown(not_made),
    }
}

fn pass(input: &Input, twins: &Twins, not_made: &mut Vec<&'static str>) -> Result<Permit, Refusal> {
    match &input.trust {
        Ok(trust) => drop(admit(trust, input.client(), input.now)?),
        Err(_) => not_made.push("certificate"),
    }
    let demand = demand(input)?;
    let token = match demand.access {
        Access::Public => None,
        Access::Token => Some(prove(input, twins, not_made)?),
    };
    Permit::grant(&demand, token)
}

/// Judges the certificate as a handshake would. A request over a connection that was never made has no answer; this is the reason that
/// comes nearest.
pub(super) fn admit(trust: &Trust, client: Option<&ClientCert>, now: u64) -> Result<Admitted, Refusal> {
    let chain = client.map(ClientCert::chain).unwrap_or_default();
    let reason = if client.is_some() { Reason::CertificateNotAdmitted } else { Reason::CertificateMissing };
    trust.admit(chain, UnixTime::since_unix_epoch(Duration::from_secs(now))).map_err(|why| reason.note(why.0))
}

/// What the route demands; without a path, what a request demands that no route matches.
pub(super) fn demand(input: &Input) -> Result<Demand, Refusal> {
    match &input.target {
        None => Ok(Demand { access: Access::Token, scope: "".into(), route: "-".into() }),
        Some(target) => {
            let path = target.path.as_ref().map_err(Refusal::clone)?;
            Ok(input.settings.routes.demand(&target.method, path))
        }
    }
}

fn prove(input: &Input, twins: &Twins, not_made: &mut Vec<&'static str>) -> Result<BoundToken, Refusal> {
    let genuine = Arc::new(verify(input, twins, not_made)?);
    let issuer = input.issuers.get(genuine.issuer()).ok_or(Reason::IssuerUnknown)?;
    let verified = VerifiedToken::check(genuine, issuer, input.now)?;
    BoundToken::bind(verified, input.client(), input.settings.require)
}

/// Where the issuer's keys are not at hand, the claims are judged as if the signature held.
fn verify(input: &Input, twins: &Twins, not_made: &mut Vec<&'static str>) -> Result<Genuine, Refusal> {
    let headers = &input.settings.forward.claims;
    let token = Token::parse(input.given.as_str())?;
    match jwt::verify(token, &input.issuers, headers) {
        Ok(genuine) => Ok(genuine),
        Err(Miss::Keys { otherwise, .. }) if otherwise.reason == Reason::KeysUnavailable => {
            not_made.push("signature");
            twins.verify(&input.given.payload(), &input.issuers, headers)
        }
        // Before it asks for newer keys, the proxy refuses whom no keys could help.
        Err(Miss::Keys { .. }) if input.client().is_none() && input.settings.require == Require::Always => {
            Err(Reason::CertificateMissing.into())
        }
        Err(Miss::Refused(refusal) | Miss::Keys { otherwise: refusal, .. }) => Err(refusal),
    }
}
