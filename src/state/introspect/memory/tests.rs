#![allow(clippy::unwrap_used)]

use super::*;
use crate::decide::fixture::{claims, issuer, token, verify};
use crate::decide::refusal::Reason;

fn digest(n: u64) -> Digest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    digest
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn known(until: Instant) -> Known {
    let genuine = verify(&token(&claims())).unwrap_or_else(|_| unreachable!("a good token"));
    Known { genuine: Arc::new(genuine), until }
}

#[test]
fn what_has_run_out_is_not_remembered() {
    let (memory, issuer) = (Memory::new(), issuer());
    let until = Instant::now() + Duration::from_millis(50);
    memory.keep_active(Key::of(&digest(1), &issuer), known(until));
    memory.keep_refused(Key::of(&digest(2), &issuer), Arc::new(Reason::TokenInactive.into()), until);
    memory.keep_active(Key::of(&digest(3), &issuer), known(Instant::now()));
    assert!(matches!(memory.recall(&digest(1), &issuer), Some(Recalled::Active(_))));
    assert!(matches!(memory.recall(&digest(2), &issuer), Some(Recalled::Refused(_))));
    assert!(memory.recall(&digest(3), &issuer).is_none(), "a time of zero");
    std::thread::sleep(Duration::from_millis(60));
    assert!((1..=3).all(|n| memory.recall(&digest(n), &issuer).is_none()));
}

#[test]
fn the_last_answer_replaces_the_one_before() {
    let (memory, issuer) = (Memory::new(), issuer());
    let key = Key::of(&digest(1), &issuer);
    memory.keep_active(key, known(soon()));
    memory.keep_refused(key, Arc::new(Reason::TokenInactive.into()), soon());
    assert!(matches!(memory.recall(&digest(1), &issuer), Some(Recalled::Refused(_))));
    memory.keep_active(key, known(soon()));
    assert!(matches!(memory.recall(&digest(1), &issuer), Some(Recalled::Active(_))));
}

#[test]
fn another_state_of_the_issuer_remembers_nothing() {
    let (memory, issuer) = (Memory::new(), issuer());
    memory.keep_active(Key::of(&digest(1), &issuer), known(soon()));
    let mut changed = issuer;
    changed.keys.generation += 1;
    assert!(memory.recall(&digest(1), &changed).is_none());
}

#[test]
fn random_tokens_neither_grow_it_nor_push_good_ones_out() {
    let (memory, issuer) = (Memory::new(), issuer());
    for n in 0..100 {
        memory.keep_active(Key::of(&digest(n), &issuer), known(soon()));
    }
    let refusal = Arc::new(Refusal::from(Reason::TokenInactive));
    for n in 1000..201_000 {
        memory.keep_refused(Key::of(&digest(n), &issuer), Arc::clone(&refusal), soon());
    }
    memory.refused.run_pending_tasks();
    assert!(memory.refused.weighted_size() <= REFUSED);
    assert!(memory.refused.entry_count() <= REFUSED / OVERHEAD as u64, "{}", memory.refused.entry_count());
    assert!((0..100).all(|n| memory.recall(&digest(n), &issuer).is_some()));
}

#[test]
fn a_revocation_forgets_what_it_covers() {
    let (memory, issuer) = (Memory::new(), issuer());
    memory.keep_active(Key::of(&digest(1), &issuer), known(soon()));
    memory.keep_active(Key::of(&digest(2), &issuer), known(soon()));
    memory.keep_refused(Key::of(&digest(3), &issuer), Arc::new(Reason::TokenInactive.into()), soon());
    let forget = |revocation| {
        let mut forgotten: Vec<_> = memory.forget(&revocation).into_iter().collect();
        forgotten.sort_unstable();
        forgotten
    };
    assert_eq!(forget(Revocation::Token(digest(2))), [digest(2)]);
    assert_eq!(forget(Revocation::Token(digest(2))), [] as [Digest; 0]);
    let subject = Revocation::Subject { issuer: issuer.name.to_string(), subject: "alice".to_owned() };
    assert_eq!(forget(subject), [digest(1)]);
    assert_eq!(forget(Revocation::All), [digest(3)]);
}
