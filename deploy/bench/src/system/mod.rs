//! The systems under test, each with the configuration that does the same work.

mod boundgate;
mod envoy;
mod haproxy;
mod nginx;
mod verify;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use tempfile::TempDir;

pub use self::boundgate::Workers;
pub use self::envoy::install as install_envoy;
use crate::client::{Ask, Connection, Lane as _, Protocol, Sessions, Tls};
use crate::cores::Core;
use crate::process::Process;
use crate::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_micros(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Boundgate,
    /// Forwards without a token check.
    Nginx,
    Envoy,
    Haproxy,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Boundgate => "Boundgate",
            Kind::Nginx => "nginx",
            Kind::Envoy => "Envoy",
            Kind::Haproxy => "HAProxy",
        }
    }

    /// Whether it refuses a request for its token.
    fn checks_tokens(self) -> bool {
        self != Kind::Nginx
    }

    /// The program with its version, or `None` if it is not installed.
    pub fn version(self, stage: &Stage) -> Option<String> {
        let flag = if self == Kind::Boundgate || self == Kind::Envoy { "--version" } else { "-v" };
        let output = Command::new(self.program(stage)?).arg(flag).output().ok()?;
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| !line.trim().is_empty())?;
        let number = line
            .split([' ', '/'])
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
        Some(number.unwrap_or(line.trim()).to_owned())
    }

    fn program(self, stage: &Stage) -> Option<PathBuf> {
        match self {
            Kind::Boundgate => Some(stage.boundgate.clone()),
            Kind::Nginx => Some("nginx".into()),
            Kind::Envoy => stage.envoy.clone(),
            Kind::Haproxy => Some("haproxy".into()),
        }
    }

    /// Starts it and waits until it takes a good request, and has refused the bad ones.
    pub async fn start(self, stage: &Stage, how: &How) -> Result<Running> {
        let running = self.spawn(stage, how).await.with_context(|| self.name())?;
        verify::verify(self, &running, stage).await.with_context(|| self.name())?;
        Ok(running)
    }

    /// Starts it and waits until it takes a good request.
    async fn spawn(self, stage: &Stage, how: &How) -> Result<Running> {
        let folder = TempDir::new()?;
        let program = self.program(stage).context("is not installed")?;
        let (plain, unbuffered) = (free_port()?, free_port()?);
        let site = Site { stage, folder: folder.path(), program: &program, address: plain, how };
        let command = match self {
            Kind::Boundgate => boundgate::command(&site)?,
            Kind::Nginx => nginx::command(&site, unbuffered)?,
            Kind::Envoy => envoy::command(&site)?,
            Kind::Haproxy => haproxy::command(&site)?,
        };
        let command = match &how.callgrind {
            Some(folder) => under_callgrind(&command, folder),
            None => command,
        };
        let output = folder.path().join("output.log");
        let started = Instant::now();
        let mut process = Process::start(command, how.core, &output)?;
        let ready = ready(&mut process, stage, plain).await;
        ready.with_context(|| fs::read_to_string(&output).unwrap_or_default())?;
        let start_time = started.elapsed();
        let unbuffered = if self == Kind::Nginx { unbuffered } else { plain };
        Ok(Running { address: plain, unbuffered, process, start_time, folder })
    }
}

/// What differs between the scenarios.
pub struct How {
    pub core: Core,
    /// Boundgate only.
    pub workers: Workers,
    /// Counts instructions of each thread, and writes them to files in this folder.
    pub callgrind: Option<PathBuf>,
}

impl Default for How {
    fn default() -> How {
        How { core: Core::System, workers: Workers::Default, callgrind: None }
    }
}

fn under_callgrind(command: &Command, folder: &Path) -> Command {
    let mut callgrind = Command::new("valgrind");
    let file = folder.join("callgrind.out");
    callgrind.args(["--tool=callgrind", "--separate-threads=yes"]);
    callgrind.arg(format!("--callgrind-out-file={}", file.display()));
    callgrind.arg(command.get_program()).args(command.get_args());
    callgrind
}

/// What a configuration is made of.
struct Site<'a> {
    stage: &'a Stage,
    folder: &'a Path,
    program: &'a Path,
    address: SocketAddr,
    how: &'a How,
}

impl Site<'_> {
    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.folder.join(name);
        fs::write(&file, text)?;
        Ok(file)
    }
}

/// A system that serves.
pub struct Running {
    pub address: SocketAddr,
    /// Where it passes bodies on as they come; the same address, unless it would collect them first.
    pub unbuffered: SocketAddr,
    pub process: Process,
    /// From the start of the process to the first answer.
    pub start_time: Duration,
    /// With its configuration and logs; goes with this value.
    #[expect(dead_code, reason = "held for its end")]
    folder: TempDir,
}

/// Asks until it is answered.
async fn ready(process: &mut Process, stage: &Stage, address: SocketAddr) -> Result<()> {
    let tls = Tls::new(&stage.pki, stage.client(), Protocol::Http1, Sessions::Never)?;
    let ask = Ask::get("/", Some(&stage.token))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        process.alive()?;
        let answer = async { Connection::open(&tls, address).await?.ask(&ask).await };
        match answer.await {
            Ok(200) => return Ok(()),
            Ok(status) if Instant::now() > deadline => bail!("answers a good request with {status}"),
            Err(error) if Instant::now() > deadline => return Err(error.context("does not answer")),
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

pub fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
