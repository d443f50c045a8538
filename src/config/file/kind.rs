//! What a key may hold: how a value is read, and how that is said to a person.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::settings::{Located, UpstreamUrl};
use super::{quantity, url};

/// What a key may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// One text.
    One(Text),
    /// A list of texts; the number is the least.
    List(Text, usize),
    /// A whole number in these bounds.
    Number(u64, u64),
    /// `true` or `false`.
    Flag,
}

/// What a text may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    /// Anything but empty.
    Any,
    /// The same, and never shown.
    Secret,
    /// One of these words. The second list holds words that are understood and refused, with the reason.
    Word(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// A `typ` of access tokens (RFC 9068 §4).
    TokenType,
    /// IP address and port.
    Address,
    /// A file, relative to the configuration's folder.
    File,
    /// A unix socket, as `unix:` and its path, relative to the configuration's folder.
    Socket,
    /// A time in these bounds.
    Time(Duration, Duration),
    /// A size in these bounds.
    Size(u64, u64),
    /// The same, or `none`.
    SizeOrNone(u64, u64),
    /// An issuer identifier (RFC 8414 §2).
    Issuer,
    /// A URL that Boundgate calls.
    Url,
    /// An https origin.
    Origin,
    /// Where requests go.
    Upstream,
    /// A route's path.
    RoutePath,
    /// A request method.
    Method,
    /// A scope token (RFC 6749 §3.3).
    Scope,
}

impl Kind {
    /// A text in quotes.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Kind::One(_))
    }
}

/// A value that its kind allows.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Address(SocketAddr),
    File(PathBuf),
    Socket(PathBuf),
    Time(Duration),
    /// Bytes; `None` for `"none"`.
    Size(Option<u64>),
    Upstream(UpstreamUrl),
    Number(u64),
    Flag(bool),
    List(Vec<Located<Value>>),
}

impl Text {
    /// Reads a text whose variables are replaced already.
    ///
    /// # Errors
    /// It is not allowed; with a hint, where one helps.
    pub(super) fn read(self, text: &str, folder: &Path) -> Result<Value, Option<String>> {
        let allowed = |good: bool| if good { Ok(Value::Text(text.to_owned())) } else { Err(None) };
        match self {
            Text::Any | Text::Secret => allowed(!text.is_empty()),
            Text::Word(words, refused) => word(text, words, refused),
            Text::TokenType => token_type(text),
            Text::Address => text.parse().map(Value::Address).map_err(|_| None),
            Text::File if text.is_empty() => Err(None),
            Text::File if text.contains(char::is_control) => {
                Err(Some("it names a file and cannot hold the content".to_owned()))
            }
            Text::File => Ok(Value::File(folder.join(text))),
            Text::Socket => match text.strip_prefix("unix:") {
                Some(path) if !path.is_empty() && !path.contains(char::is_control) => {
                    Ok(Value::Socket(folder.join(path)))
                }
                _ => Err(None),
            },
            Text::Time(from, to) => {
                let time = quantity::time(text).filter(|time| (from..=to).contains(time));
                time.map(Value::Time).ok_or(None)
            }
            Text::SizeOrNone(..) if text == "none" => Ok(Value::Size(None)),
            Text::Size(from, to) | Text::SizeOrNone(from, to) => {
                let size = quantity::size(text).filter(|size| (from..=to).contains(size));
                size.map(|size| Value::Size(Some(size))).ok_or(None)
            }
            Text::Issuer => url::issuer(text).map(|()| Value::Text(text.to_owned())),
            Text::Url => url::callable(text).map(|()| Value::Text(text.to_owned())),
            Text::Origin => url::origin(text).map(|origin| Value::Text(origin.to_owned())),
            Text::Upstream => url::upstream(text).map(Value::Upstream),
            Text::RoutePath => route_path(text),
            Text::Method => method(text),
            // RFC 6749 §3.3: 1*( %x21 / %x23-5B / %x5D-7E )
            Text::Scope => allowed(
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'),
            ),
        }
    }
}

