//! `[issuers.introspection]`, and `authorization = "phantom"`, which needs it.

use super::super::error::Report;
use super::super::file::Values;
use super::super::settings::{
    At, ClientAuth, Forward, ForwardAuthorization, Introspection, Issuer, Secret, SecretSource,
};
use crate::decide::issuer::{Algorithm, AnswerForm};

/// `has_tls`: the issuer has a section `[issuers.tls]`.
pub(super) fn introspection(values: &Values, has_tls: bool, report: &mut Report) -> Option<Introspection> {
    let client_auth = client_auth(values, has_tls, report);
    let forms =
        [("json", AnswerForm::Json), ("signed", AnswerForm::Signed), ("phantom", AnswerForm::Phantom)];
    Some(Introspection {
        endpoint: values.text("endpoint").map(|endpoint| endpoint.value),
        always: values.flag("always")?,
        client_id: values.text("client_id")?.value,
        client_auth: client_auth?,
        answer: values.choice("answer", &forms)?,
        require_audience: values.flag("require_audience")?,
        cache_ttl: values.time("cache_ttl")?,
        negative_ttl: values.time("negative_ttl")?,
        timeout: values.time("timeout")?,
    })
}

/// What a way of authenticating needs must be there; what another way needs may be, so that one can be exchanged for the other
/// by a word.
fn client_auth(values: &Values, has_tls: bool, report: &mut Report) -> Option<ClientAuth> {
    let secret = secret(values, report);
    match values.text("client_auth")?.value.as_str() {
        "client_secret_basic" => Some(ClientAuth::SecretBasic(secret?)),
        "client_secret_post" => Some(ClientAuth::SecretPost(secret?)),
        "private_key_jwt" => private_key_jwt(values, report),
        "tls_client_auth" if has_tls => Some(ClientAuth::Tls),
        _ => {
            let hint = "the certificate to authenticate with is that of [issuers.tls]".to_owned();
            report.fault(
                &place(values, "client_auth"),
                "\"tls_client_auth\" without [issuers.tls]",
                "a section [issuers.tls] besides",
                Some(hint),
            );
            None
        }
    }
}

/// The secret, which is missed only where it is needed, but never given twice.
fn secret(values: &Values, report: &mut Report) -> Option<SecretSource> {
    match (values.is_given("client_secret"), values.is_given("client_secret_file")) {
        (true, true) => {
            let hint = "the secret comes from one place only".to_owned();
            let found = "client_secret_file besides client_secret";
            report.fault(&place(values, "client_secret_file"), found, "one of the two", Some(hint));
            None
        }
        (true, false) => Some(SecretSource::Text(Secret(values.text("client_secret")?.value))),
        (false, true) => Some(SecretSource::File(values.file("client_secret_file")?)),
        (false, false) => {
            let word = values.text("client_auth")?.value;
            if word.starts_with("client_secret") {
                let hint = format!("client_auth = \"{word}\" needs it");
                let allowed = "client_secret or client_secret_file";
                report.missing(&place(values, "client_secret"), allowed, Some(hint));
            }
            None
        }
    }
}

fn private_key_jwt(values: &Values, report: &mut Report) -> Option<ClientAuth> {
    for (key, allowed) in
        [("signing_key", "the name of a file"), ("key_id", "the key's kid at the authorization server")]
    {
        if !values.is_given(key) {
            let hint = "client_auth = \"private_key_jwt\" needs it".to_owned();
            report.missing(&place(values, key), allowed, Some(hint));
        }
    }
    Some(ClientAuth::PrivateKeyJwt {
        signing_key: values.file("signing_key")?,
        key_id: values.text("key_id")?.value,
        signing_algorithm: Algorithm::from_name(&values.text("signing_algorithm")?.value)?,
    })
}

/// Under `authorization = "phantom"` the API sees JWTs alone: every introspection must answer with one.
pub(super) fn phantom_needs_jwts(forward: &Forward, at: &At, issuers: &[Issuer], report: &mut Report) {
    if forward.authorization != ForwardAuthorization::Phantom {
        return;
    }
    let other =
        |issuer: &&Issuer| issuer.introspection.as_ref().is_some_and(|i| i.answer != AnswerForm::Phantom);
    if let Some(issuer) = issuers.iter().find(other) {
        let found =
            format!("\"phantom\", while {} answers introspections without a JWT", issuer.issuer.value);
        let hint = "set answer = \"phantom\" there".to_owned();
        report.fault(at, found, "\"keep\" or \"remove\"", Some(hint));
    }
}

/// The place of a key; that of its section where the key is not written.
fn place(values: &Values, key: &str) -> At {
    let written = values.text(key).map(|text| text.at).or_else(|| values.file(key).map(|file| file.at));
    written.unwrap_or_else(|| At { key: format!("{}.{key}", values.at.key), ..values.at.clone() })
}
