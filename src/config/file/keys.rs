//! The table of all keys of `config.toml`: their names, what they may hold, and their defaults.
//!
//! What an unknown key is compared with, what a fault says is allowed, and what a key left out means all come from here. To
//! lift a key that was kept for later, take its `later()` away, or move its word from the refused words to the allowed ones.

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
    form: Form::Required,
    later: false,
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
    form: Form::Required,
    later: false,
    keys: &[
        Key::new("address", One(Text::Address), "where the proxy listens").required(),
        Key::new("certificate", FILE, "PEM chain of the server, leaf first").required(),
        Key::new("private_key", FILE, "PEM private key of the leaf").required(),
        Key::new("public_url", One(Text::Origin), "what clients call this API"),
        Key::new("workers", Number(1, 256), "threads; by default as many as there are processors"),
    ],
    sections: &[],
};

const CLIENT_CERTIFICATES: Section = Section {
    name: "client_certificates",
    form: Form::Required,
    later: false,
    keys: &[
        Key::new("mode", word(&["required", "optional"], &[]), "whether a handshake needs a certificate")
            .default("required"),
        Key::new("trust", word(&["ca", "any"], &[]), "which certificates are admitted").default("ca"),
        Key::new("ca", FILE, "PEM anchors of the clients' chains"),
        Key::new("crl", List(Text::File, 0), "certificate revocation lists").default("[]"),
        Key::new("crl_depth", word(&["chain", "leaf"], &[]), "which certificates need a CRL")
            .default("chain"),
        Key::new("crl_expired", word(&["warn", "refuse"], &[]), "what a CRL past its nextUpdate means")
            .default("warn"),
    ],
    sections: &[],
};

