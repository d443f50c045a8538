//! JWT access tokens (RFC 9068) under the rules of RFC 8725.

use std::sync::Arc;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, Engine as _};
use serde_json::Value;

use super::claims::Claims;
use super::identity::{self, Identity};
use super::issuer::{Algorithm, Issuer};
use super::json::{self, Object, excerpt};
use super::keys::Mismatch;
use super::policy::ClaimHeaders;
use super::refusal::{Reason, Refusal};
use super::token::Token;
use super::verified::Genuine;

/// Why a token is not (yet) genuine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// It never will be.
    Refused(Refusal),
    /// Newer keys of this issuer could change that: the shell may fetch them once and call again.
    Keys {
        /// Index of the issuer.
        issuer: usize,
        /// The answer if no newer keys can be had.
        otherwise: Refusal,
    },
}

impl From<Refusal> for Miss {
    fn from(refusal: Refusal) -> Self {
        Miss::Refused(refusal)
    }
}

/// Verifies form, type, issuer, algorithm and signature of a JWT; times, audience and binding are judged elsewhere, on every
/// request.
///
/// # Errors
/// See [`Miss`].
pub fn verify(token: Token<'_>, issuers: &[Arc<Issuer>], headers: &ClaimHeaders) -> Result<Genuine, Miss> {
    let jws = Jws::split(token.as_str())?;
    let header = Header::read(&jws.header)?;
    header.check_is_access_token()?;
    let payload = jws.payload()?;
    let (index, issuer) = find_issuer(&payload, issuers)?;
    let (claims, identity) = verify_access_token(&jws, &header, payload, index, issuer, headers)?;
    Ok(Genuine::new(index, issuer, claims, identity))
}

fn verify_access_token(
    jws: &Jws<'_>,
    header: &Header,
    payload: Object,
    index: usize,
    issuer: &Issuer,
    headers: &ClaimHeaders,
) -> Result<(Claims, Identity), Miss> {
    header.check_policy(issuer)?;
    check_signature(jws, header, index, issuer)?;

    // Only from here on the payload is the issuer's word.
    if payload.contains_key("token_introspection") {
        return Err(Reason::TokenType.note("it is an introspection's answer (RFC 9701 §8.1)").into());
    }
    let identity = identity::headers(&payload, headers);
    Ok((Claims::of_access_token(payload)?, identity))
}

/// The same for a JWT that this very issuer handed over, whose index is `index`.
///
/// # Errors
/// See [`Miss`].
pub(super) fn verify_of(
    token: Token<'_>,
    index: usize,
    issuer: &Issuer,
    headers: &ClaimHeaders,
) -> Result<(Claims, Identity), Miss> {
    let jws = Jws::split(token.as_str())?;
    let header = Header::read(&jws.header)?;
    header.check_is_access_token()?;
    let payload = jws.payload()?;
    match named_issuer(&payload)? {
        Some(iss) if *iss == *issuer.name => {}
        iss => return Err(foreign(iss.unwrap_or_default()).into()),
    }
    verify_access_token(&jws, &header, payload, index, issuer, headers)
}

/// Verifies form, type, algorithm and signature of an introspection's signed answer (RFC 9701 §5) with the keys of the issuer
/// that gave it, and returns its claims.
///
/// # Errors
/// See [`Miss`].
pub(super) fn verify_answer(text: &str, index: usize, issuer: &Issuer) -> Result<Object, Miss> {
    let jws = Jws::split(text)?;
    let header = Header::read(&jws.header)?;
    if !matches!(header.typ, TokenType::Introspection(_)) {
        return Err(Reason::TokenType.note("'typ' is not \"token-introspection+jwt\"").into());
    }
    header.check_algorithm(issuer)?;
    check_signature(&jws, &header, index, issuer)?;
    Ok(jws.payload()?)
}

/// Whether a token has the form of a signed JWT: three parts, the first of which is a JSON object in base64url, however badly
/// spelled. What has it is never shown to an introspection endpoint as if it were opaque: it may be another issuer's.
pub(super) fn is_jwt(token: Token<'_>) -> bool {
    let mut parts = token.as_str().split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Ok(header) = FORGIVING.decode(header) else { return false };
    let header = header.trim_ascii();
    header.starts_with(b"{") && header.ends_with(b"}")
}

