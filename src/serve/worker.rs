//! What a worker thread and each of its connections hold.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};
use rustls_pki_types::UnixTime;

use super::clock::Clock;
use super::deadlines::Deadlines;
use super::ids::{Ids, RequestId};
use super::remembered::Remembered;
use super::repeated::Repeated;
use super::upstream::Pool;
use crate::decide::client::ClientCert;
use crate::decide::client_headers::{ClientCertForm, ClientCertHeaders};
use crate::decide::refusal::{Reason, Refusal};
use crate::decide::token::Digest;
use crate::log::Sink;
use crate::metrics;
use crate::state::control::Control;
use crate::state::introspect::Forget;
use crate::state::trust::{Admitted, Trust};
use crate::state::{Shared, Snapshot};
use crate::trace::Tracer;

/// One worker thread's own state.
pub struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) control: Control,
    pub(crate) metrics: Arc<metrics::Worker>,
    pub(crate) log: Sink,
    /// `None` where tracing is off.
    pub(crate) tracer: Option<Tracer>,
    pub(crate) ids: Ids,
    pub(crate) remembered: Remembered,
    pub(crate) pool: Rc<Pool>,
    /// For what the upstream is to answer.
    pub(crate) deadlines: Deadlines,
}

impl Worker {
    /// A worker that decides by the newest snapshot of `shared`.
    pub fn new(
        shared: Arc<Shared>,
        control: Control,
        metrics: Arc<metrics::Worker>,
        log: Sink,
        tracer: Option<Tracer>,
    ) -> Rc<Worker> {
        Rc::new(Worker {
            shared,
            control,
            metrics,
            log,
            tracer,
            ids: Ids::new(),
            remembered: Remembered::new(),
            pool: Rc::new(Pool::new()),
            deadlines: Deadlines::default(),
        })
    }

    /// The worker's counters.
    pub(crate) fn metrics(&self) -> &metrics::Worker {
        &self.metrics
    }

    /// The worker's end of the log.
    pub(crate) fn log(&self) -> &Sink {
        &self.log
    }

    /// A new request identifier.
    pub(crate) fn request_id(&self) -> RequestId {
        self.ids.next()
    }

    /// The snapshot of this moment.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.load().clone()
    }

    /// Forgets what was revoked.
    pub fn forget(&self, order: Forget) {
        // Whoever asked may have gone away.
        let _ = order.forgotten.send(self.remembered.forget(&order.revocation));
    }

    /// Shows that the thread is alive, ends what has waited too long for the upstream and closes connections to it that have idled too
    /// long; called four times a second.
    pub fn sweep(&self) {
        self.metrics.beat();
        self.deadlines.sweep(Instant::now());
        self.pool.sweep();
    }
}

/// One client connection.
pub struct Connection {
    pub(crate) worker: Rc<Worker>,
    pub(crate) peer: SocketAddr,
    /// The peer's address for `X-Forwarded-For` and `Forwarded`, written once a connection.
    pub(crate) forwarded_for: HeaderValue,
    pub(crate) client: Option<ClientCert>,
    pub(super) token: Repeated,
    client_headers: ClientCertHeaders,
    admitted: Cell<Option<Admitted>>,
    pub(crate) clock: Rc<Clock>,
    pub(crate) multiplexed: bool,
}

impl Connection {
    /// A connection whose handshake is over; `client` is the certificate that it proved to hold.
    pub(crate) fn new(
        worker: Rc<Worker>,
        peer: SocketAddr,
        client: Option<ClientCert>,
        clock: Rc<Clock>,
        multiplexed: bool,
    ) -> Rc<Connection> {
        let ip = peer.ip().to_canonical().to_string();
        Rc::new(Connection {
            worker,
            peer,
            forwarded_for: HeaderValue::from_str(&ip).unwrap_or(HeaderValue::from_static("unknown")),
            client,
            token: Repeated::default(),
            client_headers: ClientCertHeaders::default(),
            admitted: Cell::new(None),
            clock,
            multiplexed,
        })
    }

    /// Judges the connection's certificate again where the trust has changed, its time is over, or the session was resumed:
    /// rustls asks no verifier on resumption.
    ///
    /// # Errors
    /// `certificate-not-admitted`; the connection closes after the answer.
    pub(crate) fn admit(&self, trust: &Trust, now: u64) -> Result<(), Refusal> {
        let still = |a: Admitted| a.generation == trust.generation() && now < a.until;
        if self.admitted.get().is_some_and(still) {
            return Ok(());
        }
        let chain = self.client.as_ref().map(ClientCert::chain).unwrap_or_default();
        match trust.admit(chain, UnixTime::since_unix_epoch(Duration::from_secs(now))) {
            Ok(admitted) => {
                self.admitted.set(Some(admitted));
                Ok(())
            }
            Err(why) => {
                self.clock.close();
                Err(Reason::CertificateNotAdmitted.note(why.0))
            }
        }
    }

    /// The headers that tell the upstream of its certificate; none where there is no certificate.
    pub(crate) fn client_headers(&self, form: ClientCertForm) -> &[(HeaderName, HeaderValue)] {
        self.client.as_ref().map(|client| self.client_headers.get(form, client)).unwrap_or_default()
    }

    /// The worker that serves it.
    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Lets go of what is kept for the next request alone, which may not come soon.
    pub(crate) fn rest(&self) {
        self.token.rest();
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> &Rc<Clock> {
        &self.clock
    }

    /// Its peer's address.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// `x5t#S256` of its certificate.
    pub(crate) fn certificate_thumbprint(&self) -> Option<Digest> {
        self.client.as_ref().map(ClientCert::thumbprint).copied()
    }

    /// The present head is malformed: with HTTP/1 nobody knows for sure where the next one begins, so the connection ends with
    /// the answer.
    pub(crate) fn doubt(&self) {
        if !self.multiplexed {
            self.clock.close();
        }
    }

    /// Whether the connection ends with the present answer.
    pub(crate) fn closing(&self) -> bool {
        self.clock.closing()
    }
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    unix(SystemTime::now())
}

/// Seconds from 1970 to then.
pub(crate) fn unix(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
