//! The report for people.

use std::fmt::{self, Write as _};

use super::checks::{Check, Outcome};
use super::report::{Certificate, Report, advice, is_unprintable, members};
use super::times::{date, relative, span};
use super::verdict::Verdict;
use crate::decide::refusal::Reason;

/// Columns of a name.
const NAME: usize = 13;

/// The whole text.
pub(super) fn write(report: &Report, colours: bool) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = Writer { out: &mut text, colours }.report(report);
    text
}

struct Writer<'a> {
    out: &'a mut String,
    colours: bool,
}

#[derive(Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Writer<'_> {
    fn report(&mut self, report: &Report) -> fmt::Result {
        self.verdict(report)?;
        for hint in &report.hints {
            self.line(&format!("Hint: {hint}"))?;
        }
        self.heading("Checks")?;
        report.checks.iter().try_for_each(|check| self.check(check))?;
        if report.header.is_some() || report.claims.is_some() {
            self.heading("Token")?;
            for (part, object) in [("header", &report.header), ("claim", &report.claims)] {
                for (name, value) in members(object.as_ref()) {
                    self.line(&format!("  {part:<7} {name}: {value}"))?;
                }
            }
        }
        self.thumbprints(report)?;
        if !report.times.is_empty() {
            self.heading(&format!("Times (now {}, leeway {})", date(report.now), span(report.leeway)))?;
            for (name, at) in &report.times {
                self.line(&format!("  {name:<NAME$} {}  {}", date(*at), relative(*at, report.now)))?;
            }
        }
        Ok(())
    }

    fn verdict(&mut self, report: &Report) -> fmt::Result {
        match &report.verdict {
            Verdict::Pass => self.coloured(Colour::Green, "The request would pass.")?,
            Verdict::Unknown(not_made) => {
                let names = not_made.join(" and the ");
                let text =
                    format!("Not known: nothing refuses the request, but the {names} could not be checked.");
                self.coloured(Colour::Yellow, &text)?;
            }
            Verdict::Refused(refusal) => {
                let (reason, status) = (refusal.reason.name(), refusal.reason.status());
                self.coloured(Colour::Red, &format!("The request would be refused: {reason} ({status})."))?;
                self.out.push('\n');
                self.line(advice(refusal.reason))?;
                return self.besides(report, refusal.reason);
            }
        }
        self.out.push('\n');
        Ok(())
    }

    /// What would refuse it next.
    fn besides(&mut self, report: &Report, first: Reason) -> fmt::Result {
        let mut others = Vec::new();
        for check in &report.checks {
            if let Outcome::Fail(reason) = check.outcome
                && reason != first
                && !others.contains(&reason.name())
            {
                others.push(reason.name());
            }
        }
        if others.is_empty() { Ok(()) } else { self.line(&format!("Besides: {}.", others.join(", "))) }
    }

    fn heading(&mut self, text: &str) -> fmt::Result {
        self.out.push('\n');
        self.line(text)
    }

    fn check(&mut self, check: &Check) -> fmt::Result {
        let (colour, mark) = match check.outcome {
            Outcome::Pass => (Colour::Green, "✓"),
            Outcome::Fail(_) => (Colour::Red, "✗"),
            Outcome::NotChecked => (Colour::Yellow, "–"),
        };
        self.out.push_str("  ");
        self.coloured(colour, mark)?;
        let reason = match check.outcome {
            Outcome::Fail(reason) => format!("{}: ", reason.name()),
            Outcome::NotChecked => "not checked: ".to_owned(),
            Outcome::Pass => String::new(),
        };
        self.line(&format!(" {:<NAME$} {reason}{} [{}]", check.name, check.detail, check.source))
    }

    fn thumbprints(&mut self, report: &Report) -> fmt::Result {
        if report.bound_to.is_none() && report.certificates.is_empty() {
            return Ok(());
        }
        self.heading("Thumbprints (SHA-256: base64url as in cnf.x5t#S256, hexadecimal as openssl has it)")?;
        let certificates = report.certificates.iter().map(|c| (c.file.as_str(), Some(c.thumbprint)));
        let width =
            certificates.clone().map(|(file, _)| file.chars().count()).chain([NAME]).max().unwrap_or(NAME);
        for (name, thumbprint) in [("token", report.bound_to)].into_iter().chain(certificates) {
            let both =
                thumbprint.map(|thumbprint| format!("{}  {}", thumbprint.base64url(), thumbprint.hex()));
            self.line(&format!("  {name:<width$} {}", both.as_deref().unwrap_or("bound to no certificate")))?;
        }
        report.certificates.iter().try_for_each(|certificate| self.certificate(report, certificate))
    }

    fn certificate(&mut self, report: &Report, certificate: &Certificate) -> fmt::Result {
        let Certificate { file, subject, validity: (from, to), issued_for, admitted, .. } = certificate;
        self.heading(&format!("Certificate {file}"))?;
        self.line(&format!("  {:<NAME$} {subject}", "subject"))?;
        let until = relative(*to, report.now);
        self.line(&format!("  {:<NAME$} {} to {} (ends {until})", "valid", date(*from), date(*to)))?;
        let admitted = match admitted {
            None => "not checked".to_owned(),
            Some(Ok(())) => "yes, now".to_owned(),
            Some(Err(why)) => format!("no: {why}"),
        };
        self.line(&format!("  {:<NAME$} {admitted}", "admitted"))?;
        let issued = if *issued_for { "yes" } else { "no" };
        self.line(&format!("  {:<NAME$} {issued}", "token's own"))
    }

    fn coloured(&mut self, colour: Colour, text: &str) -> fmt::Result {
        match self.colours {
            true => write!(self.out, "\x1b[{}m{text}\x1b[0m", colour as u8),
            false => self.out.write_str(text),
        }
    }

    /// A line that may hold words of a client: none of them reaches the terminal as a command.
    fn line(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match is_unprintable(c) {
                true => write!(self.out, "{}", c.escape_unicode())?,
                false => self.out.push(c),
            }
        }
        self.out.push('\n');
        Ok(())
    }
}
