//! From `config.toml` as written to [`Settings`]: the rules between keys, and runtime types. Gathers all faults.

mod introspection;
mod issuers;
mod routes;

#[cfg(test)]
mod tests;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::available_parallelism;

use super::error::{Faults, Report};
pub use super::file::NamedFiles;
use super::file::{self, Environment, Values};
use super::settings::{
    Admin, At, ClientCertificates, Forward, ForwardAuthorization, Level, Limits, Listener, Located, Log,
    LogFormat, Mode, Settings, Stream, TrustKind, Upstream,
};
use crate::decide::binding::Require;
use crate::decide::client_headers::ClientCertForm;

/// Reads and checks a configuration file, with `${VAR}` from the environment. The files that it names are not opened here.
///
/// # Errors
/// Every fault at once.
pub fn read(file: &Path) -> Result<Settings, Faults> {
    let environment = |name: &str| std::env::var(name).ok();
    match fs::read_to_string(file) {
        Ok(text) => parse(file, &text, &environment),
        Err(error) => {
            let mut report = Report::new(file);
            report.fault(&At::default(), error.to_string(), "a readable file of UTF-8 text", None);
            report.finish(None)
        }
    }
}

/// The files that a configuration names, section by section, however faulty the rest of it is: those that could be read as
/// names and that would be used.
pub fn named_files(file: &Path) -> Vec<NamedFiles> {
    let Ok(text) = fs::read_to_string(file) else { return Vec::new() };
    let folder = file.parent().unwrap_or(Path::new(""));
    let values = file::read(&text, folder, &|name| std::env::var(name).ok(), &mut Report::new(file));
    let used = |section: &Values, key: &str| match (section.text("trust"), section.text("client_auth"), key) {
        (Some(trust), _, _) => trust.value != "any",
        (_, Some(auth), "signing_key") => auth.value == "private_key_jwt",
        (_, Some(auth), "client_secret_file") => auth.value.starts_with("client_secret"),
        _ => true,
    };
    let files =
        |section: &Values| section.named_files().into_iter().filter(|(key, _)| used(section, key)).collect();
    values.all_sections().into_iter().map(files).collect()
}

/// The same for a text that was read from `file`.
fn parse(file: &Path, text: &str, environment: Environment<'_>) -> Result<Settings, Faults> {
    let mut report = Report::new(file);
    let folder = file.parent().unwrap_or(Path::new(""));
    let values = file::read(text, folder, environment, &mut report);
    let settings = settings(file, &values, &mut report);
    report.finish(settings)
}

/// Every section is resolved before the first `?`, so that a fault in one hides none in another.
fn settings(file: &Path, values: &Values, report: &mut Report) -> Option<Settings> {
    let listener = values.section("listener").and_then(listener);
    let client_certificates =
        values.section("client_certificates").and_then(|s| client_certificates(s, report));
    let issuers = issuers::issuers(values.sections("issuers"), report);
    let require = values.section("binding").and_then(require);
    let routes = routes::routes(values.sections("routes"), report);
    let upstream = values.section("upstream").and_then(upstream);
    let forward = values.section("forward").and_then(|s| forward(s, report));
    let limits = values.section("limits").and_then(limits);
    let log = values.section("log").and_then(log);
    let admin = values.section("admin").and_then(admin);
    if let (Some(issuers), Some(forward)) = (&issuers, &forward) {
        let at = values.section("forward").and_then(|s| s.text("authorization")).map(|word| word.at);
        introspection::phantom_needs_jwts(forward, &at.unwrap_or_default(), issuers, report);
    }
    if let (Some(listener), Some(admin)) = (&listener, &admin) {
        never_on_the_public_port(&admin.address, &listener.address, report);
    }
    Some(Settings {
        file: file.to_owned(),
        listener: listener?,
        client_certificates: client_certificates?,
        issuers: issuers?,
        require: require?,
        routes: routes?,
        upstream: upstream?,
        forward: forward?,
        limits: limits?,
        log: log?,
        admin: admin?,
    })
}

fn listener(values: &Values) -> Option<Listener> {
    Some(Listener {
        address: values.address("address")?,
        certificate: values.file("certificate")?,
        private_key: values.file("private_key")?,
        public_url: values.text("public_url").map(|url| url.value),
        workers: values.number("workers").unwrap_or_else(|| available_parallelism().map_or(1, usize::from)),
    })
}

