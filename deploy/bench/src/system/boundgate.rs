//! Boundgate as it is without being told otherwise: every check, JSON log and metrics.

use std::process::Command;

use anyhow::Result;

use super::{Site, free_port};
use crate::issuer::{AUDIENCE, ISSUER};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One for each processor that the process may use.
    Default,
    Number(u32),
}

pub(super) fn command(site: &Site<'_>) -> Result<Command> {
    let (pki, issuer) = (&site.stage.pki, &site.stage.issuer);
    let workers = match site.how.workers {
        Workers::Default => String::new(),
        Workers::Number(workers) => format!("workers = {workers}\n"),
    };
    let text = format!(
        r#"[listener]
address = "{address}"
certificate = "{certificate}"
private_key = "{key}"
{workers}
[client_certificates]
ca = "{ca}"

[[issuers]]
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
jwks_file = "{jwks}"

[issuers.introspection]
endpoint = "http://{upstream}/introspect"
client_id = "boundgate"
client_secret = "secret of the bench alone"

[upstream]
url = "http://{upstream}"

[forward.claims]
X-Auth-Subject = "sub"
X-Auth-Client  = "client_id"

[admin]
address = "{admin}"
"#,
        address = site.address,
        certificate = pki.server_certificate.display(),
        key = pki.server_key.display(),
        ca = pki.ca.display(),
        jwks = issuer.jwks_file.display(),
        upstream = site.stage.upstream,
        admin = free_port()?,
    );
    let mut command = Command::new(site.program);
    command.arg("run").arg("--config").arg(site.write("config.toml", &text)?);
    Ok(command)
}
