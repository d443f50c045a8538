//! WebSockets over HTTP/2 (RFC 8441): an extended CONNECT is decided as the GET that a client of HTTP/1.1 would send, and one stream
//! becomes the tunnel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(test)]
mod tests;

/// The name under which it is asked for (RFC 6455 §11.2).
pub(super) const WEBSOCKET: &str = "websocket";
/// What the answer to a key is made with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Makes the GET that it stands for of an extended CONNECT for a WebSocket (RFC 8441 §5), so that it passes by the rules of that GET and
/// by no others. Gives the client's end of the stream, which is there once the answer is out.
///
/// Every other CONNECT stays what it is, and is refused as such.
pub(super) fn unfold(head: &mut Parts) -> Option<OnUpgrade> {
    if head.method != Method::CONNECT || !is_asked_for(head) {
        return None;
    }
    let client = head.extensions.remove::<OnUpgrade>()?;
    head.method = Method::GET;
    // There is no key in HTTP/2, and no content before the answer.
    head.headers.remove(SEC_WEBSOCKET_KEY);
    head.headers.remove(CONTENT_LENGTH);
    Some(client)
}

/// Whether an extended CONNECT asks for a WebSocket, or did before it was unfolded.
pub(super) fn is_asked_for(head: &Parts) -> bool {
    head.extensions.get::<Protocol>().is_some_and(|protocol| protocol.as_str() == WEBSOCKET)
}

/// The key of a handshake over HTTP/1.1 that Boundgate makes on behalf of a client of HTTP/2 (RFC 6455 §4.1).
pub(super) struct Key(HeaderValue);

impl Key {
    /// A new one; `None` where the system has no randomness.
    pub(super) fn new() -> Option<Key> {
        let mut nonce = [0; 16];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        HeaderValue::try_from(STANDARD.encode(nonce)).ok().map(Key)
    }

    /// Sets it on the request that goes on, and the one version that there is unless the client names its own.
    pub(super) fn set(&self, headers: &mut HeaderMap) {
        headers.insert(SEC_WEBSOCKET_KEY, self.0.clone());
        headers.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
    }

    /// Whether the answer shows that the server read this key: that it speaks WebSocket, and answers this very request.
    pub(super) fn is_accepted(&self, answer: &HeaderMap) -> bool {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(self.0.as_bytes());
        context.update(GUID);
        let expected = STANDARD.encode(context.finish());
        let mut lines = answer.get_all(SEC_WEBSOCKET_ACCEPT).into_iter();
        lines.next().is_some_and(|accept| *accept == *expected) && lines.next().is_none()
    }
}

/// A stream of HTTP/2 that has become a tunnel.
pub(super) struct Stream {
    upgraded: TokioIo<Upgraded>,
    /// It seemed to end, and whoever writes to it has had the time to find out how.
    ending: bool,
}

impl Stream {
    pub(super) fn new(upgraded: Upgraded) -> Stream {
        Stream { upgraded: TokioIo::new(upgraded), ending: false }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.upgraded).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        // For hyper a reset with CANCEL is an end like END_STREAM. But one that cancels does not wait for the other side's last words
        // (RFC 8441 §5), and the task that writes knows of the reset as soon as it has run.
        if !this.ending {
            this.ending = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut this.upgraded).poll_flush(cx)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().upgraded).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().upgraded).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().upgraded).poll_shutdown(cx)
    }
}
