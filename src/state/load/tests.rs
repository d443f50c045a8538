#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup, ServerConfig};

use super::*;
use crate::config::resolve;
use crate::state::folder::{CONFIG, Folder, jwks};
use crate::state::pki::{Holder, client, from_now, handshake, pem, validity};
use crate::state::snapshot::Expiring;

#[test]
fn a_configuration_becomes_a_listener_that_admits_its_clients() {
    let folder = Folder::new();
    let snapshot = folder.load(None).unwrap();
    let ServerConfig { alpn_protocols, max_early_data_size, send_half_rtt_data, .. } = &*snapshot.tls;
    assert_eq!(*alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!((*max_early_data_size, *send_half_rtt_data), (0, false));
    for version in [&TLS12, &TLS13] {
        let admitted = client(&folder.servers, Some(&folder.clients.certify(3, |_| ())), &[version]);
        let (client_side, _) = handshake(&Arc::new(admitted), &snapshot.tls).unwrap();
        if version == &TLS13 {
            let group = client_side.negotiated_key_exchange_group().unwrap().name();
            assert_eq!(group, NamedGroup::X25519MLKEM768);
        }
        let refused = client(&folder.servers, Some(&folder.servers.certify(4, |_| ())), &[version]);
        handshake(&Arc::new(refused), &snapshot.tls).unwrap_err();
    }
    assert_eq!(snapshot.issuers.len(), 2);
    assert!(snapshot.issuers[0].keys.set.is_none() && snapshot.issuers[1].keys.set.is_some());
    assert_eq!(snapshot.calls[0].roots, [folder.servers.der().clone()]);
    assert!(snapshot.calls[0].identity.is_some() && snapshot.calls[1].identity.is_none());
}

#[test]
fn every_file_is_watched() {
    let folder = Folder::new();
    let settings = resolve::read(&folder.path("config.toml")).unwrap();
    let names = files(&settings).into_iter().map(|file| file.file_name().unwrap().to_owned());
    let expected = [
        "config.toml",
        "server.pem",
        "server.key",
        "ca.pem",
        "ca.crl",
        "as-ca.pem",
        "call.pem",
        "call.key",
        "keys.json",
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[test]
fn crls_are_read_in_either_encoding_and_several_of_a_file() {
    let folder = Folder::new();
    let below = folder.clients.below("below");
    let crls = [folder.clients.crl(&[], 30), below.crl(&[7], 30)];
    folder.write("ca.crl", crls.iter().map(|crl| pem("X509 CRL", crl)).collect::<String>());
    let revoked = below.certify(7, |_| ()).with(&[&below]);
    let good = below.certify(8, |_| ()).with(&[&below]);
    let admit = |snapshot: &Snapshot, holder: &Holder| snapshot.trust.admit(&holder.chain, from_now(0));
    let snapshot = folder.load(None).unwrap();
    admit(&snapshot, &good).unwrap();
    admit(&snapshot, &revoked).unwrap_err();

    folder.write("ca.crl", &crls[0]);
    folder.write("below.crl", &crls[1]);
    folder.write("config.toml", CONFIG.replace("[\"ca.crl\"]", "[\"ca.crl\", \"below.crl\"]"));
    let snapshot = folder.load(None).unwrap();
    admit(&snapshot, &good).unwrap();
    admit(&snapshot, &revoked).unwrap_err();
}

#[test]
fn what_runs_out_is_known_and_what_has_run_out_is_no_fault() {
    let folder = Folder::new();
    folder.write_pair("server", &folder.servers.certify(1, |params| validity(params, -3, -2)));
    folder.write("ca.crl", pem("X509 CRL", &folder.clients.crl(&[], -1)));
    let snapshot = folder.load(None).unwrap();
    let expiries: Vec<_> = snapshot.expiries().map(|e| (e.file.clone(), e.what)).collect();
    let expected = [
        ("call.pem", Expiring::Certificate),
        ("server.pem", Expiring::Certificate),
        ("ca.pem", Expiring::Authority),
        ("ca.crl", Expiring::Crl),
    ];
    assert_eq!(expiries, expected.map(|(name, what)| (folder.path(name), what)));
    assert_eq!(snapshot.trust.expired_crls(from_now(0)).collect::<Vec<_>>(), [&folder.path("ca.crl")]);
}

/// Which parts of two snapshots are the same: trust, and of each issuer its policy with its keys, and what calls need.
fn same(old: &Snapshot, new: &Snapshot) -> (bool, [bool; 2], [bool; 2]) {
    let issuers = [0, 1].map(|i| Arc::ptr_eq(&old.issuers[i], &new.issuers[i]));
    let calls = [0, 1].map(|i| Arc::ptr_eq(&old.calls[i], &new.calls[i]));
    for (old, new) in old.issuers.iter().zip(&new.issuers) {
        assert!(Arc::ptr_eq(old, new) || old.keys.generation < new.keys.generation);
    }
    let trust = Arc::ptr_eq(&old.trust, &new.trust);
    assert!(trust || old.trust.generation() < new.trust.generation());
    (trust, issuers, calls)
}

#[test]
fn what_has_not_changed_goes_on() {
    let folder = Folder::new();
    let old = folder.load(None).unwrap();
    let change = |name: &str, content: String| {
        let before = std::fs::read(folder.path(name)).unwrap();
        folder.write(name, content);
        let new = folder.load(Some(&old)).unwrap();
        folder.write(name, before);
        same(&old, &new)
    };
    let config = |from: &str, to: &str| change("config.toml", CONFIG.replacen(from, to, 1));
    const ALL: (bool, [bool; 2], [bool; 2]) = (true, [true; 2], [true; 2]);
    assert_eq!(config("", "# a comment\n"), ALL);
    assert_eq!(config("127.0.0.1:8080", "127.0.0.1:8081"), ALL);
    assert_eq!(config("\"required\"", "\"optional\""), (false, [true; 2], [true; 2]));
    let refuse = "ca = \"ca.pem\"\ncrl_expired = \"refuse\"";
    assert_eq!(config("ca = \"ca.pem\"", refuse), (false, [true; 2], [true; 2]));
    assert_eq!(
        change("ca.crl", pem("X509 CRL", &folder.clients.crl(&[9], 30))),
        (false, [true; 2], [true; 2])
    );
    assert_eq!(change("ca.pem", folder.clients.pem() + &folder.servers.pem()), (false, [true; 2], [true; 2]));
    assert_eq!(change("as-ca.pem", folder.clients.pem()), (true, [true; 2], [false, true]));
    assert_eq!(change("keys.json", jwks()), (true, [true, false], [true; 2]));
    assert_eq!(config("[\"https://api.", "[\"https://api2."), (true, [false, true], [true; 2]));
    // Identity headers are remembered with tokens.
    let claims = "[forward.claims]\nX-Auth-Subject = \"sub\"\n[upstream]";
    assert_eq!(config("[upstream]", claims), (true, [false; 2], [true; 2]));
}

#[test]
fn fetched_keys_serve_on_for_the_same_issuer_and_source() {
    let folder = Folder::new();
    let mut old = folder.load(None).unwrap();
    let set = old.issuers[1].keys.set.clone();
    let keys = Keys { generation: next_generation(), set: set.clone() };
    old.issuers[0] = Arc::new(Issuer { keys, ..Issuer::clone(&old.issuers[0]) });
    let load = |from: &str, to: &str| {
        folder.write("config.toml", CONFIG.replacen(from, to, 1));
        folder.load(Some(&old)).unwrap()
    };
    let first = "issuer = \"https://as.example.com\"";
    let kept = |new: &Snapshot| match (&new.issuers[0].keys.set, &set) {
        (Some(now), Some(before)) => Arc::ptr_eq(now, before),
        (now, _) => now.is_some(),
    };
    let new = load("", "\n");
    assert!(kept(&new));
    assert_eq!(new.issuers[0].keys.generation, old.issuers[0].keys.generation);
    let new = load("audiences", "leeway = \"5s\"\naudiences");
    assert!(kept(&new));
    assert!(new.issuers[0].keys.generation > old.issuers[0].keys.generation);
    assert!(!kept(&load(first, &format!("{first}\njwks_uri = \"https://as.example.com/jwks\""))));
    assert!(!kept(&load(first, "issuer = \"https://as2.example.com\"")));
}

#[test]
fn tickets_survive_a_reload() {
    let folder = Folder::new();
    let old = folder.load(None).unwrap();
    let new = folder.load(Some(&old)).unwrap();
    let config = client(&folder.servers, Some(&folder.clients.certify(3, |_| ())), &[&TLS13]);
    let client = Arc::new(config);
    handshake(&client, &old.tls).unwrap();
    let (_, connection) = handshake(&client, &new.tls).unwrap();
    assert_eq!(connection.handshake_kind(), Some(HandshakeKind::Resumed));
}
