//! Which client certificates are admitted, at the handshake and again whenever that may have changed.
//!
//! rustls asks no verifier when a session is resumed, so [`Trust::admit`] is the one place that judges a chain: the handshake
//! calls it through [`Trust::verifier`], and whoever serves a connection calls it before a request whenever the connection's
//! [`Admitted`] is of an older generation or has run out.

mod ca;
mod read;
mod verifier;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DistinguishedName};
use rustls_pki_types::{CertificateDer, UnixTime};

use ca::Ca;
pub(super) use ca::anchor;
pub(super) use read::trust;

use super::snapshot::{Expiring, Expiry, next_generation};
use crate::config::settings::Mode;
use crate::decide::client::{parse, seconds};

/// Certificates that a client may send. webpki uses no more than six between leaf and anchor, and looks for a path in every
/// order of those that bear one name: the time that this can take grows with the factorial of their number.
const MAX_CERTIFICATES: usize = 7;

/// Bytes of a client's chain, which stays in memory as long as its connection.
const MAX_CHAIN: usize = 32 * 1024;

/// Bytes of authorities' names that a handshake offers as a hint; above, it offers none, as RFC 8446 §4.2.4 allows.
const MAX_HINTS: usize = 16 * 1024;

/// The trust of one moment: mode, anchors, CRLs.
#[derive(Debug)]
pub struct Trust {
    generation: u64,
    /// A digest of everything that this trust was made from: two with the same one judge alike.
    fingerprint: [u8; 32],
    mode: Mode,
    rule: Rule,
    hints: Vec<DistinguishedName>,
    expiries: Vec<Expiry>,
}

/// `[client_certificates] trust`
#[derive(Debug)]
enum Rule {
    /// A path to an anchor (RFC 5280 §6).
    Ca(Ca),
    /// The dates alone: what binds a token is the key, and RFC 8705 §6.2 needs no path to it.
    Any,
}

/// A certificate that is admitted, and for how long that holds without another look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// The trust's generation that admitted it.
    pub generation: u64,
    /// Seconds since 1970: from then on it must be verified again (the nearest notAfter of the path, or nextUpdate of a CRL
    /// where an expired CRL admits nobody).
    pub until: u64,
}

/// Why a chain is not admitted; for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAdmitted(pub String);

impl Trust {
    /// A trust with a generation of its own.
    fn new(mode: Mode, rule: Rule, fingerprint: [u8; 32], expiries: Vec<Expiry>) -> Trust {
        let mut hints = match &rule {
            Rule::Ca(ca) => ca.subjects(),
            Rule::Any => Vec::new(),
        };
        if hints.iter().map(|name| name.as_ref().len() + 2).sum::<usize>() > MAX_HINTS {
            hints.clear();
        }
        Trust { generation: next_generation(), fingerprint, mode, rule, hints, expiries }
    }

    /// A trust that admits any certificate whose dates hold.
    #[cfg(test)]
    pub(crate) fn any(mode: Mode) -> Arc<Trust> {
        Arc::new(Trust::new(mode, Rule::Any, [0; 32], Vec::new()))
    }

    /// Changes whenever the mode, an anchor or a CRL changed; a later one is greater, and none repeats in a process.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a handshake needs a certificate.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Judges the chain of a connection (leaf first; empty: none was presented) as a handshake would now.
    ///
    /// # Errors
    /// The certificate has expired, was revoked, leads to no anchor; or none was presented where one is required.
    pub fn admit(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Admitted, NotAdmitted> {
        let until = match (chain.split_first(), self.mode) {
            (Some((leaf, others)), _) => {
                self.verify(leaf, others, now).map_err(|e| NotAdmitted(e.to_string()))?
            }
            (None, Mode::Optional) => u64::MAX,
            (None, Mode::Required) => {
                return Err(NotAdmitted("no client certificate where one is required".to_owned()));
            }
        };
        Ok(Admitted { generation: self.generation, until })
    }

    /// The verifier of the handshake.
    pub fn verifier(self: &Arc<Self>) -> Arc<dyn ClientCertVerifier> {
        Arc::new(verifier::Verifier::new(Arc::clone(self)))
    }

    /// Dates of the anchors and CRLs. An anchor past its notAfter still admits (RFC 5280 §6.1.1 (d) gives it no dates).
    pub fn expiries(&self) -> &[Expiry] {
        &self.expiries
    }

    /// Names of authorities in `ca` below which no certificate is admitted, because `crl` has no list of theirs.
    pub fn authorities_without_crl(&self) -> Vec<String> {
        match &self.rule {
            Rule::Ca(ca) => ca.without_list(),
            Rule::Any => Vec::new(),
        }
    }

    /// Files with a CRL that is past its nextUpdate.
    pub fn expired_crls(&self, now: UnixTime) -> impl Iterator<Item = &PathBuf> {
        let expired = move |expiry: &&Expiry| expiry.what == Expiring::Crl && expiry.at <= now.as_secs();
        self.expiries.iter().filter(expired).map(|expiry| &expiry.file)
    }

    /// Judges a chain. What it returns is [`Admitted::until`].
    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<u64, rustls::Error> {
        let bytes = others.iter().fold(leaf.len(), |sum, der| sum + der.len());
        if others.len() >= MAX_CERTIFICATES || bytes > MAX_CHAIN {
            return Err(other("more certificates than a client may send"));
        }
        match &self.rule {
            Rule::Ca(ca) => ca.verify(leaf, others, now),
            Rule::Any => verify_dates(leaf, now),
        }
    }
}

/// RFC 8705 §2.2: a self-signed certificate is not validated as a path; its dates are still its holder's own word.
fn verify_dates(leaf: &CertificateDer<'_>, now: UnixTime) -> Result<u64, rustls::Error> {
    let certificate = parse(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let moment = |time| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds(time)));
    let not_before = moment(certificate.validity().not_before);
    let not_after = moment(certificate.validity().not_after);
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    Ok(first_second_after(not_after.as_secs()))
}

/// notAfter is the last second of validity (RFC 5280 §4.1.2.5: "inclusive").
fn first_second_after(not_after: u64) -> u64 {
    not_after.saturating_add(1)
}

/// An error with words of our own.
fn other(text: &str) -> rustls::Error {
    let error: Box<dyn std::error::Error + Send + Sync> = text.into();
    CertificateError::Other(rustls::OtherError(error.into())).into()
}
