//! The claims that the upstream gets as request headers (`[forward.claims]`).

use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::json::Object;
use super::policy::ClaimHeaders;
use super::refusal::{Reason, Refusal};

/// The headers to set, or `claim-unrepresentable`. Remembered with the token, so that a request costs no formatting.
pub(super) type Identity = Result<Box<[(HeaderName, HeaderValue)]>, Refusal>;

/// The header of each claim that has a value. A claim is a literal top-level name first, else a path with dots.
pub(super) fn headers(claims: &Object, wanted: &ClaimHeaders) -> Identity {
    let mut headers = Vec::with_capacity(wanted.entries().len());
    for (header, claim) in wanted.entries() {
        let value = find(claims, claim).map_or(Ok(None), field_value);
        let value =
            value.map_err(|fault| Reason::ClaimUnrepresentable.note(format!("claim '{claim}' {fault}")))?;
        headers.extend(value.map(|value| (header.clone(), value)));
    }
    Ok(headers.into())
}

fn find<'a>(claims: &'a Object, claim: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(claim) {
        return Some(value);
    }
    let mut names = claim.split('.');
    let outermost = claims.get(names.next()?)?;
    names.try_fold(outermost, |value, name| value.as_object()?.get(name))
}

/// A claim's value as a field value (RFC 9110 §5.5); `None`: it has none that a header carries (null, objects). An empty
/// string and an empty array give an empty header: the claim is there.
fn field_value(value: &Value) -> Result<Option<HeaderValue>, &'static str> {
    let text = match value {
        Value::Null | Value::Object(_) => return Ok(None),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => line(text)?.to_owned(),
        Value::Array(items) => {
            let words: Result<Vec<_>, _> = items.iter().map(word).collect();
            words?.join(" ")
        }
    };
    HeaderValue::try_from(text).map(Some).map_err(|_| "is no field value")
}

/// Visible ASCII with spaces inside; around it they would be lost on the way (RFC 9110 §5.5).
fn line(text: &str) -> Result<&str, &'static str> {
    if !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err("has characters other than visible ASCII");
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err("begins or ends with a space");
    }
    Ok(text)
}

/// An element of an array, which must stay one when they are joined by spaces.
fn word(item: &Value) -> Result<&str, &'static str> {
    match item.as_str() {
        Some(word) if !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic()) => Ok(word),
        Some(_) => Err("is an array with an element that is not one word of visible ASCII"),
        None => Err("is an array of something else than strings"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::decide::json;

    /// The header's value for a claim, or the refusal's reason.
    fn value(claims: &str, claim: &str) -> Result<Option<String>, Reason> {
        let wanted =
            ClaimHeaders::new(vec![(HeaderName::from_static("x-auth-test"), claim.to_owned())]).unwrap();
        let headers = headers(&json::object(claims.as_bytes()).unwrap(), &wanted).map_err(|r| r.reason)?;
        Ok(headers.first().map(|(_, value)| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn strings_of_visible_ascii_pass_as_they_are() {
        for text in ["alice", "CN=Alice Example, O=Org", "a  b", "", "~!#,;%"] {
            assert_eq!(value(&format!("{{\"c\":\"{text}\"}}"), "c"), Ok(Some(text.to_owned())));
        }
    }

    #[test]
    fn what_a_header_cannot_carry_is_refused() {
        // RFC 9110 §5.5: CR, LF and NUL would be another header or request, the rest has no agreed encoding.
        for text in [r"a\r\nX-Admin: 1", r"a\nb", r"a\u0000b", r"a\tb", r"a\u007fb", "Zoë", " a", "a ", " "]
        {
            assert_eq!(
                value(&format!("{{\"c\":\"{text}\"}}"), "c"),
                Err(Reason::ClaimUnrepresentable),
                "{text}"
            );
        }
        for array in
            [r#"["a b"]"#, r#"["a",""]"#, "[1]", "[true]", "[null]", "[[]]", "[{}]", r#"["a",1]"#, r#"["ä"]"#]
        {
            assert_eq!(
                value(&format!("{{\"c\":{array}}}"), "c"),
                Err(Reason::ClaimUnrepresentable),
                "{array}"
            );
        }
    }

    #[test]
    fn numbers_and_booleans_are_json_and_arrays_are_joined() {
        for (json, text) in [
            ("42", "42"),
            ("-1", "-1"),
            ("1.5", "1.5"),
            ("18446744073709551615", "18446744073709551615"),
            ("true", "true"),
            ("false", "false"),
            (r#"["a","b:c"]"#, "a b:c"),
            (r#"["a"]"#, "a"),
            ("[]", ""),
        ] {
            assert_eq!(value(&format!("{{\"c\":{json}}}"), "c"), Ok(Some(text.to_owned())), "{json}");
        }
    }

    #[test]
    fn absent_null_and_objects_give_no_header() {
        for claims in ["{}", r#"{"c":null}"#, r#"{"c":{"d":1}}"#] {
            assert_eq!(value(claims, "c"), Ok(None), "{claims}");
        }
    }

    #[test]
    fn a_literal_name_comes_before_a_path() {
        let claims = r#"{"a.b":"literal","a":{"b":"path","c":{"d":"deep","e":null}},"https://example.com/t":"uri","s":"x"}"#;
        assert_eq!(value(claims, "a.b"), Ok(Some("literal".to_owned())));
        assert_eq!(value(claims, "a.c.d"), Ok(Some("deep".to_owned())));
        assert_eq!(value(claims, "https://example.com/t"), Ok(Some("uri".to_owned())));
        for none in ["a.c", "a.c.e", "a.x", "s.x", "a.b.c", "a.", ".a", "."] {
            assert_eq!(value(claims, none), Ok(None), "{none}");
        }
        assert_eq!(value(r#"{"a.b":null,"a":{"b":"path"}}"#, "a.b"), Ok(None), "a literal null is found");
    }
}
