//! Files that change under a running load: whatever is replaced, and however, no request of a good client fails and no
//! connection ends.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use serde_json::json;
use time::OffsetDateTime;

use super::support::boundgate::Boundgate;
use super::support::issuer::AUDIENCE;
use super::support::load::Load;
use super::support::mounted::Mounted;
use super::support::pki::{Authority, Identity};
use super::support::process::PATIENCE;
use super::support::world::{Config, World};

/// How files are replaced.
enum Way {
    /// Written beside and renamed, one file after the other.
    Rename,
    /// Truncated and written anew.
    InPlace,
    /// All at once, by an exchange of folders.
    Mounted(Mounted),
}

impl Way {
    fn replace(&mut self, folder: &Path, files: Vec<(&str, Vec<u8>)>) {
        match self {
            Way::Rename => files.iter().for_each(|(name, content)| replace(folder, name, content)),
            Way::InPlace => {
                files.iter().for_each(|(name, content)| fs::write(folder.join(name), content).unwrap())
            }
            Way::Mounted(mounted) => mounted.update(&files),
        }
    }
}

/// Replaces a file by another.
pub(crate) fn replace(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let next = folder.join(format!("{name}.next"));
    fs::write(&next, content).unwrap();
    fs::rename(next, folder.join(name)).unwrap();
}

/// Waits until something holds; tells how long that took.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}: in vain");
        thread::sleep(Duration::from_millis(20)); // the outside of a process announces nothing
    }
    began.elapsed()
}

/// How many reloads had this outcome.
pub(crate) fn reloads(boundgate: &Boundgate, outcome: &str) -> f64 {
    boundgate.metric("boundgate_reloads_total", &[&format!("outcome=\"{outcome}\"")])
}

/// Changes files, sends SIGHUP and waits for the reload of this outcome.
pub(crate) fn reload(boundgate: &Boundgate, outcome: &str, change: impl FnOnce()) {
    let before = reloads(boundgate, outcome);
    change();
    boundgate.process.signal("HUP");
    until("the reload", || reloads(boundgate, outcome) > before);
}

/// A sidecar in front of a load, with every kind of file that can be replaced.
struct Run {
    world: World,
    config: Config,
    second: Authority,
    boundgate: Boundgate,
    load: Load,
}

impl Run {
    fn start() -> Run {
        let world = World::new();
        let folder = world.pki.path();
        let second = Authority::new(folder, "second");
        fs::copy(&world.pki.authority.certificate, folder.join("clients-ca.pem")).unwrap();
        let config = Config {
            client_certificates:
                "mode = \"required\"\ntrust = \"ca\"\nca = \"clients-ca.pem\"\ncrl = [\"clients.crl\"]"
                    .to_owned(),
            ..world.config()
        };
        let none_revoked = crls(&world, &second, &[]);
        fs::write(folder.join("clients.crl"), none_revoked).unwrap();
        let boundgate = Boundgate::start(folder, &config);
        // One token for all configurations of this file.
        let mut claims = world.issuer.claims(&world.pki.client_a);
        claims["aud"] = json!([AUDIENCE, "https://other.example.test"]);
        let client = world.client(Some(&world.pki.client_a));
        let load = Load::start(&client, boundgate.address, &world.issuer.mint(&claims));
        Run { world, config, second, boundgate, load }
    }

    /// The status and reason that this client gets on a new connection; `None` where the handshake fails.
    fn verdict(&self, identity: &Identity, token: &str) -> Option<(u16, String)> {
        let client = self.world.client(Some(identity));
        Some(client.get(self.boundgate.address, "/", Some(token)).ok()?.verdict())
    }

    fn passes(&self, identity: &Identity, token: &str) -> bool {
        self.verdict(identity, token).is_some_and(|(status, _)| status == 200)
    }

