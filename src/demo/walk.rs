//! `boundgate demo`: what a certificate-bound token is worth, with and without its certificate.
//!
//! Every request of the walk is a real one, over real TLS, to a sidecar that is run from the `config.toml` beside the certificates.

use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use http::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;
use super::exchange::{Answer, Call, Who};
use super::stage::Stage;
use super::teller::Teller;

/// How the demo is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Leave after the walk.
    pub once: bool,
    /// Print with colours.
    pub colour: bool,
}

/// A running sidecar.
pub struct Sidecar {
    /// Where it listens, as bound.
    pub address: SocketAddr,
    /// Stops it; returns when it has.
    pub stop: Box<dyn FnOnce()>,
}

/// Sets the stage, starts the sidecar, walks, and then serves until SIGINT or SIGTERM, unless `once`. The demo's folder is removed at
/// the end, but kept when a walk that was to be made once did not come out.
///
/// `start_sidecar` gets the configuration file and the file that its log goes to. It is called outside of any runtime, and the sidecar
/// must run on threads of its own. A port of 0 in the configuration stands for any.
///
/// Returns whether every step came out as it should.
///
/// # Errors
/// The stage cannot be set, the sidecar does not start, or `out` cannot be written.
pub fn run(
    options: Options,
    start_sidecar: impl FnOnce(&Path, File) -> Result<Sidecar, String>,
    out: &mut dyn Write,
) -> Result<bool, Error> {
    run_below(&std::env::temp_dir(), options, start_sidecar, out)
}

fn run_below(
    base: &Path,
    options: Options,
    start_sidecar: impl FnOnce(&Path, File) -> Result<Sidecar, String>,
    out: &mut dyn Write,
) -> Result<bool, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::new("starting a runtime", e))?;
    // From here on Ctrl-C ends the demo in good order.
    let mut interrupt = runtime.block_on(async { Interrupt::new() })?;

    let mut stage = Stage::set(base)?;
    let log = stage.folder.create_file("boundgate.log")?;
    let sidecar = start_sidecar(&stage.folder.file("config.toml"), log)
        .map_err(|reason| Error::new("starting the sidecar", reason))?;
    let mut walk = Walk {
        api: format!("https://{}", sidecar.address),
        stage: &stage,
        teller: Teller::new(out, options.colour),
    };
    let came_out = runtime.block_on(walk.walk_and_serve(options.once, &mut interrupt));
    (sidecar.stop)();

    let came_out = came_out.map_err(|e| Error::new("standard output", e))?;
    if options.once && !came_out {
        stage.folder.keep();
        let kept = writeln!(out, "Kept for you to look into: {}", stage.folder.path().display());
        kept.map_err(|e| Error::new("standard output", e))?;
    }
    Ok(came_out)
}

/// SIGINT and SIGTERM, from when it is made.
struct Interrupt {
    int: Signal,
    term: Signal,
}

impl Interrupt {
    fn new() -> Result<Interrupt, Error> {
        let listen = |kind| signal(kind).map_err(|e| Error::new("listening for signals", e));
        Ok(Interrupt { int: listen(SignalKind::interrupt())?, term: listen(SignalKind::terminate())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
        }
    }
}

struct Walk<'a> {
    /// The sidecar's base URL.
    api: String,
    stage: &'a Stage,
    teller: Teller<'a>,
}

