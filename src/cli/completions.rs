//! `boundgate completions`: what a shell needs to complete Boundgate's command line.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::{Generator, Shell};

use super::{CliError, CommandLine};

/// The shells for which scripts are in `docs/completions`.
const SHIPPED: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

/// Prints the script of a shell.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(shell: Shell, out: &mut dyn Write) -> Result<(), CliError> {
    out.write_all(&script(shell))?;
    Ok(())
}

/// Name and content of each script that is shipped; the names are those under which shells look for them.
pub(super) fn files() -> Vec<(String, Vec<u8>)> {
    SHIPPED.into_iter().map(|shell| (shell.file_name("boundgate"), script(shell))).collect()
}

fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "boundgate", &mut script);
    script
}
