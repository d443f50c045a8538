//! Somebody who exchanges one file after the other, while everybody else goes on.

use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;

use super::stage::Stage;
use crate::support::issuer::Issuer;
use crate::support::pki::Identity;
use crate::support::world::World;

const PAUSE: Duration = Duration::from_secs(5);

pub(super) fn start<'s>(scope: &'s Scope<'s, '_>, stage: &'s Stage) -> ScopedJoinHandle<'s, ()> {
    scope.spawn(|| {
        for round in 0.. {
            match round % 4 {
                0 => exchange_configuration(stage, round),
                1 => exchange_certificate(stage),
                2 => revoke_somebody(stage, round),
                _ => rotate_keys(stage, round),
            }
            for _ in 0..10 {
                if stage.stopped() {
                    return;
                }
                thread::sleep(PAUSE / 10); // the next file is due then
            }
        }
    })
}

/// Changes files and waits until what they say is in force. They may have been found before the signal comes.
fn exchange(stage: &Stage, what: &str, change: impl FnOnce()) {
    let (name, labels) = ("boundgate_reloads_total", ["outcome=\"ok\""]);
    let before = stage.boundgate.metric(name, &labels);
    change();
    stage.boundgate.process.signal("HUP");
    stage.boundgate.wait_for_metric(name, &labels, before + 1.0);
    stage.tally.count(&format!("reloads of {what}"));
}

/// A route comes or goes that nobody asks for.
fn exchange_configuration(stage: &Stage, round: usize) {
    let mut config = stage.config.clone();
    if round.is_multiple_of(8) {
        config.more += "\n[[routes]]\npath = \"/somewhere-else\"\nscopes = [\"x\"]\n";
    }
    exchange(stage, "the configuration", || stage.boundgate.rewrite(&config));
}

fn exchange_certificate(stage: &Stage) {
    exchange(stage, "the server's certificate", || {
        stage.world.pki.authority.issue("server", &["localhost"], |_| {});
    });
}

/// Admitted, then no longer, on an open connection.
fn revoke_somebody(stage: &Stage, round: usize) {
    let somebody = stage.world.pki.authority.issue_client(&format!("somebody-{round}"));
    let client = stage.world.client(Some(&somebody));
    let mut connection = client.connect(stage.address()).expect("let in");
    let before = connection.get("/public/", None).expect("an answer").verdict();
    exchange(stage, "the CRL", || revoke(&stage.world, &[&somebody]));
    let after = connection.get("/public/", None).expect("an answer").verdict();
    if before != (200, String::new()) || after != (401, "certificate-not-admitted".to_owned()) {
        stage.tally.fault(format!("revoked: {before:?}, then {after:?}"));
    }
}

/// The next key is published, then used, then the last one is withdrawn.
fn rotate_keys(stage: &Stage, round: usize) {
    let mut next = Issuer::new(stage.world.issuer.name.clone());
    next.rotate(&format!("key-{round}"));
    let file = stage.world.pki.path().join("jwks.json");
    let both = {
        let [last, next] = [stage.issuer.lock().unwrap().jwks(), next.jwks()];
        json!({"keys": [last["keys"][0], next["keys"][0]]})
    };
    exchange(stage, "the issuer's keys", || std::fs::write(file, both.to_string()).unwrap());
    *stage.issuer.lock().unwrap() = next;
}

/// Writes `ca.crl.pem`.
pub(super) fn revoke(world: &World, revoked: &[&Identity]) {
    world.pki.authority.revoke("ca", revoked, OffsetDateTime::now_utc() + time::Duration::days(1));
}
