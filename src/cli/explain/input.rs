//! Everything that the decision is made from, read once: files, standard input, the clock.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use http::{Method, Uri};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::Request;
use super::given::Given;
use crate::cli::{CliError, thumbprint};
use crate::config::settings::{self, KeySource, Settings};
use crate::decide::client::ClientCert;
use crate::decide::issuer::Issuer;
use crate::decide::keys::KeySet;
use crate::decide::path::RequestPath;
use crate::decide::refusal::{Reason, Refusal};
use crate::state::trust::Trust;
use crate::state::{load, parts};

/// Bytes of a token; the largest head that can be configured has no more.
const TOKEN: u64 = 1 << 20;

pub(super) struct Input {
    pub(super) settings: Settings,
    /// With the keys that are at hand.
    pub(super) issuers: Vec<Arc<Issuer>>,
    /// For each issuer where its keys are from, or why there are none.
    pub(super) keys: Vec<Result<String, String>>,
    /// Or why nothing is known of it.
    pub(super) trust: Result<Arc<Trust>, String>,
    /// The first is the connection's.
    pub(super) certificates: Vec<Presented>,
    /// As given …
    pub(super) given: Given,
    /// … and as meant.
    pub(super) token: Given,
    pub(super) hints: Vec<String>,
    pub(super) target: Option<Target>,
    /// Seconds since 1970.
    pub(super) now: u64,
}

/// A certificate of the command line.
pub(super) struct Presented {
    pub(super) file: String,
    pub(super) client: ClientCert,
}

/// `--method` and `--path`
pub(super) struct Target {
    pub(super) method: Method,
    pub(super) path: Result<RequestPath, Refusal>,
}

impl Input {
    /// Reads what the command line and the configuration name. The listener's key is not needed, nor is anything of a call; a CA, a
    /// CRL or a `jwks_file` that cannot be read here leaves its check unmade.
    ///
    /// # Errors
    /// A file or a word of the command line cannot be used.
    pub(super) fn read(settings: Settings, request: &Request, now: u64) -> Result<Input, CliError> {
        let certificates = request.certificates.iter().map(|file| Presented::read(file));
        let certificates = certificates.collect::<Result<_, _>>()?;
        let given = Given::new(&request.token);
        let given = if given.is_elsewhere() { from_standard_input()? } else { given };
        let (token, mut hints) = given.mended();
        hints.extend(token.kind().map(str::to_owned));
        let ours = request.jwks.as_deref().map(named_key_set).transpose()?;
        let (issuers, keys) = issuers(&settings, ours);
        let trust = parts::trust(&settings).map_err(|faults| one_line(&faults));
        let target = request.path.as_deref().map(|path| Target::read(&request.method, path)).transpose()?;
        Ok(Input { settings, issuers, keys, trust, certificates, given, token, hints, target, now })
    }

    /// The certificate of the connection.
    pub(super) fn client(&self) -> Option<&ClientCert> {
        self.certificates.first().map(|presented| &presented.client)
    }
}

impl Presented {
    fn read(file: &Path) -> Result<Presented, CliError> {
        let unusable =
            |what: &dyn std::fmt::Display| CliError::Unusable(format!("--cert {}: {what}", file.display()));
        let bytes = thumbprint::read(file).map_err(|error| unusable(&error))?;
        let others = CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).skip(1);
        let others: Vec<CertificateDer<'static>> = others.collect();
        let leaf = thumbprint::first_certificate(bytes).map_err(|what| unusable(&what))?;
        let chain = std::iter::once(leaf.into()).chain(others).collect();
        let client = ClientCert::read(chain).map_err(|_| unusable(&"not well-formed X.509"))?;
        Ok(Presented { file: file.display().to_string(), client })
    }
}

impl Target {
    /// The target as the proxy's HTTP parser reads it: a query may stand behind the path, a scheme and a host before it.
    fn read(method: &str, target: &str) -> Result<Target, CliError> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| CliError::Unusable("--method: not a method's name (RFC 9110 §9.1)".to_owned()))?;
        let path = match target.parse::<Uri>() {
            Err(_) => Err(Reason::RequestMalformed.note("the HTTP parser cannot read the path; escape it")),
            Ok(uri) if !uri.path().starts_with('/') => {
                Err(Reason::RequestMalformed.note("a path begins with '/'"))
            }
            Ok(uri) => RequestPath::read(uri.path()),
        };
        Ok(Target { method, path })
    }
}

fn from_standard_input() -> Result<Given, CliError> {
    let failed =
        |what: &dyn std::fmt::Display| CliError::Unusable(format!("--token -: standard input: {what}"));
    let mut text = String::new();
    let read = io::stdin()
        .lock()
        .take(TOKEN + 1)
        .read_to_string(&mut text)
        .map_err(|error| failed(&error.kind()))?;
    if read as u64 > TOKEN {
        return Err(failed(&"too long for a token"));
    }
    Ok(text.into())
}

/// `--jwks`
fn named_key_set(file: &Path) -> Result<(Arc<KeySet>, String), CliError> {
    match parts::key_set(file) {
        Ok((set, _)) => Ok((Arc::new(set), file.display().to_string())),
        Err(what) => Err(CliError::Unusable(format!("--jwks {}: {what}", file.display()))),
    }
}

/// The issuers with the keys that are at hand, and where those are from.
fn issuers(
    settings: &Settings,
    ours: Option<(Arc<KeySet>, String)>,
) -> (Vec<Arc<Issuer>>, Vec<Result<String, String>>) {
    let keys_of = |source: &KeySource| match (&ours, source) {
        (Some((set, file)), _) => Ok((set.clone(), file.clone())),
        (None, KeySource::File(file)) => match parts::key_set(&file.value) {
            Ok((set, _)) => Ok((Arc::new(set), "jwks_file".to_owned())),
            Err(what) => Err(format!("no keys at hand; the jwks_file is {what}")),
        },
        (None, KeySource::Uri(uri)) => {
            Err(format!("no keys at hand; fetch {uri} and pass it as --jwks FILE"))
        }
        (None, KeySource::Discovered) => {
            Err("no keys at hand; fetch the jwks_uri of the issuer's metadata and pass it as --jwks FILE"
                .to_owned())
        }
    };
    let pair = |issuer: &settings::Issuer| {
        let keys = keys_of(&issuer.keys);
        let set = keys.as_ref().ok().map(|(set, _)| set.clone());
        (Arc::new(load::issuer(issuer, set)), keys.map(|(_, from)| from))
    };
    settings.issuers.iter().map(pair).unzip()
}

fn one_line(faults: &impl ToString) -> String {
    faults.to_string().trim_end().replace('\n', "; ")
}
