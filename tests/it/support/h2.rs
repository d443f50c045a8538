//! HTTP/2 over TLS, as hyper's client speaks it.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsConnector;

use super::client::Client;
use super::message::Message;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A connection on which requests can run side by side.
pub(crate) struct H2 {
    /// Drives the connection, while one of its futures is waited for.
    pub(crate) runtime: Runtime,
    pub(crate) sender: SendRequest<Full<Bytes>>,
}

impl H2 {
    pub(crate) fn connect(client: &Client, address: SocketAddr) -> Result<H2, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut config = (*client.config).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let sender = runtime.block_on(async {
            let socket = tokio::net::TcpStream::connect(address).await?;
            let tls = TlsConnector::from(Arc::new(config)).connect("localhost".try_into()?, socket).await?;
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
            tokio::spawn(connection);
            Ok::<_, Failure>(sender)
        })?;
        Ok(H2 { runtime, sender })
    }

    /// One request and its whole answer.
    pub(crate) fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Message, Failure> {
        self.runtime.block_on(async {
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().map(fields).unwrap_or_default();
            Ok(Message {
                start: format!("HTTP/2 {}", head.status.as_u16()),
                fields: fields(&head.headers),
                body: body.to_bytes().into(),
                trailers,
            })
        })
    }

    /// A GET, with the token as a bearer token if there is one.
    pub(crate) fn get(&mut self, target: &str, token: Option<&str>) -> Result<Message, Failure> {
        let mut request = Request::get(format!("https://localhost{target}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.send(request.body(Full::default())?)
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
