//! Upgrades (RFC 9110 §7.8, and RFC 8441 for HTTP/2): what a client may ask for, whether the upstream granted that, and then bytes both
//! ways.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::time::{timeout, timeout_at};

use super::exchange::Exchange;
use super::rewound::Rewound;
use super::upstream;
use super::upstream::Whole;
use super::upstream::io::Io;
use super::websocket::{self, Key, Stream, WEBSOCKET};
use crate::decide::headers;
use crate::decide::refusal::{Reason, Refusal};

#[cfg(test)]
mod tests;

/// Bytes under way in each direction of a tunnel.
const CHUNK: usize = 16 << 10;
/// For the last words of a tunnel that has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// The protocols that a request asks to switch to.
pub(super) struct Wish {
    /// The `Upgrade` field of the request that goes on.
    protocols: HeaderValue,
    /// Of a WebSocket that a client of HTTP/2 asks for.
    key: Option<Key>,
}

impl Wish {
    /// What the client asks for: with `Connection: upgrade`, over HTTP/1.1, and without a body, after which the switch would come
    /// only in the middle of the connection. HTTP itself is never passed on: its requests would reach the upstream unchecked.
    ///
    /// # Errors
    /// `upstream-failed`: no handshake can be made for a client of HTTP/2, because the system has no randomness.
    pub(super) fn of(head: &Parts, body: &impl Body) -> Result<Option<Wish>, Refusal> {
        if websocket::is_asked_for(head) {
            let key = Key::new().ok_or(Reason::UpstreamFailed.note("no randomness for Sec-WebSocket-Key"))?;
            return Ok(Some(Wish { protocols: HeaderValue::from_static(WEBSOCKET), key: Some(key) }));
        }
        Ok(Wish::read(head).filter(|_| body.is_end_stream()))
    }

    /// Whether the client asks over HTTP/2.
    pub(super) fn is_extended_connect(&self) -> bool {
        self.key.is_some()
    }

    fn read(head: &Parts) -> Option<Wish> {
        let is_upgrade = |option: &str| option.eq_ignore_ascii_case("upgrade");
        if head.version != Version::HTTP_11 || !members(&head.headers, CONNECTION).any(is_upgrade) {
            return None;
        }
        let wanted: Vec<_> =
            members(&head.headers, UPGRADE).filter(|p| is_protocol(p) && !is_http(p)).collect();
        let wanted = HeaderValue::from_str(&wanted.join(", ")).ok()?;
        (!wanted.is_empty()).then_some(Wish { protocols: wanted, key: None })
    }

    /// Sets it on the request that goes on.
    pub(super) fn set(&self, headers: &mut HeaderMap) {
        headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocols.clone());
        if let Some(key) = &self.key {
            key.set(headers);
        }
    }

    /// What the upstream switches to, if it was asked for.
    ///
    /// # Errors
    /// `upstream-failed`: the 101 names no protocol, or one that was not asked for; it does not answer the key that is ours.
    fn granted(&self, answer: &HeaderMap) -> Result<HeaderValue, Refusal> {
        if self.key.as_ref().is_some_and(|key| !key.is_accepted(answer)) {
            return Err(Reason::UpstreamFailed.note("Sec-WebSocket-Accept does not answer the key"));
        }
        let asked = self.protocols.to_str().unwrap_or_default();
        let was_asked = |protocol: &str| list(asked).any(|asked| asked.eq_ignore_ascii_case(protocol));
        match answer.get(UPGRADE) {
            Some(granted) if !granted.is_empty() && members(answer, UPGRADE).all(was_asked) => {
                Ok(granted.clone())
            }
            _ => {
                Err(Reason::UpstreamFailed.note("the upstream switched to a protocol that was not asked for"))
            }
        }
    }
}

/// A name, with a version after `/` if it has one: what is written in any other way is nobody's protocol.
fn is_protocol(text: &str) -> bool {
    let is_tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    text.splitn(2, '/').all(|part| !part.is_empty() && part.bytes().all(is_tchar))
}

/// Protocols under which a connection carries HTTP requests again (RFC 9113 §3.1, RFC 2817).
fn is_http(protocol: &str) -> bool {
    let name = protocol.split('/').next().unwrap_or_default();
    ["h2c", "h2", "h3", "http", "https", "tls", "spdy"].iter().any(|http| http.eq_ignore_ascii_case(name))
}

/// The members of a list, over all lines of a field (RFC 9110 §5.6.1).
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok()).flat_map(list)
}

fn list(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(str::trim).filter(|member| !member.is_empty())
}

/// The upstream's end of a tunnel.
pub(super) struct Switched {
    far: Far,
    until: Option<Instant>,
}

