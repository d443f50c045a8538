#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use http::Request;

use super::*;

/// RFC 6455 §1.3, with its own example of a key.
#[test]
fn what_answers_a_key() {
    let key = Key(HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
    let is_accepted = |answers: &[&str]| {
        let mut headers = HeaderMap::new();
        for answer in answers {
            headers.append(SEC_WEBSOCKET_ACCEPT, answer.parse().unwrap());
        }
        key.is_accepted(&headers)
    };
    assert!(is_accepted(&["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]));
    for other in [
        &[][..],
        &[""],
        &["S3PPLMBITXAQ9KYGZZHZRBK+XOO="],
        &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo"],
        &["dGhlIHNhbXBsZSBub25jZQ=="],
        &["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
    ] {
        assert!(!is_accepted(other), "{other:?}");
    }
}

/// RFC 6455 §4.1: 16 bytes in base64, new for each connection.
#[test]
fn keys_are_fresh_and_the_version_is_the_clients() {
    let mut headers = HeaderMap::new();
    Key::new().unwrap().set(&mut headers);
    let first = headers[SEC_WEBSOCKET_KEY].clone();
    assert_eq!(STANDARD.decode(&first).unwrap().len(), 16);
    assert_eq!(headers[SEC_WEBSOCKET_VERSION], "13");
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("14"));
    Key::new().unwrap().set(&mut headers);
    assert_ne!(headers[SEC_WEBSOCKET_KEY], first);
    assert_eq!(headers[SEC_WEBSOCKET_VERSION], "14");
}

/// Nothing but "websocket" is unfolded, as it is registered: what stays a CONNECT is refused.
#[test]
fn only_an_extended_connect_for_a_websocket_is_asked_for() {
    let asked = |method: Method, protocol: Option<&str>| {
        let mut head = Request::builder().method(method).body(()).unwrap().into_parts().0;
        head.extensions.extend(protocol.map(Protocol::from).into_iter().fold(
            http::Extensions::new(),
            |mut all, protocol| {
                all.insert(protocol);
                all
            },
        ));
        is_asked_for(&head)
    };
    assert!(asked(Method::CONNECT, Some("websocket")));
    for other in [None, Some(""), Some("WebSocket"), Some("connect-udp"), Some("websocket ")] {
        assert!(!asked(Method::CONNECT, other), "{other:?}");
    }
}
