//! An echo API: answers with what it received, so that one sees what an upstream sees.

use std::io;
use std::net::SocketAddr;

use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use super::loopback::{self, Loopback, Request, Response};

/// A running echo API; dropping it stops it.
pub struct Echo(Loopback);

impl Echo {
    /// Listens on 127.0.0.1 at this port (0: any), with HTTP/1.1.
    ///
    /// # Errors
    /// The port cannot be had.
    pub fn start(port: u16) -> io::Result<Echo> {
        Ok(Echo(Loopback::serve(loopback::listen(port)?, None, |request, _| echo(request))?))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body_bytes) = size(body).await else {
        return loopback::json(StatusCode::BAD_REQUEST, &json!({ "error": "the body broke off" }));
    };
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    let received = json!({
        "method": head.method.as_str(),
        "path": target,
        "headers": headers(&head.headers),
        "body_bytes": body_bytes,
    });
    loopback::json(StatusCode::OK, &received)
}

/// Reads the body to its end and keeps nothing of it.
async fn size(mut body: Incoming) -> Result<u64, hyper::Error> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(bytes)
}

/// Names in lower case; the value is a string, or a list of strings where a field came more than once.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let values = |name| {
        let mut values: Vec<Value> =
            headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into()).collect();
        if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
    };
    headers.keys().map(|name| (name.to_string(), values(name))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[tokio::test]
    async fn it_answers_with_what_it_received() {
        let echo = Echo::start(0).unwrap();
        let client =
            reqwest::Client::builder().no_proxy().tls_backend_preconfigured(no_tls()).build().unwrap();
        let answer = client
            .post(format!("http://{}/orders?x=1", echo.address()))
            .header("X-One", "1")
            .header("X-Two", "a")
            .header("X-Two", "b")
            .body("12345")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let received: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(received["method"], "POST");
        assert_eq!(received["path"], "/orders?x=1");
        assert_eq!(received["body_bytes"], 5);
        assert_eq!(received["headers"]["x-one"], "1");
        assert_eq!(received["headers"]["x-two"], json!(["a", "b"]));
    }

    #[test]
    fn dropping_it_frees_its_port() {
        let echo = Echo::start(0).unwrap();
        let address = echo.address();
        std::net::TcpStream::connect(address).unwrap();
        drop(echo);
        std::net::TcpStream::connect(address).unwrap_err();
        assert_eq!(Echo::start(address.port()).unwrap().address(), address);
    }

    fn no_tls() -> rustls::ClientConfig {
        rustls::ClientConfig::builder_with_provider(super::super::pki::crypto())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth()
    }
}