const ISSUERS: Section = Section {
    name: "issuers",
    form: Form::OneOrMore,
    later: false,
    keys: &[
        Key::new("issuer", One(Text::Issuer), "compared exactly with a token's iss").required(),
        Key::new("audiences", List(Text::Any, 1), "one of them must be in a token's aud").required(),
        Key::new("algorithms", List(ALGORITHM, 1), "signature algorithms of its tokens")
            .default(r#"["ES256", "PS256", "EdDSA", "RS256"]"#),
        Key::new("token_types", List(Text::TokenType, 1), "the header's typ").default(r#"["at+jwt", "JWT"]"#),
        Key::new("jwks_uri", One(Text::Url), "where its keys are fetched"),
        Key::new("jwks_file", FILE, "its keys as a file"),
        Key::new("jwks_refresh", One(Text::Time(SECOND, DAY)), "how often keys are fetched").default("10m"),
        Key::new("jwks_max_stale", One(Text::Time(ZERO, MONTH)), "how long keys serve without a refresh")
            .default("24h"),
        Key::new("ca", FILE, "extra trust root for calls to this issuer"),
        // FAPI 2.0 §5.3.4: no leeway above 60 s.
        Key::new("leeway", One(Text::Time(ZERO, MINUTE)), "clock skew for exp, nbf and iat").default("30s"),
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
    form: Form::Optional,
    later: false,
    keys: &[
        Key::new("certificate", FILE, "client certificate for calls to this issuer").required(),
        Key::new("private_key", FILE, "its private key").required(),
    ],
    sections: &[],
};

const INTROSPECTION: Section = Section {
    name: "introspection",
    form: Form::Optional,
    later: true,
    keys: &[
        Key::new("endpoint", One(Text::Url), "where tokens are introspected"),
        Key::new("always", Flag, "JWTs too").default("false"),
        Key::new("client_id", One(Text::Any), "Boundgate's name at the issuer"),
        Key::new("client_secret", One(Text::Secret), "its secret"),
        Key::new("client_secret_file", FILE, "its secret as a file"),
        Key::new("client_auth", word(CLIENT_AUTH, &[]), "how it authenticates")
            .default("client_secret_basic"),
        Key::new("signing_key", FILE, "PKCS#8 PEM for private_key_jwt"),
        Key::new("key_id", One(Text::Any), "its kid"),
        Key::new("signing_algorithm", One(ALGORITHM), "its alg").default("ES256"),
        Key::new("answer", word(&["json", "signed", "phantom"], &[]), "the form of answers").default("json"),
        Key::new("require_audience", Flag, "an answer without aud is refused").default("true"),
        Key::new("cache_ttl", One(Text::Time(ZERO, DAY)), "how long active answers serve").default("60s"),
        Key::new("negative_ttl", One(Text::Time(ZERO, DAY)), "how long inactive answers serve")
            .default("10s"),
        Key::new("timeout", TIMEOUT, "for one call").default("5s"),
    ],
    sections: &[],
};

const CLIENT_AUTH: &[&str] =
    &["client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"];

const BINDING: Section = Section {
    name: "binding",
    form: Form::Defaulted,
    later: false,
    keys: &[
        Key::new("require", word(&["always", "if-bound"], &[]), "whether unbound tokens are refused")
            .default("always"),
        Key::new("methods", List(Text::Word(&["mtls"], &[("dpop", NOT_YET)]), 1), "how a token is bound")
            .default(r#"["mtls"]"#),
    ],
    sections: &[],
};

const ROUTES: Section = Section {
    name: "routes",
    form: Form::Any,
    later: false,
    keys: &[
        Key::new("path", One(Text::RoutePath), "which requests the rule is for").required(),
        Key::new("methods", List(Text::Method, 1), "left out: every method"),
        Key::new("access", word(&["token", "public"], &[]), "what a request needs").default("token"),
        Key::new("scopes", List(Text::Scope, 0), "all of them are needed").default("[]"),
    ],
    sections: &[],
};

const UPSTREAM: Section = Section {
    name: "upstream",
    form: Form::Required,
    later: false,
    keys: &[
        Key::new("url", One(Text::Upstream), "where requests go").required(),
        Key::new("ca", FILE, "trust root for https"),
        Key::new("connect_timeout", TIMEOUT, "for a connection").default("5s"),
        Key::new("timeout", TIMEOUT, "for the response's head").default("30s"),
    ],
    sections: &[],
};

const FORWARD: Section = Section {
    name: "forward",
    form: Form::Defaulted,
    later: false,
    keys: &[
        Key::new(
            "authorization",
            word(&["keep", "remove"], &[("phantom", NOT_YET)]),
            "what becomes of the Authorization header",
        )
        .default("keep"),
        Key::new(
            "client_cert",
            word(&["none"], &[("rfc9440", NOT_YET), ("xfcc", NOT_YET)]),
            "how the client's certificate is forwarded",
        )
        .default("none"),
    ],
    sections: &[Section { name: "claims", form: Form::Free, later: false, keys: &[], sections: &[] }],
};

const LIMITS: Section = Section {
    name: "limits",
    form: Form::Defaulted,
    later: false,
    keys: &[
        Key::new("request_head", One(Text::Size(4 * KIB, MIB)), "bytes of a request's head").default("64KiB"),
        Key::new("request_body", One(Text::SizeOrNone(0, 1024 * GIB)), "bytes of a request's body")
            .default("none"),
        Key::new("head_timeout", TIMEOUT, "for the handshake, and for a request's head").default("10s"),
        Key::new("idle_timeout", TIMEOUT, "a connection without a request").default("75s"),
        Key::new("stall_timeout", TIMEOUT, "waiting for the client").default("60s"),
        Key::new("stream", word(&["keep", "until-exp"], &[]), "whether long exchanges end with their token")
            .default("keep"),
        Key::new("connections", Number(1, 1_000_000), "open at once").default("10000"),
        Key::new("drain_delay", One(Text::Time(ZERO, HOUR)), "after SIGTERM, before the drain").default("0s"),
        Key::new("drain", One(Text::Time(ZERO, DAY)), "for open requests").default("20s"),
    ],
    sections: &[],
};

const LOG: Section = Section {
    name: "log",
    form: Form::Defaulted,
    later: false,
    keys: &[
        Key::new("format", word(&["json", "text"], &[]), "the form of a line").default("json"),
        Key::new(
            "level",
            word(&["error", "warn", "info", "debug", "trace"], &[]),
            "the least that is logged",
        )
        .default("info"),
    ],
    sections: &[],
};

const ADMIN: Section = Section {
    name: "admin",
    form: Form::Defaulted,
    later: false,
    keys: &[
        Key::new("address", One(Text::Address), "of /livez, /readyz and /metrics").default("127.0.0.1:9901"),
        Key::new("control", One(Text::Any), "of POST /revocations").later(),
    ],
    sections: &[],
};

/// One of these words; the second list holds words that are refused, with the reason.
const fn word(words: &'static [&'static str], refused: &'static [(&'static str, &'static str)]) -> Kind {
    One(Text::Word(words, refused))
}
