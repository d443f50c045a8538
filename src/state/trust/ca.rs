//! `trust = "ca"`: path validation and revocation (RFC 5280 §6), by webpki.

use std::sync::Arc;

use quick_cache::sync::Cache;
use rustls::{CertificateError, DistinguishedName, OtherError};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use sha2::{Digest, Sha256};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, OwnedCertRevocationList,
    RawPublicKeyEntity, RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AuthorityKeyIdentifier, X509Extension};
use x509_parser::oid_registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::X509Name;

use super::first_second_after;
use crate::decide::client::{parse, seconds};
use crate::state::tls;

/// Chains whose path is remembered: about 100 bytes each.
const REMEMBERED: usize = 4096;

/// Anchors, CRLs, and what they have already been asked.
#[derive(Debug)]
pub(super) struct Ca {
    anchors: Vec<TrustAnchor<'static>>,
    /// The newest first, because webpki asks the first one that fits.
    crls: Vec<Crl>,
    depth: RevocationCheckDepth,
    expired: ExpirationPolicy,
    /// A digest of the whole chain, and until when its path holds. It ends with this trust, hence with any new CA or CRL.
    known: Cache<[u8; 32], u64>,
}

/// A certificate revocation list and what it is chosen by.
#[derive(Debug)]
pub(super) struct Crl {
    /// Its nextUpdate, in seconds since 1970.
    pub(super) next_update: u64,
    this_update: u64,
    issuer: Vec<u8>,
    authority: Option<Vec<u8>>,
    list: CertRevocationList<'static>,
}

