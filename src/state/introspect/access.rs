//! How Boundgate authenticates at an issuer's introspection endpoint (RFC 7662 §2.1), as read from the configuration's files.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderValue;
use jsonwebtoken::{EncodingKey, Header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::config::settings::{ClientAuth, Introspection, Located, Secret, SecretSource};
use crate::decide::issuer::Algorithm;
use crate::decide::token::Digest;
use crate::state::calls::Cause;
use crate::state::files::{Files, LIMIT};

const SECRET: &str = "a file with a secret, of UTF-8 text that is not empty";
const SIGNING_KEY: &str = "a PEM file with one unencrypted private key in PKCS#8 that fits signing_algorithm";

/// How long a client assertion can be used.
const ASSERTION_LIFE: Duration = Duration::from_secs(60);

/// What introspecting at an issuer needs. It has no `Debug` output: it holds secrets.
pub struct Access {
    settings: Introspection,
    /// Of the file that holds the secret or the key.
    file: Option<Digest>,
    authentication: Authentication,
}

impl PartialEq for Access {
    fn eq(&self, other: &Access) -> bool {
        (&self.settings, &self.file) == (&other.settings, &other.file)
    }
}

enum Authentication {
    Basic(HeaderValue),
    Post(Secret),
    Assertion(Box<Signing>),
    /// By the certificate of the connection.
    Tls,
}

struct Signing {
    header: Header,
    key: EncodingKey,
    /// The issuer's name.
    audience: String,
}

impl Access {
    /// Reads what the settings name. `None`: `files` has noted why.
    pub(in crate::state) fn load(
        files: &mut Files<'_>,
        issuer: &str,
        settings: &Introspection,
    ) -> Option<Access> {
        let (authentication, file) = match &settings.client_auth {
            ClientAuth::SecretBasic(source) => {
                let (secret, file) = secret(files, source)?;
                (Authentication::Basic(basic(&settings.client_id, &secret)?), file)
            }
            ClientAuth::SecretPost(source) => {
                let (secret, file) = secret(files, source)?;
                (Authentication::Post(secret), file)
            }
            ClientAuth::PrivateKeyJwt { signing_key, key_id, signing_algorithm } => {
                let (key, file) = signing_key_of(files, signing_key, *signing_algorithm)?;
                let mut header = Header::new(signature(*signing_algorithm));
                header.kid = Some(key_id.clone());
                let signing = Signing { header, key, audience: issuer.to_owned() };
                (Authentication::Assertion(Box::new(signing)), Some(file))
            }
            ClientAuth::Tls => (Authentication::Tls, None),
        };
        Some(Access { settings: settings.clone(), file, authentication })
    }

    /// `[issuers.introspection]`
    pub(super) fn settings(&self) -> &Introspection {
        &self.settings
    }

    /// The form that asks about a token (RFC 7662 §2.1) and the `Authorization` that goes with it.
    ///
    /// # Errors
    /// The assertion cannot be signed.
    pub(super) fn request(&self, token: &str) -> Result<(String, Option<HeaderValue>), Cause> {
        let mut form = format!("token={}&token_type_hint=access_token", encode(token));
        let mut add = |name: &str, value: &str| {
            form.push_str(&format!("&{name}={}", encode(value)));
        };
        let client_id = &self.settings.client_id;
        match &self.authentication {
            Authentication::Basic(header) => return Ok((form, Some(header.clone()))),
            Authentication::Post(secret) => {
                add("client_id", client_id);
                add("client_secret", &secret.0);
            }
            Authentication::Assertion(signing) => {
                add("client_id", client_id);
                add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                add("client_assertion", &signing.assertion(client_id)?);
            }
            // RFC 8705 §2: the certificate proves who is named here.
            Authentication::Tls => add("client_id", client_id),
        }
        Ok((form, None))
    }
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

impl Signing {
    /// A client assertion for one call (RFC 7523 §3).
    fn assertion(&self, client_id: &str) -> Result<String, Cause> {
        let fault = |what: &str| Cause::Invalid(format!("the client assertion cannot be signed: {what}"));
        let mut jti = [0; 16];
        rand::fill(&mut jti).map_err(|_| fault("the system has no randomness"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let assertion = Assertion {
            iss: client_id,
            sub: client_id,
            aud: &self.audience,
            jti: URL_SAFE_NO_PAD.encode(jti),
            iat: now.as_secs(),
            exp: (now + ASSERTION_LIFE).as_secs(),
        };
        jsonwebtoken::encode(&self.header, &assertion, &self.key).map_err(|_| fault("the key does not sign"))
    }
}

/// The secret, and the digest of the file that it is from, which loses one line break at its end.
fn secret(files: &mut Files<'_>, source: &SecretSource) -> Option<(Secret, Option<Digest>)> {
    let file = match source {
        SecretSource::Text(secret) => return Some((secret.clone(), None)),
        SecretSource::File(file) => file,
    };
    let bytes = files.bytes(file, LIMIT, SECRET)?;
    let digest = Sha256::digest(&bytes).into();
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.ends_with('\n') {
                text.truncate(text.len() - if text.ends_with("\r\n") { 2 } else { 1 });
            }
            match text.is_empty() {
                false => return Some((Secret(text), Some(digest))),
                true => files.fault(file, "a file with nothing but a line break", SECRET),
            }
        }
        Err(_) => files.fault(file, "bytes that are not UTF-8", SECRET),
    }
    None
}

/// `client_id` and secret are form-encoded before they are joined (RFC 6749 §2.3.1).
fn basic(client_id: &str, secret: &Secret) -> Option<HeaderValue> {
    let pair = STANDARD.encode(format!("{}:{}", encode(client_id), encode(&secret.0)));
    let mut value = HeaderValue::try_from(format!("Basic {pair}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What stays as it is in `application/x-www-form-urlencoded`, and `~`, which every decoder leaves alone too. A space becomes
/// `%20`, which form decoders read as they read `+`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'*');

fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, ENCODED)
}

/// Reads the key and tries it: one of another kind shows here and not at the first call.
fn signing_key_of(
    files: &mut Files<'_>,
    file: &Located<PathBuf>,
    algorithm: Algorithm,
) -> Option<(EncodingKey, Digest)> {
    let bytes = files.bytes(file, LIMIT, SIGNING_KEY)?;
    let is_pkcs8 = bytes.windows(PKCS8.len()).any(|window| window == PKCS8);
    let key = match algorithm {
        Algorithm::Es256 | Algorithm::Es384 => EncodingKey::from_ec_pem(&bytes),
        Algorithm::EdDsa => EncodingKey::from_ed_pem(&bytes),
        _ => EncodingKey::from_rsa_pem(&bytes),
    };
    let key = key.ok().filter(|_| is_pkcs8);
    let key = key.filter(|key| jsonwebtoken::crypto::sign(b"", key, signature(algorithm)).is_ok());
    match key {
        Some(key) => Some((key, Sha256::digest(&bytes).into())),
        None => {
            let what = format!("no private key for {}", algorithm.name());
            let hint = "`openssl pkcs8 -topk8 -nocrypt -in FILE -out NEWFILE` writes PKCS#8";
            files.fault_with_hint(file, &what, SIGNING_KEY, hint);
            None
        }
    }
}

const PKCS8: &[u8] = b"-----BEGIN PRIVATE KEY-----";

const fn signature(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests;
