//! `boundgate run`: the sidecar until SIGTERM or `boundgate drain`.

use std::io;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use crate::listen::{Sidecar, StartError};

/// Runs the sidecar; SIGHUP reloads, SIGTERM, SIGINT and the control socket's `POST /drain` drain it.
///
/// # Errors
/// The configuration cannot be used, or a port or thread cannot be had.
pub fn run(config: &Path) -> Result<(), CliError> {
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    // Before the first request: a signal that comes early is not lost.
    let (mut hangup, mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        let listen = |kind| signal(kind).map_err(failed);
        (listen(SignalKind::hangup())?, listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?)
    };
    let sidecar = Sidecar::start(config, io::stdout()).map_err(|error| match error {
        StartError::Configuration(faults) => CliError::Unusable(faults.to_string()),
        StartError::Runtime(text) => CliError::Failed(text),
    })?;
    runtime.block_on(async {
        loop {
            tokio::select! {
                _ = hangup.recv() => sidecar.control().reload().await,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = sidecar.drain_asked() => break,
            }
        }
    });
    sidecar.drain();
    Ok(())
}

/// Takes all the descriptors that the process may have: many systems give 1024 to who does not ask, out of respect for select(2).
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    // Where that fails, the present limit holds, and connections above it wait.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn failed(error: io::Error) -> CliError {
    CliError::Failed(error.to_string())
}
