//! Every small change of a genuine token makes it another one, and none that is accepted.
use crate::decide::fixture::*;
use crate::decide::issuer::Algorithm;

/// One algorithm of each kind.
const KINDS: [Algorithm; 4] = [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps256];

fn genuine(algorithm: Algorithm) -> String {
    signer(algorithm).sign(algorithm, &header(algorithm).to_string(), &claims().to_string())
}

#[test]
fn no_flipped_bit_is_accepted() {
    let issuer = issuer();
    for algorithm in KINDS {
        let token = genuine(algorithm);
        assert!(verify_with(issuer.clone(), &token).is_ok());
        for index in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[index] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(verify_with(issuer.clone(), &changed).is_err(), "{} {index} {bit}", algorithm.name());
            }
        }
    }
}

#[test]
fn no_token_with_a_character_less_or_more_or_swapped_is_accepted() {
    let issuer = issuer();
    for algorithm in KINDS {
        let token = genuine(algorithm);
        let changed = (0..token.len()).flat_map(|index| {
            let (start, end) = token.split_at(index);
            let next = end.chars().next().unwrap();
            let less = format!("{start}{}", &end[1..]);
            let more = ["A", "-", ".", "="].map(|more| format!("{start}{more}{end}"));
            let swapped = match end.chars().nth(1) {
                Some(other) if other != next => Some(format!("{start}{other}{next}{}", &end[2..])),
                _ => None,
            };
            more.into_iter().chain([less, start.to_owned()]).chain(swapped)
        });
        for changed in changed.filter(|changed| *changed != token) {
            assert!(verify_with(issuer.clone(), &changed).is_err(), "{} {changed}", algorithm.name());
        }
    }
}
