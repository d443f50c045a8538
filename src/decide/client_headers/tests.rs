#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;

fn certificate(subject: &str, alternatives: Vec<SanType>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.subject_alt_names = alternatives;
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(Ia5String::try_from(name).unwrap())
}

/// The headers of a client with this chain, as text.
fn written(form: ClientCertForm, chain: Vec<CertificateDer<'static>>) -> Vec<(String, String)> {
    let client = ClientCert::read(chain).unwrap();
    let headers = ClientCertHeaders::default();
    let text = |(name, value): &(HeaderName, HeaderValue)| {
        (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
    };
    headers.get(form, &client).iter().map(text).collect()
}

fn element(subject: &str, alternatives: Vec<SanType>) -> String {
    let mut headers = written(ClientCertForm::Xfcc, vec![certificate(subject, alternatives)]);
    assert_eq!(headers.len(), 1);
    headers.remove(0).1
}

/// What follows `Cert="…";`.
fn names(subject: &str, alternatives: Vec<SanType>) -> String {
    element(subject, alternatives).split_once("%0A\";").unwrap().1.to_owned()
}

fn decoded(sequence: &str) -> Vec<u8> {
    let base64 = sequence.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).expect(sequence);
    STANDARD.decode(base64).expect(sequence)
}

#[test]
fn none_writes_nothing() {
    assert!(written(ClientCertForm::None, vec![certificate("a", Vec::new())]).is_empty());
}

#[test]
fn a_certificate_is_one_byte_sequence() {
    // RFC 9440 §2.1: "The binary representation … MUST be encoded as a Byte Sequence"; §2.2: Client-Cert is an Item of it.
    let leaf = certificate("a", Vec::new());
    let headers = written(ClientCertForm::Rfc9440, vec![leaf.clone()]);
    let [(name, value)] = &headers[..] else { panic!("{headers:?}") };
    assert_eq!(name, "client-cert");
    assert_eq!(decoded(value), *leaf);
}

#[test]
fn the_chain_stands_in_its_order_without_the_leaf() {
    // RFC 9440 §2.3: "the end-entity certificate … MUST NOT appear"; the order is that of TLS (RFC 8446 §4.4.2).
    let chain = ["leaf", "issuing", "root"].map(|name| certificate(name, Vec::new()));
    let headers = written(ClientCertForm::Rfc9440, chain.to_vec());
    let [(_, leaf), (name, others)] = &headers[..] else { panic!("{headers:?}") };
    assert_eq!(name, "client-cert-chain");
    assert_eq!(decoded(leaf), *chain[0]);
    let others: Vec<_> = others.split(", ").map(|one| CertificateDer::from(decoded(one))).collect();
    assert_eq!(others, chain[1..]);
}

#[test]
fn an_element_of_envoy_has_hash_certificate_and_names() {
    let leaf = certificate("client", vec![uri("spiffe://example.test/a"), dns("a.test"), dns("*.b.test")]);
    let client = ClientCert::read(vec![leaf.clone(), certificate("ca", Vec::new())]).unwrap();
    let headers = ClientCertHeaders::default();
    let value = headers.get(ClientCertForm::Xfcc, &client)[0].1.to_str().unwrap();
    let hex: String = client.thumbprint().iter().map(|byte| format!("{byte:02x}")).collect();
    let (hash, rest) = value.split_once(";Cert=\"").unwrap();
    assert_eq!(hash, format!("Hash={hex}"));
    let (pem, names) = rest.split_once("\";").unwrap();
    assert_eq!(names, "Subject=\"CN=client\";URI=spiffe://example.test/a;DNS=a.test;DNS=*.b.test");
    assert!(!pem.contains([' ', '\n', '+', '/', '=', '"']), "{pem}");
    let pem = percent_encoding::percent_decode_str(pem).decode_utf8().unwrap();
    assert_eq!(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(), leaf);
    assert!(pem.lines().all(|line| line.len() <= 64) && pem.ends_with("-----\n"), "{pem}");
}

#[test]
fn a_subject_cannot_end_its_quotes() {
    // RFC 4514 §2.4: any character may stand as the pairs of its UTF-8; so no reader, whatever it makes of a backslash, finds a
    // quote inside.
    for (subject, written) in [
        ("a\";Hash=0;Subject=\"b", "CN=a\\22\\;Hash=0\\;Subject=\\22b"),
        ("a\\", "CN=a\\5c"),
        ("a\\\"", "CN=a\\5c\\22"),
        ("a,b+c", "CN=a\\,b\\+c"),
        ("Zoë", "CN=Zo\\c3\\ab"),
        ("a\r\nX: y", "CN=a\\0d\\0aX: y"),
        ("a ", "CN=a\\ "),
    ] {
        assert_eq!(names(subject, Vec::new()), format!("Subject=\"{written}\""), "{subject}");
    }
}

#[test]
fn a_name_that_could_begin_another_value_is_quoted() {
    // Envoy: "If ',', ';' or '=' appear in a value, the value should be double-quoted."
    let alternatives = vec![uri("https://a.test/x?y=1;z,w"), dns("a,Hash=0")];
    assert_eq!(
        names("a", alternatives),
        "Subject=\"CN=a\";URI=\"https://a.test/x?y=1;z,w\";DNS=\"a,Hash=0\""
    );
}

#[test]
fn what_is_no_name_is_left_out() {
    let odd = ["a\"b", "a\\", "a b", "a\r\nx: y", "a\u{7f}", ""];
    let alternatives = odd.into_iter().flat_map(|name| [uri(name), dns(name)]).chain([dns("good.test")]);
    assert_eq!(names("a", alternatives.collect()), "Subject=\"CN=a\";DNS=good.test");
}

#[test]
fn each_form_is_written_once() {
    let client = ClientCert::read(vec![certificate("a", Vec::new())]).unwrap();
    let headers = ClientCertHeaders::default();
    for form in [ClientCertForm::Rfc9440, ClientCertForm::Xfcc] {
        assert!(std::ptr::eq(headers.get(form, &client), headers.get(form, &client)), "{form:?}");
    }
    let [rfc9440, xfcc] = [ClientCertForm::Rfc9440, ClientCertForm::Xfcc].map(|f| headers.get(f, &client));
    assert_ne!(rfc9440, xfcc, "a reload may change the form under an open connection");
}
