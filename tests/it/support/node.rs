//! Node.js and the packages of `tests/oidc`, where they are to be had.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::pki::Identity;
use super::skip::skip;

/// The first version with all that oidc-provider calls (`crypto.hash`).
const OLDEST: (u32, u32) = (20, 12);

/// The folder of the Node programs.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc")
}

/// Whether the Node programs can run. If not, the reason is printed, past the test runner's capture, and the test is to
/// return; on CI it fails instead, for there nothing may be skipped.
pub(crate) fn available() -> bool {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let Some(missing) = MISSING.get_or_init(|| prepare().err()) else { return true };
    skip(missing);
    false
}

/// One GET over HTTP/2 with Node's client: the status and the body.
pub(crate) fn get(url: &str, ca: &Path, identity: Option<&Identity>, token: &str) -> (u16, String) {
    let mut command = Command::new("node");
    command.arg(folder().join("client.mjs")).arg(url).arg("--ca").arg(ca);
    if let Some(identity) = identity {
        command.arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.private_key);
    }
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("node is there, the caller has asked");
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap(); // not as an argument: those are for all to see
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("node: {}", String::from_utf8_lossy(&output.stderr)));
    (answer["status"].as_u64().unwrap() as u16, answer["body"].as_str().unwrap().to_owned())
}

fn prepare() -> Result<(), String> {
    let version = output(Command::new("node").arg("--version")).ok_or("node is not installed")?;
    if parse(&version).is_none_or(|found| found < OLDEST) {
        return Err(format!("node is {}, and {}.{} is needed", version.trim(), OLDEST.0, OLDEST.1));
    }
    if ["oidc-provider", "ws"].iter().all(|package| folder().join("node_modules").join(package).exists()) {
        return Ok(());
    }
    output(Command::new("npm").arg("--version")).ok_or("npm is not installed")?;
    output(Command::new("npm").arg("ci").current_dir(folder())).ok_or("'npm ci' in tests/oidc failed")?;
    Ok(())
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().strip_prefix('v')?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
