//! HTTP/2 stream by stream, and extended CONNECT (RFC 8441), as the h2 crate's client speaks it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::boundgate::Boundgate;
use super::h2c;
use super::message::Message;
use super::process::PATIENCE;
use super::world::World;

/// A client's connection, driven while one of its futures is waited for.
pub(crate) struct Client {
    pub(crate) runtime: Runtime,
    requests: SendRequest<Bytes>,
}

/// An answer, and the two directions of its stream.
pub(crate) struct Answered {
    pub(crate) head: Response<()>,
    pub(crate) up: SendStream<Bytes>,
    pub(crate) down: RecvStream,
}

impl Client {
    pub(crate) fn connect(world: &World, boundgate: &Boundgate) -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut config = (*world.client(Some(&world.pki.client_a)).config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let requests = runtime.block_on(async {
            let socket = tokio::net::TcpStream::connect(boundgate.address).await.unwrap();
            let name = "localhost".try_into().unwrap();
            let tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
            let (requests, connection) = h2::client::handshake(tls).await.unwrap();
            tokio::spawn(connection);
            let deadline = Instant::now() + PATIENCE;
            while !requests.is_extended_connect_protocol_enabled() {
                assert!(Instant::now() < deadline, "SETTINGS_ENABLE_CONNECT_PROTOCOL does not come");
                tokio::time::sleep(Duration::from_millis(1)).await; // h2 does not announce settings
            }
            requests
        });
        Client { runtime, requests }
    }

    /// A request whose body is still to come.
    pub(crate) fn begin(&mut self, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
        self.requests.send_request(request, false).unwrap()
    }

    /// A request and the head of its answer; a CONNECT does not end with its head.
    pub(crate) fn send(&mut self, request: Request<()>) -> Answered {
        let whole = request.method() != Method::CONNECT;
        let (answer, up) = self.requests.send_request(request, whole).unwrap();
        let (head, down) = self.runtime.block_on(answer).unwrap().into_parts();
        Answered { head: Response::from_parts(head, ()), up, down }
    }

    /// A GET with the token.
    pub(crate) fn get(&mut self, target: &str, token: &str) -> Answered {
        let request = Request::get(format!("https://localhost{target}"));
        self.send(request.header("authorization", format!("Bearer {token}")).body(()).unwrap())
    }

    /// So many bytes of a tunnel.
    pub(crate) fn read(&self, answered: &mut Answered, length: usize) -> String {
        let mut all = Vec::new();
        while all.len() < length {
            let data = self.runtime.block_on(answered.down.data()).expect("it goes on").unwrap();
            answered.down.flow_control().release_capacity(data.len()).unwrap();
            all.extend_from_slice(&data);
        }
        String::from_utf8(all).unwrap()
    }

    /// Reads on until the stream ends, which it has to, in whatever way.
    pub(crate) fn hear_out(&self, answered: &mut Answered) {
        let rest = async { while let Some(Ok(_)) = answered.down.data().await {} };
        let ended = async { tokio::time::timeout(PATIENCE, rest).await };
        assert!(self.runtime.block_on(ended).is_ok(), "the stream does not end");
    }

    /// Has everything so far arrive at the other end: the connection is driven until a request after it is answered.
    pub(crate) fn settle(&mut self) {
        let request = Request::get("https://localhost/").body(()).unwrap();
        assert_eq!(self.send(request).head.status(), 401);
    }

    /// The status and the body, or the `reason` where it is a problem document.
    pub(crate) fn verdict(&self, mut answered: Answered) -> (u16, String) {
        let (body, _) = self.runtime.block_on(h2c::read(&mut answered.down));
        let answer = Message {
            start: format!("HTTP/2 {}", answered.head.status().as_u16()),
            body,
            ..Message::default()
        };
        let (status, reason) = answer.verdict();
        (status, if reason.is_empty() { answer.text().to_owned() } else { reason })
    }
}

/// An extended CONNECT with these fields besides, and the token unless it is empty.
pub(crate) fn connect(
    protocol: &'static str,
    target: &str,
    token: &str,
    fields: &[(&str, &str)],
) -> Request<()> {
    let mut request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("https://localhost{target}"))
        .extension(Protocol::from(protocol))
        .header("sec-websocket-version", "13");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}
