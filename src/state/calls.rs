//! HTTP calls to authorization servers: bounded in time and size, without redirects, with the trust and the identity of the
//! issuer that is called. A client's request never goes this way.

use std::error::Error;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, io};

use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use reqwest::{Client, Response, Url, redirect};
use rustls::{ClientConfig, RootCertStore};

use super::snapshot::CallMaterial;
use super::tls::provider;

/// How long a call may take, from the connection to the last byte of the answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that the body of an answer may have.
pub const MAX_BODY: usize = 1024 * 1024;

/// An idle connection is closed after this, so that one to a server that has moved away is not tried again.
const POOL_IDLE: Duration = Duration::from_secs(30);

const FORM: &str = "application/x-www-form-urlencoded";

/// A validator longer than this is not worth sending back.
const MAX_ETAG: usize = 256;

/// Makes the calls to one issuer; clones share their connections.
#[derive(Debug, Clone)]
pub struct Caller {
    client: Client,
}

/// An answer that can be used.
#[derive(Debug)]
pub struct Answer {
    /// What it says.
    pub content: Content,
    /// Its `ETag` (RFC 9110 §8.8.3).
    pub etag: Option<HeaderValue>,
    /// Its `Cache-Control: max-age` (RFC 9111 §5.2.2.1). `None` also where it says 0, `no-cache` or `no-store`: many servers put
    /// that on every answer, so it tells nothing about how often keys change.
    pub max_age: Option<Duration>,
}

/// What [`Caller::post`] sends. It has no `Debug` output: it holds a token.
pub struct Form {
    /// The content, form-encoded.
    pub content: String,
    /// `Authorization`
    pub authorization: Option<HeaderValue>,
    /// `Accept`
    pub accept: &'static str,
}

/// What a form was answered with, by status 200 or 204.
pub struct Posted {
    /// `Content-Type`
    pub media_type: Option<String>,
    /// The content.
    pub body: Vec<u8>,
}

/// The content of an [`Answer`].
#[derive(Debug)]
pub enum Content {
    /// Status 200 and this body.
    Body(Vec<u8>),
    /// Status 304: what the `ETag` of the request stands for is still right.
    Unmodified,
}

impl Caller {
    /// A caller whose calls end after `timeout`.
    ///
    /// # Errors
    /// `tls`: a root that is no certificate, or a key that is not the certificate's.
    pub fn new(material: &CallMaterial, timeout: Duration) -> Result<Caller, CallError> {
        let tls = tls_config(material).map_err(|e| Cause::Tls(e.to_string()).nowhere())?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("boundgate/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .timeout(timeout)
            .pool_idle_timeout(POOL_IDLE)
            // A dead HTTP/2 connection would otherwise stay in the pool and cost every call its whole time.
            .http2_keep_alive_interval(timeout / 3)
            .http2_keep_alive_timeout(timeout / 3)
            .build()
            .map_err(|e| Cause::from(e).nowhere())?;
        Ok(Caller { client })
    }

    /// Gets a document; with `etag`, only if it has changed since it carried that validator (RFC 9110 §13.1.2).
    ///
    /// # Errors
    /// No answer in time, or one that is neither 200 nor an awaited 304, or is too large.
    pub async fn get(&self, url: &Url, etag: Option<&HeaderValue>) -> Result<Answer, CallError> {
        self.answer(url, etag).await.map_err(|cause| cause.at(url))
    }

    /// Posts a form, and a second time where the connection broke before an answer: a kept one may have been closed meanwhile, and a
    /// form that only asks does nothing twice (RFC 9110 §9.2.2).
    ///
    /// # Errors
    /// No answer in time, or one with another status than 200 and 204, or that is too large.
    pub async fn post(&self, url: &Url, form: &Form) -> Result<Posted, CallError> {
        self.posted(url, form).await.map_err(|cause| cause.at(url))
    }

    async fn posted(&self, url: &Url, form: &Form) -> Result<Posted, Cause> {
        let send = || {
            let request =
                self.client.post(url.clone()).header(CONTENT_TYPE, FORM).header(ACCEPT, form.accept);
            let request = match &form.authorization {
                Some(value) => request.header(AUTHORIZATION, value),
                None => request,
            };
            request.body(form.content.clone()).send()
        };
        let response = match send().await {
            Err(error) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
                match Cause::from(error) {
                    Cause::Connect(_) => send().await?,
                    other => return Err(other),
                }
            }
            answer => answer?,
        };
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.map(str::to_owned);
        match response.status().as_u16() {
            200 | 204 => Ok(Posted { media_type, body: body(response).await? }),
            status @ 300..=399 => Err(Cause::Redirect(status)),
            status => Err(Cause::Status(status)),
        }
    }

    async fn answer(&self, url: &Url, etag: Option<&HeaderValue>) -> Result<Answer, Cause> {
        let mut request = self.client.get(url.clone()).header(ACCEPT, "application/json, */*;q=0.1");
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await?;
        let max_age = max_age(response.headers());
        let validator = response.headers().get(ETAG).filter(|v| v.len() <= MAX_ETAG).cloned();
        let content = match response.status().as_u16() {
            200 => Content::Body(body(response).await?),
            304 if etag.is_some() => Content::Unmodified,
            status @ (300..=303 | 305..=399) => return Err(Cause::Redirect(status)),
            status => return Err(Cause::Status(status)),
        };
        Ok(Answer { content, etag: validator, max_age })
    }
}

