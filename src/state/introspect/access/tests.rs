#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use rcgen::KeyPair;

use super::*;
use crate::config::settings::At;
use crate::decide::issuer::AnswerForm;

fn located(path: PathBuf) -> Located<PathBuf> {
    Located { value: path, at: At::default() }
}

fn settings(client_auth: ClientAuth) -> Introspection {
    Introspection {
        endpoint: None,
        always: false,
        client_id: "bound gate".to_owned(),
        client_auth,
        answer: AnswerForm::Json,
        require_audience: true,
        cache_ttl: Duration::ZERO,
        negative_ttl: Duration::ZERO,
        timeout: Duration::ZERO,
    }
}

/// What was loaded, or the fault.
fn load(client_auth: ClientAuth) -> Result<Access, String> {
    let mut files = Files::new(Path::new("config.toml"));
    let access = Access::load(&mut files, "https://as.example.com", &settings(client_auth));
    match files.finish() {
        Ok(()) => Ok(access.unwrap()),
        Err(faults) => Err(faults.to_string()),
    }
}

#[test]
fn a_secret_is_encoded_as_a_form_and_shown_by_nothing() {
    // RFC 6749 §2.3.1
    let text = SecretSource::Text(Secret("a+b c:ä".to_owned()));
    let (form, header) = load(ClientAuth::SecretBasic(text.clone())).unwrap().request("x/y==").unwrap();
    let header = header.unwrap();
    let pair = STANDARD.decode(header.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(pair).unwrap(), "bound%20gate:a%2Bb%20c%3A%C3%A4");
    assert_eq!(form, "token=x%2Fy%3D%3D&token_type_hint=access_token");
    assert_eq!(format!("{header:?}"), "Sensitive");

    let (form, header) = load(ClientAuth::SecretPost(text)).unwrap().request("x").unwrap();
    assert!(form.ends_with("&client_id=bound%20gate&client_secret=a%2Bb%20c%3A%C3%A4") && header.is_none());
    let (form, header) = load(ClientAuth::Tls).unwrap().request("x").unwrap();
    assert!(form.ends_with("&client_id=bound%20gate") && header.is_none(), "RFC 8705 §2");
}

#[test]
fn a_secret_in_a_file_loses_one_line_break_and_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let read = |content: &[u8]| {
        std::fs::write(&file, content).unwrap();
        let source = SecretSource::File(located(file.clone()));
        let (form, _) = load(ClientAuth::SecretPost(source))?.request("x").unwrap();
        Ok::<_, String>(form.rsplit_once('=').unwrap().1.to_owned())
    };
    assert_eq!(read(b"a\n").unwrap(), "a");
    assert_eq!(read(b"a\r\n").unwrap(), "a");
    assert_eq!(read(b"a\n\n").unwrap(), "a%0A");
    assert_eq!(read(b"a ").unwrap(), "a%20");
    for (content, fault) in
        [(&b""[..], "an empty file"), (b"\n", "nothing but a line break"), (b"\xff", "not UTF-8")]
    {
        let found = read(content).unwrap_err();
        assert!(found.contains(fault), "{found}");
    }
}

#[test]
fn a_key_that_cannot_sign_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        located(file)
    };
    let p256 = write("p256.key", &KeyPair::generate().unwrap().serialize_pem());
    let ed = write("ed.key", &KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem());
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let rsa = write("rsa.key", &rsa.serialize_pem());
    let text = write("text", "no key at all");
    let load = |key: &Located<PathBuf>, signing_algorithm| {
        let (signing_key, key_id) = (key.clone(), "1".to_owned());
        load(ClientAuth::PrivateKeyJwt { signing_key, key_id, signing_algorithm })
    };
    for (key, algorithm) in [
        (&p256, Algorithm::Es256),
        (&ed, Algorithm::EdDsa),
        (&rsa, Algorithm::Ps256),
        (&rsa, Algorithm::Rs512),
    ] {
        let (form, _) = load(key, algorithm).unwrap().request("x").unwrap();
        assert!(form.contains("&client_assertion=ey"), "{algorithm:?}");
    }
    for (key, algorithm) in [
        (&p256, Algorithm::Es384),
        (&p256, Algorithm::Rs256),
        (&rsa, Algorithm::Es256),
        (&ed, Algorithm::Es256),
        (&text, Algorithm::Es256),
    ] {
        let fault = load(key, algorithm).err().unwrap();
        assert!(fault.contains(&format!("no private key for {}", algorithm.name())), "{fault}");
        assert!(!fault.contains("BEGIN"), "{fault}");
    }
}
