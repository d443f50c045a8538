//! A running sidecar in front of an API, and a client whom it lets through.

use super::boundgate::Boundgate;
use super::client::{Client, Connection};
use super::h2::H2;
use super::message::Message;
use super::server::Server;
use super::world::{Config, World};

/// The whole row: client A and its token, Boundgate, the API.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) boundgate: Boundgate,
    /// A good token of client A.
    pub(crate) token: String,
}

impl Stage {
    /// This API behind a sidecar whose configuration had `more` sections appended.
    pub(crate) fn new(api: Server, more: &str) -> Stage {
        Stage::with(api, |config| config.more = more.to_owned())
    }

    /// The same with the configuration changed anywhere.
    pub(crate) fn with(api: Server, change: impl FnOnce(&mut Config)) -> Stage {
        let world = World { api, ..World::new() };
        let mut config = world.config();
        change(&mut config);
        let boundgate = Boundgate::start(world.pki.path(), &config);
        let token = world.issuer.token(&world.pki.client_a);
        Stage { world, boundgate, token }
    }

    /// Client A.
    pub(crate) fn client(&self) -> Client {
        self.world.client(Some(&self.world.pki.client_a))
    }

    /// A connection of client A over HTTP/1.1.
    pub(crate) fn connect(&self) -> Connection {
        self.client().connect(self.boundgate.address).unwrap()
    }

    /// A connection of client A over HTTP/2.
    pub(crate) fn h2(&self) -> H2 {
        H2::connect(&self.client(), self.boundgate.address).unwrap()
    }

    /// A head with the token: this method and target, `Host`, `Authorization`, and these lines, each with its CRLF.
    pub(crate) fn head(&self, start: &str, lines: &str) -> String {
        let token = &self.token;
        format!("{start} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{lines}\r\n")
    }

    /// The answer to such a head, and to this body, on a connection of its own.
    pub(crate) fn exchange(&self, start: &str, lines: &str, body: &str) -> Message {
        self.connect().exchange(self.head(start, lines) + body).unwrap()
    }

    /// The last request that the API got.
    pub(crate) fn seen(&self) -> Message {
        self.world.api.requests().pop().expect("the API was asked")
    }
}
