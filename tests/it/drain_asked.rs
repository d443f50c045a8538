//! `boundgate drain` and `POST /drain`: the drain begins without a signal, as a `preStop` hook needs it.

use super::support::boundgate::{Boundgate, command};
use super::support::process::eventually;
use super::support::world::{Config, World};

fn start(world: &World, admin: &str) -> Boundgate {
    let more = "[limits]\ndrain_delay = \"1s\"\n".to_owned();
    Boundgate::start(world.pki.path(), &Config { admin: admin.to_owned(), more, ..world.config() })
}

/// Exit code and what it says.
fn drain(boundgate: &Boundgate) -> (Option<i32>, String) {
    let run = command().arg("drain").arg("--config").arg(&boundgate.file).output().unwrap();
    (run.status.code(), String::from_utf8([run.stdout, run.stderr].concat()).unwrap())
}

#[test]
fn it_drains_and_ends_as_after_sigterm() {
    let world = World::new();
    let mut boundgate = start(&world, "control = \"unix:control.sock\"");
    let (client, token) = (world.client(Some(&world.pki.client_a)), world.issuer.token(&world.pki.client_a));
    let mut kept = client.connect(boundgate.address).unwrap();
    kept.get("/", Some(&token)).unwrap();

    assert_eq!(drain(&boundgate), (Some(0), "draining\n".to_owned()));
    eventually("/readyz says no", || boundgate.ask("/readyz").is_ok_and(|answer| answer.status() == 503));
    assert_eq!(drain(&boundgate).0, Some(0), "a second time changes nothing");
    // Everything is still accepted, and then the idle connection ends.
    assert_eq!(kept.get("/", Some(&token)).unwrap().status(), 200);
    assert_eq!(kept.rest().unwrap(), b"");
    assert_eq!(boundgate.process.wait().code(), Some(0));
    let (code, said) = drain(&boundgate);
    assert!(code == Some(1) && said.contains("control.sock: "), "nobody is there: {code:?} {said}");
}

#[test]
fn without_a_control_socket_it_says_what_is_missing() {
    let world = World::new();
    let boundgate = start(&world, "");
    let (code, said) = drain(&boundgate);
    assert!(code == Some(2) && said.contains("config.toml: [admin] control is not given"), "{code:?} {said}");
    assert_eq!(boundgate.ask("/readyz").unwrap().status(), 200);
}
