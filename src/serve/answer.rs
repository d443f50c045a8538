//! What a refused client gets: a problem document (RFC 9457), or a trailers-only answer for gRPC callers.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use super::body::ResponseBody;
use super::exchange::Exchange;
use super::forward::request_id;
use crate::decide::onward::X_REQUEST_ID;
use crate::decide::refusal::{Challenge, Reason, Refusal};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What `grpc-message` escapes: everything but printable ASCII, and `%`.
const GRPC_ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// Whether the caller speaks gRPC: `application/grpc`, alone or with `+…` or `;…`.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some(kind) = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes) else { return false };
    kind.split_at_checked(GRPC.len()).is_some_and(|(start, _)| start.eq_ignore_ascii_case(GRPC))
}

/// The answer to a refused request; `closing` ends the connection with it.
pub(super) fn refusal(
    refusal: &Refusal,
    mut exchange: Exchange,
    grpc: bool,
    closing: bool,
) -> Response<ResponseBody> {
    exchange.refused(refusal);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_REQUEST_ID, request_id(&exchange));
    if let Some(challenge) = challenge(refusal) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if refusal.reason.status() == 503 {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    if closing && !exchange.multiplexed() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let (status, body) = if grpc {
        grpc_answer(refusal.reason, &mut headers);
        (StatusCode::OK, Bytes::new())
    } else {
        let body = problem(refusal.reason, &exchange.id);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        (StatusCode::from_u16(refusal.reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
    };
    // hyper leaves it out by itself in HTTP/1 alone; over HTTP/2 a client would reset the stream.
    let body = if exchange.wants_no_content() { Bytes::new() } else { body };
    let mut response = Response::new(ResponseBody::own(body, exchange));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The last words to a client of HTTP/1 whose head did not arrive in time, as they stand on the wire; no request of it ever began.
pub(crate) fn head_timeout(id: &[u8; 32]) -> Vec<u8> {
    let body = problem(Reason::ClientTimeout, id);
    let mut answer = format!(
        "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncache-control: no-store\r\ncontent-type: application/problem+json\r\n\
         content-length: {}\r\nx-request-id: {}\r\n\r\n",
        body.len(),
        std::str::from_utf8(id).unwrap_or_default()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

/// `WWW-Authenticate` (RFC 6750 §3).
fn challenge(refusal: &Refusal) -> Option<HeaderValue> {
    let code = match refusal.reason.challenge() {
        Challenge::None => return None,
        Challenge::Bare => return Some(HeaderValue::from_static("Bearer")),
        Challenge::Error(code) => code,
    };
    let mut text = format!("Bearer error=\"{code}\", error_description=\"{}\"", refusal.reason.title());
    if let Some(scope) = &refusal.scope {
        // A configured scope holds no quote or backslash (RFC 6749 §3.3).
        text.push_str(&format!(", scope=\"{scope}\""));
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

/// `:status 200` and the outcome in `grpc-status`, without a body.
fn grpc_answer(reason: Reason, headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(grpc_status(reason.status())));
    let message = utf8_percent_encode(reason.detail(), GRPC_ESCAPED).to_string();
    if let Ok(message) = HeaderValue::from_maybe_shared(Bytes::from(message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
}

/// gRPC's code for an HTTP status of ours.
pub(crate) fn grpc_status(status: u16) -> u16 {
    match status {
        400 => 3,
        401 => 16,
        403 => 7,
        408 => 4,
        413 | 431 => 8,
        502..=504 => 14,
        // No row of the table has another status; UNKNOWN.
        _ => 2,
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    status: u16,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    reason: &'a str,
    detail: &'a str,
    request_id: &'a str,
}

fn problem(reason: Reason, id: &[u8; 32]) -> Bytes {
    let problem = Problem {
        status: reason.status(),
        title: reason.title(),
        error: match reason.challenge() {
            Challenge::Error(code) => Some(code),
            Challenge::None | Challenge::Bare => None,
        },
        reason: reason.name(),
        detail: reason.detail(),
        request_id: std::str::from_utf8(id).unwrap_or_default(),
    };
    serde_json::to_vec(&problem).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn every_status_of_the_table_has_its_grpc_code() {
        for &reason in Reason::ALL {
            assert_ne!(grpc_status(reason.status()), 2, "{}", reason.name());
        }
    }

    #[test]
    fn challenges_as_rfc_6750_section_3_writes_them() {
        assert_eq!(challenge(&Reason::TokenMissing.into()).unwrap(), "Bearer");
        let missing = Refusal { scope: Some("read write".into()), ..Reason::ScopeMissing.into() };
        assert_eq!(
            challenge(&missing).unwrap(),
            "Bearer error=\"insufficient_scope\", error_description=\"Scope missing\", scope=\"read write\""
        );
        assert!(challenge(&Reason::KeysUnavailable.into()).is_none());
    }
}
