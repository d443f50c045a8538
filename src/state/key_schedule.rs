//! TLS 1.3's key schedule (RFC 8446 §7.1) over keyed hashes that are prepared once a secret.
//!
//! rustls with aws-lc-rs goes through aws-lc-rs's HKDF, which hashes the secret anew, and extracts it anew, for each value that is
//! expanded from it: a third of all hashing in a handshake. rustls's own HKDF, the one that it uses with other providers, keeps
//! the HMAC that a secret begins with (RFC 2104 §4). The values are the same.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{self, CryptoProvider};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite};

static SHA256: HkdfUsingHmac<'static> = HkdfUsingHmac(&Hmac(&hmac::HMAC_SHA256));
static SHA384: HkdfUsingHmac<'static> = HkdfUsingHmac(&Hmac(&hmac::HMAC_SHA384));

/// The suites of this provider that are of TLS 1.3, with such a key schedule.
static SUITES: LazyLock<Vec<Tls13CipherSuite>> = LazyLock::new(|| {
    let suites = crypto::aws_lc_rs::ALL_CIPHER_SUITES.iter().filter_map(SupportedCipherSuite::tls13);
    suites.map(prepared).collect()
});

/// A provider of aws-lc-rs with this key schedule in each of its suites of TLS 1.3.
pub(super) fn with_prepared_keys(mut provider: CryptoProvider) -> CryptoProvider {
    for suite in &mut provider.cipher_suites {
        let name = suite.suite();
        if let Some(prepared) = SUITES.iter().find(|prepared| prepared.common.suite == name) {
            *suite = SupportedCipherSuite::Tls13(prepared);
        }
    }
    provider
}

fn prepared(suite: &'static Tls13CipherSuite) -> Tls13CipherSuite {
    let CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit } = suite.common;
    Tls13CipherSuite {
        common: CipherSuiteCommon { suite: name, hash_provider, confidentiality_limit },
        hkdf_provider: match hash_provider.algorithm() {
            crypto::hash::HashAlgorithm::SHA256 => &SHA256,
            crypto::hash::HashAlgorithm::SHA384 => &SHA384,
            _ => suite.hkdf_provider,
        },
        aead_alg: suite.aead_alg,
        quic: suite.quic,
    }
}

struct Hmac(&'static hmac::Algorithm);

impl crypto::hmac::Hmac for Hmac {
    fn with_key(&self, key: &[u8]) -> Box<dyn crypto::hmac::Key> {
        Box::new(Key(hmac::Key::new(*self.0, key)))
    }

    fn hash_output_len(&self) -> usize {
        self.0.digest_algorithm().output_len()
    }
}

struct Key(hmac::Key);

impl crypto::hmac::Key for Key {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> crypto::hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(first);
        middle.iter().for_each(|part| context.update(part));
        context.update(last);
        crypto::hmac::Tag::new(context.sign().as_ref())
    }

    fn tag_len(&self) -> usize {
        self.0.algorithm().digest_algorithm().output_len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use rustls::crypto::tls13::OkmBlock;

    use super::*;

    #[test]
    fn every_suite_of_tls_1_3_has_it_and_derives_what_aws_lc_rs_derives() {
        let provider = with_prepared_keys(crypto::aws_lc_rs::default_provider());
        let theirs = crypto::aws_lc_rs::default_provider().cipher_suites;
        assert_eq!(provider.cipher_suites, theirs);
        let pairs = provider.cipher_suites.iter().zip(&theirs);
        let pairs: Vec<_> = pairs.filter_map(|(ours, theirs)| ours.tls13().zip(theirs.tls13())).collect();
        assert_eq!(pairs.len(), 3);
        for (ours, theirs) in pairs {
            assert!(!std::ptr::eq(ours, theirs));
            let (ours, theirs) = (ours.hkdf_provider, theirs.hkdf_provider);
            let length = theirs.extract_from_zero_ikm(None).hash_len();
            let okm = OkmBlock::new(&[7; 48][..length]);
            for (a, b) in [
                (ours.extract_from_zero_ikm(None), theirs.extract_from_zero_ikm(None)),
                (ours.extract_from_zero_ikm(Some(b"salt")), theirs.extract_from_zero_ikm(Some(b"salt"))),
                (ours.extract_from_secret(None, b"secret"), theirs.extract_from_secret(None, b"secret")),
                (
                    ours.extract_from_secret(Some(&[1; 48]), &[2; 32]),
                    theirs.extract_from_secret(Some(&[1; 48]), &[2; 32]),
                ),
                (ours.expander_for_okm(&okm), theirs.expander_for_okm(&okm)),
            ] {
                assert_eq!(a.hash_len(), length);
                assert_eq!(
                    a.expand_block(&[b"in", b"fo"]).as_ref(),
                    b.expand_block(&[b"in", b"fo"]).as_ref()
                );
                for size in [12, 16, 32, length, 3 * length + 1] {
                    let (mut ours, mut theirs) = (vec![0; size], vec![0; size]);
                    a.expand_slice(&[b"info"], &mut ours).unwrap();
                    b.expand_slice(&[b"info"], &mut theirs).unwrap();
                    assert_eq!(ours, theirs);
                }
                assert!(a.expand_slice(&[], &mut vec![0; 255 * length + 1]).is_err());
            }
            let (ours, theirs) = (ours.hmac_sign(&okm, b"message"), theirs.hmac_sign(&okm, b"message"));
            assert_eq!(ours.as_ref(), theirs.as_ref());
        }
    }
}
