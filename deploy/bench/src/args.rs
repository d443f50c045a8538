//! The command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::measure::{Bench, Effort};
use crate::scenario::SCENARIOS;
use crate::stage::Stage;
use crate::system::{self, Kind};
use crate::{cores, run};

/// Open files of load and upstream together, and to spare: 10,000 connections and what belongs to them.
const OPEN_FILES: u64 = 12_000;

/// Measures Boundgate beside nginx, Envoy and HAProxy.
#[derive(Parser)]
pub struct Args {
    /// Those that are not installed are left out.
    #[arg(long, value_delimiter = ',', default_value = "boundgate,nginx,envoy,haproxy")]
    systems: Vec<Kind>,
    /// All, unless some are named.
    #[arg(long, value_delimiter = ',', value_parser = scenario_names())]
    scenarios: Vec<String>,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Of each measured window.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The release binary; built if it is not given.
    #[arg(long)]
    boundgate: Option<PathBuf>,
    /// Where the table (.md), the plot (.svg) and the raw figures (.json) go, without the ending; printed only, if not given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// One round of short windows, to see that everything works.
    #[arg(long)]
    quick: bool,
}

fn scenario_names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

impl Args {
    pub fn run(self) -> Result<()> {
        cores::raise_open_files(OPEN_FILES)?;
        let boundgate = self.boundgate.map_or_else(build, Ok)?;
        let envoy = if self.systems.contains(&Kind::Envoy) { install_envoy() } else { None };
        let effort = if self.quick {
            Effort { time: Duration::from_millis(200), idle: 100 }
        } else {
            Effort { time: Duration::from_secs_f64(self.seconds), idle: 2_000 }
        };
        let plan = run::Plan {
            systems: self.systems,
            scenarios: SCENARIOS
                .iter()
                .filter(|scenario| {
                    self.scenarios.is_empty() || self.scenarios.iter().any(|name| name == scenario.name)
                })
                .collect(),
            rounds: if self.quick { 1 } else { self.rounds },
        };
        let bench = Bench::new(Stage::new(boundgate, envoy)?, effort);
        cores::pin(cores::Core::Load)?;
        let figures = cores::runtime(run::run(&bench, plan))?;
        _ = (figures, self.out);
        Ok(())
    }
}

/// The folder of Boundgate's own package.
fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn build() -> Result<PathBuf> {
    let project = project().canonicalize()?;
    let status =
        Command::new("cargo").args(["build", "--release"]).current_dir(&project).status().context("cargo")?;
    ensure!(status.success(), "Boundgate could not be built");
    Ok(project.join("target/release/boundgate"))
}

/// A system that cannot be had is left out, as one that is not installed.
fn install_envoy() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    system::install_envoy(&folder).inspect_err(|error| eprintln!("Envoy: {error:#}")).ok()
}
