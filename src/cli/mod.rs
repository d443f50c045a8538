//! The command line: one file a command.
#![allow(clippy::print_stdout, clippy::print_stderr)] // a command line speaks to a terminal

pub mod certs;
pub mod check;
pub mod completions;
pub mod demo;
pub mod drain;
pub mod error;
pub mod explain;
pub mod health;
pub mod man;
pub mod reference;
pub mod run;
pub mod thumbprint;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use error::CliError;
use thumbprint::Notation;

/// A reverse-proxy sidecar that enforces certificate-bound access tokens (RFC 8705).
#[derive(Debug, Parser)]
#[command(name = "boundgate", version, about, arg_required_else_help = true)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the sidecar
    Run(Config),
    /// Validate the configuration and every file it names, and print what would run
    Check(Config),
    /// Show what Boundgate does: certificates, an authorization server, an API and the sidecar, all on loopback
    Demo {
        /// Exit after the walk, with 0 only if every step came out as it should
        #[arg(long)]
        once: bool,
    },
    /// Write a development CA, a server certificate and two client certificates
    Certs {
        /// Where to; nothing that exists is overwritten
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Print a certificate's x5t#S256
    Thumbprint {
        /// A PEM or DER file, or - for standard input
        #[arg(value_name = "CERT.pem")]
        certificate: PathBuf,
        /// As `openssl x509 -fingerprint -sha256` has it
        #[arg(long)]
        hex: bool,
    },
    /// Decide about one token without network, and show every check with its outcome
    #[command(after_help = explain::EXIT_CODES)]
    Explain {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        request: explain::Request,
    },
    /// Ask the running sidecar's /readyz
    Health(Config),
    /// Tell the running sidecar to drain and end, as SIGTERM does
    #[command(after_help = drain::WHAT_FOR)]
    Drain(Config),
    /// Print the completions of this command line for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages
    #[command(hide = true)]
    Man {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Write the generated pages of docs/
    #[command(hide = true)]
    Reference {
        /// Where to
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Config {
    /// The configuration file
    #[arg(long = "config", value_name = "FILE", default_value = "config.toml")]
    #[arg(env = "BOUNDGATE_CONFIG", hide_env_values = true)]
    file: PathBuf,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // clap prints help and version to standard output, errors to standard error.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match line.command.run(&mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                eprintln!("{}", text.trim_end());
            }
            ExitCode::from(error.exit_code())
        }
    }
}

impl Command {
    fn run(&self, out: &mut dyn io::Write) -> Result<(), CliError> {
        match self {
            Command::Run(config) => run::run(&config.file),
            Command::Check(config) => check::run(&config.file, out),
            Command::Demo { once } => demo::run(*once, out),
            Command::Certs { directory } => certs::run(directory, out),
            Command::Thumbprint { certificate, hex } => {
                thumbprint::run(certificate, if *hex { Notation::Hex } else { Notation::X5t }, out)
            }
            Command::Explain { config, request } => explain::run(&config.file, request, out),
            Command::Health(config) => health::run(&config.file, out),
            Command::Drain(config) => drain::run(&config.file, out),
            Command::Completions { shell } => completions::run(*shell, out),
            Command::Man { directory } => man::run(directory, out),
            Command::Reference { directory } => reference::run(directory, out),
        }
    }
}
