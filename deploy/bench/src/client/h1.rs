//! HTTP/1.1 on a kept-alive connection.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Ask, Lane, Tls, dial};
use crate::http1;

const CHUNK: usize = 64 * 1024;
static ZEROS: [u8; CHUNK] = [0; CHUNK];

pub struct Connection<S> {
    pub(super) stream: S,
    buffer: BytesMut,
}

impl Connection<TlsStream<TcpStream>> {
    pub async fn open(tls: &Tls, address: SocketAddr) -> Result<Self> {
        Ok(Connection::over(tls.connect(address).await?))
    }

    /// This many of them, one after the other.
    pub async fn open_many(tls: &Tls, address: SocketAddr, number: usize) -> Result<Vec<Self>> {
        let mut connections = Vec::with_capacity(number);
        for _ in 0..number {
            connections.push(Connection::open(tls, address).await?);
        }
        Ok(connections)
    }
}

impl Connection<TcpStream> {
    /// Without TLS, as one asks the upstream itself.
    pub async fn open_plain(address: SocketAddr) -> Result<Self> {
        Ok(Connection::over(dial(address).await?))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn over(stream: S) -> Self {
        Connection { stream, buffer: BytesMut::new() }
    }

    /// Reads until a head is complete.
    async fn head(&mut self) -> Result<http1::Response> {
        loop {
            if let Some(response) = http1::response(&self.buffer)? {
                self.buffer.advance(response.head);
                return Ok(response);
            }
            self.read(4096).await?;
        }
    }

    async fn read(&mut self, room: usize) -> Result<()> {
        self.buffer.reserve(room);
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection has ended before the answer");
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Lane for Connection<S> {
    async fn ask(&mut self, ask: &Ask) -> Result<u16> {
        self.stream.write_all(&ask.head).await?;
        let mut left = ask.body;
        while left > 0 {
            let chunk = &ZEROS[..left.min(CHUNK)];
            self.stream.write_all(chunk).await?;
            left -= chunk.len();
        }
        self.stream.flush().await?;
        let http1::Response { status, mut body, .. } = self.head().await?;
        loop {
            body.consume(&mut self.buffer)?;
            if body.is_over() {
                return Ok(status);
            }
            self.read(CHUNK).await?;
        }
    }
}
