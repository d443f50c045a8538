//! Request identifiers: unique, and cheap enough for every request.

use std::cell::Cell;

/// 32 lower-case hexadecimal digits.
pub(crate) type RequestId = [u8; 32];

/// Makes identifiers: a random half that is a worker's own, and a half that counts from a random start. They are unique,
/// which is all they need to be; nothing is decided by them.
pub(crate) struct Ids {
    prefix: u64,
    next: Cell<u64>,
}

impl Ids {
    pub(crate) fn new() -> Ids {
        let mut seed = [0; 16];
        // Without randomness the clock still tells workers and restarts apart.
        if aws_lc_rs::rand::fill(&mut seed).is_err() {
            let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
            seed = now.as_nanos().to_le_bytes();
        }
        let seed = u128::from_le_bytes(seed);
        Ids { prefix: (seed >> 64) as u64, next: Cell::new(seed as u64) }
    }

    pub(crate) fn next(&self) -> RequestId {
        let count = self.next.get();
        self.next.set(count.wrapping_add(1));
        // An odd factor is a bijection: consecutive requests look apart in a log and stay distinct.
        hex(self.prefix, count.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

fn hex(high: u64, low: u64) -> RequestId {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let value = u128::from(high) << 64 | u128::from(low);
    std::array::from_fn(|i| DIGITS[(value >> (124 - 4 * i)) as usize & 15])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_and_distinct() {
        assert_eq!(&hex(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210), b"0123456789abcdeffedcba9876543210");
        let ids = Ids::new();
        let seen: std::collections::HashSet<_> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
    }
}
