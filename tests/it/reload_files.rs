//! The files that the configuration names for its own calls, and reloads that come in numbers. reload.rs has what clients see.

use std::fs;
use std::io::{BufReader, Write as _};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::introspection::stage::form;
use super::introspection::verify;
use super::reload::{reload, reloads, replace, until};
use super::support::boundgate::Boundgate;
use super::support::client::provider;
use super::support::load::Load;
use super::support::message::{Message, read_request};
use super::support::pki::{Authority, Identity};
use super::support::server::{Answer, Server};
use super::support::stage::Stage;
use super::support::world::{Config, World};

/// What an authorization server knows of its last caller.
#[derive(Default)]
struct Heard {
    /// DER, empty without a certificate.
    certificate: Vec<u8>,
    /// RFC 7523 §2.2
    assertion: String,
}

/// An authorization server to which no token is active, with a certificate that can be exchanged.
struct Introspection {
    server: Server,
    tls: Arc<Mutex<Arc<ServerConfig>>>,
    heard: Arc<Mutex<Heard>>,
    roots: Arc<RootCertStore>,
}

impl Introspection {
    fn start(world: &World) -> Introspection {
        let mut roots = RootCertStore::empty();
        roots.add(PemObject::from_pem_file(&world.pki.authority.certificate).unwrap()).unwrap();
        let roots = Arc::new(roots);
        let tls = Arc::new(Mutex::new(server_config(&roots, &world.pki.server)));
        let (current, heard) = (Arc::clone(&tls), Arc::<Mutex<Heard>>::default());
        let last = Arc::clone(&heard);
        let server = Server::script(move |socket| {
            let tls = ServerConnection::new(Arc::clone(&current.lock().unwrap())).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(tls, socket));
            // One request a connection: the next one shows what the sidecar has then.
            let Some(request) = read_request(&mut stream)? else { return Ok(()) };
            let peer = stream.get_ref().conn.peer_certificates();
            *last.lock().unwrap() = Heard {
                certificate: peer.map(|chain| chain[0].to_vec()).unwrap_or_default(),
                assertion: form(&request).remove("client_assertion").unwrap_or_default(),
            };
            let (body, stream) = ("{\"active\": false}", stream.get_mut());
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
            stream.conn.send_close_notify();
            stream.flush()
        });
        Introspection { server, tls, heard, roots }
    }

    fn show(&self, identity: &Identity) {
        *self.tls.lock().unwrap() = server_config(&self.roots, identity);
    }
}

fn server_config(roots: &Arc<RootCertStore>, identity: &Identity) -> Arc<ServerConfig> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider());
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
        .with_single_cert(identity.chain(), identity.key())
        .unwrap();
    Arc::new(config)
}

/// interface.md: "Certificates, keys, CRLs, `jwks_file`, secrets in files … are picked up": those of the calls to an issuer.
#[test]
fn what_an_issuer_is_called_with_is_picked_up() {
    let world = World::new();
    let folder = world.pki.path().to_owned();
    let introspection = Introspection::start(&world);
    let read = |path: &std::path::Path| fs::read(path).unwrap();
    let (a, b) = (&world.pki.client_a, &world.pki.client_b);
    let write_identity = |identity: &Identity| {
        replace(&folder, "call.pem", read(&identity.certificate));
        replace(&folder, "call.key", read(&identity.private_key));
    };
    write_identity(a);
    replace(&folder, "sign.key", read(&a.private_key));
    replace(&folder, "as-ca.pem", read(&world.pki.authority.certificate));
    let issuer = world.config().issuer
        + "\nca = \"as-ca.pem\"\n[issuers.tls]\ncertificate = \"call.pem\"\nprivate_key = \"call.key\"\n[issuers.introspection]\n"
        + &format!("endpoint = \"https://{}/\"\n", introspection.server.address)
        + "client_id = \"b\"\nclient_auth = \"private_key_jwt\"\nsigning_key = \"sign.key\"\nkey_id = \"k\"\nnegative_ttl = \"0s\"";
    let boundgate = Boundgate::start(&folder, &Config { issuer, ..world.config() });
    let client = world.client(Some(a));
    let load = Load::start(&client, boundgate.address, &world.issuer.token(a));
    let verdict = || client.get(boundgate.address, "/", Some("opaque")).unwrap().verdict();
    let inactive = (401, "token-inactive".to_owned());
    let assert_called_as = |certificate: &Identity, key: &Identity| {
        assert_eq!(verdict(), inactive);
        let heard = introspection.heard.lock().unwrap();
        assert_eq!(heard.certificate, certificate.der.to_vec(), "[issuers.tls]");
        verify(&heard.assertion, key);
    };
    assert_called_as(a, a);
    reload(&boundgate, "ok", || write_identity(b));
    assert_called_as(b, a);
    reload(&boundgate, "ok", || replace(&folder, "sign.key", read(&b.private_key)));
    assert_called_as(b, b);

    // What does not validate changes nothing, and the next good one is taken.
    for (name, garbage) in
        [("call.key", read(&a.private_key)), ("sign.key", b"none".to_vec()), ("as-ca.pem", vec![])]
    {
        let good = read(&folder.join(name));
        reload(&boundgate, "failed", || replace(&folder, name, garbage));
        assert_called_as(b, b);
        reload(&boundgate, "ok", || replace(&folder, name, good));
        assert_called_as(b, b);
    }

    let next = Authority::new(&folder, "next-ca");
    introspection.show(&next.issue("next-as", &["127.0.0.1"], |_| ()));
    assert_eq!(
        verdict(),
        (503, "introspection-unavailable".to_owned()),
        "the new authority is not trusted yet"
    );
    reload(&boundgate, "ok", || replace(&folder, "as-ca.pem", read(&next.certificate)));
    until("the new authority counts", || verdict() == inactive);
    load.advance(1);
    load.stop_unharmed();
}

