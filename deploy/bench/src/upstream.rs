//! The API behind the systems, and the introspection endpoint: a lean HTTP/1.1 server on a thread and a core of its own choice,
//! so that it is never what is waited for.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::cores::{self, Core};
use crate::http1;

/// The opaque token that is active.
pub const OPAQUE: &str = "b3BhcXVlLXRva2VuLW9mLXRoZS1iZW5jaG1hcms";
const SMALL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"message\":\"hello, world!\"}";
const INACTIVE: &str = "{\"active\":false}";
const CHUNK: usize = 64 * 1024;

/// Starts the server; it lives as long as the process.
pub fn start(introspected: String) -> Result<SocketAddr> {
    let (ready, address) = mpsc::channel();
    std::thread::Builder::new().name("upstream".into()).spawn(move || {
        let outcome = cores::pin(Core::Load).and_then(|()| {
            cores::runtime(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let _ = ready.send(listener.local_addr()?);
                accept(listener, introspected.into()).await
            })
        });
        if let Err(error) = outcome {
            eprintln!("the upstream has failed: {error:#}");
        }
    })?;
    address.recv().context("the upstream does not listen")
}

async fn accept(listener: TcpListener, introspected: Rc<str>) -> Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let introspected = Rc::clone(&introspected);
        // A peer that breaks off is none of the upstream's business.
        tokio::task::spawn_local(async move { drop(serve(socket, &introspected).await) });
    }
}

async fn serve(mut socket: TcpStream, introspected: &str) -> Result<()> {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    loop {
        let Some(request) = http1::request(&buffer)? else {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        buffer.advance(request.head);
        match request.path.as_str() {
            "/introspect" => {
                while buffer.len() < request.body.length()? {
                    socket.read_buf(&mut buffer).await?;
                }
                let form = buffer.split_to(request.body.length()?);
                let active = String::from_utf8_lossy(&form).contains(OPAQUE);
                socket.write_all(json(if active { introspected } else { INACTIVE }).as_bytes()).await?;
            }
            path => {
                discard(&mut socket, &mut buffer, request.body).await?;
                match path.strip_prefix("/bytes/") {
                    Some(length) => send(&mut socket, length.parse()?).await?,
                    None => socket.write_all(SMALL).await?,
                }
            }
        }
    }
}

fn json(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Reads a body to its end.
async fn discard(socket: &mut TcpStream, buffer: &mut BytesMut, mut body: http1::Body) -> Result<()> {
    loop {
        body.consume(buffer)?;
        if body.is_over() {
            return Ok(());
        }
        buffer.reserve(CHUNK);
        if socket.read_buf(buffer).await? == 0 {
            bail!("a body has ended early");
        }
    }
}

/// Answers with a body of this many bytes.
async fn send(socket: &mut TcpStream, length: usize) -> Result<()> {
    static ZEROS: [u8; CHUNK] = [0; CHUNK];
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await?;
    let mut left = length;
    while left > 0 {
        let chunk = &ZEROS[..left.min(CHUNK)];
        socket.write_all(chunk).await?;
        left -= chunk.len();
    }
    Ok(())
}
