#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::decide::fixture::issuer;
use crate::decide::refusal::Reason;

const A: Client = Client::Certificate([1; 32]);
const B: Client = Client::Certificate([2; 32]);

fn question(n: usize, client: Client) -> Question {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&n.to_be_bytes());
    Question { index: 0, issuer: Arc::new(issuer()), token: format!("t{n}"), digest, client }
}

/// Asks, and returns where the answer comes in.
fn ask(flights: &mut Flights, n: usize, client: Client) -> Option<oneshot::Receiver<Answer>> {
    wait(flights, n, client).map(|waiting| waiting.answer)
}

fn wait(flights: &mut Flights, n: usize, client: Client) -> Option<Waiting> {
    let (waiter, waiting) = Waiter::new();
    flights.join(question(n, client), waiter).is_ok().then_some(waiting)
}

fn begin(flights: &mut Flights) -> Vec<(Id, String)> {
    flights.begin(|_, _| Turn::Begin).into_iter().map(|(id, question)| (id, question.token)).collect()
}

fn tokens(begun: &[(Id, String)]) -> Vec<&str> {
    begun.iter().map(|(_, token)| token.as_str()).collect()
}

fn gone() -> Answer {
    Answer::Unavailable(Arc::new(Reason::IntrospectionUnavailable.into()))
}

#[test]
fn one_token_is_one_look_up_for_all_who_wait() {
    let mut flights = Flights::default();
    let mut waiters: Vec<_> =
        (0..100).map(|n| ask(&mut flights, 1, if n % 2 == 0 { A } else { B }).unwrap()).collect();
    let begun = begin(&mut flights);
    assert_eq!(tokens(&begun), ["t1"]);
    waiters.push(ask(&mut flights, 1, B).unwrap());
    assert!(begin(&mut flights).is_empty());
    let (flight, remembered) = flights.end(begun[0].0).unwrap();
    assert!(remembered);
    flight.answer(&gone());
    assert!(waiters.iter_mut().all(|waiter| waiter.try_recv().is_ok()));
    assert!(flights.all.is_empty() && flights.open.is_empty() && flights.clients.is_empty());
    assert_eq!(flights.queued_bytes, 0);
}

#[test]
fn a_client_has_four_calls_and_others_pass_it_by() {
    let mut flights = Flights::default();
    let _waiters: Vec<_> = (0..10).map(|n| ask(&mut flights, n, A)).collect();
    let _other = ask(&mut flights, 20, B);
    let begun = begin(&mut flights);
    assert_eq!(tokens(&begun), ["t0", "t1", "t2", "t3", "t20"]);
    flights.end(begun[1].0).unwrap();
    assert_eq!(tokens(&begin(&mut flights)), ["t4"]);
    assert!(begin(&mut flights).is_empty());
}

#[test]
fn a_waiting_token_begins_for_whoever_has_a_call_left() {
    let mut flights = Flights::default();
    let _waiters: Vec<_> = (0..5).map(|n| ask(&mut flights, n, A)).collect();
    assert_eq!(begin(&mut flights).len(), 4);
    let _owner = ask(&mut flights, 4, B);
    let begun = begin(&mut flights);
    assert_eq!(tokens(&begun), ["t4"]);
    assert_eq!(flights.all[&begun[0].0].client, Some(B));
    assert!(begin(&mut flights).is_empty());
    assert!(flights.queue.is_empty() && flights.clients[&A].waiting == 0, "it does not wait for A any more");
}

#[test]
fn what_nobody_waits_for_is_not_begun() {
    let mut flights = Flights::default();
    drop(ask(&mut flights, 1, A));
    assert!(begin(&mut flights).is_empty());
    assert!(flights.all.is_empty() && flights.open.is_empty() && flights.clients.is_empty());
    let waiter = ask(&mut flights, 1, A);
    let begun = begin(&mut flights);
    drop(waiter);
    assert!(flights.end(begun[0].0).unwrap().1, "what was begun goes on and is remembered");
}

