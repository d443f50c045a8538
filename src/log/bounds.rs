//! What a client can make long is cut before it is queued, so that the queue's size in bytes is bounded too.

use std::borrow::Cow;

use http::Method;

use super::Decision;

/// Bytes of a path that are logged.
const PATH: usize = 256;
/// A longer segment of a path could be a token that a client put there (RFC 9700 §4.9.3): no part of it is logged.
const SEGMENT: usize = 64;
/// Bytes of a method; the longest registered one has 17.
const METHOD: usize = 32;
/// Bytes of a note.
const NOTE: usize = 512;
const ELLIPSIS: char = '…';

/// Cuts path, method and note.
pub(super) fn bound(decision: &mut Decision) {
    if let Some(path) = &mut decision.path
        && let Cow::Owned(cut) = loggable_path(path)
    {
        *path = cut.into();
    }
    if let Some(start) = decision.method.as_ref().and_then(|method| method.as_str().as_bytes().get(..METHOD))
    {
        decision.method = Method::from_bytes(start).ok();
    }
    if let Some(note) = &mut decision.note
        && note.len() > NOTE
    {
        *note = Cow::Owned(cut(note, NOTE));
    }
}

/// As much of a path as may be written down, in the log and in traces.
pub(crate) fn loggable_path(path: &str) -> Cow<'_, str> {
    if is_loggable(path) { Cow::Borrowed(path) } else { Cow::Owned(loggable(path)) }
}

/// At most `limit` bytes of a text; an ellipsis stands for what is left out.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub(ELLIPSIS.len_utf8()));
    let mut short = text.get(..end).unwrap_or_default().to_owned();
    short.push(ELLIPSIS);
    short
}

fn is_loggable(path: &str) -> bool {
    path.len() <= SEGMENT || (path.len() <= PATH && path.split('/').all(|segment| segment.len() <= SEGMENT))
}

fn loggable(path: &str) -> String {
    let mut short = String::with_capacity(PATH);
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            short.push('/');
        }
        match segment.len() {
            0..=SEGMENT => short.push_str(segment),
            _ => short.push(ELLIPSIS),
        }
        if short.len() > PATH {
            break;
        }
    }
    cut(&short, PATH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_path_stays_as_it_is() {
        for path in ["", "/", "*", "/orders/42", &format!("/{}/b", "a".repeat(64)), &"/abc".repeat(64)] {
            assert!(is_loggable(path) && loggable(path) == path, "{path}");
        }
    }

    #[test]
    fn a_segment_that_could_be_a_token_is_not_loggable() {
        // RFC 9700 §4.9.3: no token in plain text in logs.
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{}", "x".repeat(80));
        assert_eq!(loggable(&format!("/a/{token}/b")), "/a/…/b");
        assert_eq!(loggable(&token), "…");
        assert_eq!(loggable(&format!("/{}/{token}", "ab/".repeat(200))).matches("eyJ").count(), 0);
    }

    #[test]
    fn what_is_long_is_cut_at_a_character() {
        let path = loggable(&"/ü".repeat(40_000));
        assert!(path.len() <= PATH && path.ends_with('…'), "{path}");
        assert_eq!(cut("abcdef", 5), "ab…");
        assert_eq!(cut("üüü", 5), "ü…");
    }
}
