//! What the demo prints.

use std::io::{self, Write};
use std::path::Path;

/// Width of a step's title; the outcome stands right of it.
const TITLE: usize = 50;

/// Prints the walk, and counts.
pub(super) struct Teller<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    steps: usize,
    failed: usize,
}

impl Teller<'_> {
    pub(super) fn new(out: &mut dyn Write, colour: bool) -> Teller<'_> {
        Teller { out, colour, steps: 0, failed: 0 }
    }

    /// Who plays, and where the `curl` lines work.
    pub(super) fn scene(&mut self, places: &[(&str, &str)], folder: &Path) -> io::Result<()> {
        writeln!(
            self.out,
            "Boundgate: an access token is of use only with the certificate it is bound to\n"
        )?;
        for (name, place) in places {
            writeln!(self.out, "  {name:<21} {place}")?;
        }
        let folder = quoted(&folder.display().to_string());
        writeln!(
            self.out,
            "\n  While the demo serves, the curl lines work in its folder, beside config.toml and boundgate.log:"
        )?;
        writeln!(self.out, "  cd {folder}")
    }

    /// One step and its outcome.
    pub(super) fn step(&mut self, title: &str, curl: &str, actual: &str, expected: &str) -> io::Result<()> {
        self.steps += 1;
        let (sign, outcome) = if actual == expected {
            (self.paint("32", "✓"), actual.to_owned())
        } else {
            self.failed += 1;
            (self.paint("31", "✗"), format!("{actual}, expected {expected}"))
        };
        let (number, curl) = (self.steps, self.paint("2", curl));
        writeln!(self.out, "\n{sign} {number} {title:<TITLE$} {outcome}\n    {curl}")
    }

    /// The sum. Returns whether every step came out as it should.
    pub(super) fn sum(&mut self) -> io::Result<bool> {
        match self.failed {
            0 => writeln!(self.out, "\nAll {} steps came out as they should.", self.steps)?,
            failed => {
                writeln!(self.out, "\n{failed} of {} steps did not come out as they should.", self.steps)?;
            }
        }
        Ok(self.failed == 0)
    }

    /// One more line.
    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")?;
        self.out.flush()
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// For a shell: as it is if nothing in it means anything there, else in single quotes.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_step_that_comes_out_otherwise_is_marked_and_counted() {
        let mut out = Vec::new();
        let mut teller = Teller::new(&mut out, false);
        teller.step("good", "curl 1", "200", "200").unwrap();
        assert!(teller.sum().unwrap());
        teller.step("bad", "curl 2", "200", "401 token-missing").unwrap();
        assert!(!teller.sum().unwrap());
        let told = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = told.lines().filter(|line| !line.is_empty()).collect();
        assert!(lines[0].starts_with("✓ 1 good ") && lines[0].ends_with(" 200"), "{told}");
        assert_eq!(lines[1], "    curl 1");
        assert_eq!(lines[2], "All 1 steps came out as they should.");
        assert!(lines[3].starts_with("✗ 2 bad ") && lines[3].ends_with(" 200, expected 401 token-missing"));
        assert_eq!(lines[5], "1 of 2 steps did not come out as they should.");
    }

    #[test]
    fn a_path_is_safe_to_paste() {
        assert_eq!(quoted("/tmp/boundgate-demo-1f"), "/tmp/boundgate-demo-1f");
        assert_eq!(quoted("/tmp/it's $HOME"), r"'/tmp/it'\''s $HOME'");
    }
}