fn client_certificates(values: &Values, report: &mut Report) -> Option<ClientCertificates> {
    let mode = values.choice("mode", &[("required", Mode::Required), ("optional", Mode::Optional)]);
    let any = values.choice("trust", &[("ca", false), ("any", true)]);
    let trust = if any? { any_certificate(values, report) } else { certificates_of_a_ca(values, report) };
    Some(ClientCertificates { mode: mode?, trust: trust? })
}

fn any_certificate(values: &Values, report: &mut Report) -> Option<TrustKind> {
    let crl = values.files("crl")?;
    let unused = values.file("ca").into_iter().chain(crl.into_iter().take(1));
    for file in unused {
        let found = "a file that trust = \"any\" does not use";
        let hint = "leave it out, or write trust = \"ca\"".to_owned();
        report.fault(&file.at, found, "nothing", Some(hint));
    }
    Some(TrustKind::Any)
}

fn certificates_of_a_ca(values: &Values, report: &mut Report) -> Option<TrustKind> {
    if !values.is_given("ca") {
        let at = At { key: format!("{}.ca", values.at.key), ..values.at.clone() };
        report.missing(&at, "the name of a file", Some("trust = \"ca\" needs it".to_owned()));
    }
    Some(TrustKind::Ca {
        ca: values.file("ca")?,
        crl: values.files("crl")?,
        leaf_only: values.choice("crl_depth", &[("chain", false), ("leaf", true)])?,
        refuse_expired: values.choice("crl_expired", &[("warn", false), ("refuse", true)])?,
    })
}

/// `methods` has one allowed word, so that nothing is left of it to resolve.
fn require(values: &Values) -> Option<Require> {
    values.choice("require", &[("always", Require::Always), ("if-bound", Require::IfBound)])
}

fn upstream(values: &Values) -> Option<Upstream> {
    Some(Upstream {
        url: values.upstream("url")?,
        ca: values.file("ca"),
        connect_timeout: values.time("connect_timeout")?,
        timeout: values.time("timeout")?,
    })
}

fn forward(values: &Values, report: &mut Report) -> Option<Forward> {
    let words = [
        ("keep", ForwardAuthorization::Keep),
        ("remove", ForwardAuthorization::Remove),
        ("phantom", ForwardAuthorization::Phantom),
    ];
    let forms = [
        ("none", ClientCertForm::None),
        ("rfc9440", ClientCertForm::Rfc9440),
        ("xfcc", ClientCertForm::Xfcc),
    ];
    let claims = routes::claims(values.section("claims")?, report);
    Some(Forward {
        authorization: values.choice("authorization", &words)?,
        client_cert: values.choice("client_cert", &forms)?,
        claims: claims?,
    })
}

fn limits(values: &Values) -> Option<Limits> {
    Some(Limits {
        request_head: usize::try_from(values.size("request_head")??).ok()?,
        request_body: values.size("request_body")?,
        head_timeout: values.time("head_timeout")?,
        idle_timeout: values.time("idle_timeout")?,
        stall_timeout: values.time("stall_timeout")?,
        stream: values.choice("stream", &[("keep", Stream::Keep), ("until-exp", Stream::UntilExp)])?,
        connections: values.number("connections")?,
        drain_delay: values.time("drain_delay")?,
        drain: values.time("drain")?,
    })
}

fn log(values: &Values) -> Option<Log> {
    let levels = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
    Some(Log {
        format: values.choice("format", &[("json", LogFormat::Json), ("text", LogFormat::Text)])?,
        level: values.choice("level", &levels)?,
    })
}

fn admin(values: &Values) -> Option<Admin> {
    Some(Admin { address: values.address("address")?, control: values.socket("control") })
}

/// Two sockets cannot share a port where one of them takes every address; and metrics are not for clients.
fn never_on_the_public_port(admin: &Located<SocketAddr>, public: &Located<SocketAddr>, report: &mut Report) {
    let (a, p) = (admin.value, public.value);
    let overlap = a.ip() == p.ip() || a.ip().is_unspecified() || p.ip().is_unspecified();
    if overlap && a.port() == p.port() && a.port() != 0 {
        // A default has no line; then the fault is where the listener is.
        let at = if admin.at.line.is_some() { &admin.at } else { &public.at };
        let other = if admin.at.line.is_some() { &public.at } else { &admin.at };
        report.fault(at, format!("port {} of {}", a.port(), other.key), "a port of its own", None);
    }
}
