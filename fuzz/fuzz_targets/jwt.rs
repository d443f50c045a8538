//! A token from beginning to end: what is accepted was signed by the issuer, letter by letter.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boundgate_fuzz::decide::introspection::asked;
use boundgate_fuzz::decide::jwt::{self, Miss};
use boundgate_fuzz::decide::token::Token;
use boundgate_fuzz::fixture::{CLAIM_HEADERS, ISSUERS, is_signed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(token) = Token::parse(text) else { return };
    assert!(asked(token, &*ISSUERS).is_empty(), "nobody is asked where nobody introspects");
    match jwt::verify(token, &*ISSUERS, &CLAIM_HEADERS) {
        Ok(_) => {
            let parts: Vec<&str> = text.split('.').collect();
            let [header, payload, signature] = parts[..] else { panic!("three parts") };
            let decoded = [header, payload, signature].map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
            assert_eq!(
                decoded.each_ref().map(|part| URL_SAFE_NO_PAD.encode(part)),
                [header, payload, signature]
            );
            assert!(is_signed(format!("{header}.{payload}").as_bytes(), &decoded[2]));
        }
        Err(Miss::Refused(refusal) | Miss::Keys { otherwise: refusal, .. }) => {
            let note = refusal.note.unwrap_or_default();
            assert!(!note.chars().any(char::is_control), "a note forges no line of a log: {note:?}");
        }
    }
});
