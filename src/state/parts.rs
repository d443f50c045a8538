//! Single parts of a snapshot, for a command that decides without running: it needs no listener and makes no call.

use std::path::Path;
use std::sync::Arc;

use super::files::{self, Files, LIMIT};
use super::trust::{self, Trust};
use crate::config::error::Faults;
use crate::config::settings::Settings;
use crate::decide::keys::KeySet;

/// Which client certificates are admitted, from the CA and the CRLs alone.
///
/// # Errors
/// Every fault of these files.
pub fn trust(settings: &Settings) -> Result<Arc<Trust>, Faults> {
    let mut files = Files::new(&settings.file);
    let trust = trust::trust(&mut files, &settings.client_certificates, None);
    files.finish()?;
    trust.ok_or_else(Faults::default)
}

/// The key set of a file, and what was left out of it.
///
/// # Errors
/// What stands there instead, in words.
pub fn key_set(file: &Path) -> Result<(KeySet, Vec<String>), String> {
    KeySet::parse(&files::read(file, LIMIT)?).map_err(|fault| fault.0)
}
