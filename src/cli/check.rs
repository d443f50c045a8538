//! `boundgate check`: would it run, and what would run?

use std::io::Write;
use std::path::Path;

use rustls_pki_types::UnixTime;

use super::CliError;
use crate::config::settings::{KeySource, Mode, TrustKind};
use crate::listen;

/// Validates the configuration and every file that it names, and prints what would run.
///
/// # Errors
/// Every fault at once; exit code 2.
pub fn run(config: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let (settings, snapshot) =
        listen::check(config).map_err(|faults| CliError::Unusable(faults.to_string()))?;
    writeln!(out, "{}: the configuration is valid", config.display())?;
    writeln!(out, "  listens     {}", settings.listener.address.value)?;
    let mode = match settings.client_certificates.mode {
        Mode::Required => "required",
        Mode::Optional => "optional",
    };
    let trust = match &settings.client_certificates.trust {
        TrustKind::Ca { ca, crl, .. } => format!("{} ({} CRL files)", ca.value.display(), crl.len()),
        TrustKind::Any => "any certificate".into(),
    };
    writeln!(out, "  clients     certificate {mode}, trusted: {trust}")?;
    for issuer in &settings.issuers {
        let keys = match &issuer.keys {
            KeySource::Uri(uri) => uri.clone(),
            KeySource::File(file) => file.value.display().to_string(),
            KeySource::Discovered => "discovered".into(),
        };
        writeln!(
            out,
            "  issuer      {}, keys: {keys}, for {}",
            issuer.issuer.value,
            issuer.audiences.join(" ")
        )?;
    }
    writeln!(out, "  upstream    {}", settings.upstream.url)?;
    writeln!(out, "  admin       {}", settings.admin.address.value)?;
    for expiry in snapshot.expiries() {
        writeln!(out, "  file        {expiry}")?;
    }
    for warning in snapshot.notes.iter().cloned().chain(snapshot.warnings(UnixTime::now())) {
        writeln!(out, "  warning     {warning}")?;
    }
    Ok(())
}
