//! What the soak counts, and what went wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a latency is counted under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Warm,
    /// Good clients alone.
    Peace,
    /// Everybody.
    Attack,
}

/// Different faults that are kept; more of them say no more.
const MOST_FAULTS: usize = 40;

pub(super) struct Tally(Mutex<State>, AtomicUsize);

struct State {
    phase: Phase,
    /// In microseconds.
    peace: Vec<u32>,
    attack: Vec<u32>,
    counts: BTreeMap<String, usize>,
    /// Each with how often it came.
    faults: BTreeMap<String, usize>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        let (peace, attack) = (Vec::new(), Vec::new());
        let (counts, faults) = (BTreeMap::new(), BTreeMap::new());
        let state = State { phase: Phase::Warm, peace, attack, counts, faults };
        Tally(Mutex::new(state), AtomicUsize::new(0))
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.0.lock().unwrap().phase = phase;
    }

    /// How long a good request took.
    pub(super) fn took(&self, time: Duration) {
        let mut state = self.0.lock().unwrap();
        let micros = time.as_micros() as u32;
        match state.phase {
            Phase::Warm => {}
            Phase::Peace => state.peace.push(micros),
            Phase::Attack => state.attack.push(micros),
        }
    }

    pub(super) fn count(&self, what: &str) {
        *self.0.lock().unwrap().counts.entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn set(&self, what: &str, count: usize) {
        self.0.lock().unwrap().counts.insert(what.to_owned(), count);
    }

    /// A number that nobody had before.
    pub(super) fn next(&self) -> usize {
        self.1.fetch_add(1, Ordering::Relaxed)
    }

    /// What should not have been.
    pub(super) fn fault(&self, what: impl Into<String>) {
        let mut state = self.0.lock().unwrap();
        *state.counts.entry("faults".to_owned()).or_default() += 1;
        let what = what.into();
        if state.faults.len() < MOST_FAULTS || state.faults.contains_key(&what) {
            *state.faults.entry(what).or_default() += 1;
        }
    }

    /// Milliseconds.
    pub(super) fn quantile(&self, phase: Phase, q: f64) -> f64 {
        let mut state = self.0.lock().unwrap();
        let times = if phase == Phase::Peace { &mut state.peace } else { &mut state.attack };
        times.sort_unstable();
        let at = (times.len() as f64 * q) as usize;
        times.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    }

    pub(super) fn counts(&self) -> Vec<(String, String)> {
        let state = self.0.lock().unwrap();
        state.counts.iter().map(|(what, count)| (what.clone(), count.to_string())).collect()
    }

    pub(super) fn faults(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.faults.iter().map(|(what, times)| format!("{times} times {what}")).collect()
    }
}
