//! An issuer's key set (RFC 7517), parsed once: a key is checked when it is read and used only with its own algorithm.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::issuer::Algorithm;
use super::json::{self, Object};

mod material;

/// Keys that are read of one set; the rest is left out.
const MAX_KEYS: usize = 100;

/// The keys of an issuer that can verify signatures.
pub struct KeySet {
    keys: Vec<Key>,
}

struct Key {
    kid: Option<Box<str>>,
    kind: &'static str,
    /// Parsed once for each algorithm that the key may be used with.
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// Why there is no key set: one sentence, which may name keys by index and `kid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySetFault(pub String);

impl fmt::Display for KeySetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why no key of a set verifies a signature; a later variant says more than an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mismatch {
    /// No key has this `kid`; or, without `kid`, none fits the algorithm.
    Unknown,
    /// The keys of this `kid` are for other algorithms.
    Unfit,
    /// There are keys that fit, and the signature is of none of them.
    Signature,
}

impl KeySet {
    /// Reads a JWK set. Keys that are not for signatures, of an unknown type, or odd are left out and described in the second
    /// part; one odd key does not cost the others. The caller bounds the bytes; of the keys the first 100 are read.
    ///
    /// # Errors
    /// Not a JWK set, or none of its keys is usable.
    pub fn parse(bytes: &[u8]) -> Result<(KeySet, Vec<String>), KeySetFault> {
        // Members beside `keys` are ignored (RFC 7517 §5), a second `keys` is an error of serde's.
        #[derive(Deserialize)]
        struct Set<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }
        let set: Set<'_> = serde_json::from_slice(bytes).map_err(|_| {
            KeySetFault("it is not a JWK set: a JSON object with one array 'keys'".to_owned())
        })?;

        let mut keys = Vec::new();
        let mut left_out = Vec::new();
        for (index, raw) in set.keys.iter().enumerate().take(MAX_KEYS) {
            match read(raw) {
                Ok(key) => keys.push(key),
                Err(fault) => left_out.push(format!("key {index}{fault}")),
            }
        }
        if let Some(more @ 1..) = set.keys.len().checked_sub(MAX_KEYS) {
            left_out.push(format!("{more} more keys: only the first {MAX_KEYS} of a set are read"));
        }
        match (keys.is_empty(), left_out.is_empty()) {
            (false, _) => Ok((KeySet { keys }, left_out)),
            (true, true) => Err(KeySetFault("it holds no keys".to_owned())),
            (true, false) => Err(KeySetFault(format!("none of its keys is usable: {}", left_out.join("; ")))),
        }
    }

    /// How many keys there are; never none.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Each key's `kid` and what it is, as `RSA for PS256` or `EC P-256 for ES256`.
    pub fn describe(&self) -> impl Iterator<Item = (Option<&str>, String)> {
        self.keys.iter().map(|key| {
            let algorithms: Vec<_> = key.verifiers.iter().map(|(algorithm, _)| algorithm.name()).collect();
            (key.kid.as_deref(), format!("{} for {}", key.kind, algorithms.join(", ")))
        })
    }

    /// Verifies a JWS signature over its signing input (RFC 7515 §5.2). A `kid` is compared and nothing else is done with it
    /// (RFC 8725 §3.10); several keys may share one. Without `kid` every key that fits the algorithm is tried.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Mismatch> {
        let mut mismatch = Mismatch::Unknown;
        for key in self.keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid) {
            match key.verifiers.iter().find(|(of_key, _)| *of_key == algorithm) {
                Some((_, verifier)) if verifier.verify_sig(signed, signature).is_ok() => return Ok(()),
                Some(_) => mismatch = mismatch.max(Mismatch::Signature),
                None if kid.is_some() => mismatch = mismatch.max(Mismatch::Unfit),
                None => {}
            }
        }
        Err(mismatch)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.describe()).finish()
    }
}

/// One JWK. The fault continues `key <index>`, and shows of the key nothing but its `kid`.
fn read(raw: &RawValue) -> Result<Key, String> {
    let jwk = json::object(raw.get().as_bytes()).map_err(|fault| format!(" is {fault}"))?;
    let kid = jwk.get("kid").map(|kid| kid.as_str().ok_or(": its 'kid' is no string")).transpose()?;
    let named = kid.map(|kid| format!(" (kid \"{}\")", json::excerpt(kid))).unwrap_or_default();

    let material = check_purpose(&jwk)
        .and_then(|()| material::read(&jwk))
        .map_err(|fault| format!("{named}: {fault}"))?;
    Ok(Key { kid: kid.map(Box::from), kind: material.kind, verifiers: material.verifiers })
}

/// A public key for signatures (RFC 7517 §4.2, §4.3).
fn check_purpose(jwk: &Object) -> Result<(), &'static str> {
    // Who publishes a private key has lost it: nothing that it signs proves anything.
    if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| jwk.contains_key(*member)) {
        return Err("it shows private or symmetric key material");
    }
    match jwk.get("use").map(Value::as_str) {
        None | Some(Some("sig")) => {}
        Some(_) => return Err("its 'use' is not \"sig\""),
    }
    match jwk.get("key_ops").map(Value::as_array) {
        None => Ok(()),
        Some(Some(operations)) if operations.iter().any(|operation| operation == "verify") => Ok(()),
        Some(_) => Err("its 'key_ops' lacks \"verify\""),
    }
}

#[cfg(test)]
mod tests;
