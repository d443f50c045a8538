//! `boundgate reference`: the pages of `docs/` that are generated from the code, so that they cannot say anything else.
//!
//! `cargo run -- reference docs` writes them; a test compares them with what this version would write.

mod command_line;
mod configuration;
mod markdown;
mod metrics;
mod reasons;

use std::fs;
use std::io::Write;
use std::path::Path;

use super::{CliError, completions, man};

/// What holds for the whole of `config.toml`.
pub(super) const SYNTAX: &str = "The file is TOML. Sizes are \"16KiB\" (B, KiB, MiB, GiB), times are \"30s\" \
    (ms, s, m, h; \"1h30m\" too). Relative paths start from the file's own folder. ${VAR} inside a string is replaced from the \
    environment after parsing; $${ is a literal ${, and a variable that is unset or empty is an error. An unknown key is an error. \
    `boundgate check` reports everything that is wrong at once.";

/// Writes the pages into folders below `folder`, over those of another version.
///
/// # Errors
/// A file cannot be written.
pub fn run(folder: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let pages = [
        ("command-line.md", command_line::page()),
        ("configuration.md", configuration::page()),
        ("metrics.md", metrics::page()?),
        ("reasons.md", reasons::page()),
    ];
    let pages = pages.into_iter().map(|(name, page)| (name.to_owned(), page.into_bytes())).collect();
    write(&folder.join("reference"), pages, out)?;
    write(&folder.join("man"), man::files()?, out)?;
    write(&folder.join("completions"), completions::files(), out)
}

/// Writes files into a folder, which is made if it is missing, and names them.
///
/// # Errors
/// One of them cannot be written.
pub(super) fn write(
    folder: &Path,
    files: Vec<(String, Vec<u8>)>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let failed =
        |path: &Path, error: std::io::Error| CliError::Failed(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, content) in files {
        let file = folder.join(name);
        fs::write(&file, content).map_err(|error| failed(&file, error))?;
        writeln!(out, "{}", file.display())?;
    }
    Ok(())
}
