//! HTTP messages as plainly as a test wants them: what stood on the wire, in its order, nothing normalised.

use std::io::{self, BufRead, Error, ErrorKind, Read as _};

use serde_json::Value;

/// A request or a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    /// The header fields in their order and spelling.
    pub(crate) fields: Vec<(String, String)>,
    /// The content, without its framing.
    pub(crate) body: Vec<u8>,
    /// The fields after the content.
    pub(crate) trailers: Vec<(String, String)>,
}

impl Message {
    /// The status code of a response.
    pub(crate) fn status(&self) -> u16 {
        let code = self.start.split(' ').nth(1).and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("not a status line: {:?}", self.start))
    }

    /// The method of a request.
    pub(crate) fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Every value of this field, in their order; names ignore case.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The one value of this field, if there is one; more than one fails the test.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        match self.values(name)[..] {
            [] => None,
            [value] => Some(value),
            ref more => panic!("{name} occurs {} times: {more:?}", more.len()),
        }
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// The status and the `reason` of the problem document, empty where the body is none: what a refusal is known by.
    pub(crate) fn verdict(&self) -> (u16, String) {
        let problem: Option<Value> = serde_json::from_slice(&self.body).ok();
        let reason = problem.as_ref().and_then(|p| p["reason"].as_str()).unwrap_or_default();
        (self.status(), reason.to_owned())
    }

    fn framing(&self) -> Framing {
        if self.values("transfer-encoding").iter().any(|v| v.eq_ignore_ascii_case("chunked")) {
            return Framing::Chunked;
        }
        let length = self.values("content-length").first().and_then(|length| length.parse().ok());
        length.map_or(Framing::None, Framing::Length)
    }
}

enum Framing {
    None,
    Length(u64),
    Chunked,
}

/// The next request of a connection; `None` where it ended between two.
pub(crate) fn read_request(from: &mut impl BufRead) -> io::Result<Option<Message>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut request = read_head(from)?;
    read_framed(from, &mut request)?;
    Ok(Some(request))
}

/// The next response. Without a length it lasts until the connection ends, as RFC 9112 §6.3 says.
pub(crate) fn read_response(from: &mut impl BufRead) -> io::Result<Message> {
    let mut response = read_head(from)?;
    if matches!(response.status(), 100..200 | 204 | 304) {
        return Ok(response);
    }
    if !read_framed(from, &mut response)? {
        response.body = read_all(from)?;
    }
    Ok(response)
}

/// A head alone: the answer to HEAD, or what stands before an upgraded connection.
pub(crate) fn read_head(from: &mut impl BufRead) -> io::Result<Message> {
    Ok(Message { start: read_line(from)?, fields: read_fields(from)?, ..Message::default() })
}

/// Header fields or trailers, up to the empty line that ends them.
fn read_fields(from: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(from)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| garbage("a field without a colon", &line))?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Everything up to the end of the connection, however rudely it ended after the first byte.
pub(crate) fn read_all(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    match from.read_to_end(&mut all) {
        Err(error) if all.is_empty() => Err(error),
        _ => Ok(all),
    }
}

/// Reads the content that the head frames; `false` if it frames none.
fn read_framed(from: &mut impl BufRead, message: &mut Message) -> io::Result<bool> {
    match message.framing() {
        Framing::None => return Ok(false),
        Framing::Length(length) => message.body = read_exactly(from, length)?,
        Framing::Chunked => {
            message.body = read_chunks(from)?;
            message.trailers = read_fields(from)?;
        }
    }
    Ok(true)
}

fn read_chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = read_line(from)?;
        let size = line.split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| garbage("no chunk size", &line))?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(read_exactly(from, size)?);
        read_line(from)?;
    }
}

fn read_exactly(from: &mut impl BufRead, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.by_ref().take(length).read_to_end(&mut bytes)?;
    let complete = bytes.len() as u64 == length;
    complete.then_some(bytes).ok_or_else(|| ErrorKind::UnexpectedEof.into())
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.pop_if(|last| *last == b'\r');
    String::from_utf8(line).map_err(|error| garbage("no UTF-8", &error.to_string()))
}

fn garbage(what: &str, found: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("{what}: {found:?}"))
}