enum Far {
    /// A connection that has switched protocols, and what was read of it beyond the answer's head.
    Connection(Io, Bytes),
    /// A stream of a connection that others share.
    Stream(Stream, upstream::Stream),
}

impl Switched {
    /// Takes the connection over after a 101, whose head is made ready for the client; at `until` the tunnel ends.
    ///
    /// # Errors
    /// `upstream-failed`: the connection broke, or the upstream switched to what was not asked for.
    pub(super) fn take(
        response: &mut Response<()>,
        wish: &Wish,
        whole: Whole,
        until: Option<Instant>,
    ) -> Result<Switched, Refusal> {
        debug_assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let granted = wish.granted(response.headers())?;
        let (io, early) = whole.into_bare().ok_or_else(broken)?;
        headers::strip_response(response.headers_mut());
        if wish.is_extended_connect() {
            open(response);
        } else {
            *response.version_mut() = Version::HTTP_11;
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            response.headers_mut().insert(UPGRADE, granted);
        }
        Ok(Switched { far: Far::Connection(io, early), until })
    }

    /// Takes the stream over after the 200 to an extended CONNECT.
    ///
    /// # Errors
    /// `upstream-failed`: the connection broke.
    pub(super) async fn take_stream(
        response: &mut Response<()>,
        upgraded: OnUpgrade,
        stream: upstream::Stream,
        until: Option<Instant>,
    ) -> Result<Switched, Refusal> {
        let upgraded = upgraded.await.map_err(|_| broken())?;
        headers::strip_response(response.headers_mut());
        open(response);
        Ok(Switched { far: Far::Stream(Stream::new(upgraded), stream), until })
    }

    /// The tunnel, which is part of this exchange.
    pub(super) fn with(self, exchange: Exchange) -> Tunnel {
        Tunnel { upstream: self, exchange }
    }
}

fn broken() -> Refusal {
    Reason::UpstreamFailed.note("the connection broke while it switched protocols")
}

/// The answer that opens a WebSocket over HTTP/2 (RFC 8441 §5).
fn open(response: &mut Response<()>) {
    *response.status_mut() = StatusCode::OK;
    *response.version_mut() = Version::default();
    response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
}

/// Where the client's end of a tunnel is to be had, once it has its answer.
pub(super) enum Near {
    /// The whole connection, at its driver.
    Connection(Slot),
    /// One stream.
    Stream(OnUpgrade),
}

impl Near {
    /// Hands the tunnel over, or starts it.
    pub(super) fn take(self, tunnel: Tunnel) {
        match self {
            Near::Connection(slot) => slot.set(Some(Box::new(tunnel))),
            Near::Stream(client) => {
                tokio::task::spawn_local(async move {
                    // A client that has left meanwhile ends the exchange.
                    if let Ok(upgraded) = client.await {
                        tunnel.run(Stream::new(upgraded), Bytes::new()).await;
                    }
                });
            }
        }
    }
}

/// Where the driver of a client's connection finds the tunnel that this connection is to become.
pub(crate) type Slot = Rc<Cell<Option<Box<Tunnel>>>>;

/// What is left of an exchange when both sides have switched protocols: bytes, until one side ends.
pub(crate) struct Tunnel {
    upstream: Switched,
    exchange: Exchange,
}

impl Tunnel {
    /// Carries bytes until both sides have ended, one of them breaks, or the token's time is over. No other timeout runs, but that a
    /// client's connection of HTTP/2 may not stall as a whole. `early` is what the client sent before it knew of the switch.
    pub(crate) async fn run(self, client: impl AsyncRead + AsyncWrite + Unpin, early: Bytes) {
        let Tunnel { upstream: Switched { far, until }, exchange } = self;
        let client = Rewound::new(early, client);
        match far {
            Far::Connection(io, answered) => {
                io.keep_alive();
                carry(client, Rewound::new(answered, io), until, exchange).await;
            }
            Far::Stream(stream, _lease) => carry(client, stream, until, exchange).await,
        }
    }
}

async fn carry(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
    until: Option<Instant>,
    mut exchange: Exchange,
) {
    let copying = copy_bidirectional_with_sizes(&mut client, &mut upstream, CHUNK, CHUNK);
    // How a connection ends is its peers' own affair.
    match until {
        None => drop(copying.await),
        Some(until) => {
            if timeout_at(until.into(), copying).await.is_err() {
                exchange.broke_off(Reason::TokenExpired, "limits.stream = \"until-exp\"");
            }
        }
    }
    let farewell = async { tokio::join!(client.shutdown(), upstream.shutdown()) };
    let _ = timeout(FAREWELL, farewell).await;
}
