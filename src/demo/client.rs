//! An API client over real TLS, with or without a client certificate.

use std::time::Duration;

use super::Error;
use super::pki::{Authority, Identity, crypto};

/// For one exchange.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A client that trusts `ca` alone and presents `identity` to whoever asks for a certificate. It speaks h2 where the server does,
/// and uses no proxy, whatever the environment says.
///
/// # Errors
/// The identity's key does not fit its certificate, or reqwest cannot be set up.
pub fn client(ca: &Authority, identity: Option<&Identity>) -> Result<reqwest::Client, Error> {
    let set_up = "setting up a client";
    let tls = rustls::ClientConfig::builder_with_provider(crypto())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::new(set_up, e))?
        .with_root_certificates(ca.roots()?);
    let mut tls = match identity {
        None => tls.with_no_client_auth(),
        Some(identity) => tls
            .with_client_auth_cert(vec![identity.certificate().clone()], identity.private_key())
            .map_err(|e| Error::new(set_up, e))?,
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .tls_backend_preconfigured(tls)
        .build()
        .map_err(|e| Error::new(set_up, e))
}
