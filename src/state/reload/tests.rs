#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::symlink;

use super::*;
use crate::state::folder::{CONFIG, Folder, jwks};
use crate::state::pki::{from_now, pem};

/// A folder that is watched, and what is in force.
struct Bench {
    folder: Folder,
    watch: Watch,
    current: Snapshot,
}

impl Bench {
    fn start(folder: Folder) -> Bench {
        let Ok((watch, current)) = Watch::start(&folder.path("config.toml")) else {
            panic!("it does not start")
        };
        Bench { folder, watch, current }
    }

    /// A look by the timer: `None`: nothing to say, else whether the files were good. A good snapshot is put in force.
    fn tick(&mut self) -> Option<Result<(), Faults>> {
        self.look(false)
    }

    fn look(&mut self, asked: bool) -> Option<Result<(), Faults>> {
        match self.watch.look(&self.current, asked) {
            Look::Unchanged => None,
            Look::Broken(faults) => Some(Err(faults)),
            Look::Changed(snapshot) => {
                self.current = *snapshot;
                Some(Ok(()))
            }
        }
    }

    fn admits(&self, serial: u64) -> bool {
        let holder = self.folder.clients.certify(serial, |_| ());
        self.current.trust.admit(&holder.chain, from_now(0)).is_ok()
    }

    fn revoke(&self, serial: u64) -> String {
        pem("X509 CRL", &self.folder.clients.crl(&[serial], 30))
    }
}

#[test]
fn nothing_happens_while_nothing_changes() {
    let mut bench = Bench::start(Folder::new());
    assert_eq!(bench.tick(), None);
    assert_eq!(bench.look(true), None);
    // Written again with the same bytes, as a sidecar that fetches secrets does.
    bench.folder.write("ca.pem", bench.folder.clients.pem());
    assert_eq!(bench.tick(), None);
}

#[test]
fn a_new_crl_admits_its_certificates_no_longer() {
    let mut bench = Bench::start(Folder::new());
    assert!(bench.admits(7) && bench.admits(8));
    bench.folder.write("ca.crl", bench.revoke(7));
    assert_eq!(bench.tick(), Some(Ok(())));
    assert!(!bench.admits(7) && bench.admits(8));
    assert_eq!(bench.tick(), None);
}

#[test]
fn every_file_that_is_named_is_watched() {
    let mut bench = Bench::start(Folder::new());
    let changes = [
        ("as-ca.pem", bench.folder.clients.pem()),
        ("keys.json", jwks()),
        ("ca.pem", bench.folder.clients.pem() + &bench.folder.servers.pem()),
        ("config.toml", format!("{CONFIG}\n[limits]\nrequest_body = \"1MiB\"")),
    ];
    for (name, content) in changes {
        bench.folder.write(name, content);
        assert_eq!(bench.tick(), Some(Ok(())), "{name}");
        assert_eq!(bench.tick(), None, "{name}");
    }
    assert_eq!(bench.current.settings.limits.request_body, Some(1 << 20));
}

#[test]
fn what_does_not_validate_is_told_once_and_changes_nothing() {
    let mut bench = Bench::start(Folder::new());
    let renewed = bench.folder.servers.certify(5, |_| ());
    bench.folder.write("server.pem", renewed.pem());
    let Some(Err(faults)) = bench.tick() else { panic!("a key that is not the certificate's") };
    assert!(faults.to_string().contains("listener.private_key: found "), "{faults}");
    assert_eq!(bench.tick(), None);
    assert_eq!(bench.look(true), Some(Err(faults)));
    // Another fault is told.
    std::fs::remove_file(bench.folder.path("server.key")).unwrap();
    assert!(matches!(bench.tick(), Some(Err(_))));
    assert_eq!(bench.tick(), None);
    // The second half of the pair arrives.
    bench.folder.write_pair("server", &renewed);
    assert_eq!(bench.tick(), Some(Ok(())));
    assert_eq!(bench.tick(), None);
}

