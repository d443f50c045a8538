//! The whole sidecar in one process: log, counters, control thread, admin server, listener.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rustls_pki_types::UnixTime;
use tokio::sync::Notify;

use super::accept;
use super::server::{Parts, Server};
use crate::config::error::Faults;
use crate::config::settings::{self, Located, Settings};
use crate::log::{self, Filter, Log, LogGuard};
use crate::metrics::{self, FileTime, Outcome, Registry};
use crate::serve::admin::{self, AdminState};
use crate::serve::control_socket::{self, ControlSocket, Reach};
use crate::state::advice::advice;
use crate::state::control::{self, Commands, Control, Tools, Trigger};
use crate::state::reload::{Look, Watch};
use crate::state::snapshot::Expiring;
use crate::state::status::Board;
use crate::state::{Shared, Snapshot, calls, load, named};
use crate::trace::{self, Traces};

/// Why the sidecar does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration, or a file that it names.
    Configuration(Faults),
    /// A port, a thread.
    Runtime(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Configuration(faults) => faults.fmt(f),
            StartError::Runtime(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for StartError {}

/// A sidecar that runs.
pub struct Sidecar {
    server: Server,
    admin_address: SocketAddr,
    admin: Arc<AdminState>,
    control: Control,
    control_thread: JoinHandle<()>,
    drain_asked: Arc<Notify>,
    shared: Arc<Shared>,
    traces: Traces,
    log: LogGuard,
}

impl Sidecar {
    /// Reads the configuration and starts; log lines go to `out`.
    ///
    /// # Errors
    /// Every fault of the configuration at once; a port in use.
    pub fn start(config: &Path, out: impl io::Write + Send + 'static) -> Result<Sidecar, StartError> {
        let (watch, snapshot) = Watch::start(config).map_err(StartError::Configuration)?;
        let settings = snapshot.settings.clone();
        let listener = bind("listener.address", &settings.listener.address)?;
        let admin_listener = bind("admin.address", &settings.admin.address)?;
        let admin_address = admin_listener.local_addr().map_err(runtime)?;
        let control_socket = settings.admin.control.as_ref().map(bind_control).transpose()?;

        let filter = Filter::from_env(settings.log.level);
        let (log, log_guard) = log::start(settings.log.format, filter, out).map_err(runtime)?;
        log.install();
        let counters: Vec<_> =
            (0..settings.listener.workers).map(|_| Arc::new(metrics::Worker::default())).collect();
        let registry = Arc::new(Registry::new(counters.clone(), log.dropped()));
        announce(&snapshot, &registry);
        let traces = trace::start(&registry);

        let shared = Arc::new(Shared::new(snapshot));
        let (control, commands) = Control::new(shared.clone());
        let board = Arc::new(Board::default());
        let admin = Arc::new(AdminState::new(registry.clone(), board.clone()));
        let tools = tools(watch, registry, board, log.clone());
        let drain_asked = Arc::new(Notify::new());
        let reach = Reach { introspector: control.introspector().clone(), drain: drain_asked.clone() };
        let doors = Doors {
            admin: (admin_listener, admin.clone()),
            control: control_socket.map(|socket| (socket, reach)),
        };
        let control_thread = start_control(shared.clone(), commands, tools, doors).map_err(runtime)?;

        let parts = Parts { shared: shared.clone(), control: control.clone(), tracer: traces.tracer() };
        let workers = counters.into_iter().map(|counters| (counters, log.sink())).collect();
        let server = Server::start(listener, &parts, workers).map_err(runtime)?;
        admin.accepting();
        tracing::info!(address = %server.address(), admin = %admin_address, "listening");
        Ok(Sidecar {
            server,
            admin_address,
            admin,
            control,
            control_thread,
            drain_asked,
            shared,
            traces,
            log: log_guard,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The line to the control thread, for [`Control::reload`].
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Returns when the control socket is told to drain; never without one.
    pub async fn drain_asked(&self) {
        self.drain_asked.notified().await;
    }

    /// Turns `/readyz`, goes on accepting for `drain_delay`, then closes the listener and lets open requests finish within
    /// `drain`. Blocks until all is over and the log is written.
    pub fn drain(self) {
        let settings = self.shared.load().settings.clone();
        tracing::info!("draining");
        self.admin.draining();
        std::thread::sleep(settings.limits.drain_delay);
        self.finish(settings.limits.drain);
    }

    /// Ends at once.
    pub fn stop(self) {
        self.finish(Duration::ZERO);
    }

    fn finish(self, limit: Duration) {
        self.server.drain(limit);
        tracing::info!("stopped");
        // The control thread ends with the last line to it.
        drop(self.control);
        let _ = self.control_thread.join();
        drop(self.traces);
        drop(self.log);
    }
}

fn bind(key: &str, address: &Located<SocketAddr>) -> Result<TcpListener, StartError> {
    accept::bind(address.value).map_err(|error| {
        StartError::Runtime(format!("{key} = \"{}\": cannot listen: {error}", address.value))
    })
}

fn bind_control(path: &Located<PathBuf>) -> Result<ControlSocket, StartError> {
    ControlSocket::bind(&path.value).map_err(|error| {
        StartError::Runtime(format!(
            "admin.control = \"unix:{}\": cannot listen: {error}",
            path.value.display()
        ))
    })
}

/// What the control thread serves besides its work.
struct Doors {
    admin: (TcpListener, Arc<AdminState>),
    control: Option<(ControlSocket, Reach)>,
}

fn runtime(error: io::Error) -> StartError {
    StartError::Runtime(error.to_string())
}

fn start_control(
    shared: Arc<Shared>,
    commands: Commands,
    tools: Tools,
    doors: Doors,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("control".into()).spawn(move || {
        runtime.block_on(async move {
            let Doors { admin: (listener, state), control } = doors;
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => drop(tokio::spawn(admin::serve(listener, state))),
                Err(error) => tracing::error!(%error, "the admin server has failed"),
            }
            if let Some((socket, reach)) = control {
                tokio::spawn(async move {
                    let Err(error) = control_socket::serve(socket, reach).await;
                    tracing::error!(%error, "the control socket has failed");
                });
            }
            control::run(shared, commands, tools).await;
        });
        // A name that is being resolved for a call is not waited for.
        runtime.shutdown_background();
    })
}

fn tools(mut watch: Watch, registry: Arc<Registry>, board: Arc<Board>, log: Log) -> Tools {
    let (fetches, successes) = (registry.clone(), registry.clone());
    let introspections = registry.introspections().clone();
    Tools {
        reload: Box::new(move |current, trigger| reload(&mut watch, current, trigger, &registry)),
        reloaded: Box::new(move |snapshot| {
            let settings::Log { format, level } = snapshot.settings.log;
            log.change(format, Filter::from_env(level));
            tracing::info!("configuration reloaded");
            successes.reload(Outcome::Ok);
            announce(snapshot, &successes);
        }),
        count_fetch: Arc::new(move |issuer, outcome| {
            fetches.jwks_fetch(issuer, if outcome == "ok" { Outcome::Ok } else { Outcome::Failed });
        }),
        board,
        introspections,
        call_timeout: calls::TIMEOUT,
    }
}

/// Looks at the files; the next snapshot, if there is one.
fn reload(watch: &mut Watch, current: &Snapshot, trigger: Trigger, registry: &Registry) -> Option<Snapshot> {
    match watch.look(current, trigger == Trigger::Asked) {
        Look::Unchanged => None,
        Look::Changed(next) => Some(*next),
        Look::Broken(faults) => {
            registry.reload(Outcome::Failed);
            for fault in &faults.0 {
                tracing::error!(%fault, "reload failed, nothing has changed");
            }
            None
        }
    }
}

/// Tells the log and the metrics what a snapshot was made of.
fn announce(snapshot: &Snapshot, registry: &Registry) {
    for note in &snapshot.notes {
        tracing::warn!(note, "note on the configuration");
    }
    for warning in advice(snapshot, UnixTime::now()) {
        tracing::warn!(warning, "warning about the configuration");
    }
    for issuer in &snapshot.issuers {
        registry.issuer(&issuer.name);
    }
    let times = |wanted: fn(Expiring) -> bool| {
        let files = snapshot.expiries().filter(|e| wanted(e.what));
        files
            .map(|e| FileTime {
                file: e.file.display().to_string(),
                seconds: i64::try_from(e.at).unwrap_or(i64::MAX),
            })
            .collect()
    };
    registry.certificates(times(|what| what != Expiring::Crl));
    registry.crls(times(|what| what == Expiring::Crl));
}

/// What would run, for `boundgate check`.
///
/// # Errors
/// Every fault of the configuration and of the files that it names.
pub fn check(config: &Path) -> Result<(Arc<Settings>, Snapshot), Faults> {
    let settings = Arc::new(named::read(config)?);
    let snapshot = load::snapshot(settings.clone(), None)?;
    Ok((settings, snapshot))
}
