//! Memory under many distinct invalid tokens.
//!
//! `BOUNDGATE_FLOOD=1000000 cargo test --release --test it flood -- --nocapture` plays a million of them, and prints what was measured.

use std::io::{self, BufReader, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::super::support::boundgate::Boundgate;
use super::super::support::h2::H2;
use super::super::support::message::read_request;
use super::super::support::server::Server;
use super::super::support::world::World;
use super::stage::BASIC;

/// In MiB, what refused answers, their queue and the allocator may take, however many tokens come: 8 MiB of entries and as much again around them.
const MAY_GROW: u64 = 32;

#[test]
fn a_flood_of_invalid_tokens_leaves_memory_flat() {
    let tokens: usize =
        std::env::var("BOUNDGATE_FLOOD").map_or(20_000, |number| number.parse().expect("a number"));
    let world = World::new();
    // It remembers nothing itself.
    let issuer = Server::script(|socket| {
        socket.set_nodelay(true)?;
        let mut stream = BufReader::new(socket);
        while read_request(&mut stream)?.is_some() {
            let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"active\":false}";
            stream.get_mut().write_all(answer.as_bytes())?;
        }
        Ok(())
    });
    let mut config = world.config();
    config.issuer += &format!("\n[issuers.introspection]\nendpoint = \"{}/i\"\n{BASIC}", issuer.url());
    config.more = "[log]\nlevel = \"error\"\n".to_owned();
    let boundgate = Boundgate::start(world.pki.path(), &config);

    flood(&world, &boundgate, "warm", 2_000);
    let before = boundgate.process.peak_memory();
    flood(&world, &boundgate, "cold", tokens);
    let after = boundgate.process.peak_memory();
    let measured = format!("{tokens} invalid tokens: {before} MiB before, {after} MiB after");
    writeln!(io::stdout(), "{measured}").unwrap();
    assert!(after < before + MAY_GROW, "{measured}");
    let calls = boundgate.metric("boundgate_introspections_total", &["outcome=\"inactive\""]);
    assert_eq!(calls, (tokens + 2_000) as f64);
}

/// So many distinct tokens, from two clients on eight connections.
fn flood(world: &World, boundgate: &Boundgate, prefix: &str, tokens: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for worker in 0..8 {
            let identity = if worker % 2 == 0 { &world.pki.client_a } else { &world.pki.client_b };
            let (next, address) = (&next, boundgate.address);
            let client = world.client(Some(identity));
            scope.spawn(move || {
                let mut connection = H2::connect(&client, address).unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= tokens {
                        return;
                    }
                    let answer = connection.get("/", Some(&format!("{prefix}-{number}"))).unwrap();
                    assert_eq!(answer.status(), 401, "{}", answer.text());
                }
            });
        }
    });
}
