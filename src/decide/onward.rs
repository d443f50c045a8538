//! The head that goes on to the upstream: what the client may not say is taken off, then what Boundgate says is set.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, COOKIE, EXPECT, FORWARDED, HOST, TE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version};

use super::headers::Reserved;
use super::path::RequestPath;
use super::policy::{ForwardedJwt, Permit};
use super::refusal::{Reason, Refusal};

/// The identifier of a request, towards the client and the upstream.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// `[forward] authorization`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardAuthorization {
    /// The header goes to the upstream as it came.
    Keep,
    /// The header is taken off, on public routes too.
    Remove,
    /// The upstream gets the JWT that an introspection answered with, or the one that came; on public routes nothing.
    Phantom,
}

/// What Boundgate knows of a request besides its head.
pub struct Said<'a> {
    /// Names that are not the client's to send on.
    pub reserved: &'a Reserved,
    /// What becomes of `Authorization`.
    pub authorization: ForwardAuthorization,
    /// What clients call the API: the authority of `listener.public_url`. `None`: the request's own authority.
    pub public: Option<&'a str>,
    /// The peer's address.
    pub peer: &'a HeaderValue,
    /// The request's identifier.
    pub request_id: &'a [u8],
    /// The headers of `[forward] client_cert` for this connection.
    pub certificate: &'a [(HeaderName, HeaderValue)],
    /// The upstream speaks HTTP/2.
    pub http2: bool,
}

/// What Boundgate says of a request, to be written behind the client's fields: for their few bytes a map would have to grow.
#[must_use]
pub struct Words<'a> {
    host: HeaderValue,
    public: Option<&'a str>,
    peer: &'a HeaderValue,
    request_id: &'a [u8],
    certificate: &'a [(HeaderName, HeaderValue)],
    identity: &'a [(HeaderName, HeaderValue)],
}

/// Makes of a client's head that of the request to the upstream, and returns what is to be written besides; over HTTP/2 the head has
/// that already. `head` has passed [`super::headers::check_head`], and `path` was read from it. The caller frames the body and sets
/// `Connection` and `Upgrade` where it passes on an upgrade.
///
/// # Errors
/// `request-malformed`, `path-invalid`: the head cannot be written in the upstream's version of HTTP.
pub fn rewrite<'a>(
    head: &mut Parts,
    path: &RequestPath,
    permit: &'a Permit,
    said: &Said<'a>,
) -> Result<Option<Words<'a>>, Refusal> {
    let host = host(head)?;
    head.uri = target(&head.uri, path)?;
    said.reserved.strip_request(&mut head.headers);
    // Reserved as they are: what says who asks is taken off twice rather than never.
    permit.identity().iter().for_each(|(name, _)| drop(head.headers.remove(name)));
    // The body is asked for here (100 Continue) as soon as the upstream's connection takes it.
    head.headers.remove(EXPECT);
    authorize(&mut head.headers, permit, said.authorization);
    if head.version == Version::HTTP_2 {
        join_cookies(&mut head.headers);
    }
    let words = Words::new(host, permit, said)?;
    if said.http2 {
        words.set(&mut head.headers)?;
        fit_http2(head, &words.host)?;
        return Ok(None);
    }
    fit_http1(head, &words.host);
    Ok(Some(words))
}

/// The one authority that the client named: `check_head` has seen that there is no second one that differs.
fn host(head: &Parts) -> Result<HeaderValue, Refusal> {
    if let Some(host) = head.headers.get(HOST) {
        return Ok(host.clone());
    }
    let authority = head.uri.authority().ok_or(Reason::RequestMalformed)?;
    HeaderValue::from_str(authority.as_str()).map_err(|_| Reason::RequestMalformed.into())
}

/// The target in origin form: the path in the form that was matched, the query as it came.
fn target(uri: &Uri, path: &RequestPath) -> Result<Uri, Refusal> {
    // The "/" of "http://host?query" is not written there (RFC 9112 §3.2.1).
    let is_whole = |target: &PathAndQuery| target.as_str().starts_with('/') && target.path() == path.sent();
    let target = match (uri.path_and_query(), uri.query()) {
        (Some(unchanged), _) if is_whole(unchanged) => unchanged.clone(),
        (_, None) => PathAndQuery::from_maybe_shared(Bytes::copy_from_slice(path.sent().as_bytes()))
            .map_err(|_| Reason::PathInvalid)?,
        (_, Some(query)) => PathAndQuery::from_maybe_shared(Bytes::from(format!("{}?{query}", path.sent())))
            .map_err(|_| Reason::PathInvalid)?,
    };
    Ok(Uri::from(target))
}

