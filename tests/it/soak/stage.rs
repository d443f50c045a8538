//! The row that the soak plays on, and what all its threads share.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::servers::{AuthorizationServer, TIMEOUT, api};
use super::tally::Tally;
use crate::support::boundgate::{Boundgate, free_address};
use crate::support::client::{Client, Connection};
use crate::support::issuer::Issuer;
use crate::support::process::Process;
use crate::support::world::{Config, World};

/// How long a token is used: its key stays in force for longer.
const TOKEN: Duration = Duration::from_secs(5);

pub(super) struct Stage {
    pub(super) world: World,
    pub(super) authorization_server: AuthorizationServer,
    pub(super) boundgate: Boundgate,
    pub(super) config: Config,
    /// Who signs at the moment.
    pub(super) issuer: Mutex<Issuer>,
    last: Mutex<Option<(String, Instant)>>,
    pub(super) tally: Tally,
    stopped: AtomicBool,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let world = World { api: api(), ..World::new() };
        let issuer = Issuer::new(world.issuer.name.clone());
        issuer.write_jwks(&world.pki.path().join("jwks.json"));
        let owner = world.pki.client_a.thumbprint();
        let authorization_server = AuthorizationServer::new(owner, issuer.name.clone());
        let mut config = world.config();
        config.client_certificates += "\ncrl = [\"ca.crl.pem\"]";
        config.issuer += &format!(
            "\n[issuers.introspection]\nendpoint = \"{}/introspect\"\nclient_id = \"boundgate\"\nclient_secret = \"s3cret\"\n\
             cache_ttl = \"2s\"\nnegative_ttl = \"1s\"",
            authorization_server.server.url()
        );
        config.upstream += &format!("\ntimeout = \"{}s\"", TIMEOUT.as_secs());
        config.more = MORE.to_owned();
        super::operator::revoke(&world, &[]);
        let boundgate = start(&world, &config);
        Stage {
            world,
            authorization_server,
            boundgate,
            config,
            issuer: Mutex::new(issuer),
            last: Mutex::new(None),
            tally: Tally::new(),
            stopped: AtomicBool::new(false),
        }
    }

    /// A good token of client A, which asks for a new one now and then. One for each connection would fill the memory for tokens, which is
    /// bounded by 32 MiB, until the end of the soak and hide what else may grow.
    pub(super) fn token(&self) -> String {
        let mut last = self.last.lock().unwrap();
        match &*last {
            Some((token, since)) if since.elapsed() < TOKEN => token.clone(),
            _ => {
                let token = self.issuer.lock().unwrap().token(&self.world.pki.client_a);
                last.insert((token, Instant::now())).0.clone()
            }
        }
    }

    pub(super) fn client(&self) -> Client {
        self.world.client(Some(&self.world.pki.client_a))
    }

    /// Somebody else with a certificate.
    pub(super) fn stranger(&self) -> Client {
        self.world.client(Some(&self.world.pki.client_b))
    }

    pub(super) fn connect(&self) -> Connection {
        self.client().connect(self.address()).expect("a good client is let in")
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.boundgate.address
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Open descriptors of the sidecar.
    pub(super) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc().join("fd")).unwrap().count()
    }

    /// Resident memory of the sidecar, in MiB (`VmRSS` of proc(5)).
    pub(super) fn memory(&self) -> f64 {
        let status = fs::read_to_string(self.proc().join("status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.boundgate.process.id()))
    }

    /// Ends the sidecar as Kubernetes does.
    pub(super) fn end(self) -> ExitStatus {
        self.boundgate.stop()
    }
}

/// Short where a hostile client is to be rid of soon, long where a connection is to be held. Logs and limits are not what is measured.
const MORE: &str = "[forward.claims]\nX-Auth-Subject = \"sub\"\n\n[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n\n\
    [limits]\nhead_timeout = \"5s\"\nstall_timeout = \"5s\"\nidle_timeout = \"120m\"\nconnections = 11000\n\n[log]\nlevel = \"warn\"\n";

/// The sidecar, on a processor of its own where there is a second one for everybody else.
fn start(world: &World, config: &Config) -> Boundgate {
    let (address, admin) = (free_address(), free_address());
    let file = world.pki.path().join("config.toml");
    fs::write(&file, config.text(address, admin)).unwrap();
    let binary =
        std::env::var_os("BOUNDGATE_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_boundgate").into());
    let alone = std::env::var_os("BOUNDGATE_SOAK_PIN");
    let mut run = match alone {
        Some(processor) => {
            let mut run = Command::new("taskset");
            run.arg("-c").arg(processor).arg(binary);
            run
        }
        None => Command::new(binary),
    };
    let process = Process::spawn(run.arg("run").arg("--config").arg(&file).env_remove("RUST_LOG"));
    let mut boundgate = Boundgate { address, admin, file, process };
    boundgate.wait_until_ready();
    boundgate
}
