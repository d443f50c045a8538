//! `boundgate man`: a manual page of each command, and one of `config.toml`.

use std::io::Write;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{CliError, CommandLine, reference};
use crate::config::reference::{KeyEntry, sections};

const VERSION: &str = concat!("boundgate ", env!("CARGO_PKG_VERSION"));
const MANUAL: &str = "Boundgate";

/// Writes the pages into `folder`, which is made if it is missing, over those of another version.
///
/// # Errors
/// A file cannot be written.
pub fn run(folder: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    reference::write(folder, files()?, out)
}

/// Name and content of each page.
pub(super) fn files() -> Result<Vec<(String, Vec<u8>)>, CliError> {
    let mut command = CommandLine::command().disable_help_subcommand(true);
    command.build();
    let inner: Vec<Command> =
        command.get_subcommands().filter(|inner| !inner.is_hide_set()).cloned().collect();
    let mut files = Vec::new();
    for command in std::iter::once(command).chain(inner) {
        let page = Man::new(command).source(VERSION).manual(MANUAL);
        let mut text = Vec::new();
        page.render(&mut text)?;
        files.push((page.get_filename(), text));
    }
    files.push(("boundgate-config.5".to_owned(), configuration().into_bytes()));
    Ok(files)
}

/// boundgate-config(5), from the table of all keys.
fn configuration() -> String {
    let mut page = Roff::new();
    page.control("TH", ["boundgate-config", "5", "", VERSION, MANUAL]);
    page.control("SH", ["NAME"]);
    page.text([roman("boundgate-config - Boundgate's configuration file, config.toml")]);
    page.control("SH", ["DESCRIPTION"]);
    page.text([roman(reference::SYNTAX)]);
    for section in sections() {
        page.control("SH", [section.heading.as_str()]);
        page.text([roman(section.about)]);
        for key in section.keys {
            page.control("TP", []);
            page.text(head(&key));
            page.text([roman(key.about)]);
            page.control("br", []);
            page.text([roman(format!("Allowed: {}.", key.allowed))]);
        }
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("boundgate-check"), roman("(1)")]);
    page.render()
}

fn head(key: &KeyEntry) -> Vec<Inline> {
    match &key.default {
        Ok(value) => vec![bold(key.name), roman(" = "), italic(value.as_str())],
        Err("required") => vec![bold(key.name), roman(" (required)")],
        Err(_) => vec![bold(key.name)],
    }
}
