//! An authorization server whose key is known, and the client that its tokens are for.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use crate::decide::binding::{BoundToken, Require};
use crate::decide::client::ClientCert;
use crate::decide::issuer::{Algorithm, AnswerForm, Introspection, Issuer, Keys, TokenTypes};
use crate::decide::jwt;
use crate::decide::keys::KeySet;
use crate::decide::policy::ClaimHeaders;
use crate::decide::token::Token;
use crate::decide::verified::{Genuine, VerifiedToken};

/// The clock, in seconds since 1970.
pub const NOW: u64 = 1_700_000_000;
/// The issuer's leeway, in seconds.
pub const LEEWAY: u64 = 30;
pub const ISSUER: &str = "https://as.example.com";
pub const AUDIENCE: &str = "https://api.example.com";
pub const CLIENT_ID: &str = "boundgate";
pub const KID: &str = "k";

const CLIENT: &[u8] = include_bytes!("../fixture/client.der");
const AUTHORITY: &[u8] = include_bytes!("../fixture/ca.der");

static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());

/// Each `[forward.claims]` entry, a few of them at odds with what tokens hold.
pub static CLAIM_HEADERS: LazyLock<ClaimHeaders> = LazyLock::new(|| {
    let entries =
        [("x-auth-subject", "sub"), ("x-auth-scope", "scope"), ("tenant", "org.id"), ("x-auth-any", "any")];
    let entries = entries.map(|(name, claim)| (HeaderName::from_static(name), claim.to_owned()));
    ClaimHeaders::new(entries.to_vec()).unwrap()
});

/// The issuer, without introspection.
pub static ISSUERS: LazyLock<[Arc<Issuer>; 1]> = LazyLock::new(|| [Arc::new(issuer(None))]);

/// The chain of the client's connection.
pub static CLIENT_CERT: LazyLock<ClientCert> = LazyLock::new(|| {
    ClientCert::read(vec![CertificateDer::from(CLIENT), CertificateDer::from(AUTHORITY)]).unwrap()
});

/// A token of that client's that passes every check at [`NOW`].
pub static TOKEN: LazyLock<String> =
    LazyLock::new(|| sign(header().to_string().as_bytes(), claims().to_string().as_bytes()));

static GENUINE: LazyLock<Arc<Genuine>> = LazyLock::new(|| {
    let token = Token::parse(&TOKEN).unwrap();
    Arc::new(jwt::verify(token, &*ISSUERS, &CLAIM_HEADERS).unwrap_or_else(|miss| panic!("{miss:?}")))
});

/// The same token after every check.
pub fn bound() -> BoundToken {
    bind(Arc::clone(&GENUINE)).unwrap()
}

/// What becomes of a genuine token of the issuer's at [`NOW`] in the client's hands.
pub fn bind(genuine: Arc<Genuine>) -> Option<BoundToken> {
    let verified = VerifiedToken::check(genuine, &ISSUERS[0], NOW).ok()?;
    BoundToken::bind(verified, Some(&CLIENT_CERT), Require::Always).ok()
}

pub fn issuer(answer: Option<AnswerForm>) -> Issuer {
    let x = URL_SAFE_NO_PAD.encode(KEY.public_key().as_ref());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": KID, "x": x}]});
    let (keys, _) = KeySet::parse(set.to_string().as_bytes()).unwrap();
    let introspection = answer.map(|answer| Introspection {
        always: false,
        answer,
        client_id: CLIENT_ID.to_owned(),
        require_audience: true,
        generation: 1,
        cache_ttl: Duration::from_secs(60),
        negative_ttl: Duration::from_secs(10),
    });
    Issuer {
        name: ISSUER.into(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        token_types: TokenTypes { at_jwt: true, jwt: false },
        leeway: LEEWAY,
        keys: Keys { generation: 1, set: Some(Arc::new(keys)) },
        introspection,
    }
}

pub fn header() -> Value {
    json!({"alg": "EdDSA", "kid": KID, "typ": "at+jwt"})
}

pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW - 10, "sub": "alice", "client_id": "c",
        "scope": "read write", "org": {"id": 1}, "cnf": {"x5t#S256": CLIENT_CERT.thumbprint_base64url()},
    })
}

/// A JWS over these very bytes, whatever they are.
pub fn sign(header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(KEY.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Whether the key has signed exactly this.
pub fn is_signed(signed: &[u8], signature: &[u8]) -> bool {
    // Ed25519 is deterministic: there is one signature.
    KEY.sign(signed).as_ref() == signature
}

/// Splits at the first occurrence of a byte that stands in no JSON text.
pub fn split(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == 0) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[]),
    }
}
