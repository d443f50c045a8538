//! `[[routes]]` and `[forward.claims]`: the core judges them, and its sentences become faults.

use http::{HeaderName, Method};

use super::super::error::Report;
use super::super::file::Values;
use crate::decide::policy::ClaimHeaders;
use crate::decide::route::{Access, Route, Routes};

/// All routes, in the order of the file.
pub(super) fn routes(sections: &[Values], report: &mut Report) -> Option<Routes> {
    let routes: Vec<_> = sections.iter().map(|section| route(section, report)).collect();
    Some(Routes::new(routes.into_iter().collect::<Option<_>>()?))
}

fn route(values: &Values, report: &mut Report) -> Option<Route> {
    let access = values.choice("access", &[("token", Access::Token), ("public", Access::Public)]);
    let mut scopes = values.texts("scopes");
    if access == Some(Access::Public)
        && let Some(scope) = scopes.as_ref().and_then(|scopes| scopes.first())
    {
        let hint = "leave scopes out, or write access = \"token\"".to_owned();
        report.fault(&scope.at, "a scope of a public route", "nothing", Some(hint));
        // The core would say it again, and nothing about the path.
        scopes = Some(Vec::new());
    }
    let methods = values.texts("methods").unwrap_or_default();
    let methods = methods.iter().map(|name| Method::from_bytes(name.value.as_bytes()).ok());
    let methods = methods.collect::<Option<Vec<_>>>()?;
    let scopes = scopes?.into_iter().map(|scope| scope.value).collect();
    let path = values.text("path")?;
    Route::new(&path.value, methods, access?, scopes)
        .map_err(|sentence| {
            let hint = path.at.mask(sentence);
            report.fault(&path.at, format!("{:?}", path.value), "a path in its canonical form", Some(hint));
        })
        .ok()
}

/// `[forward.claims]`
pub(super) fn claims(values: &Values, report: &mut Report) -> Option<ClaimHeaders> {
    let mut entries = Vec::new();
    for (header, claim) in values.free() {
        match HeaderName::from_bytes(header.value.as_bytes()) {
            Ok(name) => entries.push((&header.at, (name, claim.value.clone()))),
            Err(_) => report.fault(&header.at, "no header name", "a token of RFC 9110 §5.6.2", None),
        }
    }
    // One fault a call: without the entry that has it, the next one shows.
    loop {
        let headers = entries.iter().map(|(_, entry)| entry.clone()).collect();
        match ClaimHeaders::new(headers) {
            Ok(headers) => return Some(headers),
            Err((index, sentence)) if index < entries.len() => {
                let (at, (name, _)) = entries.remove(index);
                report.fault(at, format!("the header {name}"), "a header of the user's own", Some(sentence));
            }
            Err(_) => return None,
        }
    }
}
