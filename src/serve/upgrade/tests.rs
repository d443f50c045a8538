#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use http::Request;

use super::*;

/// A request's head with these fields.
fn head(version: Version, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().version(version);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn wish(fields: &[(&str, &str)]) -> Option<String> {
    let wish = Wish::read(&head(Version::HTTP_11, fields))?;
    Some(wish.protocols.to_str().unwrap().to_owned())
}

/// RFC 9110 §7.8: the field counts only where `Connection` names it, over all lines and without case.
#[test]
fn what_is_asked_for() {
    let websocket = Some("websocket".to_owned());
    assert_eq!(wish(&[("connection", "Upgrade"), ("upgrade", "websocket")]), websocket);
    let lines = [("connection", "keep-alive"), ("connection", "x, UPGRADE"), ("upgrade", "websocket")];
    assert_eq!(wish(&lines), websocket);
    let two = [("connection", "upgrade"), ("upgrade", "IRC/6.9 , websocket"), ("upgrade", "RTA/x11")];
    assert_eq!(wish(&two).unwrap(), "IRC/6.9, websocket, RTA/x11");
    assert_eq!(wish(&[("upgrade", "websocket")]), None);
    assert_eq!(wish(&[("connection", "upgrade")]), None);
    assert_eq!(wish(&[("connection", "close"), ("upgrade", "websocket")]), None);
    let http10 = head(Version::HTTP_10, &[("connection", "upgrade"), ("upgrade", "websocket")]);
    assert!(Wish::read(&http10).is_none());
}

/// A tunnel of HTTP would carry requests past every check ("h2c smuggling").
#[test]
fn http_is_never_asked_for() {
    for http in [
        "h2c",
        "H2C",
        "h2",
        "HTTP/2.0",
        "http/1.1",
        "TLS/1.0",
        "h2c, HTTP/3",
        "\"h2c\"",
        "h2c;q=1",
        "h2c/1 x",
    ] {
        assert_eq!(wish(&[("connection", "upgrade"), ("upgrade", http)]), None, "{http}");
    }
    let both = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c, websocket")];
    assert_eq!(wish(&both).unwrap(), "websocket");
}

/// RFC 9110 §7.8: "A server MUST NOT switch to a protocol that was not indicated by the client".
#[test]
fn what_is_granted() {
    let wish = Wish { protocols: HeaderValue::from_static("IRC/6.9, websocket"), key: None };
    let granted = |fields: &[(&str, &str)]| wish.granted(&head(Version::HTTP_11, fields).headers);
    assert_eq!(granted(&[("upgrade", "WebSocket")]).unwrap(), "WebSocket");
    for other in ["h2c", "websocket, h2c", "websocket/13", ""] {
        let refusal = granted(&[("upgrade", other)]).unwrap_err();
        assert_eq!(refusal.reason, Reason::UpstreamFailed, "{other}");
    }
    assert!(granted(&[]).is_err());
}
