//! What the token is and whose: everything up to the claims.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Checks, Failure, Finding, not_checked, with};
use crate::cli::explain::twin;
use crate::decide::issuer::{Algorithm, Issuer};
use crate::decide::jwt;
use crate::decide::policy::ClaimHeaders;
use crate::decide::refusal::Reason;
use crate::decide::token::Token;

impl Checks<'_> {
    pub(super) fn form(&self) -> Finding {
        Token::parse(self.input.given.as_str())?;
        match twin::stopped_before_signature(self.input.given.as_str(), &self.input.issuers) {
            Some(refusal) if refusal.reason == Reason::TokenMalformed => Err(refusal.into()),
            _ => Ok("a signed JWT: three parts in base64url, two of them JSON objects".to_owned()),
        }
    }

    pub(super) fn token_type(&self) -> Finding {
        let header = self.readable_header()?;
        let typ = header.get("typ");
        let of_its_type = with("typ", typ, json!({"alg": Algorithm::EdDsa.name()}));
        let any_algorithm = Issuer { token_types: self.issuer.token_types, ..twin::any_header(&self.issuer) };
        match self.twins.stopped_by_header(&of_its_type, &any_algorithm) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(typ.map_or("no typ, which counts as JWT".to_owned(), |typ| format!("typ is {typ}"))),
        }
    }

    pub(super) fn issuer(&self) -> Finding {
        let claims = self.readable_claims()?;
        let payload = with("iss", claims.get("iss"), json!({}));
        match self.twins.stopped_by_issuer(&payload, &self.input.issuers) {
            None => Ok(format!("iss is {}", self.issuer.name)),
            Some(refusal) => {
                let names: Vec<_> = self.input.issuers.iter().map(|issuer| &*issuer.name).collect();
                let note = refusal.note.as_deref().unwrap_or_default();
                let first = if names.len() > 1 { ", below the first of them" } else { "" };
                let detail = format!("{note}; configured: {}{first}", names.join(", "));
                Err(Failure::Refused(refusal, detail))
            }
        }
    }

    pub(super) fn algorithm(&self) -> Finding {
        let header = self.readable_header()?;
        let of_its_algorithm = with("alg", header.get("alg"), json!({}));
        let any_type =
            Issuer { algorithms: self.issuer.algorithms.clone(), ..twin::any_header(&self.issuer) };
        match self.twins.stopped_by_header(&of_its_algorithm, &any_type) {
            None => Ok(format!("alg is {}", header.get("alg").unwrap_or(&Value::Null))),
            Some(refusal) => {
                let names: Vec<_> = self.issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
                let note = refusal.note.as_deref().unwrap_or_default();
                let detail = format!("{note}; the issuer's: {}", names.join(", "));
                Err(Failure::Refused(refusal, detail))
            }
        }
    }

    /// By the true keys; type and algorithm are judged by other checks.
    pub(super) fn signature(&self) -> Finding {
        let issuers: Vec<_> =
            self.input.issuers.iter().map(|issuer| Arc::new(twin::any_header(issuer))).collect();
        let text = self.input.token.as_str();
        if let Some(refusal) = twin::stopped_before_signature(text, &issuers) {
            return not_checked(format!("the token does not get so far: {}", refusal.reason.name()));
        }
        let index = self.input.issuers.iter().position(|issuer| issuer.name == self.issuer.name);
        let keys = match index.and_then(|index| self.input.keys.get(index)) {
            Some(Ok(keys)) => keys,
            Some(Err(why)) => return not_checked(why),
            None => return not_checked("the issuer is unknown"),
        };
        let refusal = match jwt::verify(Token::parse(text)?, &issuers, &ClaimHeaders::default()) {
            Ok(_) => None,
            // These are found behind it.
            Err(miss) => Some(twin::refusal(miss))
                .filter(|refusal| ![Reason::ClaimsInvalid, Reason::TokenType].contains(&refusal.reason)),
        };
        let Some(refusal) = refusal else { return Ok(format!("it verifies with the keys of {keys}")) };
        let note = refusal.note.as_deref().unwrap_or("none of the issuer's keys made it");
        let detail = format!("{note}; the keys of {keys} were tried");
        Err(Failure::Refused(refusal, detail))
    }

    pub(super) fn well_formed_claims(&self) -> Finding {
        let claims = Value::Object(self.readable_claims()?.clone());
        self.verify(&with("iss", Some(&json!(*self.issuer.name)), claims), &ClaimHeaders::default())?;
        Ok("each that is read has its type, and exp is there".to_owned())
    }
}
