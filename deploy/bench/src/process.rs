//! A process that is measured: pinned, with its processor time and memory as the kernel counts them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::cores::{self, Core};

const PATIENCE: Duration = Duration::from_secs(60);

/// Dropped, it is stopped.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it on its processor. What it writes to standard output and error goes to a file.
    pub fn start(mut command: Command, core: Core, output: &Path) -> Result<Process> {
        let output = File::options().create(true).append(true).open(output)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let program = command.get_program().to_string_lossy().into_owned();
        // A child has the affinity of the thread that starts it.
        let starter = std::thread::spawn(move || {
            cores::pin(core)?;
            command.spawn().context(program)
        });
        let child = starter.join().map_err(|_| anyhow::anyhow!("a process could not be started"))??;
        Ok(Process { child })
    }

    /// Fails if it is no longer there.
    pub fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("has ended: {status}"),
            None => Ok(()),
        }
    }

    /// On the processor so far, user and system, of all threads of the process and its children.
    pub fn cpu(&self) -> Result<Duration> {
        Ok(self.threads()?.iter().map(|thread| thread.cpu).sum())
    }

    /// The same as the clock's ticks have it: coarser, but with the threads that have ended.
    pub fn cpu_in_ticks(&self) -> Result<Duration> {
        let mut ticks = 0;
        for process in self.family()? {
            let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
            // Fields 14 and 15 of proc_pid_stat(5); the second one may contain spaces, and ends with the last parenthesis.
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
            for field in fields.take(2) {
                ticks += field.parse::<u64>()?;
            }
        }
        Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
    }

    pub fn threads(&self) -> Result<Vec<Thread>> {
        let mut threads = Vec::new();
        for process in self.family()? {
            for task in fs::read_dir(format!("/proc/{process}/task"))? {
                let task = task?.path();
                // A thread may end between the listing and this.
                let Ok(schedstat) = fs::read_to_string(task.join("schedstat")) else { continue };
                let on_cpu = schedstat.split(' ').next().unwrap_or_default().parse().context("schedstat")?;
                let name = fs::read_to_string(task.join("comm")).unwrap_or_default().trim().to_owned();
                threads.push(Thread { name, cpu: Duration::from_nanos(on_cpu) });
            }
        }
        Ok(threads)
    }

    /// Bytes that are its own, and its share of those that it shares with others (proportional set size).
    pub fn memory(&self) -> Result<u64> {
        let mut kib = 0;
        for process in self.family()? {
            let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
            let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("Pss")?;
            kib += pss.trim().trim_end_matches(" kB").parse::<u64>()?;
        }
        Ok(kib * 1024)
    }

    /// The process and all its descendants.
    fn family(&self) -> Result<Vec<u32>> {
        let mut family = vec![self.child.id()];
        let mut at = 0;
        while let Some(&process) = family.get(at) {
            at += 1;
            for task in fs::read_dir(format!("/proc/{process}/task"))? {
                let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
                family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
        }
        Ok(family)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal); // it may be gone already
        }
    }

    /// Asks it to end, and waits for that.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                self.child.kill()?;
                self.child.wait()?;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.stop(); // nothing more can be done about it
    }
}

pub struct Thread {
    pub name: String,
    /// On the processor so far.
    pub cpu: Duration,
}