    /// The certificate that a new client sees.
    fn shown(&self) -> CertificateDer<'static> {
        let client = self.world.client(Some(&self.world.pki.client_a));
        let connection = client.connect(self.boundgate.address).unwrap();
        connection.stream.get_ref().conn.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

/// CRLs of both authorities; the first one's revokes these.
fn crls(world: &World, second: &Authority, revoked: &[&Identity]) -> Vec<u8> {
    let next_update = OffsetDateTime::now_utc() + time::Duration::days(1);
    let files = [
        world.pki.authority.revoke("first", revoked, next_update),
        second.revoke("second", &[], next_update),
    ];
    files.iter().flat_map(|file| fs::read(file).unwrap()).collect()
}

/// Another certificate for the server, as it would be written to `server.pem` and `server.key`.
fn renewed(world: &World) -> (Identity, Vec<u8>, Vec<u8>) {
    let identity = world.pki.authority.issue("renewed", &["localhost", "127.0.0.1"], |_| ());
    let files = (fs::read(&identity.certificate).unwrap(), fs::read(&identity.private_key).unwrap());
    (identity, files.0, files.1)
}

/// Replaces every file at once, without a signal, and sees each of them in force.
fn everything_is_picked_up(way: impl FnOnce(&Path) -> Way) {
    let mut run = Run::start();
    let folder = run.world.pki.path().to_owned();
    let mut way = way(&folder);
    let (a, b) = (&run.world.pki.client_a, &run.world.pki.client_b);
    let stranger = run.second.issue_client("stranger");
    let old = run.world.issuer.token(b);
    let old_key = run.world.issuer.jwks()["keys"][0].clone();
    run.world.issuer.rotate("key-2");
    let [new_a, new_stranger] = [a, &stranger].map(|identity| run.world.issuer.token(identity));
    assert!(run.passes(b, &old));
    assert_eq!(run.verdict(a, &new_a), Some((401, "key-unknown".to_owned())));
    assert_eq!(run.verdict(&stranger, &new_stranger), None);

    let mut keys = run.world.issuer.jwks();
    keys["keys"].as_array_mut().unwrap().push(old_key);
    let (server, server_pem, server_key) = renewed(&run.world);
    let mut authorities = fs::read(&run.world.pki.authority.certificate).unwrap();
    authorities.extend(fs::read(&run.second.certificate).unwrap());
    let claims = "[forward.claims]\nX-Auth-Subject = \"sub\"\n".to_owned();
    let config = Config { more: claims, ..run.config.clone() };
    way.replace(
        &folder,
        vec![
            ("server.pem", server_pem),
            ("server.key", server_key),
            ("clients-ca.pem", authorities),
            ("clients.crl", crls(&run.world, &run.second, &[b])),
            ("jwks.json", keys.to_string().into_bytes()),
            ("config.toml", config.text(run.boundgate.address, run.boundgate.admin).into_bytes()),
        ],
    );
    // Files that are replaced one by one may be seen in halves.
    let took = until("all changes in force", || {
        run.shown() == server.der
            && run.passes(a, &new_a)
            && run.passes(&stranger, &new_stranger)
            && run.verdict(b, &old).is_none()
            && run.world.api.requests().last().and_then(|request| request.value("x-auth-subject"))
                == Some("alice")
    });
    assert!(took < Duration::from_secs(10), "{took:?}");
    run.load.advance(3);
    run.load.stop_unharmed();
}

#[test]
fn files_that_are_renamed_into_place_are_picked_up() {
    everything_is_picked_up(|_| Way::Rename);
}

#[test]
fn files_that_are_overwritten_are_picked_up() {
    everything_is_picked_up(|_| Way::InPlace);
}

#[test]
fn files_that_kubernetes_exchanges_are_picked_up() {
    let names = ["server.pem", "server.key", "clients-ca.pem", "clients.crl", "jwks.json", "config.toml"];
    everything_is_picked_up(|folder| Way::Mounted(Mounted::new(folder, &names)));
}

#[test]
fn a_sighup_needs_no_time() {
    let run = Run::start();
    let began = Instant::now();
    for _ in 0..6 {
        let (server, certificate, key) = renewed(&run.world);
        reload(&run.boundgate, "ok", || {
            replace(run.world.pki.path(), "server.key", key);
            replace(run.world.pki.path(), "server.pem", certificate);
        });
        until("the new certificate", || run.shown() == server.der);
    }
    assert!(began.elapsed() < Duration::from_secs(12), "by looking now and then it would take six looks");
    run.load.advance(3);
    run.load.stop_unharmed();
}

#[test]
fn what_does_not_validate_is_reported_and_changes_nothing() {
    let run = Run::start();
    let folder = run.world.pki.path();
    let client_b = &run.world.pki.client_b;
    let another_key = fs::read(&client_b.private_key).unwrap();
    let syntax = fs::read_to_string(&run.boundgate.file).unwrap() + "\n[limits]\ndrian = \"5s\"\n";
    let broken: [(&str, Option<&[u8]>, &str); 7] = [
        ("server.key", Some(&another_key), "the key of another certificate"),
        ("server.pem", Some(b"-----BEGIN CERTIFICATE-----\nAAAA"), "PEM without its END line"),
        ("clients-ca.pem", Some(b""), "an empty file"),
        ("clients.crl", None, "no such file"),
        ("jwks.json", Some(b"{\"keys\": ["), "jwks.json"),
        ("config.toml", Some(syntax.as_bytes()), "drain"),
        ("config.toml", None, "config.toml"),
    ];
    let token = run.world.issuer.token(client_b);
    let server = run.shown();
    for (name, content, said) in broken {
        let good = fs::read(folder.join(name)).unwrap();
        reload(&run.boundgate, "failed", || match content {
            Some(content) => replace(folder, name, content),
            None => fs::remove_file(folder.join(name)).unwrap(),
        });
        let line = run.boundgate.log_line(|line| {
            line["level"] == "error" && line["fault"].as_str().is_some_and(|fault| fault.contains(said))
        });
        assert!(line["fault"].as_str().unwrap().contains("config.toml"), "it names the place: {line}");
        assert!(run.passes(client_b, &token), "{name}");
        assert_eq!(run.shown(), server, "{name}");
        // The same bytes again are no change, but what was broken is tried anew.
        reload(&run.boundgate, "ok", || replace(folder, name, good));
    }
    run.load.advance(3);
    run.load.stop_unharmed();
}

#[test]
fn the_policy_that_is_in_force_is_that_of_the_file() {
    let run = Run::start();
    let b = &run.world.pki.client_b;
    let client = run.world.client(Some(b));
    let mut open = client.connect(run.boundgate.address).unwrap();
    let token = run.world.issuer.token(b);
    let mut claims = run.world.issuer.claims(b);
    claims["aud"] = json!("https://other.example.test");
    let other = run.world.issuer.mint(&claims);
    let mut verdict = |path: &str, token: Option<&str>| open.get(path, token).unwrap().verdict();
    assert_eq!(verdict("/users", Some(&token)), (200, String::new()));
    assert_eq!(verdict("/users", Some(&other)), (401, "audience-mismatch".to_owned()));

    let routes = "[[routes]]\npath = \"/users\"\nscopes = [\"admin\"]\n[[routes]]\npath = \"/open\"\naccess = \"public\"\n";
    reload(&run.boundgate, "ok", || {
        run.boundgate.rewrite(&Config { more: routes.to_owned(), ..run.config.clone() });
    });
    assert_eq!(verdict("/users", Some(&token)), (403, "scope-missing".to_owned()));
    assert_eq!(verdict("/open", None), (200, String::new()));

    // What was remembered of a token under another audience does not count.
    reload(&run.boundgate, "ok", || {
        let issuer = run.config.issuer.replace(AUDIENCE, "https://other.example.test");
        run.boundgate.rewrite(&Config { issuer, ..run.config.clone() });
    });
    assert_eq!(verdict("/users", Some(&token)), (401, "audience-mismatch".to_owned()));
    assert_eq!(verdict("/users", Some(&other)), (200, String::new()));
    assert_eq!(verdict("/open", None), (401, "token-missing".to_owned()));
    run.load.stop_unharmed();
}

#[test]
fn a_key_that_is_withdrawn_verifies_nothing_any_more() {
    let mut world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let mut open = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    let old = world.issuer.token(&world.pki.client_a);
    // Twice: the second time it is remembered.
    assert_eq!([(); 2].map(|()| open.get("/", Some(&old)).unwrap().status()), [200; 2]);
    world.issuer.rotate("key-2");
    reload(&boundgate, "ok", || {
        replace(world.pki.path(), "jwks.json", world.issuer.jwks().to_string());
    });
    assert_eq!(open.get("/", Some(&old)).unwrap().verdict(), (401, "key-unknown".to_owned()));
    let new = world.issuer.token(&world.pki.client_a);
    assert_eq!(open.get("/", Some(&new)).unwrap().status(), 200);
}

#[test]
fn an_address_says_that_it_needs_a_restart_and_holds_nothing_else_up() {
    let run = Run::start();
    reload(&run.boundgate, "ok", || {
        let config =
            Config { more: "[forward.claims]\nX-Client = \"client_id\"\n".to_owned(), ..run.config.clone() };
        let moved = config.text("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        replace(run.world.pki.path(), "config.toml", moved);
    });
    for key in ["listener.address", "admin.address"] {
        let line = run.boundgate.log_line(|line| line.to_string().contains(key));
        assert!(line.to_string().contains("needs a restart"), "{line}");
        assert_eq!(line["level"], "warn");
    }
    run.load.advance(1);
    assert_eq!(run.world.api.requests().last().unwrap().value("x-client"), Some("client"));
    run.load.stop_unharmed();
}

#[test]
fn the_limit_of_connections_follows() {
    let world = World::new();
    let limit = |limit: u32| Config { more: format!("[limits]\nconnections = {limit}\n"), ..world.config() };
    let boundgate = Boundgate::start(world.pki.path(), &limit(1));
    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    let (open, address) = (client.connect(boundgate.address).unwrap(), boundgate.address);
    let second = thread::spawn(move || client.get(address, "/", Some(&token)).map(|answer| answer.status()));
    reload(&boundgate, "ok", || boundgate.rewrite(&limit(2)));
    assert_eq!(second.join().unwrap().unwrap(), 200, "the first is still open");
    drop(open);
}

#[test]
fn the_manner_of_the_log_follows() {
    let world = World::new();
    let log = |lines: &str| Config { more: format!("[log]\n{lines}\n"), ..world.config() };
    let boundgate = Boundgate::start(world.pki.path(), &log("level = \"error\""));
    let mut open = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    let token = world.issuer.token(&world.pki.client_a);
    let mut get = |path: &str| assert_eq!(open.get(path, Some(&token)).unwrap().status(), 200);
    get("/silent-1");
    reload(&boundgate, "ok", || boundgate.rewrite(&log("level = \"info\"")));
    get("/as-json");
    boundgate.log_line(|line| line["path"] == "/as-json");
    reload(&boundgate, "ok", || boundgate.rewrite(&log("level = \"info\"\nformat = \"text\"")));
    get("/as-text");
    let text = boundgate.process.stdout.find(|line| line.contains("/as-text").then(|| line.to_owned()));
    assert!(text.is_some_and(|line| !line.starts_with('{')), "{}", boundgate.process.output());
    reload(&boundgate, "ok", || boundgate.rewrite(&log("level = \"error\"")));
    get("/silent-2");
    reload(&boundgate, "ok", || boundgate.rewrite(&log("level = \"info\"")));
    get("/last");
    boundgate.log_line(|line| line["path"] == "/last");
    assert!(!boundgate.process.output().contains("/silent"), "{}", boundgate.process.output());
}
