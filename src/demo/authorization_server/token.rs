//! The token endpoint: client credentials (RFC 6749 §4.4) of a client that its certificate authenticates (RFC 8705 §2.1).

use std::collections::BTreeMap;

use http::{StatusCode, header};
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Client, State};
use crate::demo::loopback::{self, Peer, Request, Response};
use crate::demo::pki;

/// Bytes of a form; a real one has some hundred.
const FORM_LIMIT: usize = 8 * 1024;

type Form = BTreeMap<String, String>;

/// An error answer (RFC 6749 §5.2, RFC 8707 §2).
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    error: &'static str,
    description: &'static str,
}

impl Refused {
    fn request(description: &'static str) -> Refused {
        Refused { error: "invalid_request", description }
    }

    fn client(description: &'static str) -> Refused {
        Refused { error: "invalid_client", description }
    }

    fn status(&self) -> StatusCode {
        match self.error {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

pub(super) async fn answer(state: &State, request: Request, peer: Peer) -> Response {
    match grant(state, request, peer).await {
        Ok(token) => loopback::json(StatusCode::OK, &token),
        Err(refused) => loopback::json(
            refused.status(),
            &json!({ "error": refused.error, "error_description": refused.description }),
        ),
    }
}

async fn grant(state: &State, request: Request, peer: Peer) -> Result<Value, Refused> {
    let form = read_form(request).await?;
    let (client, thumbprint) = authenticate(state, &form, peer)?;
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => {
            return Err(Refused {
                error: "unsupported_grant_type",
                description: "only client_credentials is known here",
            });
        }
        None => return Err(Refused::request("grant_type is missing")),
    }
    if [form.get("resource"), form.get("audience")].into_iter().flatten().any(|api| *api != state.audience) {
        return Err(Refused { error: "invalid_target", description: "no such API is known here" });
    }
    let scope = scope(client, &form)?;
    let server_error = |_| Refused { error: "server_error", description: "the token could not be made" };

    let bound_to = client.bound.then_some(thumbprint.as_str());
    let mut claims = state.claims(&client.client_id, &scope, bound_to).map_err(server_error)?;
    claims.extend(client.claims.clone());
    let key = state.key.load();
    Ok(json!({
        "access_token": key.sign(&key.header(), &claims).map_err(server_error)?,
        "token_type": "Bearer",
        "expires_in": state.lifetime.as_secs(),
        "scope": scope,
    }))
}

/// The client that `client_id` names, if the certificate of this connection is the registered one's (RFC 8705 §2.1), and the
/// certificate's `x5t#S256`. The chain to the CA was checked in the handshake.
fn authenticate<'a>(state: &'a State, form: &Form, peer: Peer) -> Result<(&'a Client, String), Refused> {
    let client_id = form.get("client_id").ok_or(Refused::request("client_id is missing"))?;
    let certificate = peer.ok_or(Refused::client("a client certificate is needed here"))?;
    let subject = X509Certificate::from_der(&certificate).map(|(_, parsed)| parsed.subject().to_string());
    let client = state.clients.iter().find(|client| client.client_id == *client_id);
    match (client, subject) {
        (Some(client), Ok(subject)) if client.subject_dn == subject => {
            Ok((client, pki::thumbprint(&certificate)))
        }
        _ => Err(Refused::client("no such client, or it is registered with another certificate")),
    }
}

/// What is asked for, or everything that the client may have (RFC 6749 §3.3).
fn scope(client: &Client, form: &Form) -> Result<String, Refused> {
    let Some(asked) = form.get("scope") else { return Ok(client.scopes.join(" ")) };
    if asked.split(' ').any(|scope| !client.scopes.iter().any(|allowed| allowed == scope)) {
        return Err(Refused { error: "invalid_scope", description: "more than this client may have" });
    }
    Ok(asked.clone())
}

async fn read_form(request: Request) -> Result<Form, Refused> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    {
        return Err(Refused::request("a form is expected: application/x-www-form-urlencoded"));
    }
    let body = Limited::new(request.into_body(), FORM_LIMIT).collect().await;
    let body = body.map_err(|_| Refused::request("the form is too large or broke off"))?.to_bytes();
    parse_form(&body).ok_or(Refused::request("the form is not UTF-8 or has a parameter twice"))
}

/// `None`: not UTF-8, or a parameter comes twice (RFC 6749 §3.2). One without a value counts as left out (same section).
fn parse_form(body: &[u8]) -> Option<Form> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().ok().map(|text| text.into_owned())
    };
    let mut form = Form::new();
    for pair in std::str::from_utf8(body).ok()?.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if value.is_empty() {
            continue;
        }
        if form.insert(decode(name)?, decode(value)?).is_some() {
            return None;
        }
    }
    Some(form)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_written() {
        let form =
            parse_form(b"scope=orders.read+orders.write&resource=https%3A%2F%2Fapi.example.com&audience=")
                .unwrap();
        assert_eq!(form["scope"], "orders.read orders.write");
        assert_eq!(form["resource"], "https://api.example.com");
        // RFC 6749 §3.2: without a value, as if omitted; never twice.
        assert!(!form.contains_key("audience"));
        assert_eq!(parse_form(b"client_id=a&client_id=b"), None);
        assert_eq!(parse_form(b"client_id=%ff"), None);
    }
}
