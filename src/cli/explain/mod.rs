//! `boundgate explain`: what a person with a 401 reaches for. One decision without network, every check with its outcome.
//!
//! The verdict is that of the functions that the proxy calls, in the proxy's order (`verdict`). The single `checks` go on where
//! a request would already have been refused; they ask the same functions about `twin`s of the token.

mod checks;
mod given;
mod input;
mod json;
mod report;
mod text;
mod thumbprints;
mod times;
mod twin;
mod verdict;

#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::CliError;
use crate::config::resolve;
use crate::serve::worker::unix_now;
use given::Given;
use input::Input;
use report::Report;
use verdict::Verdict;

/// The end of `--help`.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  the request would pass: every check was made and none failed
  1  it would be refused, or a check could not be made: with jwks_uri or discovery the issuer's keys are not at hand, so that
     nothing is known of the signature without --jwks
  2  the command line or the configuration cannot be used";

/// The request that is decided about.
#[derive(Debug, Args)]
pub(super) struct Request {
    /// The access token, without 'Bearer '; - reads standard input, which keeps it out of the list of processes
    // Several words are taken, so that one that was forgotten between quotes is not shown in an error.
    #[arg(long, value_name = "TOKEN", num_args = 1.., required = true)]
    token: Vec<Given>,
    /// A client certificate, PEM (leaf first) or DER; the first is the connection's, all are compared with the token
    #[arg(long = "cert", value_name = "CERT.pem")]
    certificates: Vec<PathBuf>,
    /// The request's method
    #[arg(long, value_name = "M", default_value = "GET", requires = "path")]
    method: String,
    /// The request's path; without it the token is judged for a route that needs a token and no scopes
    #[arg(long, value_name = "P")]
    path: Option<String>,
    /// The issuer's key set, as fetched from its jwks_uri
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// One JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// Prints the decision and how it comes about.
///
/// # Errors
/// The request would not pass, or that is not known: exit code 1, and standard output says why. The configuration or a file of the
/// command line cannot be used: exit code 2.
pub(super) fn run(config: &Path, request: &Request, out: &mut dyn Write) -> Result<(), CliError> {
    let settings = resolve::read(config).map_err(|faults| CliError::Unusable(faults.to_string()))?;
    let input = Input::read(settings, request, unix_now())?;
    let report = Report::new(&input)?;
    if request.json {
        writeln!(out, "{}", json::write(&report))?;
    } else {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        write!(out, "{}", text::write(&report, io::stdout().is_terminal() && !no_color))?;
    }
    match report.verdict {
        Verdict::Pass => Ok(()),
        Verdict::Refused(_) | Verdict::Unknown(_) => Err(CliError::Failed(String::new())),
    }
}