#[test]
fn waiting_look_ups_are_bounded_for_a_client_and_in_all() {
    let mut flights = Flights::default();
    let mut waiters: Vec<_> = (0..WAITING_PER_CLIENT).map(|n| ask(&mut flights, n, A).unwrap()).collect();
    assert!(ask(&mut flights, 1_000_000, A).is_none());
    waiters.push(ask(&mut flights, 0, A).expect("who waits for one that is there takes no room"));
    let mut n = 1000;
    let client = |n: usize| Client::at(std::net::Ipv4Addr::from(n as u32).into());
    while let Some(waiter) = ask(&mut flights, n, client(n)) {
        waiters.push(waiter);
        n += 1;
    }
    assert_eq!(flights.queue.len(), WAITING);

    let mut flights = Flights::default();
    let long = |n: usize| Question { token: "x".repeat(60_000), ..question(n, client(n)) };
    let mut waiters = Vec::new();
    let mut fits = |n: &usize| {
        let (waiter, waiting) = Waiter::new();
        waiters.push(waiting);
        flights.join(long(*n), waiter).is_ok()
    };
    assert_eq!((0..WAITING).take_while(|n| fits(n)).count(), WAITING_BYTES / 60_000);
}

#[test]
fn a_revocation_closes_what_was_begun_and_leaves_what_was_not() {
    let mut flights = Flights::default();
    let _waiters: Vec<_> = (0..5).map(|n| ask(&mut flights, n, A)).collect();
    let begun = begin(&mut flights);
    flights.outdate();
    let _newcomers: Vec<_> = [0, 4].map(|n| ask(&mut flights, n, B)).into();
    assert_eq!(tokens(&begin(&mut flights)), ["t0", "t4"], "the older call for t0 is not shared");
    assert!(!flights.end(begun[0].0).unwrap().1, "nor is what it brings remembered");
}

#[test]
fn a_refusal_answers_all_who_wait() {
    let mut flights = Flights::default();
    let mut waiters: Vec<_> = (0..3).map(|_| ask(&mut flights, 1, A).unwrap()).collect();
    assert!(flights.begin(|_, _| Turn::Refuse(gone())).is_empty());
    assert!(waiters.iter_mut().all(|waiter| waiter.try_recv().is_ok()));
    assert!(flights.all.is_empty() && flights.clients.is_empty());
}

#[test]
fn who_waits_knows_whether_the_call_has_begun() {
    let mut flights = Flights::default();
    let waiting: Vec<_> = (0..5).map(|n| wait(&mut flights, n, A).unwrap()).collect();
    assert!(!waiting[0].has_begun());
    begin(&mut flights);
    assert_eq!(waiting.iter().filter(|waiting| waiting.has_begun()).count(), 4);
    assert!(wait(&mut flights, 0, B).unwrap().has_begun(), "who joins it too");
}

#[test]
fn those_whose_time_is_over_make_room() {
    let mut flights = Flights::default();
    let waiters: Vec<_> = (0..WAITING_PER_CLIENT).map(|n| ask(&mut flights, n, A).unwrap()).collect();
    assert!(ask(&mut flights, 1000, A).is_none());
    drop(waiters);
    let _waiter = ask(&mut flights, 1000, A).expect("there is room");
    assert_eq!(tokens(&begin(&mut flights)), ["t1000"], "and none of the others is called for");
}

#[test]
fn what_cannot_be_made_for_one_client_is_made_for_another_that_waits_too() {
    let mut flights = Flights::default();
    // Both have four calls under way, so that token 9 waits for either.
    let mut begun = Vec::new();
    let _calls: Vec<_> = (0..8).map(|n| ask(&mut flights, n, if n < 4 { A } else { B })).collect();
    begun.extend(begin(&mut flights));
    let mut waiters = [A, B].map(|client| ask(&mut flights, 9, client).unwrap());
    assert!(begin(&mut flights).is_empty());
    for (id, _) in begun {
        flights.end(id).unwrap();
    }
    let only_b =
        |_: &mut Flight, client: Client| if client == B { Turn::Begin } else { Turn::Refuse(gone()) };
    let begun = flights.begin(only_b);
    assert_eq!(begun.len(), 1);
    flights.end(begun[0].0).unwrap().0.answer(&gone());
    assert!(waiters.iter_mut().all(|waiter| waiter.try_recv().is_ok()));
    assert!(flights.clients.is_empty() && flights.queue.is_empty());

    let _waiter = ask(&mut flights, 10, A).unwrap();
    assert!(flights.begin(only_b).is_empty());
    assert!(flights.all.is_empty() && flights.clients.is_empty());
}

#[test]
fn clients_without_a_certificate_are_told_apart_by_what_they_cannot_choose() {
    let at = |text: &str| Client::at(text.parse().unwrap());
    assert_eq!(at("2001:db8:1:2:3::4"), at("2001:db8:1:2::1"));
    assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
}
