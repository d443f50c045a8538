//! Clients with certificates. Each speaks as little as it can get away with: what it costs is not what is measured.

mod fresh;
mod h1;
mod h2;
mod tls;

use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use tokio::net::TcpStream;

pub use self::fresh::Fresh;
pub use self::h1::Connection;
pub use self::h2::Streams;
pub use self::tls::{Protocol, Sessions, Tls};
use crate::pki::SERVER_NAME;

/// One request, written once and sent often. Anything but 200 for an answer ends the run.
pub struct Ask {
    /// As HTTP/1.1 has it.
    head: Bytes,
    /// As HTTP/2 has it.
    request: http::Request<()>,
    /// Bytes of zeros that follow.
    body: usize,
}

impl Ask {
    pub fn get(path: &str, token: Option<&str>) -> Result<Ask> {
        Ask::new("GET", path, token, 0)
    }

    /// Sends this many bytes.
    pub fn post(path: &str, token: Option<&str>, body: usize) -> Result<Ask> {
        Ask::new("POST", path, token, body)
    }

    fn new(method: &str, path: &str, token: Option<&str>, body: usize) -> Result<Ask> {
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nUser-Agent: bench\r\nAccept: */*\r\n"
        );
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("https://{SERVER_NAME}{path}"))
            .header("user-agent", "bench")
            .header("accept", "*/*");
        if let Some(token) = token {
            head += &format!("Authorization: Bearer {token}\r\n");
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body > 0 {
            head += &format!("Content-Length: {body}\r\n");
        }
        Ok(Ask { head: (head + "\r\n").into(), request: request.body(())?, body })
    }
}

/// Something that can carry one request at a time.
pub trait Lane: 'static {
    /// Sends the request and reads the answer to its end. Returns the status.
    async fn ask(&mut self, ask: &Ask) -> Result<u16>;
}

async fn dial(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}
