//! `boundgate demo`: the walk, with a sidecar of this process.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use super::CliError;
use crate::demo::{self, Options};
use crate::listen::Sidecar;

/// Plays the demo.
///
/// # Errors
/// A step came out otherwise than it should, or the demo could not be set up.
pub fn run(once: bool, out: &mut dyn Write) -> Result<(), CliError> {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match demo::run(Options { once, colour }, start, out) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::Failed("the demo did not come out as it should".into())),
        Err(error) => Err(CliError::Failed(error.to_string())),
    }
}

fn start(config: &Path, log: File) -> Result<demo::Sidecar, String> {
    let sidecar = Sidecar::start(config, log).map_err(|error| error.to_string())?;
    Ok(demo::Sidecar { address: sidecar.address(), stop: Box::new(move || sidecar.stop()) })
}
