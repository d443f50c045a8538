//! Every command, as `--help` shows it.

use clap::{Command, CommandFactory};

use super::markdown::{Page, code};
use crate::cli::CommandLine;

pub(super) fn page() -> String {
    let mut command = CommandLine::command().disable_help_subcommand(true).term_width(WIDTH);
    command.build();
    let about = "Exit codes: 0 success, 1 failure at run time, 2 unusable command line or configuration. `boundgate completions SHELL` prints \
        what a shell needs to complete these commands, `boundgate man DIR` writes manual pages of them and of `config.toml`.";
    let mut page = Page::new("Command line").paragraph(about).block(&help(&mut command));
    for inner in command.get_subcommands_mut().filter(|inner| !inner.is_hide_set()) {
        page = page.heading(&code(&format!("boundgate {}", inner.get_name()))).block(&help(inner));
    }
    page.finish()
}

/// Columns of the help, so that no terminal changes the page.
const WIDTH: usize = 100;

fn help(command: &mut Command) -> String {
    let help = command.render_long_help().to_string();
    help.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
