//! An authorization server that really issues: mutual TLS at its token endpoint (RFC 8705 §2.1), certificate-bound JWT access tokens
//! (RFC 8705 §3, RFC 9068), metadata (RFC 8414) and keys.
//!
//! It knows one grant, client credentials, and forgets everything when it stops. Tests have the tokens that no honest server would give
//! from [`AuthorizationServer::issue`] and [`AuthorizationServer::sign`].

mod signing;
mod token;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::{Method, StatusCode};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Map, Value, json};

use self::signing::SigningKey;
use super::Error;
use super::loopback::{self, Loopback, Peer, Request, Response};
use super::pki::{Authority, LOOPBACK_NAMES, Validity, crypto};

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// A registered client. It authenticates with `tls_client_auth` (RFC 8705 §2.1.2).
#[derive(Debug, Clone)]
pub struct Client {
    /// `client_id`, and the `sub` of its tokens.
    pub client_id: String,
    /// `tls_client_auth_subject_dn`: the subject of its certificate, as `CN=client-a`.
    pub subject_dn: String,
    /// The scopes that it may have.
    pub scopes: Vec<String>,
    /// `tls_client_certificate_bound_access_tokens` (RFC 8705 §3.4): whether its tokens have a `cnf`.
    pub bound: bool,
    /// Claims that its tokens have besides; these win.
    pub claims: Claims,
}

impl Client {
    /// A client with bound tokens whose certificate has the subject `CN=<client_id>`.
    pub fn new(client_id: &str, scopes: &[&str]) -> Client {
        Client {
            client_id: client_id.to_owned(),
            subject_dn: format!("CN={client_id}"),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            bound: true,
            claims: Claims::new(),
        }
    }
}

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Port on 127.0.0.1; 0: any.
    pub port: u16,
    /// The one API that tokens are for: their `aud`.
    pub audience: String,
    /// Who may have tokens.
    pub clients: Vec<Client>,
    /// Lifetime of tokens.
    pub lifetime: Duration,
}

/// A running authorization server; dropping it stops it.
pub struct AuthorizationServer {
    state: Arc<State>,
    server: Loopback,
}

struct State {
    issuer: String,
    audience: String,
    clients: Vec<Client>,
    lifetime: Duration,
    key: ArcSwap<SigningKey>,
    available: AtomicBool,
    jwks_requests: AtomicU64,
}

