//! The key itself in a JWK (RFC 7518 §6, RFC 8037 §2): from its members to parsed keys, with every check that can be made
//! beforehand (RFC 8725 §3.4).

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::decide::issuer::Algorithm;
use crate::decide::json::Object;

/// A checked key.
pub(super) struct Material {
    pub(super) kind: &'static str,
    pub(super) verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// Why a key is not used.
type Fault = &'static str;

const RSA: &[Algorithm] = &[
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
];

/// Reads the key and parses it for each algorithm of its type, or for the one in its `alg` alone (RFC 7517 §4.4).
pub(super) fn read(jwk: &Object) -> Result<Material, Fault> {
    let (kind, algorithms, bytes): (_, &[_], _) = match (string(jwk, "kty"), string(jwk, "crv")) {
        (Some("RSA"), _) => ("RSA", RSA, rsa(jwk)?),
        (Some("EC"), Some("P-256")) => ("EC P-256", &[Algorithm::Es256], ec_point(jwk, 32)?),
        (Some("EC"), Some("P-384")) => ("EC P-384", &[Algorithm::Es384], ec_point(jwk, 48)?),
        (Some("OKP"), Some("Ed25519")) => ("OKP Ed25519", &[Algorithm::EdDsa], coordinate(jwk, "x", 32)?),
        (Some("EC" | "OKP"), _) => return Err("its curve is not supported (P-256, P-384 and Ed25519 are)"),
        (Some(_), _) => return Err("its type is not supported (RSA, EC and OKP are)"),
        (None, _) => return Err("it has no 'kty'"),
    };
    let own = match jwk.get("alg") {
        None => None,
        Some(name) => {
            let algorithm = name.as_str().and_then(Algorithm::from_name);
            let fits = algorithm.filter(|algorithm| algorithms.contains(algorithm));
            Some(fits.ok_or("its 'alg' is no signature algorithm for a key of its type")?)
        }
    };
    let mut verifiers = Vec::new();
    for &algorithm in algorithms.iter().filter(|&&algorithm| own.is_none_or(|own| own == algorithm)) {
        let parsed = ParsedPublicKey::new(verification(algorithm), &bytes);
        verifiers.push((
            algorithm,
            parsed.map_err(|_| "it is not a valid key (an EC point must lie on its curve)")?,
        ));
    }
    Ok(Material { kind, verifiers })
}

/// RFC 7518 §3.3 to §3.5, RFC 8037 §3.1: ECDSA signatures have a fixed length, PSS salts that of the hash.
fn verification(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::EdDsa => &signature::ED25519,
    }
}

/// The DER of an RSA public key (RFC 7518 §6.3.1) with a modulus of 2048 to 8192 bits.
fn rsa(jwk: &Object) -> Result<Vec<u8>, Fault> {
    let modulus = unsigned(jwk, "n")?;
    let exponent = unsigned(jwk, "e")?;
    let (&[first, ..], &[.., last]) = (&modulus[..], &modulus[..]) else {
        return Err("its modulus is empty");
    };
    let bits = modulus.len() * 8 - first.leading_zeros() as usize;
    if !(2048..=8192).contains(&bits) {
        return Err("its modulus is not of 2048 to 8192 bits (RFC 7518 §3.3, §3.5)");
    }
    // A public exponent beyond 33 bits serves only to make each verification slow.
    let value =
        exponent.iter().fold(0u64, |value, &byte| value.saturating_mul(256).saturating_add(byte.into()));
    if last % 2 == 0 || value % 2 == 0 || !(3..1 << 33).contains(&value) {
        return Err("its modulus or exponent is even, or the exponent not within 3 and 2^33");
    }
    RsaPublicKeyComponents { n: modulus, e: exponent }
        .to_parsed_public_key(&signature::RSA_PSS_2048_8192_SHA256)
        .map(|key| key.as_ref().to_vec())
        .map_err(|_| "it is not a valid RSA key")
}

/// The uncompressed point (SEC 1 §2.3.3) of two coordinates of the curve's full length (RFC 7518 §6.2.1.2).
fn ec_point(jwk: &Object, length: usize) -> Result<Vec<u8>, Fault> {
    let mut point = vec![4];
    point.extend(coordinate(jwk, "x", length)?);
    point.extend(coordinate(jwk, "y", length)?);
    Ok(point)
}

fn coordinate(jwk: &Object, member: &str, length: usize) -> Result<Vec<u8>, Fault> {
    let bytes = binary(jwk, member)?;
    if bytes.len() == length { Ok(bytes) } else { Err("a coordinate has not the length of its curve") }
}

/// `Base64urlUInt` (RFC 7518 §2). Leading zero octets, which it forbids and some servers send, change no value.
fn unsigned(jwk: &Object, member: &str) -> Result<Vec<u8>, Fault> {
    let bytes = binary(jwk, member)?;
    Ok(bytes.into_iter().skip_while(|&byte| byte == 0).collect())
}

fn binary(jwk: &Object, member: &str) -> Result<Vec<u8>, Fault> {
    let text = string(jwk, member).ok_or("a member of its type is missing or no string")?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| "a member of its type is no base64url")
}

fn string<'a>(jwk: &'a Object, member: &str) -> Option<&'a str> {
    jwk.get(member)?.as_str()
}
