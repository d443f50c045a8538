//! Python and the packages of `tests/python`, where they are to be had.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::pki::{Identity, Pki};
use super::process::Process;
use super::skip::skip;

/// The folder of the Python programs.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

/// Whether the Python programs can run. If not, the reason is printed, past the test runner's capture, and the test is to
/// return; on CI it fails instead, for there nothing may be skipped.
pub(crate) fn available() -> bool {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let Some(missing) = MISSING.get_or_init(|| prepare().err()) else { return true };
    skip(missing);
    false
}

/// A program of the folder.
pub(crate) fn program(name: &str) -> Command {
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", folder().join("packages")).env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(folder().join(name));
    python
}

/// A server that prints its port first.
pub(crate) fn serve(name: &str) -> (Process, u16) {
    let server = Process::spawn(&mut program(name));
    let port = server.stdout.find(|line| line.parse().ok());
    (port.map(|port| (server, port))).unwrap_or_else(|| panic!("{name} does not start"))
}

/// A client in a scenario, with this certificate and token.
pub(crate) fn client(
    name: &str,
    scenario: &str,
    port: u16,
    pki: &Pki,
    identity: &Identity,
    token: &str,
) -> Process {
    let mut client = program(name);
    client.arg(scenario).arg(port.to_string()).arg(&pki.authority.certificate);
    Process::spawn(client.arg(&identity.certificate).arg(&identity.private_key).env("TOKEN", token))
}

/// The next line of JSON that a program prints, there or to come.
pub(crate) fn said(process: &Process) -> Value {
    let line = process.stdout.find(|line| serde_json::from_str(line).ok());
    line.unwrap_or_else(|| panic!("it says nothing\n{}", process.output()))
}

fn prepare() -> Result<(), String> {
    if ["grpc", "websockets"].iter().all(|package| folder().join("packages").join(package).exists()) {
        return Ok(());
    }
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]);
    pip.args(["--target", "packages", "--requirement", "requirements.txt"]).current_dir(folder());
    let output = pip.stdin(Stdio::null()).output().map_err(|_| "python3 is not installed")?;
    output.status.success().then_some(()).ok_or("the packages of tests/python cannot be installed".to_owned())
}
