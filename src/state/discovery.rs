//! An issuer's metadata: RFC 8414, then OpenID Connect Discovery 1.0.

use reqwest::Url;

use super::calls::{CallError, Caller, Cause, Content, endpoint, excerpt};
use crate::decide::json::{self, Object};

/// What Boundgate reads of an issuer's metadata (RFC 8414 §2). Every URL is one that may be called; an endpoint for
/// introspection that may not be is left out, so that it costs nobody the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Where the keys are.
    pub jwks_uri: Option<Url>,
    /// Where tokens are introspected.
    pub introspection_endpoint: Option<Url>,
    /// The same for clients with a certificate (`mtls_endpoint_aliases`, RFC 8705 §5).
    pub mtls_introspection_endpoint: Option<Url>,
}

/// Finds an issuer's metadata: at RFC 8414's place, and where that gives none, at OpenID Connect Discovery's.
///
/// # Errors
/// A call that failed, at both places if the first one answered; or metadata that is malformed or another issuer's.
pub async fn discover(caller: &Caller, issuer: &str) -> Result<Metadata, CallError> {
    let [oauth, openid] = locations(issuer)?;
    let first = match read(caller, &oauth, issuer).await {
        Err(error) if is_elsewhere(&error.cause) => error,
        outcome => return outcome,
    };
    read(caller, &openid, issuer).await.map_err(|second| {
        if is_elsewhere(&second.cause) {
            Cause::NoMetadata(Box::new([first, second])).nowhere()
        } else {
            second
        }
    })
}

/// Whether a server that answers so may still have its metadata at the other place.
fn is_elsewhere(cause: &Cause) -> bool {
    matches!(cause, Cause::Status(_) | Cause::Redirect(_) | Cause::TooLarge | Cause::Invalid(_))
}

async fn read(caller: &Caller, url: &Url, issuer: &str) -> Result<Metadata, CallError> {
    match caller.get(url, None).await?.content {
        Content::Body(body) => Metadata::parse(&body, issuer).map_err(|cause| cause.at(url)),
        Content::Unmodified => Err(Cause::Status(304).at(url)),
    }
}

/// RFC 8414 §3.1 puts the well-known part before the issuer's path, OpenID Connect Discovery §4.1 after it; both drop a
/// slash at its end.
fn locations(issuer: &str) -> Result<[Url; 2], CallError> {
    let url = endpoint("the issuer", issuer)?;
    if url.query().is_some() {
        return Err(Cause::Invalid("the issuer has a query".into()).nowhere());
    }
    let path = url.path().trim_end_matches('/');
    let at = |path: String| {
        let mut place = url.clone();
        place.set_path(&path);
        place
    };
    Ok([
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ])
}

impl Metadata {
    /// Reads metadata that must be this issuer's, to the character (RFC 8414 §3.3).
    ///
    /// # Errors
    /// [`Cause::WrongIssuer`]; [`Cause::Invalid`]: no JSON object, or a `jwks_uri` that may not be called.
    pub fn parse(body: &[u8], issuer: &str) -> Result<Metadata, Cause> {
        let metadata =
            json::object(body).map_err(|fault| Cause::Invalid(format!("metadata: {}", fault.0)))?;
        match text(&metadata, "issuer")? {
            Some(found) if found == issuer => {}
            Some(found) => return Err(Cause::WrongIssuer(excerpt(found))),
            None => return Err(Cause::Invalid("metadata without `issuer`".into())),
        }
        let aliases = match metadata.get("mtls_endpoint_aliases") {
            None => &Object::new(),
            Some(aliases) => aliases
                .as_object()
                .ok_or_else(|| Cause::Invalid("`mtls_endpoint_aliases` is not an object".into()))?,
        };
        Ok(Metadata {
            jwks_uri: url(&metadata, "jwks_uri")?,
            introspection_endpoint: url(&metadata, "introspection_endpoint").unwrap_or(None),
            mtls_introspection_endpoint: url(aliases, "introspection_endpoint").unwrap_or(None),
        })
    }
}

fn url(object: &Object, name: &str) -> Result<Option<Url>, Cause> {
    text(object, name)?.map(|text| endpoint(name, text).map_err(|error| error.cause)).transpose()
}

fn text<'a>(object: &'a Object, name: &str) -> Result<Option<&'a str>, Cause> {
    match object.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_str().map(Some).ok_or_else(|| Cause::Invalid(format!("`{name}` is not a string")))
        }
    }
}

#[cfg(test)]
mod tests;
