//! What the standards demand of a token, on the whole path from a TLS connection to the API: RFC 8705, RFC 6750, RFC 9068,
//! RFC 8725.

mod binding;
mod jwt;

use super::support::boundgate::Boundgate;
use super::support::client::Client;
use super::support::world::{Config, World};

/// A sidecar and the two clients that it knows.
struct Stage {
    world: World,
    boundgate: Boundgate,
    a: Client,
    b: Client,
}

impl Stage {
    fn new() -> Stage {
        Stage::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Stage {
        let world = World::new();
        let mut config = world.config();
        change(&mut config);
        let boundgate = Boundgate::start(world.pki.path(), &config);
        let (a, b) = (world.client(Some(&world.pki.client_a)), world.client(Some(&world.pki.client_b)));
        Stage { world, boundgate, a, b }
    }

    /// What this client gets with this token: 200, or the status and the reason.
    fn verdict(&self, client: &Client, token: &str) -> (u16, String) {
        client.get(self.boundgate.address, "/", Some(token)).unwrap().verdict()
    }

    #[track_caller]
    fn passes(&self, token: &str, why: &str) {
        assert_eq!(self.verdict(&self.a, token), (200, String::new()), "{why}");
    }

    /// Client A's token is refused for this reason, and the API hears nothing.
    #[track_caller]
    fn refuses(&self, token: &str, reason: &str, why: &str) {
        let heard = self.world.api.requests().len();
        assert_eq!(self.verdict(&self.a, token), (401, reason.to_owned()), "{why}");
        assert_eq!(self.world.api.requests().len(), heard, "{why}: the API heard it");
    }
}
