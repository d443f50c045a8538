//! Over real sockets, beside hyper's client, which reads the same bytes: the two must not see different answers.

#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::BytesMut;
use http::{HeaderMap, Method, Request};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, LocalOptions};

use super::*;
use crate::serve::body::RequestBody;

/// An answer that was read to its end.
#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    data: Vec<u8>,
    trailers: HeaderMap,
}

fn request(method: Method) -> Request<RequestBody> {
    let mut request = Request::new(RequestBody::Empty);
    *request.method_mut() = method;
    request.headers_mut().insert("host", "a".parse().unwrap());
    request
}

fn outgoing(method: Method) -> Outgoing {
    let (head, body) = request(method).into_parts();
    Outgoing::new(head, None, body)
}

/// A server that reads one head, writes these bytes and closes.
fn serve(bytes: Vec<u8>) -> UnixStream {
    let (client, mut server) = UnixStream::pair().unwrap();
    tokio::task::spawn_local(async move {
        let mut head = BytesMut::new();
        while !head.ends_with(b"\r\n\r\n") {
            if server.read_buf(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let _ = server.write_all(&bytes).await;
        let _ = server.shutdown().await;
        while server.read(&mut [0; 64]).await.unwrap_or(0) > 0 {}
    });
    client
}

async fn collect<B: Body<Data = Bytes> + Unpin>(response: Response<B>) -> Option<Answer> {
    let (parts, mut body) = response.into_parts();
    let (mut data, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.ok()?.into_data() {
            Ok(more) => data.extend_from_slice(&more),
            Err(frame) => trailers = frame.into_trailers().ok()?,
        }
    }
    Some(Answer { status: parts.status.as_u16(), headers: parts.headers, data, trailers })
}

async fn ours(method: Method, bytes: &[u8]) -> Option<Answer> {
    let mut connection = Connection::new(Io::Unix(serve(bytes.to_vec())));
    let response = connection.send(outgoing(method)).await.ok()?;
    collect(response).await
}

async fn hypers(method: Method, bytes: &[u8]) -> Option<Answer> {
    let io = TokioIo::new(serve(bytes.to_vec()));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::task::spawn_local(async move {
        let _ = connection.with_upgrades().await;
    });
    collect(sender.send_request(request(method)).await.ok()?).await
}

fn local<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap().block_on(future)
}

const ANSWERS: [&str; 14] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\na: 1\r\nb: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 500 Oh no\r\nX: \x7f\r\nTransfer-Encoding: identity\r\n\r\nrest",
    "HTTP/1.1 200\r\nA:\r\nB:  b  \r\nContent-Length: 0003\r\n\r\nabcdef",
    "\r\nHTTP/1.1 200 OK\nContent-Length: 1\n\nx",
];

#[test]
fn answers_are_read_as_hyper_reads_them() {
    local(async {
        for answer in ANSWERS {
            for method in [Method::GET, Method::HEAD, Method::POST] {
                let ours = ours(method.clone(), answer.as_bytes()).await;
                assert_eq!(ours, hypers(method.clone(), answer.as_bytes()).await, "{method} {answer:?}");
            }
        }
    });
}

/// What hyper takes for an answer is the same answer here; what it refuses is refused.
#[test]
fn mutilated_answers_are_read_as_hyper_reads_them() {
    let rounds = std::env::var("BOUNDGATE_MUTATIONS").map_or(4_000, |rounds| rounds.parse().unwrap());
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    local(async {
        for round in 0..rounds {
            let bytes = dice.mutilate();
            let method = if dice.below(8) == 0 { Method::HEAD } else { Method::GET };
            let (ours, hypers) = (ours(method.clone(), &bytes).await, hypers(method, &bytes).await);
            if ours != hypers && !may_differ(&bytes, ours.as_ref(), hypers.as_ref()) {
                let bytes = bytes.escape_ascii();
                panic!("round {round}: {bytes}\nours:   {ours:?}\nhyper's: {hypers:?}");
            }
        }
    });
}

/// Where the two may disagree, and why.
fn may_differ(bytes: &[u8], ours: Option<&Answer>, hypers: Option<&Answer>) -> bool {
    let has = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    match (ours, hypers) {
        // hyper waits for the CR of a trailer line that ends in LF alone (RFC 9112 §2.2 lets it be read).
        (Some(_), None) => has(b"\n0\r\n") || has(b"\n00\r\n"),
        // A CR in a chunk's extension, or a length with a comma and nothing behind it, is nobody's honest answer.
        (None, Some(_)) => has(b";") || has(b","),
        _ => false,
    }
}

/// Random, and the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn mutilate(&mut self) -> Vec<u8> {
        const BITS: [&[u8]; 16] = [
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b":",
            b";",
            b",",
            b"0",
            b"5",
            b"f",
            b"\x00",
            b"\xff",
            b"Transfer-Encoding: chunked\r\n",
            b"Content-Length: 3\r\n",
            b"0\r\n\r\n",
        ];
        let mut bytes = ANSWERS.get(self.below(ANSWERS.len())).unwrap().as_bytes().to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 => drop(bytes.drain(at..(at + 1 + self.below(4)).min(bytes.len()).max(at))),
                1 => bytes.truncate(at.max(1)),
                _ => drop(bytes.splice(at..at, BITS.get(self.below(BITS.len())).unwrap().iter().copied())),
            }
        }
        bytes
    }
}

#[test]
fn a_connection_takes_the_next_request_once_its_answer_was_read() {
    local(async {
        let (client, mut server) = UnixStream::pair().unwrap();
        let mut connection = Connection::new(Io::Unix(client));
        for _ in 0..3 {
            let answers = async {
                let mut head = [0; 128];
                assert!(server.read(&mut head).await.unwrap() > 0);
                server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            };
            let (response, ()) = tokio::join!(connection.send(outgoing(Method::GET)), answers);
            let answer = collect(response.unwrap_or_else(|_| panic!("no answer"))).await.unwrap();
            assert_eq!(answer.data, b"ok");
            connection = match connection.rest() {
                Rest::Ready(connection) => connection,
                _ => panic!("it does not persist"),
            };
            assert!(connection.is_ready());
        }
        // Nobody asked for it.
        server.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        tokio::task::yield_now().await;
        while connection.is_ready() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_closed_connection_is_told_from_one_that_breaks() {
    local(async {
        let (client, server) = UnixStream::pair().unwrap();
        drop(server);
        let mut connection = Connection::new(Io::Unix(client));
        let (error, unsent) = connection.send(outgoing(Method::GET)).await.err().unwrap();
        assert!(matches!(error, SendError::Unsent), "{error:?}");
        let mut connection = Connection::new(Io::Unix(serve(Vec::new())));
        let (error, unsent) = connection.send(unsent).await.err().unwrap();
        assert!(matches!(error, SendError::Unanswered(_)), "{error:?}");
        for begun in ["H", "HTTP/1.1 100 Continue\r\n\r\n"] {
            let mut connection = Connection::new(Io::Unix(serve(begun.into())));
            let error = connection.send(outgoing(Method::GET)).await.err().unwrap().0;
            assert!(matches!(error, SendError::Answer(_)), "{error:?}");
        }
        assert!(!unsent.has_content());
    });
}
