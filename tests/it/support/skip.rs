//! Tests that need a program which not every machine has.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Says, past the test runner's capture, that a test is skipped; on CI it fails instead, for there nothing may be skipped.
pub(crate) fn skip(missing: &str) {
    let on_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!on_ci, "{missing}, and CI skips nothing");
    let _ = writeln!(std::io::stderr(), "skipped: {missing}");
}

/// Whether this program can be run; if not, that is said, and the test is to return.
pub(crate) fn has(program: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    let found =
        command.arg(version).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    if !found {
        skip(&format!("{program} is not installed"));
    }
    found
}
