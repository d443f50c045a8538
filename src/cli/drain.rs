//! `boundgate drain`: tells the running sidecar to drain and end, for `preStop` hooks in images without a shell.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::CliError;
use super::health::{TIMEOUT, exchange};
use crate::config::resolve;

/// Why SIGTERM is not always enough.
pub(super) const WHAT_FOR: &str = "\
It returns at once; the sidecar goes on for drain_delay and drain, and ends. Needs [admin] control.
A native sidecar of Kubernetes gets its SIGTERM after the API has ended, which is too late: this, as its preStop
hook, comes when the pod's end begins.";

/// Asks the control socket of this configuration.
///
/// # Errors
/// Nobody answers there: exit code 1. The configuration cannot be read or has no control socket: 2.
pub fn run(config: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let settings = resolve::read(config).map_err(|faults| CliError::Unusable(faults.to_string()))?;
    let Some(socket) = &settings.admin.control else {
        let file = config.display();
        return Err(CliError::Unusable(format!(
            "{file}: [admin] control is not given, and is how it is told"
        )));
    };
    let socket = &socket.value;
    let failed =
        |what: &dyn std::fmt::Display| CliError::Failed(format!("unix:{}: {what}", socket.display()));
    let answer = ask(socket).map_err(|error| failed(&error))?;
    if answer.split_whitespace().nth(1) != Some("200") {
        return Err(failed(&answer.lines().next().unwrap_or_default()));
    }
    writeln!(out, "draining")?;
    Ok(())
}

fn ask(socket: &Path) -> std::io::Result<String> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    exchange(stream, "POST /drain")
}
