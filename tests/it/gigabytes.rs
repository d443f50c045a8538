//! Bodies of a gigabyte in constant memory, both ways, over both protocols, with a length and in chunks; curl is the client.
//! `BOUNDGATE_TEST_MIB` makes them larger.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::net::TcpStream;

use super::support::curl::Curl;
use super::support::message::read_head;
use super::support::server::Server;
use super::support::skip::has;
use super::support::stage::Stage;

/// What a body is, where the environment says nothing else.
const MIB: u64 = 1 << 10;
/// How much more memory the sidecar may have for it, in MiB.
const ROOM: u64 = 8;

fn size() -> u64 {
    std::env::var("BOUNDGATE_TEST_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(MIB) << 20
}

/// Sends a body of this size to GET, in the framing that the path names, and counts that of PUT; one request a connection.
fn serve(socket: TcpStream, size: u64) -> io::Result<()> {
    let mut socket = BufReader::with_capacity(1 << 16, socket);
    let head = read_head(&mut socket)?;
    if head.method() == "PUT" {
        let count = if head.value("transfer-encoding").is_some() {
            count_chunks(&mut socket)?
        } else {
            let length = head.value("content-length").unwrap().parse().unwrap();
            io::copy(&mut (&mut socket).take(length), &mut io::sink())?
        };
        let count = count.to_string();
        return write!(
            socket.get_mut(),
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{count}",
            count.len()
        );
    }
    let chunked = head.target() == "/chunked";
    let framing =
        if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {size}") };
    write!(socket.get_mut(), "HTTP/1.1 200 OK\r\nConnection: close\r\n{framing}\r\n\r\n")?;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..size / piece.len() as u64 {
        if chunked {
            write!(socket.get_mut(), "{:x}\r\n", piece.len())?;
        }
        socket.get_mut().write_all(&piece)?;
        if chunked {
            socket.get_mut().write_all(b"\r\n")?;
        }
    }
    if chunked { socket.get_mut().write_all(b"0\r\n\r\n") } else { Ok(()) }
}

fn count_chunks(from: &mut impl BufRead) -> io::Result<u64> {
    let mut count = 0;
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        count += io::copy(&mut from.take(length), &mut io::sink())?;
        from.read_line(&mut line)?;
        if length == 0 {
            return Ok(count);
        }
    }
}

#[test]
fn a_gigabyte_needs_no_memory() {
    if !has("curl", "--version") {
        return;
    }
    let size = size();
    let stage = Stage::new(Server::script(move |socket| serve(socket, size)), "");
    let folder = stage.world.pki.path();
    let upload = folder.join("upload");
    File::create(&upload).unwrap().set_len(size).unwrap(); // a hole: it takes no room on the disk
    let upload = upload.display().to_string();
    let curl = |target: &str, arguments: &[&str]| {
        let url = format!("https://{}{target}", stage.boundgate.address);
        let curl = Curl::to(&url, &stage.world.pki.authority.certificate).token(&stage.token);
        let curl = curl.identity(&stage.world.pki.client_a).args(&["--max-time", "600", "-H", "Expect:"]);
        curl.args(arguments).run().unwrap()
    };
    assert_eq!(stage.connect().get("/", None).unwrap().status(), 401);
    let before = stage.boundgate.process.peak_memory();
    let in_chunks = ["-T", &upload, "-H", "Transfer-Encoding: chunked", "-H", "Content-Length:"];
    let counted = ["--no-include", "--output", "/dev/null", "--write-out"];
    let counted = [&counted[..], &["HTTP/1.1 200 counted\\r\\n\\r\\n%{size_download}"]].concat();
    for (version, target, arguments) in [
        ("--http1.1", "/", &in_chunks[..]),
        ("--http1.1", "/length", &counted),
        ("--http2", "/", &["-T", &upload]),
        ("--http2", "/chunked", &counted),
    ] {
        let answer = curl(target, &[&[version][..], arguments].concat());
        assert_eq!(answer.text(), size.to_string(), "{version} {target} {arguments:?}");
        let peak = stage.boundgate.process.peak_memory();
        assert!(peak < before + ROOM, "{version} {target}: {before} MiB before, {peak} MiB after");
    }
}
