//! The table of all keys of `config.toml`: their names, what they may hold, and their defaults.
//!
//! What an unknown key is compared with, what a fault says is allowed, and what a key left out means all come from here. To
//! lift a word that was kept for later, move it from the refused words to the allowed ones.

use std::time::Duration;

use super::super::error::NOT_YET;
use super::kind::Kind::{Flag, List, Number, One};
use super::kind::{Kind, Text};
use super::schema::{Form, Key, Section};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const ZERO: Duration = Duration::ZERO;
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A deadline: never zero, or nothing could meet it.
const TIMEOUT: Kind = One(Text::Time(MILLISECOND, DAY));
const FILE: Kind = One(Text::File);

const HMAC: &str = "neither HMAC nor none is ever accepted (RFC 8725 §3.2)";

/// The whole file.
pub(super) const ROOT: Section = Section {
    name: "",
    doc: "",
    form: Form::Required,
    keys: &[],
    sections: &[
        LISTENER,
        CLIENT_CERTIFICATES,
        ISSUERS,
        BINDING,
        ROUTES,
        UPSTREAM,
        FORWARD,
        LIMITS,
        LOG,
        ADMIN,
    ],
};

const LISTENER: Section = Section {
    name: "listener",
    doc: "the socket that clients connect to",
    form: Form::Required,
    keys: &[
        Key::new("address", One(Text::Address), "where the proxy listens").required(),
        Key::new("certificate", FILE, "PEM chain of the server, leaf first").required(),
        Key::new("private_key", FILE, "PEM private key of the leaf").required(),
        Key::new("public_url", One(Text::Origin),
            "what clients call this API, where Boundgate writes a URL of it; without it the request's Host stands there; it decides nothing"),
        Key::new("workers", Number(1, 256),
            "threads that serve connections; left out: as many as this process may use processors"),
    ],
    sections: &[],
};

const CLIENT_CERTIFICATES: Section = Section {
    name: "client_certificates",
    doc: "who may connect: the certificates of clients and their revocation",
    form: Form::Required,
    keys: &[
        Key::new("mode", word(&["required", "optional"], &[]),
            "required: no certificate, no handshake; optional: a connection without one is admitted, and each request decides")
            .default("required"),
        Key::new("trust", word(&["ca", "any"], &[]),
            "ca: the chain must lead to an authority of ca; any: every certificate whose dates hold, self-signed too (RFC 8705 §2.2), and the handshake still proves its private key")
            .default("ca"),
        Key::new("ca", FILE,
            "PEM certificates of the authorities that clients' chains must lead to; required by trust = \"ca\", refused by \"any\""),
        Key::new("crl", List(Text::File, 0),
            "certificate revocation lists, PEM or DER; where there is one, every certificate that crl_depth names needs one of its issuer, or it is refused")
            .default("[]"),
        Key::new("crl_depth", word(&["chain", "leaf"], &[]),
            "chain: every certificate below the authority needs a CRL; leaf: only the client's own")
            .default("chain"),
        Key::new("crl_expired", word(&["warn", "refuse"], &[]),
            "a CRL past its nextUpdate still counts, with a warning (warn), or admits nobody (refuse)")
            .default("warn"),
    ],
    sections: &[],
};

