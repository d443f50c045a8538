//! `/livez`, `/readyz`, `/metrics`: an HTTP/1.1 server of its own that only reads, on an address that is not the public one.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::metrics::Registry;
use crate::state::status::{Board, IssuerStatus};

/// Connections at once; more wait in the kernel's backlog.
const CONNECTIONS: usize = 64;
/// Where no connection can be accepted, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A worker beats once a second; one that has been silent for so long hangs.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a client may take.
#[derive(Clone, Copy)]
struct Deadlines {
    /// For a request's head, and for the next one on a connection that is kept alive.
    head: Duration,
    /// After this a connection finishes its request and ends, so that no client keeps a place for good.
    life: Duration,
    /// For that last request, whether or not the client reads.
    last_answer: Duration,
}

const DEADLINES: Deadlines = Deadlines {
    head: Duration::from_secs(10),
    life: Duration::from_secs(60),
    last_answer: Duration::from_secs(5),
};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// What the admin server reads.
pub struct AdminState {
    accepting: AtomicBool,
    draining: AtomicBool,
    board: Arc<Board>,
    metrics: Arc<Registry>,
}

impl AdminState {
    /// Not yet accepting; `board` tells each issuer's state whenever `/readyz` is asked for.
    pub fn new(metrics: Arc<Registry>, board: Arc<Board>) -> AdminState {
        AdminState { accepting: AtomicBool::new(false), draining: AtomicBool::new(false), board, metrics }
    }

    /// The listener accepts connections.
    pub fn accepting(&self) {
        self.accepting.store(true, Ordering::Relaxed);
    }

    /// The drain has begun, `drain_delay` included.
    pub fn draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

/// Answers until the task is dropped.
pub async fn serve(listener: TcpListener, state: Arc<AdminState>) -> Infallible {
    serve_within(DEADLINES, listener, state).await
}

async fn serve_within(deadlines: Deadlines, listener: TcpListener, state: Arc<AdminState>) -> Infallible {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = state.clone();
                tokio::spawn(async move {
                    connection(stream, state, deadlines).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "an admin connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<AdminState>, deadlines: Deadlines) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &state);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(deadlines.head)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service)
    );
    // How a connection ended is its client's concern alone.
    if tokio::time::timeout(deadlines.life, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(deadlines.last_answer, connection).await;
    }
}

fn answer(method: &Method, path: &str, state: &AdminState) -> Response<Full<Bytes>> {
    let page = match path {
        "/livez" => livez,
        "/readyz" => readyz,
        "/metrics" => metrics,
        _ => return respond(StatusCode::NOT_FOUND, TEXT, "there are /livez, /readyz and /metrics\n"),
    };
    if method == Method::GET || method == Method::HEAD {
        return page(state);
    }
    let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// The control thread works if it answers at all; what is asked is whether the workers do.
fn livez(state: &AdminState) -> Response<Full<Bytes>> {
    let silences = state.metrics.workers().iter().map(|worker| worker.silent_for());
    match silences.enumerate().find(|(_, silence)| *silence > SILENCE) {
        None => respond(StatusCode::OK, TEXT, "alive\n"),
        Some((worker, silence)) => {
            let body = format!("worker {worker} has been silent for {} s\n", silence.as_secs());
            respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, body)
        }
    }
}

#[derive(Serialize)]
struct Readiness<'a> {
    ready: bool,
    accepting: bool,
    draining: bool,
    issuers: &'a [IssuerStatus],
}

fn readyz(state: &AdminState) -> Response<Full<Bytes>> {
    let issuers = state.board.issuers();
    let accepting = state.accepting.load(Ordering::Relaxed);
    let draining = state.draining.load(Ordering::Relaxed);
    // An outage of an authorization server does not turn it back: every replica would be taken out at once, cached tokens and public
    // routes included.
    let ready = accepting && !draining && state.board.has_been_usable();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_vec(&Readiness { ready, accepting, draining, issuers: &issuers }) {
        Ok(body) => respond(status, JSON, body),
        Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, ""),
    }
}

fn metrics(state: &AdminState) -> Response<Full<Bytes>> {
    match state.metrics.render() {
        Ok(text) => respond(StatusCode::OK, Registry::CONTENT_TYPE, text),
        Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, TEXT, ""),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
