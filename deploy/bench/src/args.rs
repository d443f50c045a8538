//! The command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

use crate::measure::{Bench, Effort};
use crate::scenario::SCENARIOS;
use crate::stage::Stage;
use crate::system::{self, Kind};
use crate::{cores, instructions, run};

/// Open files of load and upstream together, and to spare: 10,000 connections and what belongs to them.
const OPEN_FILES: u64 = 12_000;

/// Measures Boundgate beside nginx, Envoy and HAProxy.
#[derive(Parser)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Other>,
    /// The release binary; built if it is not given.
    #[arg(long, global = true)]
    boundgate: Option<PathBuf>,
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
    /// Where the table (.md), the plot (.svg) and the raw figures (.json) go, without the ending; printed only, if not given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// One round of short windows, to see that everything works.
    #[arg(long, conflicts_with = "out")]
    quick: bool,
}

#[derive(Subcommand)]
enum Other {
    /// Counts instructions per request under callgrind, and fails if they are more than those in instructions.json.
    Instructions {
        /// Writes what was counted to the file instead.
        #[arg(long)]
        update: bool,
    },
}

fn scenario_names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).collect()
}

impl Args {
    pub fn run(mut self) -> Result<()> {
        let boundgate = match self.boundgate.take() {
            Some(boundgate) => boundgate.canonicalize().context("--boundgate")?,
            None => build()?,
        };
        match self.command {
            Some(Other::Instructions { update }) => {
                let stage = Stage::new(boundgate, None)?;
                cores::pin(cores::Core::Load)?;
                cores::runtime(instructions::compare(&stage, &package().join("instructions.json"), update))
            }
            None => self.measure(boundgate),
        }
    }

    fn measure(self, boundgate: PathBuf) -> Result<()> {
        cores::raise_open_files(OPEN_FILES)?;
        let envoy = if self.systems.contains(&Kind::Envoy) { envoy() } else { None };
        let effort = if self.quick {
            let (time, settled) = (Duration::from_millis(200), Duration::from_millis(200));
            Effort { time, idle: 100, settled, most_idle: 900 }
        } else {
            let time = Duration::from_secs_f64(self.seconds);
            Effort { time, idle: 2_000, settled: Duration::from_secs(3), most_idle: usize::MAX }
        };
        let chosen =
            |name: &str| self.scenarios.is_empty() || self.scenarios.iter().any(|chosen| chosen == name);
        let plan = run::Plan {
            scenarios: SCENARIOS.iter().filter(|scenario| chosen(scenario.name)).collect(),
            systems: self.systems,
            rounds: if self.quick { 1 } else { self.rounds },
        };
        let bench = Bench::new(Stage::new(boundgate, envoy)?, effort);
        cores::pin(cores::Core::Load)?;
        let figures = cores::runtime(run::run(&bench, plan))?;
        print!("{}", figures.table());
        self.out.map_or(Ok(()), |out| figures.write(&out))
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn build() -> Result<PathBuf> {
    let project = package().join("../..").canonicalize()?;
    let mut cargo = Command::new("cargo");
    let status = cargo.args(["build", "--release"]).current_dir(&project).status().context("cargo")?;
    ensure!(status.success(), "Boundgate could not be built");
    Ok(project.join("target/release/boundgate"))
}

/// A system that cannot be had is left out, as one that is not installed.
fn envoy() -> Option<PathBuf> {
    let installed = system::install_envoy(&package().join("target/bench"));
    installed.inspect_err(|error| eprintln!("Envoy: {error:#}")).ok()
}
