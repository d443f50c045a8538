//! `Authorization` fields, one a line: at most one token comes out, and it is what stands after `Bearer`.
#![no_main]

use boundgate_fuzz::decide::token::Token;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(4) {
        let Ok(value) = HeaderValue::from_bytes(line) else { return };
        headers.append(AUTHORIZATION, value);
    }
    let Ok(token) = Token::extract(&headers) else { return };
    let text = token.as_str();
    assert_eq!(headers.len(), 1, "one field");
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    assert!(!text.is_empty() && text.trim_end_matches('=').chars().all(allowed), "RFC 6750 §2.1");
    let field = std::str::from_utf8(data).unwrap();
    assert!(field[..6].eq_ignore_ascii_case("bearer") && field[6..].trim_start_matches(' ') == text);
    assert_eq!(Token::parse(text).unwrap().digest(), token.digest());
    assert_eq!(format!("{token:?}"), "Token(…)");
});
