//! A client's certificate, which a self-signed client writes as it likes: its names forge nothing in headers or logs.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boundgate_fuzz::decide::client::ClientCert;
use boundgate_fuzz::decide::client_headers::{ClientCertForm, ClientCertHeaders};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::CertificateDer;

fuzz_target!(|data: &[u8]| {
    let leaf = CertificateDer::from(data.to_vec());
    let Ok(client) = ClientCert::read(vec![leaf.clone(), leaf]) else { return };
    assert!(!client.subject().chars().any(char::is_control), "{:?}", client.subject());
    let headers = ClientCertHeaders::default();
    let [(leaf, of_leaf), (chain, of_chain)] = headers.get(ClientCertForm::Rfc9440, &client) else {
        panic!("RFC 9440: two headers")
    };
    assert_eq!((leaf.as_str(), chain.as_str(), of_leaf), ("client-cert", "client-cert-chain", of_chain));
    let base64 = of_leaf.to_str().unwrap().strip_prefix(':').and_then(|text| text.strip_suffix(':')).unwrap();
    assert_eq!(STANDARD.decode(base64).unwrap(), data);

    let [(_, xfcc)] = headers.get(ClientCertForm::Xfcc, &client) else { panic!("one header") };
    let pairs = pairs(xfcc.to_str().unwrap());
    let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    let (fixed, names) = keys.split_at(3);
    assert_eq!(fixed, ["Hash", "Cert", "Subject"]);
    let uris = names.iter().take_while(|key| **key == "URI").count();
    assert!(names[uris..].iter().all(|key| *key == "DNS"), "{keys:?}");
    assert!(uris <= client.uris().len() && names.len() - uris <= client.dns_names().len(), "{keys:?}");
});

/// The pairs of the one element, read as Envoy reads them: a quote is escaped by a backslash, and what is quoted separates nothing.
fn pairs(element: &str) -> Vec<(String, String)> {
    let mut pairs = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in element.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => panic!("a second element: {element}"),
            ';' if !quoted => {
                pairs.push(String::new());
                continue;
            }
            _ => {}
        }
        pairs.last_mut().unwrap().push(c);
    }
    assert!(!quoted, "{element}");
    let pair = |text: &String| text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pairs.iter().map(|text| pair(text).unwrap_or_else(|| panic!("{element}"))).collect()
}
