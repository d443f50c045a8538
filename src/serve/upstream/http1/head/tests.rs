#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

/// The head of an answer to a GET, and what is left of the bytes.
fn read(bytes: &[u8]) -> Result<Option<(Head, BytesMut)>, Malformed> {
    read_for(&Method::GET, bytes)
}

fn read_for(method: &Method, bytes: &[u8]) -> Result<Option<(Head, BytesMut)>, Malformed> {
    let mut buffer = BytesMut::from(bytes);
    Ok(Reader::default().read(&mut buffer, method)?.map(|head| (head, buffer)))
}

fn head(bytes: &[u8]) -> Head {
    read(bytes).unwrap().unwrap_or_else(|| panic!("{:?}", bytes.escape_ascii().to_string())).0
}

#[test]
fn a_head_is_read_and_what_follows_is_left() {
    let bytes = b"HTTP/1.1 404 Gone fishing\r\nA: 1\r\nb:2\r\nA:  3 \r\nContent-Length: 3\r\n\r\nabc";
    let (head, left) = read(bytes).unwrap().unwrap();
    assert_eq!((head.parts.status.as_u16(), left.as_ref()), (404, &b"abc"[..]));
    assert_eq!(head.parts.headers.get_all("a").iter().collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!(head.parts.extensions.get::<ReasonPhrase>().unwrap().as_bytes(), b"Gone fishing");
    assert_eq!(head.decoder, Decoder::Length(3));
    assert!(head.persists);
    let usual = self::head(b"HTTP/1.1 404 Not Found\r\n\r\n");
    assert!(usual.parts.extensions.get::<ReasonPhrase>().is_none());
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let bytes = b"\r\n\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: 1\n\r\nrest";
    let (mut reader, mut buffer) = (Reader::default(), BytesMut::new());
    let mut read = None;
    for (at, byte) in bytes.iter().enumerate() {
        buffer.extend_from_slice(&[*byte]);
        if let Some(head) = reader.read(&mut buffer, &Method::GET).unwrap() {
            read = Some((at, head));
            break;
        }
    }
    let (at, head) = read.unwrap();
    assert_eq!(at, bytes.len() - "rest".len() - 1);
    assert_eq!((head.parts.status.as_u16(), head.parts.headers.len()), (200, 1));
    assert!(reader.has_begun());
}

#[test]
fn what_is_no_head_is_refused() {
    for bytes in [
        &b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..],
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n",
    ] {
        assert!(read(bytes).is_err(), "{:?}", bytes.escape_ascii().to_string());
    }
    assert!(read(&[&b"HTTP/1.1 200 OK\r\nA: "[..], &vec![b'a'; MAX_HEAD]].concat()).is_err());
    assert!(read(&[&b"HTTP/1.1 200 OK\r\n"[..], &b"a: 1\r\n".repeat(101), b"\r\n"].concat()).is_err());
    assert!(read(b"HTTP/1.1 200 OK\r\nA: 1\r\n").unwrap().is_none());
}

/// RFC 9112 §6.3.
#[test]
fn an_answer_has_one_length() {
    let decoder = |fields: &str| {
        read(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes()).map(|read| read.unwrap().0.decoder)
    };
    let chunked = || Ok(Decoder::Chunked(Chunk::Size));
    assert_eq!(decoder(""), Ok(Decoder::Close));
    assert_eq!(decoder("Content-Length: 5\r\n"), Ok(Decoder::Length(5)));
    assert_eq!(decoder("Content-Length: 5\r\nContent-Length: 5\r\n"), Ok(Decoder::Length(5)));
    assert_eq!(decoder("Content-Length: 5, 5\r\n"), Ok(Decoder::Length(5)));
    assert_eq!(decoder("Transfer-Encoding: CHUNKED\r\n"), chunked());
    assert_eq!(decoder("Transfer-Encoding: gzip, chunked\r\n"), chunked());
    assert_eq!(decoder("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), chunked());
    assert_eq!(decoder("Transfer-Encoding: gzip\r\n"), Ok(Decoder::Close));
    for length in
        ["5, 6", "5\r\nContent-Length: 6", "+5", "-5", "0x5", "5 5", "", "5,", "18446744073709551616"]
    {
        assert!(decoder(&format!("Content-Length: {length}\r\n")).is_err(), "{length}");
    }
    let old = read(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert!(old.is_err());
}

/// RFC 9110 §6.4.1: answers that have no content, whatever their fields say.
#[test]
fn some_answers_have_no_content() {
    for status in [101, 204, 304] {
        let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(head(bytes.as_bytes()).decoder, Decoder::Length(0), "{status}");
    }
    let (head, _) =
        read_for(&Method::HEAD, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap().unwrap();
    assert_eq!(head.decoder, Decoder::Length(0));
}

/// RFC 9112 §9.3.
#[test]
fn a_connection_persists_unless_it_is_said_otherwise() {
    for (version, fields, persists) in [
        ("1.1", "", true),
        ("1.1", "Connection: x, Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let bytes = format!("HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{fields}\r\n");
        assert_eq!(head(bytes.as_bytes()).persists, persists, "{version} {fields}");
    }
    assert!(!head(b"HTTP/1.1 200 OK\r\n\r\n").persists);
}
