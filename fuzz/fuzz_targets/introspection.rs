//! Answers of an introspection endpoint: a byte for the form, then a JSON text, or, with a NUL between them, header and claims under
//! a good signature. A token is active only if the issuer says so.
#![no_main]

use boundgate_fuzz::decide::introspection::{Answer, Reading, Unusable, Verdict};
use boundgate_fuzz::decide::issuer::AnswerForm;
use boundgate_fuzz::fixture::{AUDIENCE, CLAIM_HEADERS, CLIENT_ID, ISSUER, NOW, issuer, sign, split};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some((&how, content)) = data.split_first() else { return };
    let form = [AnswerForm::Json, AnswerForm::Signed, AnswerForm::Phantom][usize::from(how % 3)];
    let (header, claims) = split(content);
    let signs = how & 0x40 == 0 && form != AnswerForm::Json;
    let body = if signs { sign(header, claims).into_bytes() } else { content.to_vec() };
    let issuer = issuer(Some(form));
    let media_type = if how & 0x80 == 0 { form.media_type() } else { "application/jwt; charset=x" };
    let reading = Reading { index: 0, issuer: &issuer, headers: &CLAIM_HEADERS, keep_jwt: true, now: NOW };
    match reading.read(&Answer { media_type: Some(media_type), body: &body }) {
        Ok(Verdict::Active(genuine)) => {
            let said: Value = serde_json::from_slice(if signs { claims } else { content }).unwrap();
            match form {
                AnswerForm::Json => is_active(&said),
                AnswerForm::Signed => {
                    assert!(signs, "an answer of nobody");
                    assert_eq!(said["iss"], ISSUER);
                    assert!([AUDIENCE, CLIENT_ID].iter().any(|ours| names(&said["aud"], ours)), "{said}");
                    assert!(said["iat"].is_number());
                    is_active(&said["token_introspection"]);
                }
                AnswerForm::Phantom => {
                    assert!(signs, "a token of nobody");
                    assert_eq!(said["iss"], ISSUER);
                    let jwt = std::str::from_utf8(&body).unwrap();
                    assert_eq!(genuine.phantom().unwrap(), &format!("Bearer {jwt}"));
                }
            }
            assert!(genuine.is_opaque());
        }
        Ok(Verdict::Refused(refusal)) => is_one_line(&refusal.note.unwrap_or_default()),
        Err(Unusable::Invalid(text)) => is_one_line(&text),
        Err(Unusable::Keys(refusal)) => is_one_line(&refusal.note.unwrap_or_default()),
    }
});

fn is_active(answer: &Value) {
    assert_eq!(answer["active"], true);
    assert!(answer.get("iss").is_none_or(|iss| iss == ISSUER), "{answer}");
}

fn names(aud: &Value, audience: &str) -> bool {
    aud == audience || aud.as_array().is_some_and(|all| all.iter().any(|one| one == audience))
}

fn is_one_line(note: &str) {
    assert!(!note.chars().any(char::is_control), "{note:?}");
}
