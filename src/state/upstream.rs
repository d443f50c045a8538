//! Where requests go, and the TLS on the way there.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use super::calls::system_roots;
use super::tls::provider;
use crate::config::settings::UpstreamUrl;

/// The upstream of one configuration.
pub struct Upstream {
    /// Where it is.
    pub url: UpstreamUrl,
    /// For connections to an `https` upstream; they resume each other's sessions.
    pub tls: Option<Arc<ClientConfig>>,
    /// `upstream.ca`; `None` stands for the system's roots.
    ca: Option<Vec<CertificateDer<'static>>>,
}

impl Upstream {
    /// An upstream whose certificate must lead to one of `ca`, or of the system's roots where there is no `ca`.
    ///
    /// # Errors
    /// One of `ca` cannot be a trust root.
    pub(super) fn new(
        url: UpstreamUrl,
        ca: Option<&[CertificateDer<'static>]>,
    ) -> Result<Upstream, rustls::Error> {
        let tls = match url {
            UpstreamUrl::Https { .. } => Some(Arc::new(client_config(ca)?)),
            UpstreamUrl::Http(_) | UpstreamUrl::H2c(_) | UpstreamUrl::Unix(_) => None,
        };
        Ok(Upstream { url, tls, ca: ca.map(<[_]>::to_vec) })
    }

    /// Whether it was made from the same.
    pub(super) fn is_of(&self, url: &UpstreamUrl, ca: Option<&[CertificateDer<'static>]>) -> bool {
        self.url == *url && self.ca.as_deref() == ca
    }
}

fn client_config(ca: Option<&[CertificateDer<'static>]>) -> Result<ClientConfig, rustls::Error> {
    let roots = match ca {
        None => Arc::clone(system_roots()),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            ca.iter().try_for_each(|root| roots.add(root.clone()))?;
            Arc::new(roots)
        }
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests;
