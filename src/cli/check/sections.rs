//! What would run, section by section as in `config.toml`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::UnixTime;

use super::{Section, certificate};
use crate::config::settings::{
    ClientAuth, Forward, ForwardAuthorization, Introspection, Issuer, KeySource, Level, Limits, Listener,
    LogFormat, Mode, Settings, Stream, TrustKind, Upstream, UpstreamUrl,
};
use crate::config::{show_size, show_time};
use crate::decide::binding::Require;
use crate::decide::issuer::{Issuer as Policy, TokenTypes};
use crate::decide::route::{Access, Route};
use crate::state::load;
use crate::state::snapshot::Snapshot;

/// Every section, the files last.
pub(super) fn all(settings: &Settings, snapshot: &Snapshot, now: UnixTime) -> Vec<Section> {
    let mut sections = vec![listener(&settings.listener), client_certificates(settings)];
    sections.extend(settings.issuers.iter().zip(&snapshot.issuers).map(issuer));
    sections.push(binding(settings.require));
    sections.push(routes(settings));
    sections.push(upstream(&settings.upstream));
    sections.push(forward(&settings.forward));
    sections.push(limits(&settings.limits));
    sections.push(log(settings));
    sections.push(admin(settings));
    sections.push(files(settings, snapshot, now));
    sections
}

fn listener(listener: &Listener) -> Section {
    let chain = certificate::read(&listener.certificate.value);
    let hosts = chain.first().map(certificate::hosts).unwrap_or_default();
    Section::new("listener")
        .row("address", listener.address.value.to_string())
        .row("protocols", "TLS 1.2 and 1.3, h2 and http/1.1")
        .row("certificate", format!("{} for {}", listener.certificate.value.display(), hosts.join(", ")))
        .row(
            "public_url",
            listener.public_url.as_deref().unwrap_or("none: what we write names the request's Host"),
        )
        .row("workers", listener.workers.to_string())
}

fn client_certificates(settings: &Settings) -> Section {
    let clients = &settings.client_certificates;
    let mode = match clients.mode {
        Mode::Required => "required: no certificate, no handshake",
        Mode::Optional => "optional: without a certificate the request decides",
    };
    let section = Section::new("client certificates").row("mode", mode);
    let TrustKind::Ca { ca, crl, leaf_only, refuse_expired } = &clients.trust else {
        return section.row("trust", "any certificate whose dates hold, self-signed too");
    };
    let mut section = section.row("trust", format!("chains that lead to {}", ca.value.display()));
    for authority in certificate::read(&ca.value) {
        section = section.row("authority", certificate::subject(&authority));
    }
    if crl.is_empty() {
        return section.row("revocation", "not checked: there is no CRL");
    }
    for list in crl {
        section = section.row("crl", list.value.display().to_string());
    }
    let depth =
        if *leaf_only { "the client's own certificate" } else { "every certificate below the authority" };
    let expired = if *refuse_expired { "admits nobody" } else { "still counts" };
    section.row("revocation", format!("{depth} needs a CRL; one past its nextUpdate {expired}"))
}

fn issuer((issuer, policy): (&Issuer, &Arc<Policy>)) -> Section {
    let keys = policy.keys.set.as_ref().map_or(0, |set| set.len());
    let algorithms: Vec<_> = issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    let mut section = Section::new(format!("issuer {}", issuer.issuer.value))
        .row("audiences", issuer.audiences.join(", "))
        .row("algorithms", algorithms.join(", "))
        .row("token_types", token_types(issuer.token_types))
        .row("leeway", show_time(issuer.leeway));
    section = match &issuer.keys {
        KeySource::File(file) => {
            let keys = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
            section.row("keys", format!("{} ({keys})", file.value.display()))
        }
        KeySource::Uri(uri) => section.row("keys", uri),
        KeySource::Discovered => section.row("keys", "discovered (RFC 8414, then OpenID Connect Discovery)"),
    };
    if !matches!(issuer.keys, KeySource::File(_)) {
        let (refresh, stale) = (show_time(issuer.jwks_refresh), show_time(issuer.jwks_max_stale));
        section = section.row("refresh", format!("every {refresh}; keys serve {stale} without one"));
    }
    if let Some(ca) = &issuer.ca {
        section = section.row("ca", format!("{} besides the system's", ca.value.display()));
    }
    if let Some(tls) = &issuer.tls {
        let chain = certificate::read(&tls.certificate.value);
        let name = chain.first().map(certificate::subject).unwrap_or_default();
        section = section.row("tls", format!("{}, {name}", tls.certificate.value.display()));
    }
    match &issuer.introspection {
        Some(settings) => introspection(section, settings),
        None => section.row("introspection", "none: only JWTs are accepted"),
    }
}

