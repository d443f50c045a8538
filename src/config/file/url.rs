//! URLs of the configuration. They are checked here and kept as written: an issuer is compared exactly (RFC 9068 §4).

use std::net::{IpAddr, Ipv6Addr};

use super::super::error::NOT_YET;
use super::super::settings::UpstreamUrl;

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
    let scheme = text.split(':').next().unwrap_or_default();
    if ["https", "h2c", "unix"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Some(format!("{} is {NOT_YET}", scheme.to_ascii_lowercase())));
    }
    let url = split(text.strip_suffix('/').unwrap_or(text))?;
    match url {
        _ if !url.has_scheme("http") => Err(None),
        _ if !url.rest.is_empty() => {
            Err(Some("it has a path, a query or a fragment; each request brings its own".to_owned()))
        }
        _ => Ok(UpstreamUrl::Http { host: url.host.to_owned(), port: url.port.unwrap_or(80) }),
    }
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
    use super::*;

    fn http(host: &str, port: u16) -> UpstreamUrl {
        UpstreamUrl::Http { host: host.to_owned(), port }
    }

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
        assert_eq!(upstream("http://127.0.0.1:8080"), Ok(http("127.0.0.1", 8080)));
        assert_eq!(upstream("http://api/"), Ok(http("api", 80)));
        assert_eq!(upstream("http://[::1]:9"), Ok(http("::1", 9)));
        for bad in ["127.0.0.1:8080", "http://", "http://a/b", "http://a?b", "http://u:p@a", "tcp://a", ""] {
            assert!(upstream(bad).is_err(), "{bad}");
        }
        for scheme in ["https", "h2c", "unix"] {
            let hint = Some(format!("{scheme} is not supported yet by this version"));
            assert_eq!(upstream(&format!("{scheme}://api")), Err(hint.clone()));
            assert_eq!(upstream(&format!("{scheme}:/run/api.sock")), Err(hint));
        }
    }
}
