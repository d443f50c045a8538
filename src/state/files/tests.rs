#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Through a whole load, because a fault must name the key of the configuration.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rcgen::KeyPair;
use rustls::version::TLS13;

use crate::state::folder::{CONFIG, Folder};
use crate::state::pki::{Authority, Holder, client, handshake, pem};

#[test]
fn each_fault_of_a_file_is_told_at_the_key_that_names_it() {
    const CERT: &str = "listener.certificate: ";
    const KEY: &str = "listener.private_key: ";
    let other = Authority::root("clients");
    let upper = Authority::root("upper");
    let lower = upper.below("lower");
    let chain = Holder { chain: vec![lower.der().clone()], ..lower.certify(1, |_| ()) };
    let key = KeyPair::generate().unwrap().serialize_pem();
    let folder = Folder::new();
    let good = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    let reversed = format!("{}{}", chain.pem(), good("server.pem"));
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("server.pem", vec![], CERT, "an empty file"),
        ("server.pem", b"hello".into(), CERT, "nothing in PEM"),
        ("server.pem", key.clone().into(), CERT, "a private key where a certificate is expected"),
        ("server.pem", upper.der().to_vec(), CERT, "DER where PEM is expected"),
        ("server.pem", good("server.pem")[..200].into(), CERT, "PEM without its END line"),
        (
            "server.pem",
            pem("CERTIFICATE", b"0").replace("MA==", "M!==").into(),
            CERT,
            "PEM with broken base64",
        ),
        ("server.pem", pem("CERTIFICATE", b"0\x03abc").into(), CERT, "not well-formed X.509"),
        ("server.pem", reversed.into(), CERT, "a chain in another order"),
        ("server.pem", upper.pem().into(), KEY, "the key of another certificate"),
        ("server.pem", vec![b'\n'; 5 << 20], CERT, "a file of more than 4 MiB"),
        ("server.key", good("server.pem").into(), KEY, "a certificate where a private key is expected"),
        ("server.key", key.clone().into(), KEY, "the key of another certificate"),
        ("server.key", format!("{key}{key}").into(), KEY, "more than one private key"),
        ("server.key", pem("ENCRYPTED PRIVATE KEY", b"0").into(), KEY, "an encrypted private key"),
        (
            "server.key",
            b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n".into(),
            KEY,
            "an encrypted private key",
        ),
        ("server.key", pem("PRIVATE KEY", b"0\x03abc").into(), KEY, "a private key that cannot be used"),
        (
            "ca.pem",
            key.clone().into(),
            "client_certificates.ca: ",
            "a private key where a certificate is expected",
        ),
        (
            "ca.pem",
            pem("CERTIFICATE", b"0\x03abc").into(),
            "client_certificates.ca: ",
            "not well-formed X.509",
        ),
        ("ca.crl", good("ca.pem").into(), "client_certificates.crl", "a certificate where a CRL is expected"),
        ("ca.crl", pem("X509 CRL", b"0\x03abc").into(), "client_certificates.crl", "a CRL that is of no use"),
        ("ca.crl", pem("X509 CRL", &other.crl(&[], 1)).into(), "client_certificates.crl", "has not signed"),
        ("as-ca.pem", key.clone().into(), "issuers[0].ca: ", "a private key where a certificate is expected"),
        ("call.key", key.into(), "issuers[0].tls.private_key: ", "the key of another certificate"),
        ("keys.json", b"{}".into(), "issuers[1].jwks_file: ", ""),
    ];
    for (name, bytes, at, found) in cases {
        let before = std::fs::read(folder.path(name)).unwrap();
        folder.write(name, bytes);
        let faults = folder.faults();
        let [fault] = &faults[..] else { panic!("{name}: {faults:?}") };
        assert!(fault.starts_with(at) && fault.contains(found), "{fault}");
        assert!(
            fault.contains(folder.path(name).to_str().unwrap()) || fault.contains("server.key"),
            "{fault}"
        );
        folder.write(name, before);
    }
    folder.load(None).unwrap();
}

