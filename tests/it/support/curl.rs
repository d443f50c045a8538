//! curl, the client that everyone has and no one here wrote.

use std::io::{BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output};

use super::message::{Message, read_head};
use super::pki::Identity;

/// A command line of curl that shows the answer with its head.
pub(crate) struct Curl(Command);

impl Curl {
    /// To this URL, trusting this authority's servers alone.
    pub(crate) fn to(url: &str, ca: &Path) -> Curl {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--include", "--max-time", "20", "--url", url, "--cacert"])
            .arg(ca);
        Curl(curl)
    }

    /// With this client certificate.
    pub(crate) fn identity(mut self, identity: &Identity) -> Curl {
        self.0.arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.private_key);
        self
    }

    /// With this bearer token.
    pub(crate) fn token(self, token: &str) -> Curl {
        self.args(&["--header", &format!("Authorization: Bearer {token}")])
    }

    /// With further arguments of curl's own.
    pub(crate) fn args(mut self, args: &[&str]) -> Curl {
        self.0.args(args);
        self
    }

    /// The answer, of which trailers would end up in the body; `Err` holds what curl says when there is none.
    pub(crate) fn run(mut self) -> Result<Message, String> {
        let Output { status, stdout, stderr } = self.0.output().expect("curl is installed");
        if !status.success() {
            return Err(format!("curl: {status}: {}", String::from_utf8_lossy(&stderr)));
        }
        let mut stdout = BufReader::new(&stdout[..]);
        let mut answer = read_head(&mut stdout).map_err(|error| error.to_string())?;
        stdout.read_to_end(&mut answer.body).map_err(|error| error.to_string())?; // curl has undone the framing
        Ok(answer)
    }
}
