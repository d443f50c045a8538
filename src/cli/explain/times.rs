//! What a token's times mean now.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A NumericDate as decisions read it (RFC 7519 §2): whole seconds since 1970.
pub(super) fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|date| *date >= 0.0).map(|date| date as u64))
}

/// The date of these seconds since 1970, in RFC 3339; the number where there is no such year.
pub(super) fn date(at: u64) -> String {
    let date = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    date.and_then(|date| date.format(&Rfc3339).ok()).unwrap_or_else(|| at.to_string())
}

/// `in 4 min 10 s`, `3 h ago`, `now`.
pub(super) fn relative(at: u64, now: u64) -> String {
    match at.cmp(&now) {
        std::cmp::Ordering::Less => format!("{} ago", span(now - at)),
        std::cmp::Ordering::Equal => "now".to_owned(),
        std::cmp::Ordering::Greater => format!("in {}", span(at - now)),
    }
}

/// A number of seconds in its two largest units.
pub(super) fn span(seconds: u64) -> String {
    const UNITS: [(&str, u64, u64); 4] =
        [("d", 86_400, u64::MAX), ("h", 3600, 24), ("min", 60, 60), ("s", 1, 60)];
    let amounts = UNITS.iter().map(|(unit, size, modulus)| (seconds / size % modulus, unit));
    let amounts = amounts.skip_while(|(amount, _)| *amount == 0).take(2).filter(|(amount, _)| *amount > 0);
    let words: Vec<_> = amounts.map(|(amount, unit)| format!("{amount} {unit}")).collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_span_has_its_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (250, "4 min 10 s"),
            (3 * 3600, "3 h"),
            (3 * 3600 + 5, "3 h"),
            (90_000, "1 d 1 h"),
            (86_400 * 400, "400 d"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_time_is_told_from_now() {
        assert_eq!(relative(350, 100), "in 4 min 10 s");
        assert_eq!(relative(100, 100 + 3 * 3600), "3 h ago");
        assert_eq!(relative(7, 7), "now");
        assert_eq!(relative(u64::MAX, 0), format!("in {} d 7 h", u64::MAX / 86_400));
    }

    #[test]
    fn dates_and_what_is_none() {
        assert_eq!(date(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(date(u64::MAX), u64::MAX.to_string());
        for (json, at) in
            [("12", Some(12)), ("12.9", Some(12)), ("-1", None), ("\"12\"", None), ("null", None)]
        {
            assert_eq!(seconds(&serde_json::from_str(json).unwrap()), at, "{json}");
        }
    }
}
