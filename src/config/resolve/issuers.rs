//! `[[issuers]]`

use std::collections::HashMap;

use super::super::error::Report;
use super::super::file::Values;
use super::super::settings::{Identity, Issuer, KeySource};
use super::introspection;
use crate::decide::issuer::{Algorithm, TokenTypes};

/// Every issuer; a token's `iss` must lead to one of them, so that no two have the same name.
pub(super) fn issuers(sections: &[Values], report: &mut Report) -> Option<Vec<Issuer>> {
    let mut lines = HashMap::new();
    let issuers: Vec<_> = sections
        .iter()
        .map(|section| {
            let issuer = section.text("issuer");
            if let Some(issuer) = &issuer
                && let Some(first) = lines.insert(issuer.value.clone(), issuer.at.line)
            {
                let hint = first.map(|line| format!("it is the issuer of line {line} too"));
                report.fault(&issuer.at, format!("{:?}", issuer.value), "each issuer once", hint);
            }
            one(section, report)
        })
        .collect();
    issuers.into_iter().collect::<Option<Vec<_>>>().filter(|issuers| !issuers.is_empty())
}

fn one(values: &Values, report: &mut Report) -> Option<Issuer> {
    let keys = key_source(values, report);
    let introspection = values
        .section("introspection")
        .map(|section| introspection::introspection(section, values.section("tls").is_some(), report));
    let algorithms = values.texts("algorithms")?;
    let types = values.texts("token_types")?;
    Some(Issuer {
        issuer: values.text("issuer")?,
        audiences: values.texts("audiences")?.into_iter().map(|audience| audience.value).collect(),
        algorithms: algorithms.iter().map(|name| Algorithm::from_name(&name.value)).collect::<Option<_>>()?,
        token_types: TokenTypes {
            at_jwt: types.iter().any(|name| name.value == "at+jwt"),
            jwt: types.iter().any(|name| name.value == "JWT"),
        },
        keys: keys?,
        jwks_refresh: values.time("jwks_refresh")?,
        jwks_max_stale: values.time("jwks_max_stale")?,
        ca: values.file("ca"),
        leeway: values.time("leeway")?,
        tls: match values.section("tls") {
            Some(tls) => Some(Identity {
                certificate: tls.file("certificate")?,
                private_key: tls.file("private_key")?,
            }),
            None => None,
        },
        introspection: match introspection {
            Some(introspection) => Some(introspection?),
            None => None,
        },
    })
}

fn key_source(values: &Values, report: &mut Report) -> Option<KeySource> {
    match (values.text("jwks_uri"), values.file("jwks_file")) {
        (Some(_), Some(file)) => {
            let hint = "keys come from one place only".to_owned();
            report.fault(&file.at, "jwks_file besides jwks_uri", "one of the two", Some(hint));
            None
        }
        (Some(uri), None) => Some(KeySource::Uri(uri.value)),
        (None, Some(file)) => Some(KeySource::File(file)),
        (None, None) => Some(KeySource::Discovered),
    }
}