/// Reads a body without trusting its `Content-Length`, or the absence of one.
async fn body(mut response: Response) -> Result<Vec<u8>, Cause> {
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Cause::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Cause::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let mut age = None;
    for directive in
        headers.get_all(CACHE_CONTROL).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','))
    {
        let directive = directive.trim().to_ascii_lowercase();
        if directive.starts_with("no-cache") || directive == "no-store" {
            return None;
        }
        if let Some(seconds) = directive.strip_prefix("max-age=") {
            age = seconds.trim_matches('"').parse().ok().filter(|s| *s > 0).map(Duration::from_secs);
        }
    }
    age
}

fn tls_config(material: &CallMaterial) -> Result<ClientConfig, rustls::Error> {
    let mut roots = Arc::clone(system_roots());
    for root in &material.roots {
        Arc::make_mut(&mut roots).add(root.clone())?;
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match &material.identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The system's trust roots, read once. A system without any (a container from scratch) still works where a `ca` is named.
pub(super) fn system_roots() -> &'static Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            tracing::warn!(
                "the system has no trust roots: what is called over https needs a `ca` of its own"
            );
        }
        Arc::new(roots)
    })
}

/// A URL that may be called: `https`, or `http` to this machine itself; without user, password or fragment.
///
/// # Errors
/// `invalid`, with a text that names `what` and does not repeat the URL.
pub fn endpoint(what: &str, text: &str) -> Result<Url, CallError> {
    let fault = |fault: &str| Cause::Invalid(format!("{what} {fault}")).nowhere();
    let url = Url::parse(text).map_err(|_| fault("is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(fault("has a user, a password or a fragment"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(fault("is not an https URL")),
    }
}

/// As much of a server's text as a message shows, on one line.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let mut shown: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A call that failed: why, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    /// Why.
    pub cause: Cause,
    /// Where: the URL without query; `None` where none was called.
    pub url: Option<Box<str>>,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Not over in time.
    Timeout,
    /// No connection, or one that broke.
    Connect(String),
    /// Either side did not accept the other's TLS.
    Tls(String),
    /// A status that is no success.
    Status(u16),
    /// A redirect, which is not followed.
    Redirect(u16),
    /// More than [`MAX_BODY`].
    TooLarge,
    /// An answer that cannot be used.
    Invalid(String),
    /// Metadata of another issuer (RFC 8414 §3.3).
    WrongIssuer(String),
    /// Metadata was to be had at neither place.
    NoMetadata(Box<[CallError; 2]>),
}

impl CallError {
    /// Whether the server turned down this one request, and would perhaps take another (RFC 9110 §15.5): too long, not understood. Of
    /// its own condition that says nothing.
    pub fn is_about_the_request(&self) -> bool {
        matches!(self.cause, Cause::Status(400 | 413 | 414 | 422 | 431))
    }

    /// The stable word of the metric `jwks_fetches_total`; `ok` is the one of success.
    pub fn outcome(&self) -> &'static str {
        match &self.cause {
            Cause::Timeout => "timeout",
            Cause::Connect(_) => "connect",
            Cause::Tls(_) => "tls",
            Cause::Status(_) => "status",
            Cause::Redirect(_) => "redirect",
            Cause::TooLarge => "too-large",
            Cause::Invalid(_) | Cause::WrongIssuer(_) => "invalid",
            Cause::NoMetadata(both) => both[1].outcome(),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(url) = &self.url {
            write!(f, "{url}: ")?;
        }
        match &self.cause {
            Cause::Timeout => f.write_str("no answer in time"),
            Cause::Connect(text) => write!(f, "connection: {text}"),
            Cause::Tls(text) => write!(f, "TLS: {text}"),
            Cause::Status(status) => write!(f, "status {status}"),
            Cause::Redirect(status) => write!(f, "status {status}, a redirect, which is not followed"),
            Cause::TooLarge => write!(f, "an answer of more than {MAX_BODY} bytes"),
            Cause::Invalid(text) => f.write_str(text),
            Cause::WrongIssuer(found) => write!(f, "metadata of another issuer: {found}"),
            Cause::NoMetadata(both) => write!(f, "{}; {}", both[0], both[1]),
        }
    }
}

impl Cause {
    pub(super) fn at(self, url: &Url) -> CallError {
        let place = format!("{}{}", url.origin().ascii_serialization(), url.path());
        CallError { cause: self, url: Some(place.into()) }
    }

    pub(super) fn nowhere(self) -> CallError {
        CallError { cause: self, url: None }
    }
}

impl From<reqwest::Error> for Cause {
    fn from(error: reqwest::Error) -> Cause {
        if error.is_timeout() {
            return Cause::Timeout;
        }
        let mut text = String::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = next {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Cause::Tls(tls.to_string());
            }
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
                return Cause::Invalid(format!("not HTTP: {error}"));
            }
            text = error.to_string();
            // What an io::Error carries is not its source but the error itself.
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        // HTTP/2 keeps only the text of what the TLS layer reports after the handshake, such as a client certificate's refusal.
        if text.contains("received fatal alert") { Cause::Tls(text) } else { Cause::Connect(text) }
    }
}

#[cfg(test)]
mod tests;
