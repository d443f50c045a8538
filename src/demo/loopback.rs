//! A small HTTP/1.1 server on loopback, with or without TLS, on a thread and a runtime of its own: so it serves whatever
//! runtime, or none, its caller has.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// For a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After an accept that failed, as it does while file descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) type Request = http::Request<Incoming>;
pub(super) type Response = http::Response<Full<Bytes>>;
/// The client's certificate, whose private key the handshake proved; `None` without TLS or certificate.
pub(super) type Peer = Option<CertificateDer<'static>>;

/// This port if it is free, else 0: any port.
pub(super) fn port_or_any(port: u16) -> u16 {
    if listen(port).is_ok() { port } else { 0 }
}

/// Listens on 127.0.0.1 at this port (0: any).
pub(super) fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

/// A running server. It stops when this is dropped, and its connections with it.
pub(super) struct Loopback {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Answers every request with `handler`.
    pub(super) fn serve<H, F>(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        handler: H,
    ) -> io::Result<Loopback>
    where
        H: Fn(Request, Peer) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name(format!("demo-{}", address.port())).spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, tls, handler) => {}
                        _ = stopped => {}
                    }
                });
                // Dropping the runtime ends the connections.
            })?;
        Ok(Loopback { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept<H, F>(listener: tokio::net::TcpListener, tls: Option<Arc<ServerConfig>>, handler: H)
where
    H: Fn(Request, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let tls = tls.map(TlsAcceptor::from);
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(connection(socket, tls.clone(), handler.clone()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves one connection. A client that breaks off is its own affair.
async fn connection<H, F>(socket: TcpStream, tls: Option<TlsAcceptor>, handler: H)
where
    H: Fn(Request, Peer) -> F,
    F: Future<Output = Response>,
{
    let _ = socket.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    match tls {
        None => {
            let service = service_fn(|request| answer(handler(request, None)));
            let _ = http.serve_connection(TokioIo::new(socket), service).await;
        }
        Some(tls) => {
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(socket)).await else { return };
            let chain = stream.get_ref().1.peer_certificates();
            let peer = chain.and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned());
            let service = service_fn(|request| answer(handler(request, peer.clone())));
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        }
    }
}

async fn answer<F: Future<Output = Response>>(response: F) -> Result<Response, std::convert::Infallible> {
    Ok(response.await)
}

/// A JSON answer; it ends in a line break for terminals.
pub(super) fn json(status: http::StatusCode, body: &serde_json::Value) -> Response {
    let mut response = Response::new(Full::from(format!("{body}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    response
}
