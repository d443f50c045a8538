//! The claims of a token, read once and strictly.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::json::Object;
use super::refusal::{Reason, Refusal};

/// What decisions need of a token's claims. `iss` is not among them: who reads the claims knows whose they are.
#[derive(Clone)]
pub(super) struct Claims {
    /// Who says so.
    pub(super) source: Source,
    /// RFC 7519 §4.1.4, whole seconds since 1970 like `nbf` and `iat`; `None` only in an introspection's answer.
    pub(super) exp: Option<u64>,
    /// RFC 7519 §4.1.5
    pub(super) nbf: Option<u64>,
    /// RFC 7519 §4.1.6
    pub(super) iat: Option<u64>,
    /// RFC 7519 §4.1.3; `None` where there is no `aud`, which is not the same as one that names nobody.
    pub(super) audiences: Option<Vec<String>>,
    /// Scopes joined by spaces (RFC 9068 §2.2.3, RFC 6749 §3.3); `None` where there is neither `scope` nor `scp`.
    pub(super) scope: Option<String>,
    /// `sub`, cut for the log.
    pub(super) subject: Option<Arc<str>>,
    /// `client_id`, else `azp`, cut for the log.
    pub(super) client_id: Option<Arc<str>>,
    /// `cnf`
    pub(super) confirmation: Confirmation,
}

/// Where claims stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// In a JWT access token.
    AccessToken,
    /// In an introspection's answer.
    Answer,
}

/// The confirmation of a token (RFC 7800 §3.1), as far as it is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// There is no `cnf`: the token is not bound.
    Absent,
    /// SHA-256 of the certificate that it is bound to (RFC 8705 §3.1).
    Thumbprint([u8; 32]),
    /// It is bound, but not in a way that can be checked here; the note says why.
    Unsupported(&'static str),
}

impl Claims {
    /// The claims of a JWT access token, which must have `exp` (RFC 9068 §2.2).
    ///
    /// # Errors
    /// `claims-invalid`
    pub(super) fn of_access_token(object: Object) -> Result<Claims, Refusal> {
        let claims = Claims::read(object, Source::AccessToken)?;
        if claims.exp.is_none() {
            return Err(Reason::ClaimsInvalid.note("there is no 'exp'"));
        }
        Ok(claims)
    }

    /// The members of an introspection's answer (RFC 7662 §2.2), none of which is required.
    ///
    /// # Errors
    /// `claims-invalid`
    pub(super) fn of_answer(object: Object) -> Result<Claims, Refusal> {
        Claims::read(object, Source::Answer)
    }

    /// Claims as a JWT (RFC 7519 §4.1, RFC 9068 §2.2) and an introspection's answer (RFC 7662 §2.2) share them: none is
    /// required, and each that is there, even as null, must have its type.
    ///
    /// # Errors
    /// `claims-invalid`
    fn read(mut object: Object, source: Source) -> Result<Claims, Refusal> {
        let azp = object.remove("azp").and_then(|azp| azp.as_str().map(|azp| for_log(azp).into()));
        Ok(Claims {
            source,
            exp: date(&object, "exp")?,
            nbf: date(&object, "nbf")?,
            iat: date(&object, "iat")?,
            subject: string(&object, "sub")?.map(|sub| for_log(sub).into()),
            client_id: string(&object, "client_id")?.map(|id| for_log(id).into()).or(azp),
            confirmation: Confirmation::read(object.get("cnf")),
            audiences: audiences(object.remove("aud"))?,
            scope: scope(object)?,
        })
    }
}

impl Claims {
    /// Bytes beyond their own size.
    pub(super) fn weight(&self) -> usize {
        let audiences: usize =
            self.audiences.iter().flatten().map(|aud| size_of::<String>() + aud.len()).sum();
        let named = [&self.subject, &self.client_id].into_iter().flatten();
        // An Arc counts in two words before its text.
        let names: usize = named.map(|name| 2 * size_of::<usize>() + name.len()).sum();
        audiences + self.scope.as_ref().map_or(0, String::len) + names
    }
}

impl Confirmation {
    fn read(cnf: Option<&Value>) -> Confirmation {
        let members = match cnf {
            None => return Confirmation::Absent,
            Some(Value::Object(members)) => members,
            Some(_) => return Confirmation::Unsupported("'cnf' is no object"),
        };
        // Both demand a proof; one that cannot be checked is not satisfied by another (RFC 7800 §3.1).
        if members.contains_key("jkt") {
            return Confirmation::Unsupported("'cnf' has 'jkt', and DPoP is not supported");
        }
        match members.get("x5t#S256") {
            None => Confirmation::Unsupported("'cnf' has no member that is understood ('x5t#S256')"),
            Some(Value::String(text)) => match thumbprint(text) {
                Some(thumbprint) => Confirmation::Thumbprint(thumbprint),
                None => Confirmation::Unsupported("'x5t#S256' is not 32 bytes in canonical base64url"),
            },
            Some(_) => Confirmation::Unsupported("'x5t#S256' is no string"),
        }
    }
}

/// The one spelling of 32 bytes: 43 characters, whose last has two bits that must be zero (RFC 8705 §3.1).
fn thumbprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(32) => Some(bytes),
        _ => None,
    }
}

/// A NumericDate (RFC 7519 §2). Fractions are cut off, as they are from the clock that it is compared with.
fn date(object: &Object, name: &'static str) -> Result<Option<u64>, Refusal> {
    let Some(value) = object.get(name) else { return Ok(None) };
    let seconds =
        value.as_u64().or_else(|| value.as_f64().filter(|date| *date >= 0.0).map(|date| date as u64));
    match seconds {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(Reason::ClaimsInvalid.note(format!("'{name}' is no NumericDate since 1970"))),
    }
}

fn string<'a>(object: &'a Object, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Reason::ClaimsInvalid.note(format!("'{name}' is no string"))),
    }
}

/// RFC 7519 §4.1.3: one string or an array of strings.
fn audiences(aud: Option<Value>) -> Result<Option<Vec<String>>, Refusal> {
    match aud {
        None => Ok(None),
        Some(Value::String(audience)) => Ok(Some(vec![audience])),
        Some(Value::Array(items)) => {
            strings(items).map(Some).ok_or("'aud' holds something else than strings")
        }
        Some(_) => Err("'aud' is neither a string nor an array of strings"),
    }
    .map_err(|note| Reason::ClaimsInvalid.note(note))
}

/// `scope`, else `scp`: a string of words (RFC 9068 §2.2.3), or, as some servers send it, an array of words. A word that
/// holds a space is refused: joined with the others it would become two scopes that nobody granted.
fn scope(mut object: Object) -> Result<Option<String>, Refusal> {
    match object.remove("scope").or_else(|| object.remove("scp")) {
        None => Ok(None),
        Some(Value::String(scope)) => Ok(Some(scope)),
        Some(Value::Array(items)) => match strings(items) {
            Some(words) if !words.iter().any(|word| word.contains(' ')) => Ok(Some(words.join(" "))),
            _ => Err("an array of scopes holds something else than single scopes"),
        },
        Some(_) => Err("'scope' (or 'scp') is neither a string nor an array of strings"),
    }
    .map_err(|note| Reason::ClaimsInvalid.note(note))
}

fn strings(items: Vec<Value>) -> Option<Vec<String>> {
    items
        .into_iter()
        .map(|item| match item {
            Value::String(text) => Some(text),
            _ => None,
        })
        .collect()
}

/// At most 256 bytes.
pub(super) fn for_log(text: &str) -> &str {
    &text[..text.floor_char_boundary(256)]
}

#[cfg(test)]
mod tests;
