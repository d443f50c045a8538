//! From [`Settings`] and the files that they name to a [`Snapshot`]; gathers all faults.

use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};

use super::files::{CERTIFICATES, Files, LIMIT};
use super::introspect::Access;
use super::snapshot::{CallMaterial, Expiry, Snapshot, next_generation};
use super::upstream::Upstream;
use super::{tls, trust};
use crate::config::error::Faults;
use crate::config::settings::{self, KeySource, Located, Settings, TrustKind, UpstreamUrl};
use crate::decide::headers::Reserved;
use crate::decide::issuer::{Introspection, Issuer, Keys};
use crate::decide::keys::KeySet;
use crate::decide::token::Digest;

#[cfg(test)]
mod tests;

pub(super) const JWKS: &str = "a JSON Web Key Set (RFC 7517) with at least one key for signatures";

/// Every file that a snapshot is made from, the configuration file first.
pub fn files(settings: &Settings) -> Vec<PathBuf> {
    let mut named = vec![&settings.listener.certificate, &settings.listener.private_key];
    if let TrustKind::Ca { ca, crl, .. } = &settings.client_certificates.trust {
        named.push(ca);
        named.extend(crl);
    }
    for issuer in &settings.issuers {
        if let KeySource::File(file) = &issuer.keys {
            named.push(file);
        }
        named.extend(issuer.introspection.as_ref().and_then(settings::Introspection::file));
        named.extend(&issuer.ca);
        named.extend(issuer.tls.iter().flat_map(|tls| [&tls.certificate, &tls.private_key]));
    }
    named.extend(&settings.upstream.ca);
    let named = named.into_iter().map(|file| &file.value);
    std::iter::once(&settings.file).chain(named).cloned().collect()
}

/// Reads every file that the settings name and builds a snapshot. Keys that come over the network are not fetched: those
/// issuers start without keys, or with the keys of `previous` where the same issuer has the same key source.
///
/// What did not change since `previous` is taken from there, with its generation: nothing that is remembered of it gets lost.
///
/// # Errors
/// Every fault at once, each with the place in the configuration that names the file.
pub fn snapshot(settings: Arc<Settings>, previous: Option<&Snapshot>) -> Result<Snapshot, Faults> {
    let mut files = Files::new(&settings.file);
    let listener = &settings.listener;
    let identity = tls::identity(&mut files, &listener.certificate, &listener.private_key);
    let trust = trust::trust(&mut files, &settings.client_certificates, previous.map(|p| &p.trust));
    // What the upstream gets is remembered with each token, under the generation of its issuer's keys.
    let same_headers = previous.is_some_and(|previous| {
        let (before, now) = (&previous.settings.forward, &settings.forward);
        before.claims == now.claims && before.authorization == now.authorization
    });
    let mut loaded = Loaded::default();
    for issuer in &settings.issuers {
        let before = previous.and_then(|previous| Before::find(previous, issuer));
        loaded.add(&mut files, issuer, before.as_ref(), same_headers);
    }

    let upstream = upstream(&mut files, &settings.upstream, previous.map(|previous| &previous.upstream));
    if settings.upstream.ca.is_some() && !matches!(settings.upstream.url, UpstreamUrl::Https { .. }) {
        loaded.notes.push("upstream.ca is not used: upstream.url is not https".to_owned());
    }

    let tickets = previous.map(|previous| Arc::clone(&previous.tls.ticketer));
    let parts = identity.zip(trust).and_then(|(identity, trust)| {
        loaded.expiries.extend(identity.expiry);
        match tls::server_config(identity.certified, &trust, tickets) {
            Ok(config) => return Some((Arc::new(config), trust)),
            Err(e) => files.fault(&listener.certificate, &format!("no TLS with it ({e})"), CERTIFICATES),
        }
        None
    });
    files.finish()?;
    // Without a fault every part is there.
    let ((tls, trust), upstream) = parts.zip(upstream).ok_or_else(Faults::default)?;
    Ok(Snapshot {
        tls,
        trust,
        issuers: loaded.issuers,
        calls: loaded.calls,
        introspection: loaded.introspection,
        upstream,
        reserved: Arc::new(Reserved::new(&settings.forward.claims)),
        notes: loaded.notes,
        key_files: loaded.key_files,
        expiries: loaded.expiries,
        settings,
    })
}

