//! Introspection (RFC 7662): which issuers are asked about a token, and what an answer says. The shell makes the call.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderValue;
use serde_json::Value;

use super::claims::Claims;
use super::identity;
use super::issuer::{AnswerForm, Introspection, Issuer};
use super::json::{self, Object};
use super::jwt::{self, Miss};
use super::policy::ClaimHeaders;
use super::refusal::{Reason, Refusal};
use super::token::Token;
use super::verified::Genuine;

/// How old a signed answer may be, in seconds, besides the leeway: it was made for this very call.
const MAX_AGE: u64 = 60;

/// Indices of the issuers that are asked about a token, in their order: none about what has the form of a JWT, for it is its
/// issuer's keys that prove it, and another issuer must not get to see it. Form means: three parts, the first of which is a JSON
/// object in base64url, whatever the object and the other two hold. All else that is a `b64token` (RFC 6750 §2.1) is opaque, with
/// dots or without, an encrypted JWT of five parts too.
pub fn asked(token: Token<'_>, issuers: &[Arc<Issuer>]) -> Vec<usize> {
    let introspects = |index: &usize| issuers.get(*index).is_some_and(|i| i.introspection.is_some());
    if jwt::is_jwt(token) { Vec::new() } else { (0..issuers.len()).filter(introspects).collect() }
}

impl AnswerForm {
    /// The media type of such an answer: what a call accepts (RFC 9701 §4).
    pub const fn media_type(self) -> &'static str {
        match self {
            AnswerForm::Json => "application/json",
            AnswerForm::Signed => "application/token-introspection+jwt",
            AnswerForm::Phantom => "application/jwt",
        }
    }
}

/// An answer as it came, with status 200 or 204.
pub struct Answer<'a> {
    /// The `Content-Type`.
    pub media_type: Option<&'a str>,
    /// The content.
    pub body: &'a [u8],
}

/// What an answer is read by.
pub struct Reading<'a> {
    /// Index of the issuer that was asked.
    pub index: usize,
    /// That issuer.
    pub issuer: &'a Issuer,
    /// `[forward.claims]`
    pub headers: &'a ClaimHeaders,
    /// The JWT of a phantom answer is kept, for the upstream.
    pub keep_jwt: bool,
    /// Seconds since 1970.
    pub now: u64,
}

/// What an issuer says of a token.
pub enum Verdict {
    /// It is genuine and was active a moment ago.
    Active(Box<Genuine>),
    /// `token-inactive`, or why an active token is not good here.
    Refused(Refusal),
}

/// Why an answer says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// It is not one; the text holds nothing secret.
    Invalid(Cow<'static, str>),
    /// Newer keys of the issuer could verify it.
    Keys(Refusal),
}