#[test]
fn the_trust_root_of_the_upstream_is_picked_up() {
    let world = World::new();
    let folder = world.pki.path().to_owned();
    let next = Authority::new(&folder, "next-ca");
    let old = Server::https(&world.pki.server, |_| Answer::ok("hello"));
    fs::copy(&next.certificate, folder.join("upstream-ca.pem")).unwrap();
    let upstream = format!("url = \"{}\"\nca = \"upstream-ca.pem\"", old.url());
    let boundgate = Boundgate::start(&folder, &Config { upstream, ..world.config() });
    let mut open = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    let token = world.issuer.token(&world.pki.client_a);
    let mut verdict = || open.get("/", Some(&token)).unwrap().verdict();
    let failed = (502, "upstream-failed".to_owned());
    assert_eq!(verdict(), failed);
    let put = |outcome: &str, content: Vec<u8>| {
        reload(&boundgate, outcome, || replace(&folder, "upstream-ca.pem", content));
    };
    put("ok", fs::read(&world.pki.authority.certificate).unwrap());
    assert_eq!(verdict(), (200, String::new()));
    put("failed", b"none".to_vec());
    assert_eq!(verdict(), (200, String::new()), "what does not validate changes nothing");
    // A connection that was made under the old root is not used on under the new one.
    put("ok", fs::read(&next.certificate).unwrap());
    assert_eq!(verdict(), failed);
}

#[test]
fn limits_follow() {
    let stage = Stage::new(Server::http(|request: &Message| Answer::ok(request.text())), "");
    let mut open = stage.connect();
    let upload = stage.head("POST /", "Content-Length: 5\r\n") + "12345";
    let large = stage.head("GET /", &format!("X-Large: {}\r\n", "x".repeat(9000)));
    assert_eq!(open.exchange(&upload).unwrap().text(), "12345");
    assert_eq!(open.exchange(&large).unwrap().status(), 200);
    let mut config = stage.world.config();
    config.more =
        "[limits]\nrequest_body = \"4B\"\nrequest_head = \"8KiB\"\nidle_timeout = \"1s\"\n".to_owned();
    reload(&stage.boundgate, "ok", || stage.boundgate.rewrite(&config));
    let rest = open.rest();
    assert!(
        rest.is_ok_and(|rest| rest.is_empty()),
        "an idle connection ends in order under the new idle_timeout"
    );
    assert_eq!(stage.connect().exchange(&upload).unwrap().verdict(), (413, "body-too-large".to_owned()));
    assert_eq!(stage.connect().exchange(&large).unwrap().status(), 431);
}

#[test]
fn a_storm_of_signals_is_harmless() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let client = world.client(Some(&world.pki.client_a));
    let load = Load::start(&client, boundgate.address, &world.issuer.token(&world.pki.client_a));
    let memory = boundgate.process.peak_memory();
    for round in 0..100 {
        let more = format!("[limits]\nidle_timeout = \"{}s\"\n", 60 + round);
        boundgate.rewrite(&Config { more, ..world.config() });
        boundgate.process.signal("HUP");
    }
    let last = "[forward.claims]\nX-Last = \"sub\"\n".to_owned();
    boundgate.rewrite(&Config { more: last, ..world.config() });
    boundgate.process.signal("HUP");
    until("the last one is in force", || {
        world.api.requests().last().is_some_and(|request| request.value("x-last") == Some("alice"))
    });
    assert_eq!(reloads(&boundgate, "failed"), 0.0);
    assert!(boundgate.process.peak_memory() < memory + 32, "{memory} MiB before");
    load.advance(2);
    load.stop_unharmed();
}

/// A configuration that is gone changes nothing, however long; no drop of a connection, and its return is noticed without a signal.
#[test]
fn a_configuration_that_disappears_and_comes_back() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let token = world.issuer.token(&world.pki.client_a);
    let mut open = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    fs::remove_file(&boundgate.file).unwrap();
    until("it is missed", || reloads(&boundgate, "failed") >= 1.0);
    assert_eq!(open.get("/", Some(&token)).unwrap().status(), 200);
    let began = Instant::now();
    boundgate.rewrite(&Config { more: "[forward.claims]\nX-Back = \"sub\"\n".to_owned(), ..world.config() });
    until("it is back", || reloads(&boundgate, "ok") >= 1.0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(open.get("/", Some(&token)).unwrap().status(), 200);
    assert_eq!(world.api.requests().last().unwrap().value("x-back"), Some("alice"));
}
