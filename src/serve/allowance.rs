//! What an HTTP/2 client may ask of us without using it: control frames are answered or parsed, and a request that is reset costs
//! the upstream as much as one that is not (CVE-2023-44487 and its family). Honest clients send both, in proportion to what they get.

use std::cell::Cell;

/// Control frames at once: settings, pings, priorities, window updates, unknown ones.
const FRAMES: u32 = 10_000;
/// What comes back of them with each sweep of the clock, four times a second.
const FRAMES_A_SWEEP: u32 = 250;
/// For each piece of an answer, which a client may acknowledge by windows and measure by a ping …
const FRAMES_A_PIECE: u32 = 4;
/// … and for so many bytes of it, which go out in several frames.
const BYTES_A_FRAME: usize = 4096;
/// Resets at once, of which a request costs two that its client takes back unanswered: a page that is left cancels a hundred.
const RESETS: u32 = 1000;
/// For each answer of the upstream, so that who cancels every other request may go on for ever.
const RESETS_AN_ANSWER: u32 = 2;
/// What comes back of them with each sweep: a client whose every call runs into its deadline is not cut off for a few of them.
const RESETS_A_SWEEP: u32 = 25;

/// How much is left of it to one connection.
#[derive(Debug)]
pub(crate) struct Allowance {
    frames: Cell<u32>,
    resets: Cell<u32>,
    exceeded: Cell<bool>,
}

impl Default for Allowance {
    fn default() -> Self {
        Allowance { frames: Cell::new(FRAMES), resets: Cell::new(RESETS), exceeded: Cell::new(false) }
    }
}

impl Allowance {
    /// A control frame came.
    pub(crate) fn frame(&self) {
        self.spend(&self.frames);
    }

    /// A stream was reset, or its request ended unanswered: who resets what the upstream works on spends both.
    pub(crate) fn reset(&self) {
        self.spend(&self.resets);
    }

    /// A piece of an answer with so many bytes goes out.
    pub(crate) fn piece(&self, bytes: usize) {
        let more = u32::try_from(bytes / BYTES_A_FRAME).unwrap_or(FRAMES).saturating_add(FRAMES_A_PIECE);
        earn(&self.frames, more, FRAMES);
    }

    /// The upstream answered a request.
    pub(crate) fn answered(&self) {
        earn(&self.resets, RESETS_AN_ANSWER, RESETS);
    }

    /// A quarter of a second went by.
    pub(crate) fn sweep(&self) {
        earn(&self.frames, FRAMES_A_SWEEP, FRAMES);
        earn(&self.resets, RESETS_A_SWEEP, RESETS);
    }

    /// Whether more was asked than is allowed, ever.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded.get()
    }

    fn spend(&self, left: &Cell<u32>) {
        match left.get().checked_sub(1) {
            Some(less) => left.set(less),
            None => self.exceeded.set(true),
        }
    }
}

fn earn(left: &Cell<u32>, more: u32, most: u32) {
    left.set(left.get().saturating_add(more).min(most));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(n: u32, mut act: impl FnMut()) {
        (0..n).for_each(|_| act());
    }

    #[test]
    fn a_flood_of_control_frames_exceeds_it_and_acknowledged_answers_do_not() {
        let allowance = Allowance::default();
        times(FRAMES, || allowance.frame());
        assert!(!allowance.exceeded());
        allowance.piece(0);
        times(FRAMES_A_PIECE, || allowance.frame());
        allowance.piece(64 * 1024);
        times(FRAMES_A_PIECE + 16, || allowance.frame());
        allowance.sweep();
        times(FRAMES_A_SWEEP, || allowance.frame());
        assert!(!allowance.exceeded());
        allowance.frame();
        assert!(allowance.exceeded());
        allowance.sweep();
        assert!(allowance.exceeded(), "once is for good");
    }

    #[test]
    fn resets_are_allowed_in_proportion_to_answers() {
        let allowance = Allowance::default();
        times(100 * RESETS, || {
            allowance.reset();
            allowance.reset();
            allowance.answered();
        });
        times(RESETS, || allowance.reset());
        assert!(!allowance.exceeded());
        allowance.reset();
        assert!(allowance.exceeded());
    }

    #[test]
    fn it_never_grows_beyond_its_beginning() {
        let allowance = Allowance::default();
        times(10, || allowance.piece(usize::MAX));
        allowance.answered();
        allowance.sweep();
        assert_eq!((allowance.frames.get(), allowance.resets.get()), (FRAMES, RESETS));
    }
}
