//! The real binary, run as an operator runs it.

use std::fs;
use std::io::{self, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::message::{Message, read_response};
use super::process::{PATIENCE, Process};
use super::world::Config;

/// A running sidecar. Dropped, it is ended.
pub(crate) struct Boundgate {
    /// Where it serves clients.
    pub(crate) address: SocketAddr,
    /// Where it answers `/livez`, `/readyz` and `/metrics`.
    pub(crate) admin: SocketAddr,
    /// Its `config.toml`.
    pub(crate) file: PathBuf,
    pub(crate) process: Process,
}

impl Boundgate {
    /// Starts it on this configuration, written to the folder of the certificates, and waits until `/readyz` says yes.
    pub(crate) fn start(folder: &Path, config: &Config) -> Boundgate {
        let mut boundgate = Boundgate::spawn(folder, config);
        boundgate.wait_until_ready();
        boundgate
    }

    /// The same with these environment variables.
    pub(crate) fn start_with(folder: &Path, config: &Config, environment: &[(&str, &str)]) -> Boundgate {
        let mut boundgate = Boundgate::spawn_with(folder, config, environment);
        boundgate.wait_until_ready();
        boundgate
    }

    /// The same under the limits of this `ulimit` command.
    pub(crate) fn start_under(folder: &Path, config: &Config, ulimit: &str) -> Boundgate {
        let mut shell = command_of("sh");
        shell.args(["-c", &format!("{ulimit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_boundgate")]);
        let mut boundgate = Boundgate::spawn_as(shell, folder, config);
        boundgate.wait_until_ready();
        boundgate
    }

    /// Starts it without waiting, for what happens before it is ready.
    pub(crate) fn spawn(folder: &Path, config: &Config) -> Boundgate {
        Boundgate::spawn_with(folder, config, &[])
    }

    fn spawn_with(folder: &Path, config: &Config, environment: &[(&str, &str)]) -> Boundgate {
        let mut run = command();
        run.envs(environment.iter().copied());
        Boundgate::spawn_as(run, folder, config)
    }

    fn spawn_as(mut run: Command, folder: &Path, config: &Config) -> Boundgate {
        let (address, admin) = (free_address(), free_address());
        let file = folder.join("config.toml");
        fs::write(&file, config.text(address, admin)).unwrap();
        let process = Process::spawn(run.arg("run").arg("--config").arg(&file));
        Boundgate { address, admin, file, process }
    }

    /// Waits until `/readyz` says yes.
    pub(crate) fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.ask("/readyz").is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            if let Some(status) = self.process.ended() {
                panic!("it ended with {status}\n{}", self.process.output());
            }
            assert!(Instant::now() < deadline, "it does not become ready\n{}", self.process.output());
            thread::sleep(Duration::from_millis(20)); // readiness is asked for, not announced
        }
    }

    /// Asks the admin port.
    pub(crate) fn ask(&self, target: &str) -> io::Result<Message> {
        let mut stream = BufReader::new(TcpStream::connect(self.admin)?);
        stream.get_ref().set_read_timeout(Some(PATIENCE))?;
        write!(stream.get_mut(), "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        read_response(&mut stream)
    }

    /// The sum of the samples of this metric whose labels contain all of these, as `reason="token-missing"`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.ask("/metrics").unwrap();
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, its) = series.split_once('{').unwrap_or((series, ""));
            (found == name && labels.iter().all(|label| its.contains(label)))
                .then(|| value.parse::<f64>().ok())?
        };
        metrics.text().lines().filter_map(sample).sum()
    }

    /// Waits until that sum is at least this.
    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[&str], at_least: f64) {
        let deadline = Instant::now() + PATIENCE;
        while self.metric(name, labels) < at_least {
            assert!(Instant::now() < deadline, "{name} {labels:?}\n{}", self.ask("/metrics").unwrap().text());
            thread::sleep(Duration::from_millis(20)); // metrics are asked for, not announced
        }
    }

    /// Has it read its files again, and waits until what they say is in force: the thread that reloads answers here.
    pub(crate) fn reload(&self) {
        let (name, labels) = ("boundgate_reloads_total", ["outcome=\"ok\""]);
        let before = self.metric(name, &labels);
        self.process.signal("HUP");
        self.wait_for_metric(name, &labels, before + 1.0);
    }

    /// The first line of its log, there or to come, that is JSON and fits.
    pub(crate) fn log_line(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let json = |line: &str| serde_json::from_str(line).ok().filter(|line| fits(line));
        let found = self.process.stdout.find(json);
        found.unwrap_or_else(|| panic!("no such line\n{}", self.process.output()))
    }

    /// Writes another configuration over the one it runs on, with the same addresses, in one step.
    pub(crate) fn rewrite(&self, config: &Config) {
        let next = self.file.with_extension("next");
        fs::write(&next, config.text(self.address, self.admin)).unwrap();
        fs::rename(next, &self.file).unwrap();
    }

    /// Ends it as Kubernetes does and tells how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.process.signal("TERM");
        self.process.wait()
    }
}

/// The command line, for every other command than `run`.
pub(crate) fn command() -> Command {
    command_of(env!("CARGO_BIN_EXE_boundgate"))
}

/// Any program, with what would be an accident of the environment taken off.
fn command_of(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_remove("RUST_LOG").env_remove("BOUNDGATE_CONFIG");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"OTEL_")) {
        command.env_remove(name);
    }
    command
}

/// A loopback address that nobody listens on. Its port lies below those that the kernel hands out for port 0 and for
/// outgoing connections, so that none of them takes it in between; each process looks in a range of its own first.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 500) as u16 * 20;
    loop {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000 + offset));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