fn word(text: &str, words: &[&str], refused: &[(&str, &str)]) -> Result<Value, Option<String>> {
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    match refused.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        Some((_, reason)) => Err(Some((*reason).to_owned())),
        None => Err(did_you_mean(text, words.iter().copied())),
    }
}

/// Media types compare without case, and `application/` may stand before them (RFC 7515 §4.1.9).
fn token_type(text: &str) -> Result<Value, Option<String>> {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("application/").unwrap_or(&lower) {
        "at+jwt" => Ok(Value::Text("at+jwt".to_owned())),
        "jwt" => Ok(Value::Text("JWT".to_owned())),
        _ => Err(Some("every other type is refused always (RFC 9068 §4)".to_owned())),
    }
}

fn route_path(text: &str) -> Result<Value, Option<String>> {
    let stem = text.strip_suffix("/*").unwrap_or(text);
    if let Some(folder) = stem.strip_suffix('*') {
        return Err(Some(format!("did you mean \"{folder}/*\"?")));
    }
    if !text.starts_with('/') || stem.contains('*') {
        return Err(None);
    }
    Ok(Value::Text(text.to_owned()))
}

fn method(text: &str) -> Result<Value, Option<String>> {
    // RFC 9110 §5.6.2: tchar. Methods are case-sensitive, and none in use has small letters: such a rule would never match.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(None);
    }
    if text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Err(Some(format!("did you mean \"{}\"?", text.to_ascii_uppercase())));
    }
    Ok(Value::Text(text.to_owned()))
}

/// The known name that is nearest to an unknown one, as a question.
pub(super) fn did_you_mean<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    known
        .map(|name| (strsim::jaro_winkler(&plain(unknown), &plain(name)), name))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| format!("did you mean \"{name}\"?"))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::One(text) => text.fmt(f),
            Kind::List(text, 0) => write!(f, "a list, each item {text}"),
            Kind::List(text, _) => write!(f, "a list of at least one item, each {text}"),
            Kind::Number(from, to) => write!(f, "a whole number from {from} to {to}"),
            Kind::Flag => write!(f, "true or false"),
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (time, size) = (quantity::show_time, quantity::show_size);
        match self {
            Text::Any | Text::Secret => write!(f, "a text that is not empty"),
            Text::Word(words, _) => {
                for (i, word) in words.iter().enumerate() {
                    let before = if i == 0 {
                        ""
                    } else if i + 1 == words.len() {
                        " or "
                    } else {
                        ", "
                    };
                    write!(f, "{before}\"{word}\"")?;
                }
                Ok(())
            }
            Text::TokenType => write!(f, "\"at+jwt\" or \"JWT\""),
            Text::Address => write!(f, "an IP address with a port, as \"127.0.0.1:8443\" or \"[::]:8443\""),
            Text::File => write!(f, "the name of a file"),
            Text::Socket => write!(f, "a unix socket, as \"unix:/run/boundgate.sock\""),
            Text::Time(from, to) => write!(f, "a time from \"{}\" to \"{}\"", time(*from), time(*to)),
            Text::Size(from, to) => write!(f, "a size from \"{}\" to \"{}\"", size(*from), size(*to)),
            Text::SizeOrNone(from, to) => {
                write!(f, "\"none\" or a size from \"{}\" to \"{}\"", size(*from), size(*to))
            }
            Text::Issuer => write!(f, "an https URL without query and fragment"),
            Text::Url => write!(f, "an https URL without fragment"),
            Text::Origin => write!(f, "an https origin, as \"https://api.example.com\""),
            Text::Upstream => write!(
                f,
                "\"http://host:port\", \"https://host:port\", \"h2c://host:port\" or \"unix:/path\""
            ),
            Text::RoutePath => write!(f, "a path that begins with \"/\", exact or with \"/*\" at its end"),
            Text::Method => write!(f, "a method in capital letters, as \"GET\""),
            Text::Scope => write!(f, "visible ASCII without space, quote and backslash (RFC 6749 §3.3)"),
        }
    }
}