/// An issuer as decisions know it, with these keys under a generation of their own.
pub fn issuer(settings: &settings::Issuer, set: Option<Arc<KeySet>>) -> Issuer {
    Issuer {
        name: settings.issuer.value.as_str().into(),
        audiences: settings.audiences.clone(),
        algorithms: settings.algorithms.clone(),
        token_types: settings.token_types,
        leeway: settings.leeway.as_secs(),
        keys: Keys { generation: next_generation(), set },
        introspection: settings
            .introspection
            .as_ref()
            .map(|settings| Introspection { generation: next_generation(), ..introspection(settings) }),
    }
}

/// The upstream; the previous one where neither its URL nor its trust roots have changed, so that its connections stay.
fn upstream(
    files: &mut Files<'_>,
    settings: &settings::Upstream,
    previous: Option<&Arc<Upstream>>,
) -> Option<Arc<Upstream>> {
    let ca = match &settings.ca {
        None => None,
        Some(file) => Some((file, roots(files, file)?)),
    };
    let roots = ca.as_ref().map(|(_, roots)| roots.as_slice());
    if let Some(previous) = previous.filter(|previous| previous.is_of(&settings.url, roots)) {
        return Some(Arc::clone(previous));
    }
    match Upstream::new(settings.url.clone(), roots) {
        Ok(upstream) => Some(Arc::new(upstream)),
        Err(e) => {
            // Only a root can be at fault.
            let (file, _) = ca?;
            files.fault(file, &format!("no TLS with it ({e})"), CERTIFICATES);
            None
        }
    }
}

/// What was an issuer before this load.
struct Before<'a> {
    settings: &'a settings::Issuer,
    issuer: &'a Arc<Issuer>,
    calls: &'a Arc<CallMaterial>,
    introspection: &'a Option<Arc<Access>>,
    key_file: Option<Digest>,
}

impl<'a> Before<'a> {
    /// The issuer of this name.
    fn find(previous: &'a Snapshot, issuer: &settings::Issuer) -> Option<Before<'a>> {
        let index =
            previous.settings.issuers.iter().position(|before| before.issuer.value == issuer.issuer.value)?;
        Some(Before {
            settings: previous.settings.issuers.get(index)?,
            issuer: previous.issuers.get(index)?,
            calls: previous.calls.get(index)?,
            introspection: previous.introspection.get(index)?,
            key_file: *previous.key_files.get(index)?,
        })
    }
}

/// The issuers read so far; one entry of each list for each of them.
#[derive(Default)]
struct Loaded {
    issuers: Vec<Arc<Issuer>>,
    calls: Vec<Arc<CallMaterial>>,
    introspection: Vec<Option<Arc<Access>>>,
    key_files: Vec<Option<Digest>>,
    notes: Vec<String>,
    expiries: Vec<Expiry>,
}

impl Loaded {
    fn add(
        &mut self,
        files: &mut Files<'_>,
        settings: &settings::Issuer,
        before: Option<&Before<'_>>,
        same_headers: bool,
    ) {
        let (set, key_file) = self.keys(files, settings, before);
        let alike = before.map(|before| before.issuer).filter(|i| same_headers && same_policy(i, settings));
        let unchanged = alike.filter(|issuer| match (&issuer.keys.set, &set) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        });
        let mut issuer = issuer(settings, set);
        let answers = alike.and_then(|alike| alike.introspection.as_ref());
        if let Some((introspection, before)) = issuer.introspection.as_mut().zip(answers) {
            introspection.generation = before.generation;
        }
        if let Some(before) = unchanged {
            issuer.keys.generation = before.keys.generation;
        }
        self.issuers.push(match unchanged {
            Some(before) if before.introspection == issuer.introspection => Arc::clone(before),
            _ => Arc::new(issuer),
        });
        self.key_files.push(key_file);
        let material = self.call_material(files, settings);
        self.calls.push(match before {
            Some(before) if **before.calls == material => Arc::clone(before.calls),
            _ => Arc::new(material),
        });
        let access = settings
            .introspection
            .as_ref()
            .and_then(|introspection| Access::load(files, &settings.issuer.value, introspection));
        self.introspection.push(access.map(|access| match before.and_then(|b| b.introspection.as_ref()) {
            Some(before) if **before == access => Arc::clone(before),
            _ => Arc::new(access),
        }));
    }