impl AuthorizationServer {
    /// Starts it with a certificate of this CA; the same CA vouches for its clients. A client certificate is asked for and not
    /// demanded: metadata and keys are for everyone.
    ///
    /// # Errors
    /// The port cannot be had, or there is no randomness for keys.
    pub fn start(ca: &Authority, options: Options) -> Result<AuthorizationServer, Error> {
        let failed = |reason: &dyn std::fmt::Display| Error::new("starting the authorization server", reason);
        let tls = Arc::new(tls(ca)?);
        let listener = loopback::listen(options.port).map_err(|e| failed(&e))?;
        let address = listener.local_addr().map_err(|e| failed(&e))?;
        let state = Arc::new(State {
            issuer: format!("https://{address}"),
            audience: options.audience,
            clients: options.clients,
            lifetime: options.lifetime,
            key: ArcSwap::from_pointee(SigningKey::generate()?),
            available: AtomicBool::new(true),
            jwks_requests: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        let handler = move |request, peer| answer(Arc::clone(&shared), request, peer);
        let server = Loopback::serve(listener, Some(tls), handler).map_err(|e| failed(&e))?;
        Ok(AuthorizationServer { state, server })
    }

    /// Its issuer identifier, which is also its base URL.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// Where tokens are had.
    pub fn token_endpoint(&self) -> String {
        self.state.url("/token")
    }

    /// Where keys are had.
    pub fn jwks_uri(&self) -> String {
        self.state.url("/jwks")
    }

    /// Replaces the signing key; the old one is no longer published.
    ///
    /// # Errors
    /// No randomness.
    pub fn rotate_key(&self) -> Result<(), Error> {
        self.state.key.store(Arc::new(SigningKey::generate()?));
        Ok(())
    }

    /// While `false` it answers 503 to everything.
    pub fn set_available(&self, available: bool) {
        self.state.available.store(available, Ordering::Relaxed);
    }

    /// How often `/jwks` was asked for, outages included.
    pub fn jwks_requests(&self) -> u64 {
        self.state.jwks_requests.load(Ordering::Relaxed)
    }

    /// The claims that this client's tokens have from now on (RFC 9068 §2.2), bound to the certificate of this `x5t#S256` if one
    /// is given.
    ///
    /// # Errors
    /// No randomness for `jti`.
    pub fn claims(&self, client_id: &str, scope: &str, thumbprint: Option<&str>) -> Result<Claims, Error> {
        self.state.claims(client_id, scope, thumbprint)
    }

    /// Signs these claims, whatever they say, as an `at+jwt`.
    ///
    /// # Errors
    /// The claims or the key cannot be used.
    pub fn issue(&self, claims: &Claims) -> Result<String, Error> {
        self.sign(&self.header(), claims)
    }

    /// The header of its tokens: ES256, `at+jwt` and the `kid` of the key of the moment.
    pub fn header(&self) -> jsonwebtoken::Header {
        self.state.key.load().header()
    }

    /// Signs these claims under this header with the key of the moment.
    ///
    /// # Errors
    /// As [`AuthorizationServer::issue`].
    pub fn sign(&self, header: &jsonwebtoken::Header, claims: &Claims) -> Result<String, Error> {
        self.state.key.load().sign(header, claims)
    }
}

impl State {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    fn claims(&self, client_id: &str, scope: &str, thumbprint: Option<&str>) -> Result<Claims, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut claims = Claims::new();
        claims.insert("iss".into(), self.issuer.as_str().into());
        claims.insert("sub".into(), client_id.into());
        claims.insert("client_id".into(), client_id.into());
        claims.insert("aud".into(), self.audience.as_str().into());
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), (now + self.lifetime.as_secs()).into());
        claims.insert("jti".into(), signing::random_id()?.into());
        claims.insert("scope".into(), scope.into());
        if let Some(thumbprint) = thumbprint {
            claims.insert("cnf".into(), json!({ "x5t#S256": thumbprint }));
        }
        Ok(claims)
    }

    /// RFC 8414 §2 and RFC 8705 §2.1.1, §3.3, §5. The one listener asks for certificates, so the aliases are the endpoints.
    fn metadata(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "token_endpoint": self.url("/token"),
            "jwks_uri": self.url("/jwks"),
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["tls_client_auth"],
            "tls_client_certificate_bound_access_tokens": true,
            "mtls_endpoint_aliases": { "token_endpoint": self.url("/token") },
        })
    }

    fn jwks(&self) -> Value {
        json!({ "keys": [self.key.load().jwk()] })
    }
}

/// TLS that asks for a client certificate and lets those pass who have none.
fn tls(ca: &Authority) -> Result<ServerConfig, Error> {
    let failed = |reason: &dyn std::fmt::Display| Error::new("the authorization server's TLS", reason);
    let identity = ca.server(&LOOPBACK_NAMES, Validity::days(1))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(ca.roots()?, crypto())
        .allow_unauthenticated()
        .build()
        .map_err(|e| failed(&e))?;
    let mut tls = ServerConfig::builder_with_provider(crypto())
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate().clone()], identity.private_key())
        .map_err(|e| failed(&e))?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

async fn answer(state: Arc<State>, request: Request, peer: Peer) -> Response {
    let path = request.uri().path();
    if path == "/jwks" {
        state.jwks_requests.fetch_add(1, Ordering::Relaxed);
    }
    if !state.available.load(Ordering::Relaxed) {
        return error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    }
    match (request.method(), path) {
        (&Method::GET, "/.well-known/oauth-authorization-server") => {
            loopback::json(StatusCode::OK, &state.metadata())
        }
        (&Method::GET, "/jwks") => loopback::json(StatusCode::OK, &state.jwks()),
        (&Method::POST, "/token") => token::answer(&state, request, peer).await,
        (_, "/.well-known/oauth-authorization-server" | "/jwks" | "/token") => {
            error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
        }
        _ => error(StatusCode::NOT_FOUND, "not_found"),
    }
}

fn error(status: StatusCode, code: &str) -> Response {
    loopback::json(status, &json!({ "error": code }))
}

#[cfg(test)]
mod tests;
