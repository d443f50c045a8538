//! `boundgate health`: asks the running sidecar's `/readyz`, for containers without a shell.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::CliError;
use crate::config::resolve;

/// For the connection and for the answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);
/// More than `/readyz` ever answers.
const ANSWER: u64 = 64 << 10;

/// Succeeds if the sidecar of this configuration is ready.
///
/// # Errors
/// It does not answer, or is not ready: exit code 1. The configuration cannot be read: 2.
pub fn run(config: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let settings = resolve::read(config).map_err(|faults| CliError::Unusable(faults.to_string()))?;
    let address = reachable(settings.admin.address.value);
    let answer =
        ask(address).map_err(|error| CliError::Failed(format!("http://{address}/readyz: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_whitespace().nth(1) == Some("200") {
        writeln!(out, "{}", body.trim_end())?;
        return Ok(());
    }
    let status = head.lines().next().unwrap_or_default();
    Err(CliError::Failed(format!("http://{address}/readyz: {status}\n{}", body.trim_end())))
}

/// Where an address of the configuration is reached from this host: "every address" is none that can be connected to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    exchange(stream, "GET /readyz")
}

/// Sends a request without a body on a fresh connection; head and body of the answer.
pub(super) fn exchange(mut stream: impl Read + Write, what: &str) -> std::io::Result<String> {
    write!(stream, "{what} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
