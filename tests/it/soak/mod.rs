//! A quarter of an hour of everything at once: good clients, hostile ones, an API and an authorization server that fail, and an operator
//! who exchanges every file. `.ci/soak` runs it by hand; its figures stand in docs/soak.md.
//!
//! `BOUNDGATE_SOAK` is the time in minutes, `BOUNDGATE_SOAK_IDLE` how many idle connections are held, `BOUNDGATE_BINARY` what is run,
//! if not the binary of this build.

mod good;
mod hostile;
mod operator;
mod servers;
mod stage;
mod tally;

use std::io::{self, Write as _};
use std::thread;
use std::time::{Duration, Instant};

use stage::Stage;
use tally::Phase;

/// The p99 of good clients under attack, as a multiple of that in peace.
const SLOWER: f64 = 2.0;
/// What memory may grow between the first fifth (the third of fifteen minutes) and the end: what allocators and caches need to settle, in MiB
/// and as a share.
const MAY_GROW: (f64, f64) = (16.0, 0.1);
/// A kept connection to the API idles for up to a minute.
const SETTLING: Duration = Duration::from_secs(120);

#[test]
#[ignore = "takes minutes: .ci/soak"]
fn soak() {
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse::<f64>().expect("a number"));
    let minutes = variable("BOUNDGATE_SOAK").unwrap_or(15.0);
    let idle = variable("BOUNDGATE_SOAK_IDLE").unwrap_or(10_000.0) as usize;
    let total = Duration::from_secs_f64(minutes * 60.0);
    let stage = Stage::new();
    let (start, descriptors) = (Instant::now(), stage.descriptors());

    let peace = total / 10;
    let mut memory = (0.0, 0.0);
    thread::scope(|scope| {
        let good = good::start(scope, &stage);
        stage.tally.enter(Phase::Warm);
        thread::sleep(Duration::from_secs(5)); // sessions, caches and connections are there
        stage.tally.enter(Phase::Peace);
        thread::sleep(peace); // what is measured is this time
        stage.tally.enter(Phase::Warm);
        let held = hostile::hold_idle(&stage, idle);
        stage.tally.set("idle connections held", held.len());

        let attack = hostile::start(scope, &stage);
        let operator = operator::start(scope, &stage);
        stage.tally.enter(Phase::Attack);
        let attacked = Instant::now();
        thread::sleep(total / 5);
        memory.0 = stage.memory();
        thread::sleep((total - peace).saturating_sub(attacked.elapsed()));
        memory.1 = stage.memory();
        stage.tally.enter(Phase::Warm);
        stage.stop();
        let lost = hostile::still_open(held);
        stage.tally.set("idle connections lost", lost);
        for thread in good.into_iter().chain(attack).chain([operator]) {
            thread.join().expect("a client of the soak");
        }
    });
    let left = settle(&stage, descriptors);

    let quantile = |phase, q| stage.tally.quantile(phase, q);
    let (quiet, loaded) = (quantile(Phase::Peace, 0.99), quantile(Phase::Attack, 0.99));
    let figures = [
        ("minutes in all".to_owned(), format!("{:.1}", start.elapsed().as_secs_f64() / 60.0)),
        ("p50 of good GETs, in peace and under attack".to_owned(), {
            format!("{:.1} ms, {:.1} ms", quantile(Phase::Peace, 0.5), quantile(Phase::Attack, 0.5))
        }),
        ("p99 of good GETs, in peace and under attack".to_owned(), format!("{quiet:.1} ms, {loaded:.1} ms")),
        ("resident memory after a fifth and at the end".to_owned(), {
            format!("{:.0} MiB, {:.0} MiB", memory.0, memory.1)
        }),
        ("descriptors at the start and at the end".to_owned(), format!("{descriptors}, {left}")),
    ];
    let mut table = String::from("| what | figure |\n| --- | --- |\n");
    for (what, figure) in figures.into_iter().chain(stage.tally.counts()) {
        table += &format!("| {what} | {figure} |\n");
    }
    io::stdout().write_all(table.as_bytes()).unwrap();

    let mut faults = stage.tally.faults();
    let mut hold = |holds: bool, what: String| faults.extend((!holds).then_some(what));
    hold(loaded <= SLOWER * quiet, format!("p99 is {loaded:.1} ms under attack, {quiet:.1} ms in peace"));
    let bound = memory.0 + MAY_GROW.0.max(memory.0 * MAY_GROW.1);
    hold(memory.1 <= bound, format!("memory has grown from {:.0} to {:.0} MiB", memory.0, memory.1));
    hold(left <= descriptors, format!("{left} descriptors are open, {descriptors} were at the start"));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let ended = stage.end();
    assert!(ended.success(), "{ended}");
}

/// Waits until no more descriptors are open than these, and tells how many are.
fn settle(stage: &Stage, descriptors: usize) -> usize {
    let deadline = Instant::now() + SETTLING;
    while stage.descriptors() > descriptors && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200)); // closing is not announced
    }
    stage.descriptors()
}