fn introspection(section: Section, settings: &Introspection) -> Section {
    let endpoint = settings.endpoint.as_deref().unwrap_or("discovered");
    let which = if settings.always { "every token" } else { "opaque tokens" };
    let how = match &settings.client_auth {
        ClientAuth::SecretBasic(_) => "client_secret_basic",
        ClientAuth::SecretPost(_) => "client_secret_post",
        ClientAuth::PrivateKeyJwt { .. } => "private_key_jwt",
        ClientAuth::Tls => "tls_client_auth",
    };
    let form = settings.answer.media_type();
    let (ttl, negative) = (show_time(settings.cache_ttl), show_time(settings.negative_ttl));
    section
        .row("introspection", format!("{endpoint}, for {which}, as {} by {how}", settings.client_id))
        .row("answers", format!("{form}; active ones serve {ttl}, others {negative}"))
}

fn token_types(types: TokenTypes) -> String {
    let names = [(types.at_jwt, "at+jwt"), (types.jwt, "JWT or none")];
    names.into_iter().filter(|(used, _)| *used).map(|(_, name)| name).collect::<Vec<_>>().join(", ")
}

fn binding(require: Require) -> Section {
    let meaning = match require {
        Require::Always => "always: an unbound token is refused",
        Require::IfBound => "if-bound: an unbound token is accepted, only a bound one is checked",
    };
    Section::new("binding").row("require", meaning).row("methods", "mtls")
}

fn routes(settings: &Settings) -> Section {
    let token = match settings.require {
        Require::Always => "bound token",
        Require::IfBound => "token, checked if it is bound",
    };
    let mut section = Section::new("routes, the first match wins");
    for (index, route) in settings.routes.routes().enumerate() {
        let needs = match (route.access(), route.scopes()) {
            (Access::Public, _) => "public".to_owned(),
            (Access::Token, []) => token.to_owned(),
            (Access::Token, scopes) => format!("{token} with scopes {}", scopes.join(" ")),
        };
        section =
            section.columns([format!("routes[{index}]"), methods(route), route.pattern().to_owned(), needs]);
    }
    section.columns(["last".into(), "every method".into(), "everything else".into(), token.into()])
}

fn methods(route: &Route) -> String {
    match route.methods() {
        [] => "every method".to_owned(),
        methods => methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(" "),
    }
}

fn upstream(upstream: &Upstream) -> Section {
    let mut section = Section::new("upstream").row("url", upstream.url.to_string());
    if let UpstreamUrl::Https { .. } = upstream.url {
        let ca = upstream.ca.as_ref().map(|ca| ca.value.display().to_string());
        section = section.row("ca", ca.unwrap_or("the system's trust roots".to_owned()));
    }
    section
        .row("connect_timeout", show_time(upstream.connect_timeout))
        .row("timeout", format!("{} for the response's head", show_time(upstream.timeout)))
}

fn forward(forward: &Forward) -> Section {
    let authorization = match forward.authorization {
        ForwardAuthorization::Keep => "keep",
        ForwardAuthorization::Remove => "remove",
        ForwardAuthorization::Phantom => "phantom: JWTs alone",
    };
    let mut section = Section::new("forward").row("authorization", authorization).row("client_cert", "none");
    for (header, claim) in forward.claims.entries() {
        section = section.row(header.as_str(), format!("claim {claim}"));
    }
    section
}

fn limits(limits: &Limits) -> Section {
    let size = |bytes: usize| show_size(bytes as u64);
    let times: [(&str, Duration); 5] = [
        ("head_timeout", limits.head_timeout),
        ("idle_timeout", limits.idle_timeout),
        ("stall_timeout", limits.stall_timeout),
        ("drain_delay", limits.drain_delay),
        ("drain", limits.drain),
    ];
    let stream = match limits.stream {
        Stream::Keep => "keep: a long exchange may outlast its token",
        Stream::UntilExp => "until-exp: a long exchange ends with its token",
    };
    let mut section = Section::new("limits")
        .row("stream", stream)
        .row("request_head", size(limits.request_head))
        .row("request_body", limits.request_body.map_or("none".to_owned(), show_size))
        .row("connections", limits.connections.to_string());
    for (key, time) in times {
        section = section.row(key, show_time(time));
    }
    section
}

fn log(settings: &Settings) -> Section {
    let format = match settings.log.format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    let level = match settings.log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    Section::new("log").row("format", format).row("level", level)
}

fn admin(settings: &Settings) -> Section {
    let address = settings.admin.address.value;
    let section = Section::new("admin").row("address", format!("{address}: /livez, /readyz, /metrics"));
    match &settings.admin.control {
        Some(socket) => {
            section.row("control", format!("unix:{}: POST /revocations, /drain", socket.value.display()))
        }
        None => section,
    }
}

/// Every file once, with the date at which it runs out, if it does.
fn files(settings: &Settings, snapshot: &Snapshot, now: UnixTime) -> Section {
    let mut section = Section::new("files");
    let mut seen = BTreeSet::new();
    for file in load::files(settings) {
        let mut row = vec![file.display().to_string()];
        if let Some(expiry) = snapshot.expiries().find(|expiry| expiry.file == file) {
            row.extend([expiry.date(), expiry.left(now)]);
        }
        if seen.insert(file) {
            section = section.columns(row);
        }
    }
    section
}
