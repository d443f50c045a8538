//! A rolling restart as Kubernetes does it: one instance after the other ends and comes back, under clients that go to another one
//! when they are told to, or refused.

use std::collections::HashSet;
use std::fs;

use super::support::boundgate::{Boundgate, command};
use super::support::load::{Load, Stop};
use super::support::process::Process;
use super::support::world::World;

/// Two instances of one configuration, each in a folder of its own only for the sake of its file.
fn pair(world: &World) -> [Boundgate; 2] {
    ["a", "b"].map(|name| {
        let started = Boundgate::start(world.pki.path(), &world.config());
        let file = started.file.with_file_name(format!("{name}.toml"));
        fs::copy(&started.file, &file).unwrap();
        Boundgate { file, ..started }
    })
}

/// Ends it and starts it again at its addresses.
fn restart(boundgate: &mut Boundgate) {
    boundgate.process.signal("TERM");
    assert_eq!(boundgate.process.wait().code(), Some(0));
    boundgate.process = Process::spawn(command().arg("run").arg("--config").arg(&boundgate.file));
    boundgate.wait_until_ready();
}

#[test]
fn no_request_is_lost_and_none_is_done_twice() {
    let world = World::new();
    let mut pair = pair(&world);
    let token = world.issuer.token(&world.pki.client_a);
    let client = world.client(Some(&world.pki.client_a));
    let load = Load::spread(&client, &[pair[0].address, pair[1].address], &token);
    for _ in 0..2 {
        for boundgate in &mut pair {
            restart(boundgate);
            load.advance(5);
        }
    }
    let ends = load.stop(Stop::Now);
    assert!(
        ends.iter().any(|(_, end)| end.closed > 0),
        "who keeps a connection is told to leave it: {ends:?}"
    );

    let requests = world.api.requests();
    let contents: Vec<_> =
        requests.iter().filter(|request| request.method() == "POST").map(|r| r.text()).collect();
    assert!(contents.len() > 50);
    assert_eq!(contents.iter().collect::<HashSet<_>>().len(), contents.len(), "each is done once");
}