impl Walk<'_> {
    async fn walk_and_serve(&mut self, once: bool, interrupt: &mut Interrupt) -> io::Result<bool> {
        let came_out = tokio::select! {
            came_out = self.walk() => came_out?,
            () = interrupt.wait() => return Ok(false),
        };
        if !once {
            self.teller.line("Now it is your turn: serving until Ctrl-C.")?;
            interrupt.wait().await;
        }
        Ok(came_out)
    }

    async fn walk(&mut self) -> io::Result<bool> {
        self.scene()?;
        let expected = "200 bound to client A's certificate";
        let call = self.token_call("client-a");
        let answer = self.step("Client A gets a token with its certificate", call, expected).await?;
        self.keep_token("token-a.jwt", answer)?;

        let call = self.get("/orders", Who::ClientA, Some("token-a.jwt"));
        self.step("Client A uses it", call, "200 X-Auth-Client: client-a").await?;

        let call = self.get("/orders", Who::ClientB, Some("token-a.jwt"));
        self.step("Client B has stolen it", call, "401 thumbprint-mismatch").await?;

        let call = self.get("/orders", Who::Nobody, Some("token-a.jwt"));
        self.step("Somebody without a certificate has stolen it", call, "401 certificate-missing").await?;

        let unbound = self.token_call("client-unbound").send(self.stage).await;
        self.keep_token("token-unbound.jwt", unbound.ok())?;
        let call = self.get("/orders", Who::ClientA, Some("token-unbound.jwt"));
        self.step("A token that is bound to no certificate", call, "401 token-unbound").await?;

        let mut call = self.get("/orders", Who::ClientA, Some("token-a.jwt"));
        call.method = Method::POST;
        self.step("Client A asks for more than its scope allows", call.clone(), "403 scope-missing").await?;

        self.forge_token("token-a.jwt", "token-forged.jwt")?;
        call.token = Some("token-forged.jwt");
        self.step("Client A writes that scope into the token itself", call, "401 signature-invalid").await?;

        let call = self.get("/orders", Who::ClientA, None);
        self.step("No token at all", call, "401 token-missing").await?;

        let call = self.get("/public/hello", Who::Nobody, None);
        self.step("A public route, without token or certificate", call, "200 no X-Auth-Client").await?;
        self.teller.sum()
    }

    fn scene(&mut self) -> io::Result<()> {
        let stage = self.stage;
        let echo = format!("http://{}", stage.echo.address());
        let places = [
            ("authorization server", stage.authorization_server.issuer()),
            ("Boundgate", &self.api),
            ("the API behind it", &echo),
        ];
        self.teller.scene(&places, stage.folder.path())
    }

    /// Sends a request and tells what came of it.
    async fn step(&mut self, title: &str, call: Call, expected: &str) -> io::Result<Option<Answer>> {
        let answer = call.send(self.stage).await;
        let actual = match &answer {
            Ok(answer) => self.summary(answer),
            Err(reason) => reason.clone(),
        };
        self.teller.step(title, &call.curl(), &actual, expected)?;
        Ok(answer.ok())
    }

    /// As [`Answer::summary`], but for a token whose certificate it is bound to.
    fn summary(&self, answer: &Answer) -> String {
        let Some(claims) = access_token(answer).and_then(claims) else { return answer.summary() };
        let bound_to = match claims["cnf"]["x5t#S256"].as_str() {
            Some(thumbprint) if thumbprint == self.stage.client_a.thumbprint => "client A's certificate",
            Some(thumbprint) if thumbprint == self.stage.client_b.thumbprint => "client B's certificate",
            Some(_) => "an unknown certificate",
            None => "no certificate",
        };
        format!("{} bound to {bound_to}", answer.status)
    }

    fn token_call(&self, client_id: &'static str) -> Call {
        Call {
            who: Who::ClientA,
            method: Method::POST,
            url: self.stage.authorization_server.token_endpoint(),
            token: None,
            form: vec![("grant_type", "client_credentials"), ("client_id", client_id)],
        }
    }

    fn get(&self, path: &str, who: Who, token: Option<&'static str>) -> Call {
        Call { who, method: Method::GET, url: format!("{}{path}", self.api), token, form: Vec::new() }
    }

    /// Puts a token where the requests after this one find it. Without one they will say that it is missing.
    fn keep_token(&self, file: &str, answer: Option<Answer>) -> io::Result<()> {
        let Some(token) = answer.as_ref().and_then(access_token) else { return Ok(()) };
        self.stage.folder.write(file, token).map_err(io::Error::other)
    }

    /// Copies a token with `orders.write` added to its scope; the signature stays what it was.
    fn forge_token(&self, from: &str, to: &str) -> io::Result<()> {
        let token = std::fs::read_to_string(self.stage.folder.file(from)).unwrap_or_default();
        let Some(forged) = forge(&token) else { return Ok(()) };
        self.stage.folder.write(to, &forged).map_err(io::Error::other)
    }
}

fn access_token(answer: &Answer) -> Option<&str> {
    answer.body.get("access_token").and_then(Value::as_str)
}

/// The claims of a JWT, unverified: the walk only tells what is in it.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn forge(token: &str) -> Option<String> {
    let mut claims = claims(token)?;
    let scope = claims.get("scope")?.as_str()?;
    claims["scope"] = json!(format!("{scope} orders.write"));
    let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut parts: Vec<&str> = token.split('.').collect();
    *parts.get_mut(1)? = &payload;
    Some(parts.join("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    const ONCE: Options = Options { once: true, colour: false };

    #[test]
    fn a_sidecar_that_does_not_answer_fails_every_step_but_the_token_and_the_folder_is_kept() {
        let base = tempfile::tempdir().unwrap();
        let stopped = Rc::new(Cell::new(false));
        let stop = Rc::clone(&stopped);
        let start = |config: &Path, mut log: File| {
            assert!(config.is_file());
            writeln!(log, "a line").unwrap();
            // Nobody listens on port 1.
            let address = SocketAddr::from(([127, 0, 0, 1], 1));
            Ok(Sidecar { address, stop: Box::new(move || stop.set(true)) })
        };
        let mut out = Vec::new();
        assert_eq!(run_below(base.path(), ONCE, start, &mut out), Ok(false));
        let told = String::from_utf8(out).unwrap();
        assert!(stopped.get());
        assert!(told.contains("✓ 1 Client A gets a token"), "{told}");
        assert!(told.contains("200 bound to client A's certificate"), "{told}");
        assert_eq!(told.matches("✗").count(), 8, "{told}");
        assert!(told.contains("8 of 9 steps did not come out"), "{told}");

        let folder = std::fs::read_dir(base.path()).unwrap().next().unwrap().unwrap().path();
        assert!(told.contains(&format!("Kept for you to look into: {}", folder.display())));
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("boundgate.log"), "a line\n");
        // The tokens that the curl lines use are what their names say.
        assert!(claims(&read("token-a.jwt")).unwrap()["cnf"]["x5t#S256"].is_string());
        assert!(claims(&read("token-unbound.jwt")).unwrap().get("cnf").is_none());
        assert_eq!(claims(&read("token-forged.jwt")).unwrap()["scope"], "orders.read orders.write");
    }

    #[test]
    fn a_sidecar_that_does_not_start_is_an_error_and_leaves_no_folder() {
        let base = tempfile::tempdir().unwrap();
        let error = run_below(base.path(), ONCE, |_, _| Err("no".to_owned()), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "starting the sidecar: no");
        assert!(std::fs::read_dir(base.path()).unwrap().next().is_none());
    }

    #[test]
    fn a_forged_token_differs_in_its_claims_alone() {
        let token = format!("h.{}.s", BASE64_URL_SAFE_NO_PAD.encode(r#"{"scope":"orders.read","sub":"a"}"#));
        let forged = forge(&token).unwrap();
        assert!(forged.starts_with("h.") && forged.ends_with(".s"));
        assert_eq!(claims(&forged).unwrap(), json!({ "scope": "orders.read orders.write", "sub": "a" }));
        assert_eq!(forge("opaque"), None);
    }
}
