//! URLs of the configuration. They are checked here and kept as written: an issuer is compared exactly (RFC 9068 §4).

use std::net::{IpAddr, Ipv6Addr};

use rustls_pki_types::ServerName;

use super::super::settings::{HostPort, UpstreamUrl};

/// Parts of a URL with an authority (RFC 3986 §3).
struct Url<'a> {
    scheme: &'a str,
    /// Name or address, without brackets.
    host: &'a str,
    port: Option<u16>,
    /// Path, query and fragment.
    rest: &'a str,
}

impl Url<'_> {
    fn has_scheme(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// A URL that Boundgate calls: `https`, or `http` where the call does not leave this host; without a fragment.
///
/// # Errors
/// A hint, where one helps.
pub(super) fn callable(text: &str) -> Result<(), Option<String>> {
    let url = split(text)?;
    if url.rest.contains('#') {
        return Err(Some("it has a fragment".to_owned()));
    }
    match url {
        _ if url.has_scheme("https") => Ok(()),
        _ if url.has_scheme("http") && url.is_loopback() => Ok(()),
        _ if url.has_scheme("http") => {
            Err(Some("http is allowed on localhost, 127.0.0.0/8 and ::1 only".to_owned()))
        }
        _ => Err(None),
    }
}

/// An issuer identifier (RFC 8414 §2): as [`callable`], and without a query.
///
/// # Errors
/// A hint, where one helps.
pub(super) fn issuer(text: &str) -> Result<(), Option<String>> {
    callable(text)?;
    if text.contains('?') {
        return Err(Some("it has a query".to_owned()));
    }
    Ok(())
}

/// An `https` origin, without the slash that may follow it.
///
/// # Errors
/// A hint, where one helps.
pub(super) fn origin(text: &str) -> Result<&str, Option<String>> {
    let origin = text.strip_suffix('/').unwrap_or(text);
    let url = split(origin)?;
    match url {
        _ if !url.has_scheme("https") => Err(Some("its scheme must be https".to_owned())),
        _ if !url.rest.is_empty() => Err(Some("it has a path, a query or a fragment".to_owned())),
        _ => Ok(origin),
    }
}

/// `[upstream] url`
///
/// # Errors
/// A hint, where one helps.
pub(super) fn upstream(text: &str) -> Result<UpstreamUrl, Option<String>> {
    if let Some(path) = strip_scheme(text, "unix:") {
        return unix(path);
    }
    let url = split(text.strip_suffix('/').unwrap_or(text))?;
    if !url.rest.is_empty() {
        return Err(Some("it has a path, a query or a fragment; each request brings its own".to_owned()));
    }
    let server = |port| HostPort { host: url.host.to_owned(), port: url.port.unwrap_or(port) };
    match url {
        _ if url.has_scheme("http") => Ok(UpstreamUrl::Http(server(80))),
        _ if url.has_scheme("h2c") => Ok(UpstreamUrl::H2c(server(80))),
        _ if url.has_scheme("https") => match ServerName::try_from(url.host) {
            Ok(name) => Ok(UpstreamUrl::Https { server: server(443), name: name.to_owned() }),
            Err(_) => Err(Some("no certificate can be for its host".to_owned())),
        },
        _ => Err(None),
    }
}

/// The path of a Unix socket: absolute, because a URL has no folder to start from.
fn unix(path: &str) -> Result<UpstreamUrl, Option<String>> {
    /// What `sun_path` of unix(7) takes, without the NUL at its end.
    const LONGEST: usize = 107;
    if !path.starts_with('/') || path.contains(char::is_control) {
        return Err(Some("the path of a Unix socket is absolute, as in \"unix:/run/api.sock\"".to_owned()));
    }
    // `unix://host/path` is no URL of this kind; `unix:///path` is a usual spelling of `unix:/path`.
    let path = match path.strip_prefix("//") {
        None => path,
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(Some("a Unix socket has no host: write \"unix:/path\"".to_owned())),
    };
    if path.len() > LONGEST {
        return Err(Some(format!("the path of a Unix socket has at most {LONGEST} bytes")));
    }
    Ok(UpstreamUrl::Unix(path.into()))
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn split(text: &str) -> Result<Url<'_>, Option<String>> {
    let strange = |b: u8| !b.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&b);
    if text.bytes().any(strange) {
        return Err(Some("it has a character that no URL may contain (RFC 3986 §2)".to_owned()));
    }
    let (scheme, rest) = text.split_once("://").ok_or(None)?;
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Some("it has a user name or a password".to_owned()));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((host, port)) => (host.parse::<Ipv6Addr>().is_ok().then_some(host), port),
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (is_name(host).then_some(host), port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(
            digits
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or("its port is not one from 1 to 65535".to_owned())?,
        ),
        _ => return Err(Some("its port is not a number".to_owned())),
    };
    Ok(Url { scheme, host: host.ok_or("its host is neither a name nor an address".to_owned())?, port, rest })
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RFC 8414 §2: an issuer is an https URL without query and fragment.
    #[test]
    fn issuers() {
        for good in [
            "https://as.example.com",
            "https://as.example.com:8443/tenant/a",
            "https://[2001:db8::1]/",
            "http://localhost:9000",
            "http://127.0.0.1",
            "http://127.8.9.1:80/x",
            "http://[::1]:9000",
            "HTTPS://AS.example.com",
        ] {
            assert_eq!(issuer(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "as.example.com",
            "https://",
            "https:///x",
            "https://as.example.com?x=1",
            "https://as.example.com#x",
            "https://as.example.com/#x",
            "http://as.example.com",
            "http://localhost.example.com",
            "http://localhost@example.com",
            "http://localhost\\@example.com",
            "http://[::2]",
            "http://[::1",
            "http://[::1]x",
            "http://10.0.0.1",
            "https://a b",
            "https://a:",
            "https://a:0",
            "https://a:+1",
            "https://a:65536",
            "https://a:1:2",
            "https://ä.example",
            "ftp://as.example.com",
            "file:///etc/passwd",
        ] {
            assert!(issuer(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn key_sets_may_have_a_query() {
        assert_eq!(callable("https://as.example.com/keys?appid=1"), Ok(()));
        assert!(callable("https://as.example.com/keys#a").is_err());
        assert!(callable("http://as.example.com/keys").is_err());
    }

    #[test]
    fn origins() {
        assert_eq!(origin("https://api.example.com"), Ok("https://api.example.com"));
        assert_eq!(origin("https://api.example.com:8443/"), Ok("https://api.example.com:8443"));
        for bad in [
            "http://api.example.com",
            "https://api.example.com/v1",
            "https://api.example.com//",
            "https://a?b",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn upstreams() {
        let server = |host: &str, port| HostPort { host: host.to_owned(), port };
        let https = |host: &'static str, port| UpstreamUrl::Https {
            server: server(host, port),
            name: ServerName::try_from(host).unwrap(),
        };
        for (text, url) in [
            ("http://127.0.0.1:8080", UpstreamUrl::Http(server("127.0.0.1", 8080))),
            ("http://api/", UpstreamUrl::Http(server("api", 80))),
            ("http://[::1]:9", UpstreamUrl::Http(server("::1", 9))),
            ("https://api.example", https("api.example", 443)),
            ("https://[::1]:8443/", https("::1", 8443)),
            ("h2c://my_api:50051", UpstreamUrl::H2c(server("my_api", 50051))),
            ("H2C://api", UpstreamUrl::H2c(server("api", 80))),
            ("unix:/run/api.sock", UpstreamUrl::Unix("/run/api.sock".into())),
            ("unix:///run/my api.sock", UpstreamUrl::Unix("/run/my api.sock".into())),
        ] {
            assert_eq!(upstream(text), Ok(url), "{text}");
        }
    }

    #[test]
    fn no_upstreams() {
        let long = format!("unix:/{}", "x".repeat(107));
        for bad in [
            "127.0.0.1:8080",
            "http://",
            "http://a/b",
            "https://a/b",
            "h2c://a?b",
            "http://u:p@a",
            "https://a..b",
            "https://256.1.1.1",
            "tcp://a",
            "unix:",
            "unix:run/api.sock",
            "unix://run/api.sock",
            "unix:/run\0/api.sock",
            &long,
            "",
        ] {
            assert!(upstream(bad).is_err(), "{bad}");
        }
    }
}
