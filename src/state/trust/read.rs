//! From `[client_certificates]` and the files that it names to a [`Trust`].

use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::TrustAnchor;
use sha2::{Digest, Sha256};

use super::ca::{Ca, Crl, anchor};
use super::{Rule, Trust};
use crate::config::settings::{ClientCertificates, Located, TrustKind};
use crate::decide::client::{parse, seconds};
use crate::state::files::{CERTIFICATES, CRL_LIMIT, CRLS, Files, LIMIT};
use crate::state::snapshot::{Expiring, Expiry};

/// A file with its bytes, where it could be read.
type Source<'a> = (&'a Located<PathBuf>, Option<Vec<u8>>);

/// Reads the anchors and CRLs. Where everything is as it was for `previous`, it is `previous` that goes on, and with it its
/// generation and what it remembers of paths. `None`: `files` has noted why.
pub(in crate::state) fn trust(
    files: &mut Files<'_>,
    settings: &ClientCertificates,
    previous: Option<&Arc<Trust>>,
) -> Option<Arc<Trust>> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    if let TrustKind::Ca { ca, crl, .. } = &settings.trust {
        sources.push((ca, files.bytes(ca, LIMIT, CERTIFICATES)));
        sources.extend(crl.iter().map(|file| (file, files.bytes(file, CRL_LIMIT, CRLS))));
    }
    let fingerprint = fingerprint(settings, &sources);
    if let Some(unchanged) = previous.filter(|trust| trust.fingerprint == fingerprint) {
        return Some(Arc::clone(unchanged));
    }
    let mut expiries = Vec::new();
    let rule = match &settings.trust {
        TrustKind::Any => Rule::Any,
        TrustKind::Ca { leaf_only, refuse_expired, .. } => {
            let (ca, lists) = sources.split_first()?;
            let anchors = anchors(files, ca, &mut expiries);
            let crls: Vec<_> = lists
                .iter()
                .map(|list| crls(files, list, anchors.as_deref().unwrap_or_default(), &mut expiries))
                .collect();
            let crls = crls.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
            Rule::Ca(Ca::new(anchors?, crls, *leaf_only, *refuse_expired))
        }
    };
    Some(Arc::new(Trust::new(settings.mode, rule, fingerprint, expiries)))
}

fn anchors(
    files: &mut Files<'_>,
    (file, bytes): &Source<'_>,
    expiries: &mut Vec<Expiry>,
) -> Option<Vec<TrustAnchor<'static>>> {
    let certificates = files.certificates_in(file, bytes.as_deref()?)?;
    let anchors: Result<Vec<_>, _> = certificates.iter().map(anchor).collect();
    let dates = certificates.iter().filter_map(|der| Some(seconds(parse(der).ok()?.validity().not_after)));
    expiries.extend(Expiry::nearest(file, Expiring::Authority, dates));
    anchors.map_err(|what| files.fault(file, &what, CERTIFICATES)).ok()
}

fn crls(
    files: &mut Files<'_>,
    (file, bytes): &Source<'_>,
    anchors: &[TrustAnchor<'_>],
    expiries: &mut Vec<Expiry>,
) -> Option<Vec<Crl>> {
    let lists = files.crls_in(file, bytes.as_deref()?)?;
    let lists: Result<Vec<_>, _> = lists.iter().map(|der| Crl::read(der, anchors)).collect();
    let lists = lists.map_err(|what| files.fault(file, &what, CRLS)).ok()?;
    expiries.extend(Expiry::nearest(file, Expiring::Crl, lists.iter().map(|crl| crl.next_update)));
    Some(lists)
}

/// A digest of all that a trust is made from. The places in the configuration do not count, the files' names do: they stand
/// in what is said about their dates.
fn fingerprint(settings: &ClientCertificates, sources: &[Source<'_>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let rule = match settings.trust {
        TrustKind::Any => None,
        TrustKind::Ca { leaf_only, refuse_expired, .. } => Some((leaf_only, refuse_expired)),
    };
    hash.update(format!("{:?} {rule:?}", settings.mode));
    for (file, bytes) in sources {
        for part in [file.value.as_os_str().as_encoded_bytes(), bytes.as_deref().unwrap_or_default()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}
