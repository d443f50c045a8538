#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::config::resolve;
use crate::state::folder::{CONFIG, Folder};
use crate::state::load;

const HTTP: &str = "url = \"http://127.0.0.1:8080\"";

/// A folder whose upstream has these lines, and one trust root in `up-ca.pem`.
fn folder(upstream: &str) -> Folder {
    let folder = Folder::new();
    folder.write("up-ca.pem", folder.servers.pem());
    folder.write("config.toml", CONFIG.replace(HTTP, upstream));
    folder
}

const HTTPS: &str = "url = \"https://localhost:8080\"\nca = \"up-ca.pem\"";

#[test]
fn only_https_has_tls_and_it_speaks_http_1() {
    for url in ["http://127.0.0.1:8080", "h2c://127.0.0.1:8080", "unix:/run/api.sock"] {
        let snapshot = folder(&format!("url = \"{url}\"")).load(None).unwrap();
        assert!(snapshot.upstream.tls.is_none(), "{url}");
        assert_eq!(snapshot.upstream.url.to_string(), url);
    }
    let snapshot = folder(HTTPS).load(None).unwrap();
    assert_eq!(snapshot.upstream.tls.as_ref().unwrap().alpn_protocols, [b"http/1.1".to_vec()]);
    assert!(snapshot.notes.is_empty());
}

#[test]
fn it_stays_the_same_until_its_url_or_its_trust_roots_change() {
    let folder = folder(HTTPS);
    let old = folder.load(None).unwrap();
    let new = folder.load(Some(&old)).unwrap();
    assert!(Arc::ptr_eq(&old.upstream, &new.upstream));
    folder.write("up-ca.pem", folder.clients.pem());
    let other_roots = folder.load(Some(&new)).unwrap();
    assert!(!Arc::ptr_eq(&new.upstream, &other_roots.upstream));
    folder.write("config.toml", CONFIG.replace(HTTP, "url = \"https://localhost:8080\""));
    let system_roots = folder.load(Some(&other_roots)).unwrap();
    assert!(!Arc::ptr_eq(&other_roots.upstream, &system_roots.upstream));
    folder.write("config.toml", CONFIG.replace(HTTP, "url = \"https://localhost:8081\""));
    let other_url = folder.load(Some(&system_roots)).unwrap();
    assert!(!Arc::ptr_eq(&system_roots.upstream, &other_url.upstream));
}

#[test]
fn its_trust_roots_are_read_and_watched() {
    let folder = folder(HTTPS);
    let settings = resolve::read(&folder.path("config.toml")).unwrap();
    assert!(load::files(&settings).contains(&folder.path("up-ca.pem")));
    folder.write("up-ca.pem", folder.servers.certify(9, |_| ()).key.serialize_pem());
    let [fault] = folder.faults().try_into().unwrap();
    assert!(fault.starts_with("upstream.ca: "), "{fault}");
    std::fs::remove_file(folder.path("up-ca.pem")).unwrap();
    let [fault] = folder.faults().try_into().unwrap();
    assert!(fault.starts_with("upstream.ca: ") && fault.ends_with("no such file"), "{fault}");
}

#[test]
fn trust_roots_without_https_are_worth_a_word() {
    let snapshot = folder(&format!("{HTTP}\nca = \"up-ca.pem\"")).load(None).unwrap();
    assert_eq!(snapshot.notes, ["upstream.ca is not used: upstream.url is not https"]);
}