    /// The keys to begin with, and the digest of the file that they are from.
    fn keys(
        &mut self,
        files: &mut Files<'_>,
        settings: &settings::Issuer,
        before: Option<&Before<'_>>,
    ) -> (Option<Arc<KeySet>>, Option<Digest>) {
        let KeySource::File(file) = &settings.keys else {
            let before = before.filter(|before| same_source(&before.settings.keys, &settings.keys));
            return (before.and_then(|before| before.issuer.keys.set.clone()), None);
        };
        let Some(bytes) = files.bytes(file, LIMIT, JWKS) else { return (None, None) };
        let digest: Digest = Sha256::digest(&bytes).into();
        if let Some(before) = before.filter(|before| before.key_file == Some(digest)) {
            return (before.issuer.keys.set.clone(), Some(digest));
        }
        match KeySet::parse(&bytes) {
            Ok((set, odd)) => {
                self.notes.extend(odd.iter().map(|odd| format!("{}: {odd}", file.value.display())));
                (Some(Arc::new(set)), Some(digest))
            }
            Err(fault) => {
                files.fault(file, &fault.0, JWKS);
                (None, None)
            }
        }
    }

    fn call_material(&mut self, files: &mut Files<'_>, settings: &settings::Issuer) -> CallMaterial {
        let roots = settings.ca.as_ref().and_then(|file| roots(files, file)).unwrap_or_default();
        let identity = settings.tls.as_ref().and_then(|pair| {
            let identity = tls::identity(files, &pair.certificate, &pair.private_key)?;
            self.expiries.extend(identity.expiry);
            Some((identity.certified.cert, identity.key))
        });
        CallMaterial { roots, identity }
    }
}

/// The trust roots of a file.
fn roots(files: &mut Files<'_>, file: &Located<PathBuf>) -> Option<Vec<CertificateDer<'static>>> {
    let roots = files.certificates(file)?;
    for root in &roots {
        if let Err(what) = trust::anchor(root) {
            files.fault(file, &what, CERTIFICATES);
            return None;
        }
    }
    Some(roots)
}

/// Whether keys that were fetched from one are also the other's.
fn same_source(before: &KeySource, now: &KeySource) -> bool {
    match (before, now) {
        (KeySource::Uri(before), KeySource::Uri(now)) => before == now,
        (KeySource::Discovered, KeySource::Discovered) => true,
        _ => false,
    }
}

/// Whether a token that was judged by one would be judged alike by the other, with the same keys.
fn same_policy(before: &Issuer, now: &settings::Issuer) -> bool {
    *before.name == *now.issuer.value
        && before.audiences == now.audiences
        && before.algorithms == now.algorithms
        && before.token_types == now.token_types
        && before.leeway == now.leeway.as_secs()
        && match (&before.introspection, &now.introspection) {
            (None, None) => true,
            (Some(before), Some(now)) => {
                let now = introspection(now);
                let (cache_ttl, negative_ttl) = (now.cache_ttl, now.negative_ttl);
                now == Introspection { generation: 0, cache_ttl, negative_ttl, ..before.clone() }
            }
            _ => false,
        }
}

/// How answers are judged, but for the generation.
fn introspection(settings: &settings::Introspection) -> Introspection {
    Introspection {
        always: settings.always,
        answer: settings.answer,
        client_id: settings.client_id.clone(),
        require_audience: settings.require_audience,
        cache_ttl: settings.cache_ttl,
        negative_ttl: settings.negative_ttl,
        generation: 0,
    }
}