impl Reading<'_> {
    /// Reads an answer. One that does not verify, or has another form than was asked for, is no answer at all.
    ///
    /// # Errors
    /// See [`Unusable`].
    pub fn read(&self, answer: &Answer<'_>) -> Result<Verdict, Unusable> {
        let Some(introspection) = &self.issuer.introspection else {
            return Err(Unusable::Invalid("the issuer has no introspection".into()));
        };
        let form = introspection.answer;
        // A phantom answer for an inactive token is empty, whatever it says of its type.
        if form == AnswerForm::Phantom && answer.body.is_empty() {
            return Ok(inactive());
        }
        let essence = answer.media_type.map(|media_type| media_type.split(';').next().unwrap_or("").trim());
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case(form.media_type())) {
            let found =
                essence.map_or("none".to_owned(), |essence| format!("\"{}\"", json::excerpt(essence)));
            return Err(invalid(format!("the answer's type is {found}, not {}", form.media_type())));
        }
        match form {
            AnswerForm::Json => self.members(
                json::object(answer.body)
                    .map_err(|fault| Unusable::Invalid(format!("the answer is {fault}").into()))?,
            ),
            AnswerForm::Signed => self.signed(introspection, answer.body),
            AnswerForm::Phantom => self.phantom(answer.body),
        }
    }

    /// RFC 7662 §2.2: a token is valid only if `active` is the literal `true`.
    fn members(&self, members: Object) -> Result<Verdict, Unusable> {
        match members.get("active") {
            Some(Value::Bool(true)) => {}
            Some(_) => return Ok(inactive()),
            None => return Err(Unusable::Invalid("the answer has no 'active'".into())),
        }
        let verdict = self.active(members);
        Ok(verdict.map_or_else(Verdict::Refused, |genuine| Verdict::Active(Box::new(genuine))))
    }

    fn active(&self, members: Object) -> Result<Genuine, Refusal> {
        match jwt::named_issuer(&members)? {
            Some(iss) if *iss != *self.issuer.name => return Err(jwt::foreign(iss)),
            _ => {}
        }
        let identity = identity::headers(&members, self.headers);
        let claims = Claims::of_answer(members)?;
        Ok(Genuine::of_answer(self.index, self.issuer, claims, identity, None))
    }

    /// RFC 9701 §5: signed by the issuer, for us, just now; nothing but `token_introspection` speaks of the token.
    fn signed(&self, introspection: &Introspection, body: &[u8]) -> Result<Verdict, Unusable> {
        let mut answer = jwt::verify_answer(text(body)?, self.index, self.issuer).map_err(unverified)?;
        let about = |refusal: Refusal| invalid(format!("the signed answer: {}", describe(&refusal)));
        match jwt::named_issuer(&answer).map_err(about)? {
            Some(iss) if *iss == *self.issuer.name => {}
            Some(iss) => return Err(about(jwt::foreign(iss))),
            None => return Err(invalid("the signed answer has no 'iss'")),
        }
        let (members, claims) = (answer.remove("token_introspection"), Claims::of_answer(answer));
        let claims = claims.map_err(about)?;
        let ours = |audience: &String| {
            *audience == introspection.client_id || self.issuer.audiences.contains(audience)
        };
        if !claims.audiences.iter().flatten().any(ours) {
            return Err(invalid("the signed answer is for another audience"));
        }
        let leeway = self.issuer.leeway;
        let iat = claims.iat.ok_or_else(|| invalid("the signed answer has no 'iat'"))?;
        let latest = self.now.saturating_add(leeway);
        let made_now = iat <= latest && self.now <= iat.saturating_add(MAX_AGE + leeway);
        let valid = claims.exp.is_none_or(|exp| self.now < exp.saturating_add(leeway))
            && claims.nbf.is_none_or(|nbf| nbf <= latest);
        if !made_now || !valid {
            return Err(invalid("the signed answer was not made now"));
        }
        match members {
            Some(Value::Object(members)) => self.members(members),
            _ => Err(invalid("the signed answer has no object 'token_introspection'")),
        }
    }

    /// The phantom-token pattern: the JWT is an access token of this issuer's, and verified as one.
    fn phantom(&self, body: &[u8]) -> Result<Verdict, Unusable> {
        let jwt = Token::parse(text(body)?).map_err(|_| invalid("the answer is not a JWT"))?;
        let (claims, identity) = match jwt::verify_of(jwt, self.index, self.issuer, self.headers) {
            Ok(verified) => verified,
            Err(Miss::Refused(refusal)) => return Ok(Verdict::Refused(refusal)),
            Err(Miss::Keys { otherwise, .. }) => return Err(Unusable::Keys(otherwise)),
        };
        let kept = self.keep_jwt.then(|| bearer(jwt)).flatten();
        let genuine = Genuine::of_answer(self.index, self.issuer, claims, identity, kept);
        Ok(Verdict::Active(Box::new(genuine)))
    }
}

fn inactive() -> Verdict {
    Verdict::Refused(Reason::TokenInactive.into())
}

/// A JWT answer; a line break may follow it.
fn text(body: &[u8]) -> Result<&str, Unusable> {
    std::str::from_utf8(body.trim_ascii_end()).map_err(|_| invalid("the answer is not UTF-8"))
}

fn bearer(jwt: Token<'_>) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", jwt.as_str())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unverified(miss: Miss) -> Unusable {
    match miss {
        Miss::Refused(refusal) => invalid(format!("the signed answer: {}", describe(&refusal))),
        Miss::Keys { otherwise, .. } => Unusable::Keys(otherwise),
    }
}

fn invalid(text: impl Into<Cow<'static, str>>) -> Unusable {
    Unusable::Invalid(text.into())
}

fn describe(refusal: &Refusal) -> String {
    match &refusal.note {
        Some(note) => format!("{}, {note}", refusal.reason.name()),
        None => refusal.reason.name().to_owned(),
    }
}

#[cfg(test)]
mod tests;