/// The anchor that a certificate stands for.
///
/// # Errors
/// A sentence: it is not well-formed.
pub(in crate::state) fn anchor(der: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, String> {
    // The dates are needed too, so that it must be readable by both.
    parse(der).map_err(|_| "a certificate that is not well-formed X.509".to_owned())?;
    let anchor = webpki::anchor_from_trusted_cert(der);
    Ok(anchor.map_err(|e| format!("a certificate that cannot be an authority ({e})"))?.to_owned())
}

impl Crl {
    /// Reads a list, and checks its signature where an anchor has the name of its issuer. A list of an intermediate
    /// authority is checked when a client presents that authority.
    ///
    /// # Errors
    /// A sentence: not well-formed, of an unsupported form (delta, indirect, without nextUpdate), or not signed by the anchor.
    pub(super) fn read(der: &[u8], anchors: &[TrustAnchor<'_>]) -> Result<Crl, String> {
        let list =
            OwnedCertRevocationList::from_der(der).map_err(|e| format!("a CRL that is of no use ({e})"))?;
        let list = CertRevocationList::from(list);
        let malformed = || "a CRL that is not well-formed".to_owned();
        let (_, read) = CertificateRevocationList::from_der(der).map_err(|_| malformed())?;

        let mut namesakes =
            anchors.iter().filter(|anchor| anchor.subject.as_ref() == list.issuer()).peekable();
        if namesakes.peek().is_some() && !namesakes.any(|anchor| has_signed(anchor, &read)) {
            return Err(
                "a CRL with the name of an authority in `ca` that this authority has not signed".to_owned()
            );
        }
        Ok(Crl {
            next_update: seconds(read.next_update().ok_or_else(malformed)?),
            this_update: seconds(read.last_update()),
            issuer: read.issuer().as_raw().to_vec(),
            authority: authority(read.extensions()),
            list,
        })
    }
}

impl Ca {
    /// At least one anchor is needed, or nobody is admitted. Without CRLs revocation is not checked.
    pub(super) fn new(
        anchors: Vec<TrustAnchor<'static>>,
        mut crls: Vec<Crl>,
        leaf_only: bool,
        refuse_expired: bool,
    ) -> Ca {
        crls.sort_by_key(|crl| std::cmp::Reverse(crl.this_update));
        let depth = if leaf_only { RevocationCheckDepth::EndEntity } else { RevocationCheckDepth::Chain };
        let expired = if refuse_expired { ExpirationPolicy::Enforce } else { ExpirationPolicy::Ignore };
        Ca { anchors, crls, depth, expired, known: Cache::new(REMEMBERED) }
    }

    /// The anchors' names.
    pub(super) fn subjects(&self) -> Vec<DistinguishedName> {
        self.anchors.iter().map(|anchor| DistinguishedName::in_sequence(&anchor.subject)).collect()
    }

    /// Names of the anchors below which nobody is admitted, because there are lists and none is theirs.
    pub(super) fn without_list(&self) -> Vec<String> {
        if self.crls.is_empty() || self.depth == RevocationCheckDepth::EndEntity {
            return Vec::new();
        }
        let subjects = self.subjects().into_iter();
        let bare = subjects.filter(|name| self.crls.iter().all(|crl| crl.issuer != name.as_ref()));
        bare.filter_map(|name| Some(X509Name::from_der(name.as_ref()).ok()?.1.to_string())).collect()
    }

    /// Judges a chain, or remembers how it was judged. What it returns is `Admitted::until`.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<u64, rustls::Error> {
        let digest = digest(leaf, others);
        if let Some(until) = self.known.get(&digest).filter(|until| now.as_secs() < *until) {
            return Ok(until);
        }
        let until = self.find_path(leaf, others, now).map_err(refusal)?;
        self.known.insert(digest, until);
        Ok(until)
    }

    fn find_path(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<u64, Error> {
        let certificate = EndEntityCert::try_from(leaf)?;
        let (fitting, rest) = self.lists_for(leaf, others);
        let lists: Vec<_> = fitting.iter().chain(&rest).map(|crl| &crl.list).collect();
        let path = certificate.verify_for_usage(
            tls::provider().signature_verification_algorithms.all,
            &self.anchors,
            others,
            now,
            KeyUsage::client_auth(),
            self.revocation(&lists),
            None,
        )?;

        let mut until = not_after(leaf)?;
        for intermediate in path.intermediate_certificates() {
            until = until.min(not_after(&intermediate.der())?);
        }
        let mut until = first_second_after(until);
        if self.expired == ExpirationPolicy::Enforce {
            let updates = fitting.iter().map(|crl| crl.next_update).filter(|update| *update > now.as_secs());
            until = updates.fold(until, u64::min);
        }
        Ok(until)
    }

    /// The lists of these certificates' issuers, and the others; the newest first. After a new key for the same name there are
    /// two authorities with that name, and only the key identifier tells them apart (RFC 5280 §5.2.1). It chooses; what counts
    /// is the signature, which webpki checks.
    fn lists_for(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> (Vec<&Crl>, Vec<&Crl>) {
        if self.crls.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let certificates: Vec<_> =
            std::iter::once(leaf).chain(others).filter_map(|der| parse(der).ok()).collect();
        self.crls.iter().partition(|crl| certificates.iter().any(|certificate| crl.fits(certificate)))
    }

    fn revocation<'a>(&self, lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
        let options = RevocationOptionsBuilder::new(lists).ok()?;
        Some(
            options
                .with_depth(self.depth)
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(self.expired)
                .build(),
        )
    }
}

impl Crl {
    fn fits(&self, certificate: &X509Certificate<'_>) -> bool {
        let same_key = match (&self.authority, authority(certificate.extensions())) {
            (Some(of_list), Some(of_certificate)) => *of_list == of_certificate,
            _ => true,
        };
        same_key && self.issuer == certificate.issuer().as_raw()
    }
}

/// The authority key identifier (RFC 5280 §4.2.1.1).
fn authority(extensions: &[X509Extension<'_>]) -> Option<Vec<u8>> {
    let extension = extensions.iter().find(|e| e.oid == OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER)?;
    let (_, identifier) = AuthorityKeyIdentifier::from_der(extension.value).ok()?;
    Some(identifier.key_identifier?.0.to_vec())
}

fn has_signed(anchor: &TrustAnchor<'_>, list: &CertificateRevocationList<'_>) -> bool {
    let key: SubjectPublicKeyInfoDer<'_> = webpki::spki_for_anchor(anchor);
    let Ok(key) = RawPublicKeyEntity::try_from(&key) else { return false };
    let (message, signature) = (list.tbs_cert_list.as_ref(), &list.signature_value.data);
    let algorithms = tls::provider().signature_verification_algorithms.all;
    algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok())
}

fn not_after(certificate: &CertificateDer<'_>) -> Result<u64, Error> {
    Ok(seconds(parse(certificate).map_err(|_| Error::BadDer)?.validity().not_after))
}

/// Each length stands before its bytes, so that no two chains have the same input.
fn digest(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for der in std::iter::once(leaf).chain(others) {
        hash.update(der.len().to_be_bytes());
        hash.update(der);
    }
    hash.finalize().into()
}

/// The error of a handshake: rustls makes the alert from it (RFC 8446 §6.2), and the log a sentence.
fn refusal(error: Error) -> rustls::Error {
    let error = match error {
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) => CertificateError::BadEncoding,
        Error::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
        Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        Error::InvalidCertValidity => CertificateError::Expired,
        Error::UnknownIssuer => CertificateError::UnknownIssuer,
        Error::CertRevoked => CertificateError::Revoked,
        Error::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        Error::CrlExpired { time, next_update } => {
            CertificateError::ExpiredRevocationListContext { time, next_update }
        }
        Error::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        error => CertificateError::Other(OtherError(Arc::new(error))),
    };
    error.into()
}
