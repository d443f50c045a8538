//! HTTP/1.1 upgrades (RFC 9110 §7.8): what a client may ask for, whether the upstream granted that, and then bytes both ways.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio::time::{timeout, timeout_at};

use super::exchange::Exchange;
use super::rewound::Rewound;
use super::upstream::Whole;
use super::upstream::io::Io;
use crate::decide::headers;
use crate::decide::refusal::{Reason, Refusal};

#[cfg(test)]
mod tests;

/// Bytes under way in each direction of a tunnel.
const CHUNK: usize = 16 << 10;
/// For the last words of a tunnel that has ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// The protocols that a request asks to switch to, as the `Upgrade` field of the request that goes on.
pub(super) struct Wish(HeaderValue);

impl Wish {
    /// What the client asks for: with `Connection: upgrade`, over HTTP/1.1, and without a body, after which the switch would come
    /// only in the middle of the connection. HTTP itself is never passed on: its requests would reach the upstream unchecked.
    pub(super) fn of(head: &Parts, body: &impl Body) -> Option<Wish> {
        Wish::read(head).filter(|_| body.is_end_stream())
    }

    fn read(head: &Parts) -> Option<Wish> {
        let is_upgrade = |option: &str| option.eq_ignore_ascii_case("upgrade");
        if head.version != Version::HTTP_11 || !members(&head.headers, CONNECTION).any(is_upgrade) {
            return None;
        }
        let wanted: Vec<_> =
            members(&head.headers, UPGRADE).filter(|p| is_protocol(p) && !is_http(p)).collect();
        let wanted = HeaderValue::from_str(&wanted.join(", ")).ok()?;
        (!wanted.is_empty()).then_some(Wish(wanted))
    }

    /// Sets it on the request that goes on.
    pub(super) fn set(&self, headers: &mut HeaderMap) {
        headers.append(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.0.clone());
    }

    /// What the upstream switches to, if it was asked for.
    ///
    /// # Errors
    /// `upstream-failed`: the 101 names no protocol, or one that was not asked for.
    fn granted(&self, answer: &HeaderMap) -> Result<HeaderValue, Refusal> {
        let asked = self.0.to_str().unwrap_or_default();
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

/// The upstream's end of a connection that has switched protocols.
pub(super) struct Switched {
    io: Io,
    early: Bytes,
    until: Option<Instant>,
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
        let broken = Reason::UpstreamFailed.note("the connection broke while it switched protocols");
        let (io, early) = whole.into_bare().ok_or(broken)?;
        *response.version_mut() = Version::HTTP_11;
        headers::strip_response(response.headers_mut());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(UPGRADE, granted);
        Ok(Switched { io, early, until })
    }

    /// The tunnel, which is part of this exchange.
    pub(super) fn with(self, exchange: Exchange) -> Tunnel {
        Tunnel { upstream: self, exchange }
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
    /// Carries bytes until both sides have ended, one of them breaks, or the token's time is over. No other timeout runs.
    /// `early` is what the client sent before it knew of the switch.
    pub(crate) async fn run(self, client: impl AsyncRead + AsyncWrite + Unpin, early: Bytes) {
        let Tunnel { upstream: Switched { io, early: answered, until }, mut exchange } = self;
        io.keep_alive();
        let mut client = Rewound::new(early, client);
        let mut upstream = Rewound::new(answered, io);
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
}
