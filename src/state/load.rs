//! From [`Settings`] and the files that they name to a [`Snapshot`]; gathers all faults.

use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::config::error::Faults;
use crate::config::settings::Settings;

/// Reads every file that the settings name and builds a snapshot. Keys that come over the network are not fetched: those
/// issuers start without keys, or with the keys of `previous` where the same issuer has the same key source.
///
/// # Errors
/// Every fault at once, each with the place in the configuration that names the file.
pub fn snapshot(settings: Arc<Settings>, previous: Option<&Snapshot>) -> Result<Snapshot, Faults> {
    let _ = (settings, previous);
    todo!()
}
