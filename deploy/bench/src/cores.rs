//! Which processor does what: the system under test has one for itself, load and upstream share the other.

use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::task::LocalSet;

/// What a thread or process is pinned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    System,
    Load,
    /// Two workers need two processors, which load and upstream then share with them.
    Both,
}

/// Pins the calling thread, and whatever it starts from now on.
pub fn pin(core: Core) -> Result<()> {
    let mut set = CpuSet::new();
    let numbers: &[usize] = match core {
        Core::System => &[0],
        Core::Load => &[1],
        Core::Both => &[0, 1],
    };
    numbers.iter().for_each(|&number| set.set(number));
    sched_setaffinity(None, &set).context("this needs processors 0 and 1")
}

/// Runs this on the calling thread alone, with everything that it spawns locally.
pub fn runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(work))
}

/// Lets this process, and what it starts, open as many files as the kernel allows; fails if that is not enough.
pub fn raise_open_files(needed: u64) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < needed) {
        bail!("{needed} open files are needed, and the hard limit is {:?}", limit.maximum);
    }
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("the limit of open files")
}
