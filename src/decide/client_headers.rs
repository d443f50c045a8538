//! `[forward] client_cert`: the connection's certificate as request headers for the upstream.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue};

use super::client::ClientCert;

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const CLIENT_CERT_CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");
const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// How the certificate is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertForm {
    /// Not at all.
    None,
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    Rfc9440,
    /// `X-Forwarded-Client-Cert`, as Envoy writes it.
    Xfcc,
}

type Headers = Box<[(HeaderName, HeaderValue)]>;

/// The headers of one connection's certificate. Each form is written when it is first asked for, and then kept: a chain may have
/// 32 KiB, and its connection many requests.
#[derive(Debug, Default)]
pub struct ClientCertHeaders {
    rfc9440: OnceCell<Headers>,
    xfcc: OnceCell<Headers>,
}

impl ClientCertHeaders {
    /// The headers to set for this certificate, which is the same in every call.
    pub fn get(&self, form: ClientCertForm, client: &ClientCert) -> &[(HeaderName, HeaderValue)] {
        match form {
            ClientCertForm::None => &[],
            ClientCertForm::Rfc9440 => self.rfc9440.get_or_init(|| rfc9440(client)),
            ClientCertForm::Xfcc => {
                self.xfcc.get_or_init(|| headers([(X_FORWARDED_CLIENT_CERT, xfcc(client))]))
            }
        }
    }
}

/// The leaf, and besides it what else the client presented, in the order of TLS (RFC 9440 §2.2, §2.3).
fn rfc9440(client: &ClientCert) -> Headers {
    let mut sequences = client.chain().iter().map(|der| byte_sequence(der));
    let leaf = sequences.next().unwrap_or_default();
    let others = sequences.collect::<Vec<_>>().join(", ");
    let chain = Some((CLIENT_CERT_CHAIN, others)).filter(|(_, others)| !others.is_empty());
    headers([(CLIENT_CERT, leaf)].into_iter().chain(chain))
}

/// A Byte Sequence of structured fields (RFC 8941 §4.1.8, RFC 9440 §2.1).
fn byte_sequence(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// One element of Envoy's `x-forwarded-client-cert`, without `By`: our own certificate need not have a URI. The names are the
/// client's own words, so whatever could end a value and begin another one does not get through.
fn xfcc(client: &ClientCert) -> String {
    let hash = client.thumbprint().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let leaf = client.chain().first().map(|leaf| pem_in_url(leaf)).unwrap_or_default();
    let mut element = format!("Hash={hash};Cert=\"{leaf}\";Subject=\"{}\"", quotable(client.subject()));
    let uris = client.uris().iter().map(|uri| ("URI", uri));
    let names = client.dns_names().iter().map(|name| ("DNS", name));
    for (key, value) in uris.chain(names).filter(|(_, value)| is_plain(value)) {
        let quote = if value.contains([',', ';', '=']) { "\"" } else { "" };
        element.push_str(&format!(";{key}={quote}{value}{quote}"));
    }
    element
}

/// PEM (RFC 7468 §3) with those characters escaped that Envoy escapes.
fn pem_in_url(der: &[u8]) -> String {
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    // 48 bytes are a line of 64 characters.
    for line in der.chunks(48) {
        STANDARD.encode_string(line, &mut pem);
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let escapes = [("\n", "%0A"), (" ", "%20"), ("+", "%2B"), ("/", "%2F"), ("=", "%3D")];
    escapes.iter().fold(pem, |pem, (character, escape)| pem.replace(character, escape))
}

/// A subject between quotes. RFC 4514 §2.4 lets every character stand as the hexadecimal pairs of its UTF-8: so do a quote and a
/// backslash, of which readers of this header disagree how they are escaped, and what is not ASCII.
fn quotable(subject: &str) -> String {
    let mut text = String::with_capacity(subject.len());
    let mut characters = subject.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => push_pairs(&mut text, escaped),
                escaped => text.extend([c].into_iter().chain(escaped)),
            },
            ' '..='~' => text.push(c),
            _ => push_pairs(&mut text, c),
        }
    }
    text
}

fn push_pairs(text: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        text.push_str(&format!("\\{byte:02x}"));
    }
}

/// Whether a name can stand in the header as it is. Neither a URI (RFC 3986 §2) nor a host name has any other character.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

fn headers(entries: impl IntoIterator<Item = (HeaderName, String)>) -> Headers {
    let value = |text: String| HeaderValue::try_from(text).ok();
    entries.into_iter().filter_map(|(name, text)| Some((name, value(text)?))).collect()
}

#[cfg(test)]
mod tests;
