//! Sizes (`"16KiB"`) and times (`"30s"`), read and shown.

use std::time::Duration;

const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Bytes of a size: one whole number with its unit.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit, rest) = part(text)?;
    let (_, factor) = SIZES.into_iter().find(|(name, _)| *name == unit)?;
    if !rest.is_empty() {
        return None;
    }
    number.checked_mul(factor)
}

/// A time: whole numbers with their units, the greater unit first, as `1h30m`.
pub(super) fn time(text: &str) -> Option<Duration> {
    let mut units = TIMES.as_slice();
    let mut milliseconds = 0u64;
    let mut text = text;
    loop {
        let (number, unit, rest) = part(text)?;
        let place = units.iter().position(|(name, _)| *name == unit)?;
        let (head, tail) = units.split_at(place + 1);
        let (_, factor) = head.last()?;
        milliseconds = milliseconds.checked_add(number.checked_mul(*factor)?)?;
        if rest.is_empty() {
            return Some(Duration::from_millis(milliseconds));
        }
        (units, text) = (tail, rest);
    }
}

/// The number at the beginning, its unit, and what follows.
fn part(text: &str) -> Option<(u64, &str, &str)> {
    let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
    Some((number.parse().ok()?, unit, rest))
}

/// A size in the greatest unit that needs no fraction.
pub fn show_size(bytes: u64) -> String {
    show(bytes, &SIZES, "B")
}

/// A time in the greatest unit that needs no fraction.
pub fn show_time(time: Duration) -> String {
    show(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), &TIMES, "s")
}

fn show(amount: u64, units: &[(&str, u64)], zero: &str) -> String {
    let fitting = units.iter().find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor));
    let (unit, factor) = fitting.copied().unwrap_or((zero, 1));
    format!("{}{unit}", amount / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("10MiB", 10 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
            assert_eq!(show_size(bytes), text);
        }
        for text in [
            "",
            "64",
            "KiB",
            "64 KiB",
            "64kib",
            "64KB",
            "-1B",
            "1.5MiB",
            "1MiB1KiB",
            "18446744073709551615KiB",
            "٣B",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, milliseconds) in
            [("0s", 0), ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000)]
        {
            assert_eq!(time(text), Some(Duration::from_millis(milliseconds)), "{text}");
            assert_eq!(show_time(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(time("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(time("1m1s1ms"), Some(Duration::from_millis(61_001)));
        for text in ["", "30", "s", "30 s", "1s1m", "1s1s", "1d", "1.5s", "-1s", "99999999999999999h", "5min"]
        {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
