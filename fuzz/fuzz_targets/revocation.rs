//! The body of `POST /revocations`: nothing is read into it that does not stand there.
#![no_main]

use boundgate_fuzz::decide::revocation::Revocation;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|data: &[u8]| {
    let Ok(revocation) = Revocation::parse(data) else { return };
    let _ = revocation.covers(&[0; 32], None);
    let body: Value = serde_json::from_slice(data).unwrap();
    let same = match &revocation {
        Revocation::Token(digest) => {
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            body["token_sha256"].as_str().unwrap().eq_ignore_ascii_case(&hex)
                && body.as_object().unwrap().len() == 1
        }
        Revocation::Subject { issuer, subject } => body == json!({"issuer": issuer, "sub": subject}),
        Revocation::Client { issuer, client_id } => body == json!({"issuer": issuer, "client_id": client_id}),
        Revocation::All => body == json!({"all": true}),
    };
    assert!(same, "{revocation:?}: {body}");
});
