//! A server that does what a test tells it to: the API behind Boundgate, or an authorization server's endpoints.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use super::client::provider;
use super::message::{Message, read_request};
use super::pki::Identity;

/// What goes back, byte by byte, and what becomes of the connection then.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    KeepAlive,
    Close,
    Reset,
}

impl Answer {
    /// Exactly these bytes.
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Answer {
        Answer { bytes: bytes.into(), then: Then::KeepAlive }
    }

    /// A status and a body with its length.
    pub(crate) fn status(status: u16, content_type: &str, body: &str) -> Answer {
        let length = body.len();
        Answer::raw(format!(
            "HTTP/1.1 {status} Scripted\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    }

    pub(crate) fn ok(body: &str) -> Answer {
        Answer::status(200, "text/plain", body)
    }

    pub(crate) fn json(body: &Value) -> Answer {
        Answer::status(200, "application/json", &body.to_string())
    }

    /// Then the connection ends in order.
    pub(crate) fn close(self) -> Answer {
        Answer { then: Then::Close, ..self }
    }

    /// Then it is torn down with a RST.
    pub(crate) fn reset(self) -> Answer {
        Answer { then: Then::Reset, ..self }
    }
}

/// A server on a free port. Dropped, it is gone, and its open connections with it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Message>>,
    accepted: AtomicUsize,
    open: Mutex<HashMap<usize, TcpStream>>,
    stopped: AtomicBool,
}

impl Server {
    /// Answers each request as told; the closure may wait, which holds its own connection alone.
    pub(crate) fn http(answer: impl Fn(&Message) -> Answer + Send + Sync + 'static) -> Server {
        Server::http_on(any_port(), answer)
    }

    /// The same on a port of the test's choice.
    pub(crate) fn http_on(
        listener: TcpListener,
        answer: impl Fn(&Message) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let respond = move |shared: &Shared, socket: TcpStream| {
            let handle = socket.try_clone()?;
            serve(shared, socket, &handle, &answer)
        };
        Server::start("http", listener, respond)
    }

    /// The same over TLS.
    pub(crate) fn https(
        identity: &Identity,
        answer: impl Fn(&Message) -> Answer + Send + Sync + 'static,
    ) -> Server {
        Server::https_on(any_port(), identity, answer)
    }

    /// The same on a port of the test's choice.
    pub(crate) fn https_on(
        listener: TcpListener,
        identity: &Identity,
        answer: impl Fn(&Message) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain(), identity.key())
            .unwrap();
        let config = Arc::new(config);
        let respond = move |shared: &Shared, socket: TcpStream| {
            let handle = socket.try_clone()?;
            let tls = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
            serve(shared, StreamOwned::new(tls, socket), &handle, &answer)
        };
        Server::start("https", listener, respond)
    }

    /// Hands over each connection as it is accepted, for a server that is no HTTP server; records no requests.
    pub(crate) fn script(connection: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Server {
        Server::script_on(any_port(), connection)
    }

    /// The same on a port of the test's choice.
    pub(crate) fn script_on(
        listener: TcpListener,
        connection: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        Server::start("http", listener, move |_, socket| connection(socket))
    }

    fn start(
        scheme: &'static str,
        listener: TcpListener,
        respond: impl Fn(&Shared, TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Server {
        let (address, shared) = (listener.local_addr().unwrap(), Arc::<Shared>::default());
        let (acceptor, respond) = (Arc::clone(&shared), Arc::new(respond));
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if acceptor.stopped.load(Ordering::Acquire) {
                    return;
                }
                let number = acceptor.accepted.fetch_add(1, Ordering::AcqRel);
                acceptor.open.lock().unwrap().insert(number, socket.try_clone().unwrap());
                let (shared, respond) = (Arc::clone(&acceptor), Arc::clone(&respond));
                thread::spawn(move || {
                    let _ = respond(&shared, socket); // a peer that breaks off is the test's to notice
                    shared.open.lock().unwrap().remove(&number); // the last handle: only now the socket closes
                });
            }
        });
        Server { address, scheme, shared }
    }

    /// `http://127.0.0.1:port` or `https://…`.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::Acquire)
    }
}

fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address); // wakes the acceptor, which then lets go of its port
        for connection in self.shared.open.lock().unwrap().values() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn serve(
    shared: &Shared,
    stream: impl Read + Write,
    socket: &TcpStream,
    answer: &impl Fn(&Message) -> Answer,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream)? {
        shared.requests.lock().unwrap().push(request.clone());
        let Answer { bytes, then } = answer(&request);
        stream.get_mut().write_all(&bytes)?;
        stream.get_mut().flush()?;
        match then {
            Then::KeepAlive => {}
            Then::Close => return socket.shutdown(Shutdown::Both),
            Then::Reset => return reset(socket),
        }
    }
    Ok(())
}

/// Has a RST sent when the connection closes, which is as soon as the script returns (a linger time of zero does that).
pub(crate) fn reset(socket: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO))
}
