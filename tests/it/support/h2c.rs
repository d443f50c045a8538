//! An API over HTTP/2 with prior knowledge, down to the single stream.

use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, server};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// A server on a free port. Dropped, it is gone, and its open connections with it.
pub(crate) struct H2c {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

impl H2c {
    /// Allows so many streams on a connection, and answers each as told.
    pub(crate) fn start<F, A>(streams: u32, answer: F) -> H2c
    where
        F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let mut builder = server::Builder::new();
        builder.max_concurrent_streams(streams);
        H2c::with(builder, answer)
    }

    /// The same with these settings.
    pub(crate) fn with<F, A>(builder: server::Builder, answer: F) -> H2c
    where
        F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, accepted) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let (counter, answer) = (Arc::clone(&accepted), Arc::new(answer));
        let (_stop, stopped) = oneshot::channel();
        let serve = async move {
            while let Ok((socket, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::AcqRel);
                let (answer, builder) = (Arc::clone(&answer), builder.clone());
                tokio::spawn(async move {
                    let mut connection = builder.handshake(socket).await?;
                    while let Some(request) = connection.accept().await {
                        let (request, respond) = request?;
                        tokio::spawn(answer(request, respond));
                    }
                    Ok::<_, h2::Error>(()) // a peer that breaks off is the test's to notice
                });
            }
        };
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! { () = serve => {}, _ = stopped => {} }
            });
        });
        H2c { address, accepted, _stop }
    }

    /// For `[upstream] url`.
    pub(crate) fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }
}

/// Everything of a request's body, and its trailers.
pub(crate) async fn read(body: &mut RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut all = Vec::new();
    while let Some(chunk) = body.data().await {
        let Ok(chunk) = chunk else { break };
        let _ = body.flow_control().release_capacity(chunk.len());
        all.extend_from_slice(&chunk);
    }
    (all, body.trailers().await.ok().flatten())
}

/// A whole answer: 200 and this body.
pub(crate) fn ok(mut respond: SendResponse<Bytes>, body: impl Into<Bytes>) {
    if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
        let _ = stream.send_data(body.into(), true);
    }
}

/// A frame (RFC 9113 §4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
/// END_STREAM and END_HEADERS: an answer without a body.
pub(crate) const WHOLE: u8 = 5;
/// `:status: 200` out of HPACK's static table (RFC 7541, appendix A).
pub(crate) const STATUS_200: &[u8] = &[0x88];

/// A server's side of a connection, frame by frame, after both prefaces.
pub(crate) struct Frames(TcpStream);

impl Frames {
    pub(crate) fn begin(mut socket: TcpStream) -> io::Result<Frames> {
        socket.read_exact(&mut [0; 24])?;
        socket.write_all(&frame(SETTINGS, 0, 0, &[]))?;
        Ok(Frames(socket))
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.write_all(&frame(kind, flags, stream, payload))
    }

    /// The stream of the next request.
    pub(crate) fn request(&mut self) -> io::Result<u32> {
        loop {
            let mut header = [0; 9];
            self.0.read_exact(&mut header)?;
            let [l1, l2, l3, kind, _, stream @ ..] = header;
            let mut payload = vec![0; u32::from_be_bytes([0, l1, l2, l3]) as usize];
            self.0.read_exact(&mut payload)?;
            if kind == HEADERS {
                return Ok(u32::from_be_bytes(stream));
            }
        }
    }
}
