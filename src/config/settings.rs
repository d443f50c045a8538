//! The configuration as it is run: every value checked and in its runtime type, files still as paths.
//!
//! A value that may turn out wrong only later (a file that cannot be read) keeps the place where it was written.

mod introspection;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::ServerName;

use crate::decide::binding::Require;
use crate::decide::client_headers::ClientCertForm;
use crate::decide::issuer::{Algorithm, TokenTypes};
use crate::decide::policy::ClaimHeaders;
use crate::decide::route::Routes;

pub use introspection::{ClientAuth, Introspection, SecretSource};

/// Where in the configuration a value was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct At {
    /// Line, counted from 1; `None` where a default stands for a key that was left out.
    pub line: Option<usize>,
    /// The key with its section, as `issuers[0].jwks_uri`.
    pub key: String,
    /// What was replaced in it from the environment; messages show the `${VAR}` instead.
    pub variables: Vec<Variable>,
}

impl At {
    /// A message about the value at this place, without what came from the environment.
    pub(super) fn mask(&self, message: String) -> String {
        self.variables.iter().fold(message, |text, Variable { name, value }| {
            let shown = format!("${{{name}}}");
            text.replace(value, &shown).replace(&value.escape_debug().to_string(), &shown)
        })
    }
}

/// A variable of the environment and its value, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

impl std::fmt::Debug for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${{{}}}", self.name)
    }
}

/// A value with the place where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub at: At,
}

/// A secret. Its `Debug` output never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The whole configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file that it was read from.
    pub file: PathBuf,
    /// `[listener]`
    pub listener: Listener,
    /// `[client_certificates]`
    pub client_certificates: ClientCertificates,
    /// `[[issuers]]`, in the order of the file; at least one.
    pub issuers: Vec<Issuer>,
    /// `[binding] require`
    pub require: Require,
    /// `[[routes]]`
    pub routes: Routes,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[forward]`
    pub forward: Forward,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
    /// `[admin]`
    pub admin: Admin,
}

/// `[listener]`
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where the proxy listens; `[::]` takes IPv4 too.
    pub address: Located<SocketAddr>,
    /// PEM chain of the server's certificate, leaf first.
    pub certificate: Located<PathBuf>,
    /// PEM private key of the leaf.
    pub private_key: Located<PathBuf>,
    /// What clients call this API: an `https` origin without a trailing slash.
    pub public_url: Option<String>,
    /// Worker threads; default: one for each processor that this process may use.
    pub workers: usize,
}

/// `[client_certificates] mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No certificate, no handshake.
    Required,
    /// A connection without a certificate is admitted and each request decides.
    Optional,
}

/// `[client_certificates] trust`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustKind {
    /// The chain must lead to an anchor of `ca`.
    Ca {
        /// PEM file of one or more anchors.
        ca: Located<PathBuf>,
        /// PEM or DER files of CRLs; none given: revocation is not checked.
        crl: Vec<Located<PathBuf>>,
        /// `crl_depth = "leaf"`: only the client's own certificate needs a CRL.
        leaf_only: bool,
        /// `crl_expired = "refuse"`: a CRL past its nextUpdate admits nobody.
        refuse_expired: bool,
    },
    /// Any certificate whose dates hold (RFC 8705 §2.2).
    Any,
}

/// `[client_certificates]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Whether a handshake needs a certificate.
    pub mode: Mode,
    /// Which certificates are admitted.
    pub trust: TrustKind,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `jwks_uri`
    Uri(String),
    /// `jwks_file`
    File(Located<PathBuf>),
    /// Neither: from the issuer's metadata (RFC 8414 §3, then OpenID Connect Discovery §4).
    Discovered,
}

/// A certificate chain and its key, both as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM chain, leaf first.
    pub certificate: Located<PathBuf>,
    /// PEM private key.
    pub private_key: Located<PathBuf>,
}

