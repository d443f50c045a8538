//! What these tests play on: an authorization server that answers introspections as it is told, and Boundgate in front of an API.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::support::boundgate::Boundgate;
use super::super::support::client::Client;
use super::super::support::issuer::{AUDIENCE, now};
use super::super::support::message::Message;
use super::super::support::pki::Identity;
use super::super::support::process::PATIENCE;
use super::super::support::server::{Answer, Server};
use super::super::support::world::{Config, World};

/// What stands in `[issuers.introspection]` unless a test says otherwise.
pub(crate) const BASIC: &str = "client_id = \"boundgate\"\nclient_secret = \"s3cret\"";

/// A token's text as a form has it: those of these tests need no escapes.
pub(crate) fn token_in(request: &Message) -> String {
    form(request).remove("token").unwrap_or_default()
}

/// The fields of a form.
pub(crate) fn form(request: &Message) -> HashMap<String, String> {
    request
        .text()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), unescape(value)))
        .collect()
}

/// Undoes percent-encoding.
pub(crate) fn unescape(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// The user and the password of `Authorization: Basic`.
pub(crate) fn basic(request: &Message) -> (String, String) {
    let pair = request.value("authorization").unwrap().strip_prefix("Basic ").unwrap();
    let pair = String::from_utf8(STANDARD.decode(pair).unwrap()).unwrap();
    let (user, password) = pair.split_once(':').unwrap();
    (unescape(user), unescape(password))
}

/// What the authorization server does.
#[derive(Default)]
pub(crate) struct Script {
    tokens: Mutex<HashMap<String, Value>>,
    /// In the place of everything else.
    fault: Mutex<Option<Fault>>,
    /// Answers wait while this is closed.
    closed: Mutex<bool>,
    opened: Condvar,
}

type Fault = Arc<dyn Fn(&Message) -> Answer + Send + Sync>;

impl Script {
    fn answer(&self, request: &Message) -> Answer {
        drop(self.opened.wait_while(self.closed.lock().unwrap(), |closed| *closed).unwrap());
        let fault = self.fault.lock().unwrap().clone();
        match fault {
            Some(fault) => fault(request),
            None => {
                let known = self.tokens.lock().unwrap().get(&token_in(request)).cloned();
                Answer::json(&known.unwrap_or_else(|| json!({"active": false})))
            }
        }
    }

    /// From now on this is said of a token.
    pub(crate) fn say(&self, token: &str, answer: Value) {
        self.tokens.lock().unwrap().insert(token.to_owned(), answer);
    }

    /// From now on every call is answered so.
    pub(crate) fn fail(&self, fault: impl Fn(&Message) -> Answer + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Some(Arc::new(fault));
    }

    /// From now on calls are answered as they should be.
    pub(crate) fn recover(&self) {
        *self.fault.lock().unwrap() = None;
    }

    /// Has calls wait, or lets them go on.
    pub(crate) fn hold(&self, hold: bool) {
        *self.closed.lock().unwrap() = hold;
        self.opened.notify_all();
    }
}

/// An authorization server with introspection.
pub(crate) struct AuthorizationServer {
    pub(crate) script: Arc<Script>,
    pub(crate) server: Server,
}

impl AuthorizationServer {
    pub(crate) fn new() -> AuthorizationServer {
        let script = Arc::<Script>::default();
        let answering = Arc::clone(&script);
        AuthorizationServer { script, server: Server::http(move |request| answering.answer(request)) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("{}/introspect", self.server.url())
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> usize {
        self.server.requests().len()
    }

    /// Waits for that many calls.
    pub(crate) fn until_calls(&self, calls: usize) {
        until("so many calls", || self.calls() >= calls);
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        self.script.hold(false);
    }
}

/// Waits for what nobody announces.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}, in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One issuer, whose tokens are introspected.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) issuer: AuthorizationServer,
    pub(crate) config: Config,
    pub(crate) boundgate: Boundgate,
}

impl Stage {
    /// With these lines in `[issuers.introspection]` besides the endpoint.
    pub(crate) fn new(introspection: &str) -> Stage {
        Stage::with(introspection, |_, config| config)
    }

    pub(crate) fn with(introspection: &str, change: impl FnOnce(&World, Config) -> Config) -> Stage {
        let (world, issuer) = (World::new(), AuthorizationServer::new());
        let mut config = world.config();
        config.issuer += &section(&issuer, introspection);
        config.client_certificates = config.client_certificates.replace("required", "optional");
        let config = change(&world, config);
        let boundgate = Boundgate::start(world.pki.path(), &config);
        Stage { world, issuer, config, boundgate }
    }

    /// What the issuer says of a good token of this client.
    pub(crate) fn active(&self, client: &Identity) -> Value {
        active(client)
    }

    /// A client's one request on a connection of its own.
    pub(crate) fn get(&self, client: &Identity, token: &str) -> Message {
        self.client(client).get(self.boundgate.address, "/orders", Some(token)).unwrap()
    }

    pub(crate) fn client(&self, client: &Identity) -> Client {
        self.world.client(Some(client))
    }

    pub(crate) fn verdict(&self, client: &Identity, token: &str) -> (u16, String) {
        self.get(client, token).verdict()
    }

    pub(crate) fn a(&self) -> &Identity {
        &self.world.pki.client_a
    }

    pub(crate) fn b(&self) -> &Identity {
        &self.world.pki.client_b
    }
}

/// The section of an issuer whose endpoint this is.
pub(crate) fn section(issuer: &AuthorizationServer, lines: &str) -> String {
    format!("\n[issuers.introspection]\nendpoint = \"{}\"\n{lines}", issuer.endpoint())
}

/// What an issuer says of a good token of this client.
pub(crate) fn active(client: &Identity) -> Value {
    json!({
        "active": true,
        "iss": "https://as.example.test",
        "sub": "alice",
        "client_id": "client",
        "aud": AUDIENCE,
        "scope": "read write",
        "iat": now(),
        "exp": now() + 300,
        "cnf": {"x5t#S256": client.thumbprint()},
    })
}

/// [`active`] with one member replaced, or, by `null`, removed.
pub(crate) fn active_with(client: &Identity, name: &str, value: Value) -> Value {
    let mut answer = active(client);
    let members = answer.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    answer
}

pub(crate) fn passed() -> (u16, String) {
    (200, String::new())
}

pub(crate) fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}
