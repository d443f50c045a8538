//! What is legal but unwise: `boundgate check` prints it, `boundgate run` logs it, and neither refuses it.

mod host;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use rustls_pki_types::UnixTime;

use super::snapshot::{Expiring, Expiry, Snapshot};
use crate::config::settings::{Issuer, KeySource, Settings};
use crate::decide::binding::Require;
use crate::decide::route::{Access, Route, Routes, Shadow};

/// Days before a certificate's end from which on it is mentioned.
const SOON: u64 = 30;

/// A sentence for each thing that an operator should look at, beginning with the key or the file that it is about.
///
/// Besides the snapshot it looks at the modes of the files and at the limits of this process.
pub fn advice(snapshot: &Snapshot, now: UnixTime) -> Vec<String> {
    let settings = &*snapshot.settings;
    let mut advice = binding(settings);
    advice.extend(shared_audiences(&settings.issuers));
    advice.extend(plain_http(&settings.issuers));
    advice.extend(routes(&settings.routes));
    advice.extend(lists(snapshot));
    advice.extend(dates(snapshot, now));
    advice.extend(host::advice(settings));
    advice
}

fn binding(settings: &Settings) -> Vec<String> {
    match settings.require {
        Require::Always => Vec::new(),
        Require::IfBound => vec![
            "binding.require: under \"if-bound\" an unbound token is good for whoever holds it, a thief too; \
             \"always\" refuses it"
                .to_owned(),
        ],
    }
}

/// The API tells tokens of two issuers apart by their audience, or not at all.
fn shared_audiences(issuers: &[Issuer]) -> Vec<String> {
    let mut sharers = BTreeMap::<&str, Vec<String>>::new();
    for (index, issuer) in issuers.iter().enumerate() {
        let mut audiences: Vec<_> = issuer.audiences.iter().collect();
        audiences.sort_unstable();
        audiences.dedup();
        for audience in audiences {
            sharers.entry(audience).or_default().push(format!("issuers[{index}]"));
        }
    }
    let shared = sharers.into_iter().filter(|(_, issuers)| issuers.len() > 1);
    let sentence = |(audience, issuers): (&str, Vec<String>)| {
        format!(
            "{}: they share the audience \"{audience}\", so each of them can issue tokens for the users of the other: \
             the API must not take one's \"sub\" for the other's",
            issuers.join(", ")
        )
    };
    shared.map(sentence).collect()
}

/// The configuration allows it on loopback alone.
fn plain_http(issuers: &[Issuer]) -> Vec<String> {
    let is_plain = |url: &str| url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    let mut advice = Vec::new();
    for (index, issuer) in issuers.iter().enumerate() {
        let introspection = issuer.introspection.as_ref().and_then(|settings| settings.endpoint.as_ref());
        if let Some(url) = introspection.filter(|url| is_plain(url)) {
            advice.push(format!(
                "issuers[{index}].introspection.endpoint: tokens go to {url} without TLS: whoever gets hold of that port has them, \
                 and says which are active; fit for development only"
            ));
        }
        let (key, url) = match &issuer.keys {
            KeySource::Uri(uri) => ("jwks_uri", uri),
            KeySource::Discovered => ("issuer", &issuer.issuer.value),
            KeySource::File(_) => continue,
        };
        if is_plain(url) {
            advice.push(format!(
                "issuers[{index}].{key}: keys come from {url} without TLS: whoever gets hold of that port signs tokens; \
                 fit for development only"
            ));
        }
    }
    advice
}

fn routes(routes: &Routes) -> Vec<String> {
    let all: Vec<&Route> = routes.routes().collect();
    let name = |index: usize| {
        let path = all.get(index).map_or("", |route| route.pattern());
        format!("routes[{index}] ({path})")
    };
    let is_public = |index: usize| all.get(index).is_some_and(|route| route.access() == Access::Public);
    let sentence = |shadow| match shadow {
        Shadow::Never { route, by } => {
            let public = by.iter().any(|&by| is_public(by)) && !is_public(route);
            let names: Vec<_> = by.into_iter().map(name).collect();
            let verb = if names.len() == 1 { "comes first and matches" } else { "come first and match" };
            let but = if public { ", and is public though this rule asks for a token" } else { "" };
            format!("{}: it never matches: {} {verb} all of it{but}", name(route), names.join(" and "))
        }
        Shadow::Opened { route, by, methods } => {
            let methods: Vec<_> = methods.into_iter().collect();
            format!(
                "{}: it asks for a token, but {} requests are public, because {} comes first",
                name(route),
                methods.join(" and "),
                name(by)
            )
        }
    };
    routes.shadows().into_iter().map(sentence).collect()
}

/// An authority that has only just been added often comes without its list.
fn lists(snapshot: &Snapshot) -> Vec<String> {
    let sentence = |name| {
        format!(
            "client_certificates.crl: there is no CRL of \"{name}\", so no client certificate below this authority is admitted"
        )
    };
    snapshot.trust.authorities_without_crl().into_iter().map(sentence).collect()
}

/// None of what has run out stops the proxy, all of it breaks connections soon. A CRL lives for days by its nature, so that
/// only one past its nextUpdate is worth a word.
fn dates(snapshot: &Snapshot, now: UnixTime) -> Vec<String> {
    let near = |expiry: &&Expiry| match expiry.days_left(now) {
        None => true,
        Some(days) => days < SOON && expiry.what != Expiring::Crl,
    };
    snapshot.expiries().filter(near).map(|expiry| format!("{expiry}, {}", expiry.left(now))).collect()
}