#[test]
fn a_fault_that_is_undone_leaves_nothing_behind() {
    let mut bench = Bench::start(Folder::new());
    bench.folder.write("config.toml", "nonsense");
    assert!(matches!(bench.tick(), Some(Err(_))));
    bench.folder.write("config.toml", CONFIG);
    let trust = Arc::clone(&bench.current.trust);
    assert_eq!(bench.tick(), Some(Ok(())));
    assert!(Arc::ptr_eq(&trust, &bench.current.trust));
    assert_eq!(bench.tick(), None);
}

#[test]
fn a_file_that_a_faulty_configuration_names_is_waited_for() {
    let mut bench = Bench::start(Folder::new());
    bench.folder.write("config.toml", CONFIG.replace("ca.crl", "new.crl"));
    assert!(matches!(bench.tick(), Some(Err(_))));
    assert_eq!(bench.tick(), None);
    bench.folder.write("new.crl", bench.revoke(7));
    assert_eq!(bench.tick(), Some(Ok(())));
    assert!(!bench.admits(7));
    bench.folder.write("new.crl", bench.revoke(8));
    assert_eq!(bench.tick(), Some(Ok(())));
    assert!(bench.admits(7) && !bench.admits(8));
}

#[test]
fn an_exchange_of_folders_behind_links_is_seen() {
    // Kubernetes: `ca.crl` → `..data/ca.crl`, `..data` → a folder with the date of its making, exchanged by a rename.
    let folder = Folder::new();
    std::fs::create_dir(folder.path("..1")).unwrap();
    std::fs::create_dir(folder.path("..2")).unwrap();
    std::fs::rename(folder.path("ca.crl"), folder.path("..1/ca.crl")).unwrap();
    symlink("..1", folder.path("..data")).unwrap();
    symlink("..data/ca.crl", folder.path("ca.crl")).unwrap();
    let mut bench = Bench::start(folder);
    assert_eq!(bench.tick(), None);
    bench.folder.write("..2/ca.crl", bench.revoke(7));
    symlink("..2", bench.folder.path("..data_tmp")).unwrap();
    std::fs::rename(bench.folder.path("..data_tmp"), bench.folder.path("..data")).unwrap();
    assert_eq!(bench.tick(), Some(Ok(())));
    assert!(!bench.admits(7));
}

#[test]
fn an_address_needs_a_restart_and_the_rest_is_put_in_force() {
    let mut bench = Bench::start(Folder::new());
    let before = bench.current.settings.clone();
    let changed =
        CONFIG.replace("127.0.0.1:8443", "127.0.0.1:8444").replace("127.0.0.1:8080", "127.0.0.1:8081");
    bench.folder.write("config.toml", changed + "[admin]\naddress = \"127.0.0.1:9999\"\n");
    assert_eq!(bench.tick(), Some(Ok(())));
    let now = &bench.current.settings;
    assert_eq!(now.listener.address.value, before.listener.address.value);
    assert_eq!(now.admin.address.value, before.admin.address.value);
    assert_ne!(now.upstream.url, before.upstream.url);
    assert_eq!(
        bench.current.notes,
        [
            "listener.address: 127.0.0.1:8444 needs a restart; until then 127.0.0.1:8443 stays in force",
            "admin.address: 127.0.0.1:9999 needs a restart; until then 127.0.0.1:9901 stays in force",
        ]
    );
    assert_eq!(bench.tick(), None);
}

#[test]
fn a_start_tells_the_faults_of_the_configuration_and_of_its_files() {
    let folder = Folder::new();
    std::fs::remove_file(folder.path("ca.pem")).unwrap();
    let faults = |config: &str| Watch::start(&folder.path(config)).err().unwrap();
    assert!(faults("config.toml").to_string().contains("client_certificates.ca"));
    assert_eq!(faults("other.toml").0.len(), 1);
}