fn authorize(headers: &mut HeaderMap, permit: &Permit, authorization: ForwardAuthorization) {
    match (authorization, permit.jwt()) {
        (ForwardAuthorization::Keep, _) | (ForwardAuthorization::Phantom, ForwardedJwt::AsItCame) => {}
        (ForwardAuthorization::Phantom, ForwardedJwt::Instead(jwt)) => {
            headers.insert(AUTHORIZATION, jwt.clone());
        }
        (ForwardAuthorization::Remove, _) | (ForwardAuthorization::Phantom, ForwardedJwt::None) => {
            headers.remove(AUTHORIZATION);
        }
    }
}

/// HTTP/2 may split `Cookie` into several fields; HTTP/1.1 knows one (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut all = headers.get_all(COOKIE).iter();
    if all.next().is_none() || all.next().is_none() {
        return;
    }
    let joined =
        headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>().join(&b"; "[..]);
    if let Ok(cookie) = HeaderValue::from_maybe_shared(Bytes::from(joined)) {
        headers.insert(COOKIE, cookie);
    }
}

impl<'a> Words<'a> {
    fn new(host: HeaderValue, permit: &'a Permit, said: &Said<'a>) -> Result<Words<'a>, Refusal> {
        let is_text = |text: &[u8]| text.iter().all(|byte| matches!(byte, b' '..=b'~'));
        if !is_text(host.as_bytes()) || !is_text(said.public.unwrap_or_default().as_bytes()) {
            return Err(Reason::RequestMalformed.into());
        }
        Ok(Words {
            host,
            public: said.public,
            peer: said.peer,
            request_id: said.request_id,
            // A public route is forwarded without a decision, hence without a word about who asks.
            certificate: permit.token().map(|_| said.certificate).unwrap_or_default(),
            identity: permit.identity(),
        })
    }

    /// Each field with the pieces of its value. No name stands among the client's fields, which were stripped of all of them.
    pub fn each(&self, mut say: impl FnMut(&HeaderName, &[&[u8]])) {
        let public = self.public.map_or(self.host.as_bytes(), str::as_bytes);
        let peer = self.peer.as_bytes();
        // RFC 7239 §4, §6: an IPv6 address stands in brackets and quotes, a host with a port in quotes.
        let (open, close): (&[u8], &[u8]) =
            if peer.contains(&b':') { (b"for=\"[", b"]\";host=\"") } else { (b"for=", b";host=\"") };
        say(&FORWARDED, &[open, peer, close, public, b"\";proto=https"]);
        say(&X_FORWARDED_FOR, &[peer]);
        say(&X_FORWARDED_PROTO, &[b"https"]);
        say(&X_FORWARDED_HOST, &[public]);
        say(&X_REQUEST_ID, &[self.request_id]);
        for (name, value) in self.certificate.iter().chain(self.identity) {
            say(name, &[value.as_bytes()]);
        }
    }

    fn set(&self, headers: &mut HeaderMap) -> Result<(), Refusal> {
        let mut outcome = Ok(());
        self.each(|name, value| match HeaderValue::from_maybe_shared(Bytes::from(value.concat())) {
            Ok(value) => drop(headers.insert(name.clone(), value)),
            Err(_) => outcome = Err(Reason::RequestMalformed.into()),
        });
        outcome
    }
}

/// Scheme and authority are pseudo-header fields (RFC 9113 §8.3.1).
fn fit_http2(head: &mut Parts, host: &HeaderValue) -> Result<(), Refusal> {
    head.headers.remove(HOST);
    let authority = Authority::try_from(host.as_bytes()).map_err(|_| Reason::RequestMalformed)?;
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    head.uri = Uri::from_parts(parts).map_err(|_| Reason::RequestMalformed)?;
    head.version = Version::HTTP_2;
    Ok(())
}

fn fit_http1(head: &mut Parts, host: &HeaderValue) {
    head.version = Version::HTTP_11;
    head.headers.entry(HOST).or_insert_with(|| host.clone());
    if head.headers.contains_key(TE) {
        // It is about this connection (RFC 9110 §10.1.4).
        head.headers.append(CONNECTION, HeaderValue::from_static("te"));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_target_is_in_origin_form_with_the_path_that_was_matched() {
        // RFC 9112 §3.2.1: "If the target URI's path component is empty, the client MUST send "/" as the path".
        for (received, sent) in [
            ("/a?b", "/a?b"),
            ("/a/../b?c?d", "/b?c?d"),
            ("/%61", "/a"),
            ("http://host", "/"),
            ("http://host?", "/?"),
            ("http://host?a/b", "/?a/b"),
            ("http://host/?a", "/?a"),
            ("https://host/a%2fb?c", "/a%2fb?c"),
        ] {
            let uri: Uri = received.parse().unwrap();
            let path = RequestPath::read(uri.path()).unwrap();
            let target = target(&uri, &path).unwrap();
            assert_eq!(target.path_and_query().unwrap().as_str(), sent, "{received}");
        }
    }
}
