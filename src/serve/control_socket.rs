//! `[admin] control`: a unix socket for the one who runs this process, with `POST /revocations` and `POST /drain`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::decide::revocation::Revocation;
use crate::state::introspect::Introspector;

/// Only for its owner.
const MODE: u32 = 0o600;
/// Connections at once. For one more the oldest of those that idle makes room, so that idle ones hold up no revocation.
const CONNECTIONS: usize = 64;
const BACKLOG: i32 = 128;
/// A connection is given so long for its request before it counts as idle.
const GRACE: Duration = Duration::from_millis(100);
/// Bytes of a request's body.
const BODY: usize = 16 * 1024;
/// For a request's head, and for the next one on a connection that is kept alive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After this a connection ends, so that no client keeps a place for good.
const LIFE: Duration = Duration::from_secs(60);
/// Where no connection can be accepted, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What its requests reach.
#[derive(Clone)]
pub struct Reach {
    /// Forgets tokens.
    pub introspector: Introspector,
    /// Told when the process is to drain and end.
    pub drain: Arc<Notify>,
}

/// The socket, listening. Its file is removed on drop.
pub struct ControlSocket {
    listener: StdListener,
    _file: SocketFile,
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already; the next start replaces it anyway.
        let _ = fs::remove_file(&self.0);
    }
}

impl ControlSocket {
    /// Listens at this path. A socket that a process has left behind when it died is replaced.
    ///
    /// # Errors
    /// A process listens there, or something else than a socket is there, or the folder does not admit it.
    pub fn bind(path: &Path) -> io::Result<ControlSocket> {
        make_room(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // The file is made with the mode of the socket: there is no moment at which others could connect.
        let file = File::from(OwnedFd::from(socket));
        file.set_permissions(Permissions::from_mode(MODE))?;
        let socket = Socket::from(OwnedFd::from(file));
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile(path.to_owned());
        // Where the system makes it with another mode after all, nobody can connect before it listens.
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(ControlSocket { listener: StdListener::from(OwnedFd::from(socket)), _file: file })
    }
}

/// Removes a socket that nobody listens at.
fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(about) if !about.file_type().is_socket() => {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "something else than a socket is there"));
        }
        Ok(_) => {}
    }
    match StdStream::connect(path) {
        Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Answers until the task is dropped.
///
/// # Errors
/// The runtime does not take the socket.
pub async fn serve(socket: ControlSocket, reach: Reach) -> io::Result<Infallible> {
    let ControlSocket { listener, _file } = socket;
    let listener = UnixListener::from_std(listener)?;
    let mut open = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                make_place(&mut open).await;
                open.push_back(Open::serve(stream, reach.clone()));
            }
            Err(error) => {
                tracing::debug!(%error, "a control connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Waits until one of the open connections, the oldest first, has ended or can be ended.
async fn make_place(open: &mut VecDeque<Open>) {
    loop {
        open.retain(|connection| !connection.task.is_finished());
        if open.len() < CONNECTIONS {
            return;
        }
        match open.iter().position(Open::idles) {
            Some(oldest) => drop(open.remove(oldest)),
            None => tokio::time::sleep(GRACE / 4).await,
        }
    }
}

/// A connection. Dropped, it is closed.
struct Open {
    task: JoinHandle<()>,
    since: Instant,
    /// A revocation is being done for it.
    busy: Arc<AtomicBool>,
}

impl Open {
    fn serve(stream: UnixStream, reach: Reach) -> Open {
        let busy = Arc::<AtomicBool>::default();
        let task = tokio::spawn(connection(stream, reach, Arc::clone(&busy)));
        Open { task, since: Instant::now(), busy }
    }

    fn idles(&self) -> bool {
        !self.busy.load(Ordering::Relaxed) && self.since.elapsed() >= GRACE
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(stream: UnixStream, reach: Reach, busy: Arc<AtomicBool>) {
    let service = service_fn(move |request| {
        let (reach, busy) = (reach.clone(), Arc::clone(&busy));
        async move { Ok::<_, Infallible>(answer(request, &reach, &busy).await) }
    });
    let connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service)
    );
    // How a connection ended is its client's concern alone.
    let _ = tokio::time::timeout(LIFE, connection).await;
}

async fn answer(request: Request<Incoming>, reach: &Reach, busy: &AtomicBool) -> Response<Full<Bytes>> {
    let drain = match request.uri().path() {
        "/revocations" => false,
        "/drain" => true,
        _ => return fault(StatusCode::NOT_FOUND, "there are /revocations and /drain"),
    };
    if request.method() != Method::POST {
        let mut response = fault(StatusCode::METHOD_NOT_ALLOWED, "only POST");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if drain {
        reach.drain.notify_one(); // a second time changes nothing
        return respond(StatusCode::OK, &json!({ "draining": true }));
    }
    revoke(request, &reach.introspector, busy).await
}

async fn revoke(
    request: Request<Incoming>,
    introspector: &Introspector,
    busy: &AtomicBool,
) -> Response<Full<Bytes>> {
    let body = match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return fault(StatusCode::BAD_REQUEST, "a body that breaks off or is too large"),
    };
    let revocation = match Revocation::parse(&body) {
        Ok(revocation) => revocation,
        Err(what) => return fault(StatusCode::BAD_REQUEST, what),
    };
    let kind = revocation.kind();
    busy.store(true, Ordering::Relaxed);
    let revoked = introspector.revoke(revocation).await;
    busy.store(false, Ordering::Relaxed);
    match revoked {
        Ok(dropped) => {
            tracing::info!(kind, dropped, "tokens were forgotten");
            respond(StatusCode::OK, &json!({ "dropped": dropped }))
        }
        Err(what) => fault(StatusCode::INTERNAL_SERVER_ERROR, what),
    }
}

fn fault(status: StatusCode, what: &str) -> Response<Full<Bytes>> {
    respond(status, &json!({ "error": what }))
}

fn respond(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.to_string().into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_its_owner_may_use_it_and_it_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = ControlSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(StdListener::bind(&path).unwrap());
        assert!(path.exists(), "as a process leaves it behind that is killed");
        let live = ControlSocket::bind(&path).unwrap();
        assert_eq!(ControlSocket::bind(&path).err().unwrap().kind(), ErrorKind::AddrInUse);
        drop(live);
        fs::write(&path, "a file").unwrap();
        assert_eq!(ControlSocket::bind(&path).err().unwrap().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"a file");
    }
}