/// Base64url with whatever unused bits; padding inside a token is none of a `b64token`.
const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// A JWS in compact serialization (RFC 7515 §7.1), decoded.
struct Jws<'a> {
    header: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    /// The signing input (RFC 7515 §5.1): the first two parts as sent.
    signed: &'a [u8],
}

impl<'a> Jws<'a> {
    /// Three parts in base64url, without padding, whitespace or unused bits (RFC 7515 §2, RFC 4648 §3.5).
    fn split(text: &'a str) -> Result<Jws<'a>, Refusal> {
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Reason::TokenMalformed.note("it has not the three parts of a signed JWT"));
        };
        let signed = text.as_bytes().get(..header.len() + 1 + payload.len()).unwrap_or_default();
        Ok(Jws {
            header: decode(header, "the header is not canonical base64url")?,
            payload: decode(payload, "the payload is not canonical base64url")?,
            signature: decode(signature, "the signature is not canonical base64url")?,
            signed,
        })
    }
}

impl Jws<'_> {
    fn payload(&self) -> Result<Object, Refusal> {
        json::object(&self.payload)
            .map_err(|fault| Reason::TokenMalformed.note(format!("the payload is {fault}")))
    }
}

fn decode(part: &str, fault: &'static str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::TokenMalformed.note(fault))
}

/// What is used of the JOSE header. `jku`, `jwk`, `x5u` and `x5c` are not: a token does not say which key proves it
/// (RFC 8725 §3.10).
struct Header {
    algorithm: Algorithm,
    kid: Option<String>,
    typ: TokenType,
}

/// The types of JWTs that are read here.
enum TokenType {
    /// An access token's (RFC 9068 §4).
    AtJwt,
    /// One that access tokens had before, and many still have.
    Jwt,
    /// That of an introspection's answer (RFC 9701 §5), as spelled.
    Introspection(String),
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Header, Refusal> {
        let mut header = json::object(bytes)
            .map_err(|fault| Reason::TokenMalformed.note(format!("the header is {fault}")))?;
        // RFC 7515 §4.1.11: no extension is understood here, so none may be critical. The others change what the parts mean
        // (RFC 7797, RFC 7516 §4.1), whether or not they are declared critical.
        for name in ["crit", "b64", "enc", "zip"] {
            if header.contains_key(name) {
                return Err(Reason::TokenMalformed.note(format!("the header has '{name}'")));
            }
        }
        let kid = match header.remove("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid),
            Some(_) => return Err(Reason::TokenMalformed.note("the header's 'kid' is no string")),
        };
        let typ = TokenType::read(header.get("typ"))?;
        let Some(Value::String(name)) = header.get("alg") else {
            return Err(Reason::TokenMalformed.note("the header has no 'alg', or one that is no string"));
        };
        match Algorithm::from_name(name) {
            Some(algorithm) => Ok(Header { algorithm, kid, typ }),
            None => Err(Reason::AlgorithmRefused.note(format!("'alg' is \"{}\"", excerpt(name)))),
        }
    }

    /// An introspection's answer is never an access token (RFC 9701 §8.1).
    fn check_is_access_token(&self) -> Result<(), Refusal> {
        match &self.typ {
            TokenType::AtJwt | TokenType::Jwt => Ok(()),
            TokenType::Introspection(name) => Err(unfit_type(name)),
        }
    }

    /// What the issuer's configuration pins (RFC 8725 §3.1, RFC 9068 §4).
    fn check_policy(&self, issuer: &Issuer) -> Result<(), Refusal> {
        let (admitted, name) = match &self.typ {
            TokenType::AtJwt => (issuer.token_types.at_jwt, "at+jwt"),
            TokenType::Jwt => (issuer.token_types.jwt, "JWT"),
            TokenType::Introspection(name) => return Err(unfit_type(name)),
        };
        if !admitted {
            return Err(Reason::TokenType.note(format!("{name} is not among the issuer's token_types")));
        }
        self.check_algorithm(issuer)
    }

