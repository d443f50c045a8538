//! `[forward.claims]`: which request header the upstream gets from which claim.

use http::HeaderName;

use super::headers::names::{self, same_name};

/// Request header = claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimHeaders(Vec<(HeaderName, String)>);

impl ClaimHeaders {
    /// These headers, in the order of the configuration.
    ///
    /// # Errors
    /// Index of the faulty entry and a sentence: a name that differs from an earlier one only in case or punctuation, or that
    /// is a header of HTTP's own or one that Boundgate writes itself; a claim without a name.
    pub fn new(entries: Vec<(HeaderName, String)>) -> Result<ClaimHeaders, (usize, String)> {
        for (index, (name, claim)) in entries.iter().enumerate() {
            let earlier = entries.iter().take(index).map(|(earlier, _)| earlier.as_str());
            let fault = if names::is_of_http(name.as_str()) {
                format!("'{name}' is a header of HTTP's own; take a name such as 'X-Auth-Subject'")
            } else if names::is_reserved(name.as_str()) {
                format!(
                    "'{name}' is written or dropped by Boundgate itself; take a name such as 'X-Auth-Subject'"
                )
            } else if let Some(earlier) =
                earlier.into_iter().find(|earlier| same_name(earlier, name.as_str()))
            {
                format!(
                    "'{name}' is '{earlier}' for servers that fold case and punctuation; give each its own name"
                )
            } else if claim.is_empty() {
                format!("'{name}' needs the name of a claim")
            } else {
                continue;
            };
            return Err((index, fault));
        }
        Ok(ClaimHeaders(entries))
    }

    /// The entries.
    pub fn entries(&self) -> &[(HeaderName, String)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn claims(names: &[&str]) -> Result<ClaimHeaders, (usize, String)> {
        let entry = |name: &&str| (HeaderName::from_bytes(name.as_bytes()).unwrap(), "sub".to_owned());
        ClaimHeaders::new(names.iter().map(entry).collect())
    }

    #[test]
    fn entries_keep_their_order() {
        let headers = claims(&["X-Auth-Subject", "X-Auth-Client", "tenant"]).unwrap();
        let names: Vec<_> = headers.entries().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-auth-subject", "x-auth-client", "tenant"]);
        assert_eq!(claims(&[]), Ok(ClaimHeaders::default()));
    }

    #[test]
    fn names_that_a_server_could_take_for_one_are_refused() {
        for second in ["x-auth-subject", "X_Auth_Subject", "X.Auth-Subject", "x-auth~subject"] {
            let (index, fault) = claims(&["X-Other", "X-Auth-Subject", second]).unwrap_err();
            assert_eq!(index, 2);
            assert!(fault.contains("'x-auth-subject'"), "{fault}");
        }
    }

    /// RFC 9110 §7.2, §7.6, §8.6, §11.6.2, RFC 9112 §6.1: what HTTP itself reads is not overwritten by a claim.
    #[test]
    fn headers_of_http_are_refused_in_every_spelling() {
        for name in [
            "Host",
            "Connection",
            "Authorization",
            "Content-Length",
            "Content_Length",
            "content-type",
            "Transfer-Encoding",
            "transfer_encoding",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Keep-Alive",
            "Proxy-Authorization",
            "Proxy_Anything",
            "Date",
            "Cookie",
            "If-Match",
            "Sec-WebSocket-Key",
        ] {
            let (index, fault) = claims(&["X-A", name]).unwrap_err();
            assert!(index == 1 && fault.contains("HTTP's own"), "{name}: {fault}");
        }
    }

    #[test]
    fn headers_of_boundgate_are_refused_in_every_spelling() {
        for name in
            ["X-Forwarded-For", "x_forwarded_for", "Forwarded", "X-Request-Id", "Client-Cert", "X-Real-IP"]
        {
            let (index, fault) = claims(&[name]).unwrap_err();
            assert!(index == 0 && fault.contains("Boundgate itself"), "{name}: {fault}");
        }
    }

    #[test]
    fn a_claim_has_a_name() {
        let entries = vec![(HeaderName::from_static("x-a"), String::new())];
        assert!(ClaimHeaders::new(entries).unwrap_err().1.contains("name of a claim"));
    }
}