const ISSUERS: Section = Section {
    name: "issuers",
    doc: "an authorization server whose tokens are accepted; a token is matched by its iss",
    form: Form::OneOrMore,
    keys: &[
        Key::new("issuer", One(Text::Issuer), "compared exactly with a token's iss").required(),
        Key::new("audiences", List(Text::Any, 1), "one of them must be in a token's aud").required(),
        Key::new("algorithms", List(ALGORITHM, 1),
            "signature algorithms of its tokens (RFC 8725 §3.1); a key serves its own algorithm only")
            .default(r#"["ES256", "PS256", "EdDSA", "RS256"]"#),
        Key::new("token_types", List(Text::TokenType, 1),
            "what the header's typ may be (RFC 9068 §4); none counts as JWT, and application/ may stand before it")
            .default(r#"["at+jwt", "JWT"]"#),
        Key::new("jwks_uri", One(Text::Url),
            "where its keys are fetched; without jwks_uri and jwks_file it is discovered (RFC 8414, then OpenID Connect Discovery)"),
        Key::new("jwks_file", FILE, "its keys as a file, a JSON Web Key Set (RFC 7517), instead of fetching them"),
        Key::new("jwks_refresh", One(Text::Time(SECOND, DAY)),
            "how often keys are fetched; besides at once for an unknown kid or a failed signature, within a limit")
            .default("10m"),
        Key::new("jwks_max_stale", One(Text::Time(ZERO, MONTH)),
            "how long keys serve that can no longer be refreshed")
            .default("24h"),
        Key::new("ca", FILE, "PEM certificates trusted for calls to this issuer, besides the system's"),
        // FAPI 2.0 §5.3.4: no leeway above 60 s.
        Key::new("leeway", One(Text::Time(ZERO, MINUTE)), "clock skew that is allowed for exp, nbf and iat").default("30s"),
    ],
    sections: &[ISSUER_TLS, INTROSPECTION],
};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

const ALGORITHM: Text = Text::Word(
    &["ES256", "ES384", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA"],
    &[("HS256", HMAC), ("HS384", HMAC), ("HS512", HMAC), ("none", HMAC)],
);

const ISSUER_TLS: Section = Section {
    name: "tls",
    doc: "the client certificate of every call to this issuer",
    form: Form::Optional,
    keys: &[
        Key::new("certificate", FILE, "PEM chain of the client certificate, leaf first").required(),
        Key::new("private_key", FILE, "its private key").required(),
    ],
    sections: &[],
};

const INTROSPECTION: Section = Section {
    name: "introspection",
    doc: "opaque tokens: the issuer is asked about each (RFC 7662)",
    form: Form::Optional,
    keys: &[
        Key::new("endpoint", One(Text::Url),
            "where tokens are introspected; left out: discovered, from mtls_endpoint_aliases first when [issuers.tls] is given (RFC 8705 §5)"),
        Key::new("always", Flag, "JWTs of this issuer are introspected too, after their own verification").default("false"),
        Key::new("client_id", One(Text::Any), "Boundgate's name at the issuer").required(),
        Key::new("client_secret", One(Text::Secret), "the secret of that name, better as \"${VARIABLE}\" than as it is"),
        Key::new("client_secret_file", FILE,
            "a file with the secret, instead of client_secret; one trailing newline does not count"),
        Key::new("client_auth", word(CLIENT_AUTH, &[]),
            "how Boundgate authenticates at the issuer; tls_client_auth needs [issuers.tls]")
            .default("client_secret_basic"),
        Key::new("signing_key", FILE, "the private key of private_key_jwt, PKCS#8 in PEM"),
        Key::new("key_id", One(Text::Any), "the kid of signing_key"),
        Key::new("signing_algorithm", One(ALGORITHM), "the algorithm of signing_key").default("ES256"),
        Key::new("answer", word(&["json", "signed", "phantom"], &[]),
            "json: RFC 7662; signed: RFC 9701; phantom: application/jwt, and the JWT is verified as an access token")
            .default("json"),
        Key::new("require_audience", Flag, "an answer without aud is refused").default("true"),
        Key::new("cache_ttl", One(Text::Time(ZERO, DAY)),
            "how long the answer to an active token serves, never past the token's exp: the time that a revocation takes")
            .default("60s"),
        Key::new("negative_ttl", One(Text::Time(ZERO, DAY)),
            "how long the answer to an inactive token serves")
            .default("10s"),
        Key::new("timeout", TIMEOUT, "how long one call may take, and how long a request waits for its turn and the answer").default("5s"),
    ],
    sections: &[],
};

const CLIENT_AUTH: &[&str] =
    &["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"];

const BINDING: Section = Section {
    name: "binding",
    doc: "how a token must be bound to its client",
    form: Form::Defaulted,
    keys: &[
        Key::new("require", word(&["always", "if-bound"], &[]),
            "always: an unbound token is refused; if-bound: it is accepted, and only a bound one is checked")
            .default("always"),
        Key::new("methods", List(Text::Word(&["mtls"], &[("dpop", NOT_YET)]), 1),
            "the ways of binding: mtls is the certificate's thumbprint (RFC 8705 §3)")
            .default(r#"["mtls"]"#),
    ],
    sections: &[],
};

const ROUTES: Section = Section {
    name: "routes",
    doc: "a rule for some requests; the first that matches holds, and without one a bound token is needed",
    form: Form::Any,
    keys: &[
        Key::new("path", One(Text::RoutePath),
            "an exact path, or a prefix that ends in /*: what begins with \"/public/\", not \"/public\"")
            .required(),
        Key::new("methods", List(Text::Method, 1),
            "the methods that the rule is for; left out: all; GET does not imply HEAD"),
        Key::new("access", word(&["token", "public"], &[]),
            "token: what [binding] asks for; public: forwarded without a decision, identity headers removed")
            .default("token"),
        Key::new("scopes", List(Text::Scope, 0),
            "scopes that the token must have, all of them (RFC 6749 §3.3)")
            .default("[]"),
    ],
    sections: &[],
};

const UPSTREAM: Section = Section {
    name: "upstream",
    doc: "the API",
    form: Form::Required,
    keys: &[
        Key::new("url", One(Text::Upstream), "where requests go").required(),
        Key::new("ca", FILE, "https: PEM certificates that the API's chain must lead to; left out: the system's"),
        Key::new("connect_timeout", TIMEOUT, "how long a connection may take").default("5s"),
        Key::new("timeout", TIMEOUT,
            "how long the response's head may take, counted from the last byte of the request")
            .default("30s"),
    ],
    sections: &[],
};

const FORWARD: Section = Section {
    name: "forward",
    doc: "what the API gets to know",
    form: Form::Defaulted,
    keys: &[
        Key::new("authorization", word(&["keep", "remove", "phantom"], &[]),
            "keep: the header goes on as it came; remove: it is taken off, on public routes too; \
             phantom: Bearer and the JWT that introspection answered, a JWT as it came, nothing on public routes")
            .default("keep"),
        Key::new("client_cert", word(&["none", "rfc9440", "xfcc"], &[]),
            "the client's certificate as a header: none, rfc9440 (Client-Cert, Client-Cert-Chain) or xfcc (X-Forwarded-Client-Cert); on public routes none")
            .default("none"),
    ],
    sections: &[CLAIMS],
};

const CLAIMS: Section = Section {
    name: "claims",
    doc: "request header = claim: a literal top-level name first, else a path with dots",
    form: Form::Free,
    keys: &[],
    sections: &[],
};

const LIMITS: Section = Section {
    name: "limits",
    doc: "what one client, or all of them, may use up",
    form: Form::Defaulted,
    keys: &[
        Key::new("request_head", One(Text::Size(4 * KIB, MIB)),
            "size of a request's head; above it, or with more than 100 fields: 431")
            .default("64KiB"),
        Key::new("request_body", One(Text::SizeOrNone(0, 1024 * GIB)),
            "size of a request's body; above it: 413")
            .default("none"),
        Key::new("head_timeout", TIMEOUT,
            "time for the TLS handshake, and from a request's first byte to the end of its head")
            .default("10s"),
        Key::new("idle_timeout", TIMEOUT, "how long a kept-alive connection waits for its next request").default("75s"),
        Key::new("stall_timeout", TIMEOUT, "how long a request waits for the client to send or to read on").default("60s"),
        Key::new("stream", word(&["keep", "until-exp"], &[]),
            "keep: a long exchange goes on past its token's exp; until-exp: it ends there, after the leeway")
            .default("keep"),
        Key::new("connections", Number(1, 1_000_000),
            "connections open at once; above it new ones wait in the kernel's backlog")
            .default("10000"),
        Key::new("drain_delay", One(Text::Time(ZERO, HOUR)),
            "after SIGTERM: how long everything is still accepted while /readyz says no")
            .default("0s"),
        Key::new("drain", One(Text::Time(ZERO, DAY)),
            "how long open requests may take after that, until they are cut")
            .default("20s"),
    ],
    sections: &[],
};

const LOG: Section = Section {
    name: "log",
    doc: "standard output",
    form: Form::Defaulted,
    keys: &[
        Key::new("format", word(&["json", "text"], &[]), "json: an object a line; text: a line for people").default("json"),
        Key::new("level", word(&["error", "warn", "info", "debug", "trace"], &[]),
            "the least that is logged; $RUST_LOG overrides it for Boundgate's own events")
            .default("info"),
    ],
    sections: &[],
};

const ADMIN: Section = Section {
    name: "admin",
    doc: "the read-only port for probes and metrics",
    form: Form::Defaulted,
    keys: &[
        Key::new("address", One(Text::Address),
            "where /livez, /readyz and /metrics are answered; never the port of clients")
            .default("127.0.0.1:9901"),
        Key::new("control", One(Text::Socket), "the Unix socket of POST /revocations and POST /drain, mode 0600; left out: none"),
    ],
    sections: &[],
};

/// One of these words; the second list holds words that are refused, with the reason.
const fn word(words: &'static [&'static str], refused: &'static [(&'static str, &'static str)]) -> Kind {
    One(Text::Word(words, refused))
}
