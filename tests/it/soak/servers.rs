//! An API that fails as it is asked to, and an authorization server that fails for a while again and again.

use std::io::{self, BufReader, ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::issuer::{AUDIENCE, now};
use crate::support::message::{Message, read_request};
use crate::support::server::{Server, reset};

/// The content of `/big`, in bytes.
pub(super) const BIG: usize = 2 << 20;
/// `upstream.timeout`; `/fail/slow` takes longer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(2);
/// Events of `/events`.
pub(super) const EVENTS: usize = 5;

/// One request in so many ends with a connection that the API closes without a word.
const UNSAID: usize = 50;

pub(super) fn api() -> Server {
    let asked = AtomicUsize::new(0);
    let big: Arc<[u8]> = vec![b'b'; BIG].into();
    Server::script(move |socket| {
        socket.set_nodelay(true)?;
        let mut stream = BufReader::new(socket);
        while let Some(request) = read_request(&mut stream)? {
            let kept = answer(stream.get_mut(), &request, &big)?;
            if request.target() == "/ws" {
                let mut echo = stream.get_ref().try_clone()?;
                return io::copy(&mut stream, &mut echo).map(drop);
            }
            let unsaid = asked.fetch_add(1, Ordering::Relaxed) % UNSAID == UNSAID - 1;
            if !kept || unsaid {
                return Ok(());
            }
        }
        Ok(())
    })
}

/// Answers, and tells whether the connection is kept.
fn answer(socket: &mut TcpStream, request: &Message, big: &[u8]) -> io::Result<bool> {
    match request.target() {
        "/big" => {
            write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", big.len())?;
            socket.write_all(big)?;
        }
        "/events" => {
            socket.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            )?;
            for _ in 0..EVENTS {
                socket.write_all(b"9\r\ndata: 1\n\n\r\n")?;
                thread::sleep(Duration::from_millis(50)); // an event now and then
            }
            socket.write_all(b"0\r\n\r\n")?;
        }
        "/ws" => socket.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        )?,
        "/fail/close" => return Ok(false),
        "/fail/reset" => return reset(socket).map(|()| false),
        "/fail/garbage" => return socket.write_all(b"\x16\x03\x01 no HTTP\r\n\r\n").map(|()| false),
        "/fail/500" => {
            return socket.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n").map(|()| true);
        }
        "/fail/slow" => {
            thread::sleep(TIMEOUT + Duration::from_secs(1)); // longer than is waited for
            return Ok(false);
        }
        "/fail/half" => {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")?;
            return Ok(false);
        }
        target => {
            let body = format!("{target} {}", request.body.len());
            let token = request.value("x-auth-subject").unwrap_or("nobody");
            write!(
                socket,
                "HTTP/1.1 200 OK\r\nX-Subject: {token}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )?;
        }
    }
    Ok(true)
}

/// Introspection that works for twenty seconds and fails for five, each time in another way.
pub(super) struct AuthorizationServer {
    pub(super) server: Server,
    start: Instant,
}

const WORKS: u64 = 20;
const FAILS: u64 = 5;

impl AuthorizationServer {
    /// Of its opaque tokens, those that begin with `good-` are active, and bound to this thumbprint.
    pub(super) fn new(thumbprint: String, issuer: String) -> AuthorizationServer {
        let start = Instant::now();
        let server = Server::script(move |socket| {
            socket.set_nodelay(true)?;
            let mut stream = BufReader::new(socket);
            while let Some(request) = read_request(&mut stream)? {
                let text = String::from_utf8_lossy(&request.body).into_owned();
                match fault(start) {
                    Some(0) => return Err(ErrorKind::Other.into()),
                    Some(1) => stream.get_mut().write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")?,
                    Some(_) => return stream.get_mut().write_all(b"garbage\r\n\r\n"),
                    None => {
                        let active = text.contains("token=good-");
                        let body = if active {
                            active_answer(&thumbprint, &issuer)
                        } else {
                            json!({"active": false})
                        };
                        let body = body.to_string();
                        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
                        write!(stream.get_mut(), "{head} {}\r\n\r\n{body}", body.len())?;
                    }
                }
            }
            Ok(())
        });
        AuthorizationServer { server, start }
    }

    /// Whether it fails, or has done so shortly before: calls that have failed are not repeated at once.
    pub(super) fn has_failed(&self) -> bool {
        let second = self.start.elapsed().as_secs() % (WORKS + FAILS);
        !(11..WORKS).contains(&second)
    }
}

fn fault(start: Instant) -> Option<u64> {
    let second = start.elapsed().as_secs();
    (second % (WORKS + FAILS) >= WORKS).then_some(second / (WORKS + FAILS) % 3)
}

fn active_answer(thumbprint: &str, issuer: &str) -> Value {
    json!({
        "active": true, "iss": issuer, "sub": "alice", "aud": AUDIENCE, "exp": now() + 60, "cnf": {"x5t#S256": thumbprint},
    })
}