/// `[[issuers]]`
#[derive(Debug, Clone)]
pub struct Issuer {
    /// `issuer`, compared exactly with `iss`.
    pub issuer: Located<String>,
    /// `audiences`; at least one.
    pub audiences: Vec<String>,
    /// `algorithms`; at least one.
    pub algorithms: Vec<Algorithm>,
    /// `token_types`
    pub token_types: TokenTypes,
    /// Where the keys come from.
    pub keys: KeySource,
    /// `jwks_refresh`
    pub jwks_refresh: Duration,
    /// `jwks_max_stale`
    pub jwks_max_stale: Duration,
    /// `ca`: one more trust root for calls to this issuer.
    pub ca: Option<Located<PathBuf>>,
    /// `leeway`, at most 60 s (FAPI 2.0 §5.3.2.1).
    pub leeway: Duration,
    /// `[issuers.tls]`
    pub tls: Option<Identity>,
    /// `[issuers.introspection]`
    pub introspection: Option<Introspection>,
}

/// A server and its port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address, without brackets.
    pub host: String,
    /// Port; the scheme's own when the URL has none.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let HostPort { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// `[upstream] url`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamUrl {
    /// `http://host:port`: HTTP/1.1.
    Http(HostPort),
    /// `https://host:port`: HTTP/1.1 over TLS.
    Https {
        /// Where it is.
        server: HostPort,
        /// Whom its certificate must be for.
        name: ServerName<'static>,
    },
    /// `h2c://host:port`: HTTP/2 with prior knowledge (RFC 9113 §3.3).
    H2c(HostPort),
    /// `unix:/path`: HTTP/1.1 over a Unix socket, by its absolute path.
    Unix(PathBuf),
}

impl std::fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UpstreamUrl::Http(server) => write!(f, "http://{server}"),
            UpstreamUrl::Https { server, .. } => write!(f, "https://{server}"),
            UpstreamUrl::H2c(server) => write!(f, "h2c://{server}"),
            UpstreamUrl::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `[upstream]`
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Where requests go.
    pub url: UpstreamUrl,
    /// PEM file of the only trust roots for `https`; without it they are the system's.
    pub ca: Option<Located<PathBuf>>,
    /// For a connection: name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// For the response's head, from the last byte of the request.
    pub timeout: Duration,
}

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

/// `[forward]`
#[derive(Debug, Clone)]
pub struct Forward {
    /// `authorization`
    pub authorization: ForwardAuthorization,
    /// `client_cert`
    pub client_cert: ClientCertForm,
    /// `[forward.claims]`
    pub claims: ClaimHeaders,
}

/// `[limits] stream`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// It goes on.
    Keep,
    /// It ends at the token's `exp` plus leeway.
    UntilExp,
}

/// `[limits]`
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's head.
    pub request_head: usize,
    /// Bytes of a request's body.
    pub request_body: Option<u64>,
    /// For the handshake, and for a head from its first byte.
    pub head_timeout: Duration,
    /// A connection without a request.
    pub idle_timeout: Duration,
    /// Waiting for the client to send or to read on.
    pub stall_timeout: Duration,
    /// What becomes of an exchange that outlasts its token.
    pub stream: Stream,
    /// Connections open at once.
    pub connections: usize,
    /// After SIGTERM: everything is still accepted.
    pub drain_delay: Duration,
    /// Then: for open requests.
    pub drain: Duration,
}

/// `[log] format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// One line for people.
    Text,
}

/// `[log] level`
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Only failures of our own.
    Error,
    /// And what an operator should look at.
    Warn,
    /// And each decision.
    Info,
    /// And what helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

/// `[log]`
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// `format`
    pub format: LogFormat,
    /// `level`
    pub level: Level,
}

/// `[admin]`
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where `/livez`, `/readyz` and `/metrics` are answered.
    pub address: Located<SocketAddr>,
    /// The unix socket of `POST /revocations` and `POST /drain`, without `unix:`; `None`: there is none.
    pub control: Option<Located<PathBuf>>,
}