#[test]
fn what_is_no_file_is_told_as_well() {
    let folder = Folder::new();
    for name in ["server.pem", "ca.crl", "keys.json", "call.key"] {
        let kept = std::fs::read(folder.path(name)).unwrap();
        std::fs::remove_file(folder.path(name)).unwrap();
        assert!(folder.faults()[0].ends_with("no such file"));
        std::fs::create_dir(folder.path(name)).unwrap();
        assert!(folder.faults()[0].ends_with("a directory"));
        std::fs::remove_dir(folder.path(name)).unwrap();
        folder.write(name, kept);
    }
    // Reading it would never end.
    folder.write("config.toml", CONFIG.replace("\"server.key\"", "\"/dev/zero\""));
    assert_eq!(folder.faults(), ["listener.private_key: /dev/zero: neither a file nor a link to one"]);
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_configuration() {
    let folder = Folder::new();
    for name in ["keys.json", "as-ca.pem", "call.pem", "ca.pem", "ca.crl", "server.pem", "server.key"] {
        std::fs::remove_file(folder.path(name)).unwrap();
    }
    let keys: Vec<_> =
        folder.faults().iter().map(|fault| fault.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 7);
    assert_eq!(keys[0], "listener.certificate");
    assert_eq!(keys[1], "listener.private_key");
    assert_eq!(keys[2], "client_certificates.ca");
    assert!(keys[3].starts_with("client_certificates.crl"));
    assert_eq!(keys[4..], ["issuers[0].ca", "issuers[0].tls.certificate", "issuers[1].jwks_file"]);
    let Err(faults) = folder.load(None) else { panic!() };
    assert!(faults.0.iter().all(|fault| fault.line.is_some() && fault.file == folder.path("config.toml")));
}

#[test]
fn no_fault_shows_a_key() {
    let folder = Folder::new();
    let key = KeyPair::generate().unwrap().serialize_pem().replace('\n', "");
    let secret = &key[40..80];
    for broken in
        [key.clone(), key.replace("-----END", "\n-----END"), format!("-----BEGIN PRIVATE KEY-----\n{secret}")]
    {
        folder.write("server.key", &broken);
        folder.write("ca.crl", &broken);
        let Err(faults) = folder.load(None) else { panic!() };
        assert_eq!(faults.0.len(), 2);
        assert!(!format!("{faults} {faults:?}").contains(&secret[..20]));
    }
}

#[test]
fn each_form_of_private_key_is_read() {
    let folder = Folder::new();
    // PKCS#8 wraps the older forms: RSAPrivateKey (RFC 8017 §A.1.2) and ECPrivateKey (RFC 5915).
    let ec = folder.servers.certify(1, |_| ());
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, ec.key.serialized_der()).unwrap();
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let rsa = folder.servers.certify_with(1, KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap());
    let pkcs8 = rsa.key.serialized_der();
    let pkcs1 = &pkcs8[26..];
    let ed = folder.servers.certify_with(1, KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap());
    let parameters = pem("EC PARAMETERS", &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]);
    for (holder, text) in [
        (&ec, ec.key.serialize_pem()),
        (&ec, pem("EC PRIVATE KEY", sec1.as_ref())),
        (&ec, parameters + &pem("EC PRIVATE KEY", sec1.as_ref())),
        (&ec, ec.pem() + &ec.key.serialize_pem()),
        (&rsa, rsa.key.serialize_pem()),
        (&rsa, pem("RSA PRIVATE KEY", pkcs1)),
        (&ed, ed.key.serialize_pem()),
    ] {
        folder.write("server.pem", holder.pem());
        folder.write("server.key", text);
        let snapshot = folder.load(None).unwrap();
        let client = client(&folder.servers, Some(&folder.clients.certify(3, |_| ())), &[&TLS13]);
        handshake(&Arc::new(client), &snapshot.tls).unwrap();
    }
}