    fn check_algorithm(&self, issuer: &Issuer) -> Result<(), Refusal> {
        if !issuer.algorithms.contains(&self.algorithm) {
            let name = self.algorithm.name();
            return Err(Reason::AlgorithmRefused.note(format!("{name} is not among the issuer's algorithms")));
        }
        Ok(())
    }
}

impl TokenType {
    /// `typ` is a media type, so compared without case, and `application/` may be left out (RFC 7515 §4.1.9).
    fn read(typ: Option<&Value>) -> Result<TokenType, Refusal> {
        let name = match typ {
            None => return Ok(TokenType::Jwt),
            Some(Value::String(name)) => name.as_str(),
            Some(_) => return Err(Reason::TokenType.note("'typ' is no string")),
        };
        const PREFIX: &str = "application/";
        let subtype = match name.split_at_checked(PREFIX.len()) {
            Some((prefix, subtype)) if prefix.eq_ignore_ascii_case(PREFIX) => subtype,
            _ => name,
        };
        if subtype.eq_ignore_ascii_case("at+jwt") {
            Ok(TokenType::AtJwt)
        } else if subtype.eq_ignore_ascii_case("JWT") {
            Ok(TokenType::Jwt)
        } else if subtype.eq_ignore_ascii_case("token-introspection+jwt") {
            Ok(TokenType::Introspection(name.to_owned()))
        } else {
            Err(unfit_type(name))
        }
    }
}

fn unfit_type(name: &str) -> Refusal {
    Reason::TokenType.note(format!("'typ' is \"{}\"", excerpt(name)))
}

/// The issuer whose name is exactly the token's `iss` (RFC 9068 §4), with its index.
fn find_issuer<'a>(payload: &Object, issuers: &'a [Arc<Issuer>]) -> Result<(usize, &'a Issuer), Refusal> {
    let iss = named_issuer(payload)?.ok_or_else(|| Reason::IssuerUnknown.note("there is no 'iss'"))?;
    match issuers.iter().enumerate().find(|(_, issuer)| *issuer.name == *iss) {
        Some((index, issuer)) => Ok((index, issuer)),
        None => Err(foreign(iss)),
    }
}

/// What `iss` says, if there is one.
///
/// # Errors
/// `claims-invalid`: it is no string.
pub(super) fn named_issuer(payload: &Object) -> Result<Option<&str>, Refusal> {
    match payload.get("iss") {
        None => Ok(None),
        Some(Value::String(iss)) => Ok(Some(iss)),
        Some(_) => Err(Reason::ClaimsInvalid.note("'iss' is no string")),
    }
}

/// The refusal of a token whose `iss` is not one that is expected.
pub(super) fn foreign(iss: &str) -> Refusal {
    Reason::IssuerUnknown.note(format!("'iss' is \"{}\"", excerpt(iss)))
}

fn check_signature(jws: &Jws<'_>, header: &Header, index: usize, issuer: &Issuer) -> Result<(), Miss> {
    let newer_keys = |otherwise| Miss::Keys { issuer: index, otherwise };
    let Some(keys) = &issuer.keys.set else {
        return Err(newer_keys(Reason::KeysUnavailable.into()));
    };
    let kid = header.kid.as_deref();
    keys.verify(header.algorithm, kid, jws.signed, &jws.signature).map_err(|mismatch| match mismatch {
        Mismatch::Unknown => newer_keys(Reason::KeyUnknown.note(match kid {
            Some(kid) => format!("'kid' is \"{}\"", excerpt(kid)),
            None => format!("there is no 'kid', and no key for {}", header.algorithm.name()),
        })),
        Mismatch::Unfit => {
            let note = format!("the key of this 'kid' is not for {}", header.algorithm.name());
            Reason::AlgorithmRefused.note(note).into()
        }
        Mismatch::Signature => newer_keys(Reason::SignatureInvalid.into()),
    })
}
