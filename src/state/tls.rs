//! The listener's TLS configuration, and the pairs of certificate and key that we present.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::files::{CERTIFICATES, Files};
use super::key_schedule::with_prepared_keys;
use super::snapshot::{Expiring, Expiry};
use super::trust::Trust;
use crate::config::settings::Located;
use crate::decide::client::{parse, seconds};

/// The one provider of cryptography: aws-lc-rs, with X25519MLKEM768 as the preferred key exchange.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(with_prepared_keys(aws_lc_rs::default_provider())));
    Arc::clone(&PROVIDER)
}

/// TLS 1.2 and 1.3, `h2` and `http/1.1` by ALPN (RFC 7301), never early data: it can be replayed (RFC 8446 §8), and comes
/// before the client's certificate.
///
/// Sessions are resumed by tickets alone, so that nothing is stored for a client. `tickets` are those of the configuration
/// that this one replaces, so that a reload costs no client its session: the chain of a resumed session is judged by
/// [`Trust::admit`], as if it had been presented anew.
///
/// # Errors
/// The system gives no randomness for the keys of tickets.
pub(super) fn server_config(
    identity: CertifiedKey,
    trust: &Arc<Trust>,
    tickets: Option<Arc<dyn ProducesTickets>>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(trust.verifier())
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = match tickets {
        Some(tickets) => tickets,
        None => aws_lc_rs::Ticketer::new()?,
    };
    // With each connection comes one for the next; a second one would be another 600 bytes, and as much again to encrypt.
    config.send_tls13_tickets = 1;
    // Without the extended master secret a session of TLS 1.2 that is resumed is not bound to the handshake in which the
    // client proved its key (RFC 7627 §1, §5.4).
    config.require_ems = true;
    Ok(config)
}

/// A certificate chain and its key, read and found to belong together.
pub(super) struct Identity {
    /// For a TLS configuration.
    pub(super) certified: CertifiedKey,
    /// The key of it once more, for whoever builds a configuration from the parts.
    pub(super) key: PrivateKeyDer<'static>,
    /// The nearest date at which one of the chain runs out. That is no fault: with an expired certificate some clients still
    /// connect, and to refuse to start would help nobody.
    pub(super) expiry: Option<Expiry>,
}

/// Reads a chain and its key. `None`: `files` has noted why.
pub(super) fn identity(
    files: &mut Files<'_>,
    certificate: &Located<PathBuf>,
    private_key: &Located<PathBuf>,
) -> Option<Identity> {
    let chain = files.certificates(certificate);
    let key = files.private_key(private_key);
    let chain = well_formed(files, certificate, chain?);
    let key = key?;
    let Ok(signing) = provider().key_provider.load_private_key(key.clone_key()) else {
        files.fault(
            private_key,
            "a private key that cannot be used",
            "RSA of 2048 bits or more, ECDSA or Ed25519",
        );
        return None;
    };
    let chain = chain?;
    let belongs = |chain: &[CertificateDer<'static>]| {
        CertifiedKey::new(chain.to_vec(), Arc::clone(&signing)).keys_match().is_ok()
    };
    if !belongs(&chain) {
        match (1..chain.len()).any(|i| belongs(&chain[i..])) {
            true => {
                files.fault(certificate, "a chain in another order", "the leaf first, then what issued it")
            }
            false => files.fault(private_key, "the key of another certificate", "the key of the certificate"),
        }
        return None;
    }
    let dates = chain.iter().filter_map(|der| Some(seconds(parse(der).ok()?.validity().not_after)));
    let expiry = Expiry::nearest(certificate, Expiring::Certificate, dates);
    Some(Identity { certified: CertifiedKey::new(chain, signing), key, expiry })
}

/// A chain of certificates that can be read, the leaf as X.509 of version 3.
fn well_formed(
    files: &mut Files<'_>,
    file: &Located<PathBuf>,
    chain: Vec<CertificateDer<'static>>,
) -> Option<Vec<CertificateDer<'static>>> {
    let readable = chain.iter().all(|der| parse(der).is_ok());
    match readable && chain.first().is_some_and(|leaf| webpki::EndEntityCert::try_from(leaf).is_ok()) {
        true => return Some(chain),
        false => files.fault(file, "a certificate that is not well-formed X.509 of version 3", CERTIFICATES),
    }
    None
}
