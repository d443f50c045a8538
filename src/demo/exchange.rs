//! One request of the walk: what is sent and the `curl` line that sends the same come from one description.

use std::error::Error as _;
use std::fs;

use http::Method;
use serde_json::Value;

use super::stage::Stage;

/// Whose certificate a request is sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    ClientA,
    ClientB,
    /// No certificate.
    Nobody,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) who: Who,
    pub(super) method: Method,
    pub(super) url: String,
    /// The file in the demo's folder that holds the token to send.
    pub(super) token: Option<&'static str>,
    /// The parameters of a form to send.
    pub(super) form: Vec<(&'static str, &'static str)>,
}

impl Call {
    /// The command that does the same, run in the demo's folder.
    pub(super) fn curl(&self) -> String {
        let mut line = "curl --cacert ca.pem".to_owned();
        match self.who {
            Who::ClientA => line += " --cert client-a.pem",
            Who::ClientB => line += " --cert client-b.pem",
            Who::Nobody => {}
        }
        for (name, value) in &self.form {
            line += &format!(" -d {name}={value}");
        }
        if self.form.is_empty() && self.method != Method::GET {
            line += &format!(" -X {}", self.method);
        }
        if let Some(token) = self.token {
            line += &format!(" -H \"Authorization: Bearer $(cat {token})\"");
        }
        line + " " + &self.url
    }

    /// Sends it.
    ///
    /// # Errors
    /// A sentence saying why there is no answer.
    pub(super) async fn send(&self, stage: &Stage) -> Result<Answer, String> {
        let client = match self.who {
            Who::ClientA => &stage.client_a.http,
            Who::ClientB => &stage.client_b.http,
            Who::Nobody => &stage.nobody,
        };
        let mut request = client.request(self.method.clone(), &self.url);
        if let Some(file) = self.token {
            let token = fs::read_to_string(stage.folder.file(file)).map_err(|_| format!("no {file}"))?;
            request = request.bearer_auth(token);
        }
        if !self.form.is_empty() {
            let pairs: Vec<_> = self.form.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            request = request.body(pairs.join("&"));
        }
        let answer = request.send().await.map_err(|e| no_answer(&e))?;
        let status = answer.status().as_u16();
        let body = answer.text().await.map_err(|e| no_answer(&e))?;
        Ok(Answer { status, body: serde_json::from_str(&body).unwrap_or_default() })
    }
}

/// The innermost cause: the outer ones repeat the URL.
fn no_answer(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(std::error::Error::source) {
        cause = Some(inner);
    }
    cause.map_or_else(|| format!("no answer: {error}"), |cause| format!("no answer: {cause}"))
}

/// An answer; `body` is null if it is no JSON.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The answer in a few words: a problem by its `reason`, an OAuth error by its code, the echo API's by who it says calls.
    pub(super) fn summary(&self) -> String {
        let status = self.status;
        let text = |name: &str| self.body.get(name).and_then(Value::as_str);
        if let Some(word) = text("reason").or_else(|| text("error")) {
            format!("{status} {word}")
        } else if text("access_token").is_some() {
            format!("{status} a token")
        } else if let Some(headers) = self.body.get("headers") {
            match headers.get("x-auth-client").and_then(Value::as_str) {
                Some(client) => format!("{status} X-Auth-Client: {client}"),
                None => format!("{status} no X-Auth-Client"),
            }
        } else {
            status.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::process::Command;

    use serde_json::json;

    use super::*;

    fn token_call(stage: &Stage) -> Call {
        Call {
            who: Who::ClientA,
            method: Method::POST,
            url: stage.authorization_server.token_endpoint(),
            token: None,
            form: vec![("grant_type", "client_credentials"), ("client_id", "client-a")],
        }
    }

    fn echo_call(stage: &Stage, method: Method) -> Call {
        let url = format!("http://{}/orders", stage.echo.address());
        Call { who: Who::Nobody, method, url, token: Some("token.jwt"), form: Vec::new() }
    }

    /// What the line answers when it is pasted into a shell in the demo's folder; `None` without curl.
    fn paste(stage: &Stage, line: &str) -> Option<Value> {
        Command::new("curl").arg("--version").output().ok()?;
        let output = Command::new("sh").args(["-c", line]).current_dir(stage.folder.path()).output().unwrap();
        Some(serde_json::from_slice(&output.stdout).unwrap())
    }

    #[tokio::test]
    async fn the_curl_line_does_what_the_walk_does() {
        let base = tempfile::tempdir().unwrap();
        let stage = Stage::set(base.path()).unwrap();
        stage.folder.write("token.jwt", "abc").unwrap();

        let call = token_call(&stage);
        assert_eq!(call.send(&stage).await.unwrap().summary(), "200 a token");
        if let Some(pasted) = paste(&stage, &call.curl()) {
            assert!(pasted["access_token"].is_string(), "{pasted}");
        }
        for method in [Method::GET, Method::POST] {
            let call = echo_call(&stage, method.clone());
            let sent = call.send(&stage).await.unwrap().body;
            for received in [Some(sent), paste(&stage, &call.curl())].into_iter().flatten() {
                assert_eq!(received["method"], method.as_str());
                assert_eq!(received["path"], "/orders");
                assert_eq!(received["headers"]["authorization"], "Bearer abc");
            }
        }
    }

    #[tokio::test]
    async fn a_refused_client_is_summed_up_by_its_error() {
        let base = tempfile::tempdir().unwrap();
        let stage = Stage::set(base.path()).unwrap();
        let call = Call { who: Who::Nobody, ..token_call(&stage) };
        assert_eq!(call.send(&stage).await.unwrap().summary(), "401 invalid_client");
        let call = echo_call(&stage, Method::GET);
        assert_eq!(call.send(&stage).await.unwrap_err(), "no token.jwt");
    }

    #[test]
    fn answers_are_summed_up() {
        for (status, body, summary) in [
            (401, json!({ "reason": "token-unbound", "error": "invalid_token" }), "401 token-unbound"),
            (200, json!({ "headers": { "x-auth-client": "client-a" } }), "200 X-Auth-Client: client-a"),
            (200, json!({ "headers": {} }), "200 no X-Auth-Client"),
            (502, Value::Null, "502"),
        ] {
            assert_eq!(Answer { status, body }.summary(), summary);
        }
    }
}
