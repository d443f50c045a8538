//! `boundgate check`: would it run, and what would run?

mod certificate;
mod sections;

use std::io::{self, Write};
use std::path::Path;

use rustls_pki_types::UnixTime;

use super::CliError;
use crate::listen;
use crate::state::advice::advice;

/// Validates the configuration and every file that it names, and prints what would run and what is unwise about it.
///
/// # Errors
/// Every fault at once; exit code 2.
pub fn run(config: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let (settings, snapshot) =
        listen::check(config).map_err(|faults| CliError::Unusable(faults.to_string()))?;
    let now = UnixTime::now();
    writeln!(out, "{}: the configuration is valid", config.display())?;
    for section in sections::all(&settings, &snapshot, now) {
        section.print(out)?;
    }
    let warnings: Vec<String> = snapshot.notes.iter().cloned().chain(advice(&snapshot, now)).collect();
    if !warnings.is_empty() {
        writeln!(out, "\nwarnings")?;
    }
    for warning in warnings {
        writeln!(out, "  {warning}")?;
    }
    Ok(())
}

/// A heading and rows below it, of which the columns are aligned.
struct Section {
    heading: String,
    rows: Vec<Vec<String>>,
}

impl Section {
    fn new(heading: impl Into<String>) -> Section {
        Section { heading: heading.into(), rows: Vec::new() }
    }

    /// With a row more: a key and what it means.
    fn row(self, key: impl Into<String>, value: impl Into<String>) -> Section {
        self.columns([key.into(), value.into()])
    }

    fn columns(mut self, row: impl IntoIterator<Item = String>) -> Section {
        self.rows.push(row.into_iter().collect());
        self
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{}", self.heading)?;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(|column| self.width(column)).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("  {cell:width$}"));
            writeln!(out, "{}", cells.collect::<String>().trim_end())?;
        }
        Ok(())
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_spaces() {
        let section = Section::new("heading")
            .row("a", "käse")
            .columns(["longer".into(), "x".into(), "third".into()])
            .columns(["b".into(), String::new()]);
        let mut out = Vec::new();
        section.print(&mut out).unwrap();
        let expected = "\nheading\n  a       käse\n  longer  x     third\n  b\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
