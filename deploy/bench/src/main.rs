//! Measures what Boundgate costs, beside nginx without a token check and Envoy and HAProxy with it.
//!
//! Each figure is that of a fresh process, pinned to a processor of its own and verified to refuse what it must; load and upstream share
//! another one. Rounds go through all scenarios and, within a scenario, through all systems, so that what disturbs the machine disturbs all.

mod args;
mod client;
mod cores;
mod http1;
mod instructions;
mod issuer;
mod load;
mod measure;
mod pki;
mod process;
mod report;
mod run;
mod scenario;
mod stage;
mod system;
mod upstream;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match args::Args::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
