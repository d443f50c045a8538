#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

/// What comes of these bytes where they arrive `piece` by `piece`: the data, the trailers, and whether the end was reached.
fn decode(
    decoder: &mut Decoder,
    bytes: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, HeaderMap, bool), Malformed> {
    let (mut data, mut trailers, mut over) = (Vec::new(), HeaderMap::new(), false);
    let mut buffer = BytesMut::new();
    for arrived in bytes.chunks(piece) {
        buffer.extend_from_slice(arrived);
        loop {
            match decoder.step(&mut buffer)? {
                Step::Data(more) => data.extend_from_slice(&more),
                Step::Trailers(more) => trailers.extend(more),
                Step::End => {
                    over = true;
                    break;
                }
                Step::More => break,
            }
        }
    }
    Ok((data, trailers, over || decoder.is_over()))
}

fn chunked(bytes: &[u8]) -> Result<(Vec<u8>, HeaderMap, bool), Malformed> {
    let whole = decode(&mut Decoder::Chunked(Chunk::Size), bytes, bytes.len().max(1));
    for piece in 1..4 {
        let pieces = decode(&mut Decoder::Chunked(Chunk::Size), bytes, piece);
        assert_eq!(pieces, whole, "{piece} bytes at a time: {:?}", bytes.escape_ascii().to_string());
    }
    whole
}

/// RFC 9112 §6.2.
#[test]
fn content_of_a_length_ends_there() {
    let mut decoder = Decoder::Length(5);
    assert_eq!(decoder.left(), Some(5));
    let mut buffer = BytesMut::from(&b"hello, next"[..]);
    assert!(matches!(decoder.step(&mut buffer), Ok(Step::Data(data)) if data == "hello"));
    assert!(decoder.is_over() && matches!(decoder.step(&mut buffer), Ok(Step::End)));
    assert_eq!(buffer, ", next");
    assert!(!Decoder::Length(1).may_end() && Decoder::Length(0).may_end() && Decoder::Close.may_end());
}

/// RFC 9112 §7.1.
#[test]
fn chunks_are_put_together() {
    for bytes in [
        &b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"[..],
        b"05;a=b;c=\"d;e\"\r\nhello\r\n7 ;x\r\n, world\r\n000\r\n\r\n",
        b"C\r\nhello, world\r\n0\r\n\r\n",
        b"c \t\r\nhello, world\r\n0\r\n\r\n",
    ] {
        let (data, trailers, over) = chunked(bytes).unwrap();
        assert_eq!((data.as_slice(), over), (&b"hello, world"[..], true));
        assert!(trailers.is_empty());
    }
    let (data, trailers, over) = chunked(b"1\r\nx\r\n0\r\nA: 1\r\nb: 2\r\nA: 3\r\n\r\n").unwrap();
    assert!(over && data == b"x");
    assert_eq!(trailers.get_all("a").iter().collect::<Vec<_>>(), ["1", "3"]);
    assert_eq!(trailers.get("b").unwrap(), "2");
}

#[test]
fn a_chunked_content_that_stops_is_not_over() {
    let whole = b"5\r\nhello\r\n0\r\nA: 1\r\n\r\n";
    for length in 0..whole.len() {
        assert!(!chunked(whole.get(..length).unwrap()).unwrap().2, "{length}");
    }
}

/// Whoever reads a chunk's size in another way than the sender sees another message.
#[test]
fn chunks_that_are_none_are_refused() {
    for bytes in [
        &b"\r\n"[..],
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1\n",
        b"1;a\n",
        b"1 a\r\n",
        b"1\r;a\r\n",
        b"1;a\rb\r\nx\r\n",
        b"10000000000000000\r\n",
        b"1\r\nxy\r\n",
        b"1\r\nx\n0\r\n\r\n",
        b"0\r\nno field\r\n\r\n",
        b"0\r\nA : 1\r\n\r\n",
        b"0\r\n folded: 1\r\n\r\n",
    ] {
        assert!(chunked(bytes).is_err(), "{:?}", bytes.escape_ascii().to_string());
    }
}

#[test]
fn lines_have_a_bound() {
    let long = [&b"1;"[..], &vec![b'a'; SIZE_LINE]].concat();
    assert!(decode(&mut Decoder::Chunked(Chunk::Size), &long, 1000).is_err());
    let trailers = [&b"0\r\nA: "[..], &vec![b'a'; TRAILERS + 2]].concat();
    assert!(decode(&mut Decoder::Chunked(Chunk::Size), &trailers, 1000).is_err());
    let many = [&b"0\r\n"[..], &b"a: 1\r\n".repeat(101), b"\r\n"].concat();
    assert!(decode(&mut Decoder::Chunked(Chunk::Size), &many, 1000).is_err());
}
