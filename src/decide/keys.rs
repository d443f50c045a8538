//! An issuer's key set (RFC 7517), parsed once: a key is checked when it is read and used only with its own algorithm.

use super::json::JsonFault;

/// The keys of an issuer that can verify signatures.
pub struct KeySet {}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySet")
    }
}

impl KeySet {
    /// Reads a JWK set. Keys that are not for signatures, of an unknown type, or odd are left out and described in the second
    /// part; one odd key does not cost the others.
    ///
    /// # Errors
    /// Not a JWK set, or none of its keys is usable.
    pub fn parse(bytes: &[u8]) -> Result<(KeySet, Vec<String>), JsonFault> {
        let _ = bytes;
        todo!()
    }
}
