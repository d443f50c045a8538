//! The last moments of a listener. The kernel completes handshakes on its own, and `close` resets what it has completed since the
//! last `accept` and what is half open: clients for whom the connection was there already. So first no new handshake begins,
//! then those that are under way complete and are accepted, and only then the listener closes.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

/// How long the handshakes that are under way may take. A client that begins one meanwhile gets no answer; it asks again after a
/// second (RFC 6298 §2) and is refused then. So this is long enough for a round trip, and short enough to meet few.
const HALF_OPEN: Duration = Duration::from_millis(100);

/// Lets no handshake begin any more; for so long the listener is to go on accepting. Where the system cannot do that, no time:
/// what connects between the last `accept` and `close` is reset.
pub(super) fn begin(listener: &TcpListener) -> Duration {
    match drop_new(listener) {
        Ok(()) => HALF_OPEN,
        Err(error) => {
            tracing::debug!(%error, "the listener closes at once: what connects at this moment is reset");
            Duration::ZERO
        }
    }
}

/// A classic BPF program on the socket. On a listener it sees each segment from its TCP header on, over IPv4 and IPv6 alike, and
/// the answer to a SYN cookie as well. What is accepted inherits it, and never gets the one kind of segment that it drops.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn drop_new(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    // linux/bpf_common.h
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    // RFC 9293 §3.1
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;

    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn drop_new(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
