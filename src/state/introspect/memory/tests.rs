#![allow(clippy::unwrap_used)]

use super::*;
use crate::decide::fixture::{self, claims, token, verify};
use crate::decide::issuer::{AnswerForm, Introspection};
use crate::decide::refusal::Reason;

fn digest(n: u64) -> Digest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    digest
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn until(until: Instant) -> Freshness {
    Freshness { since: Instant::now(), until }
}

fn known(end: Instant) -> Known {
    let genuine = verify(&token(&claims())).unwrap_or_else(|_| unreachable!("a good token"));
    Known { genuine: Arc::new(genuine), fresh: until(end) }
}

fn issuer() -> Issuer {
    let introspection = Introspection {
        always: false,
        answer: AnswerForm::Signed,
        client_id: "boundgate".to_owned(),
        require_audience: true,
        cache_ttl: Duration::from_secs(60),
        negative_ttl: Duration::from_secs(60),
        generation: 1,
    };
    Issuer { introspection: Some(introspection), ..fixture::issuer() }
}

#[test]
fn what_has_run_out_is_not_remembered() {
    let (memory, issuer) = (Memory::new(), issuer());
    let end = Instant::now() + Duration::from_millis(50);
    memory.keep_active(Key::of(&digest(1), &issuer), known(end));
    memory.keep_refused(Key::of(&digest(2), &issuer), Arc::new(Reason::TokenInactive.into()), until(end));
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
    memory.keep_refused(key, Arc::new(Reason::TokenInactive.into()), until(soon()));
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
fn a_time_that_was_made_shorter_holds_for_what_is_there_and_a_longer_one_does_not() {
    let (memory, issuer) = (Memory::new(), issuer());
    memory.keep_active(Key::of(&digest(1), &issuer), known(soon()));
    memory.keep_refused(Key::of(&digest(2), &issuer), Arc::new(Reason::TokenInactive.into()), until(soon()));
    let end = Instant::now() + Duration::from_millis(50);
    memory.keep_active(Key::of(&digest(3), &issuer), known(end));
    let with = |cache_ttl, negative_ttl| {
        let mut changed = issuer.clone();
        let introspection = changed.introspection.as_mut().unwrap();
        (introspection.cache_ttl, introspection.negative_ttl) = (cache_ttl, negative_ttl);
        [1, 2, 3].map(|n| memory.recall(&digest(n), &changed).is_some())
    };
    let (short, long) = (Duration::from_millis(50), Duration::from_secs(600));
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(with(short, long), [false, true, false]);
    assert_eq!(with(long, short), [true, false, false]);
}

#[test]
fn random_tokens_neither_grow_it_nor_push_good_ones_out() {
    let (memory, issuer) = (Memory::new(), issuer());
    for n in 0..100 {
        memory.keep_active(Key::of(&digest(n), &issuer), known(soon()));
    }
    let refusal = Arc::new(Refusal::from(Reason::TokenInactive));
    for n in 1000..201_000 {
        memory.keep_refused(Key::of(&digest(n), &issuer), Arc::clone(&refusal), until(soon()));
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
    memory.keep_refused(Key::of(&digest(3), &issuer), Arc::new(Reason::TokenInactive.into()), until(soon()));
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
