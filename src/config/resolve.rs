//! From `config.toml` as written to [`Settings`]; gathers all faults.

use std::path::Path;

use super::error::Faults;
use super::settings::Settings;

/// Reads and checks a configuration file. The files that it names are not opened here.
///
/// # Errors
/// Every fault at once.
pub fn read(file: &Path) -> Result<Settings, Faults> {
    let _ = file;
    todo!()
}
