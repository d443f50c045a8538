//! Instructions per request, counted by callgrind: unlike time, a figure that a loaded machine does not change.
//!
//! Those of the worker's thread: what the others do (the log's, the one that looks after files) depends on how long it all takes.
//! The binary runs with a number of requests and again with three times as many; what lies between is those requests' alone, without start and end.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::client::{Ask, Connection, Fresh, Protocol, Sessions, Streams, Tls};
use crate::load::{Course, closed};
use crate::stage::Stage;
use crate::system::{How, Kind};

/// What is counted, and how many requests the shorter run has.
const LOADS: [(&str, usize); 4] = [("hot", 1000), ("h2", 1000), ("cold", 300), ("handshake", 60)];
/// The longer run has so many times as many.
const LONGER: usize = 3;

/// The figures that are kept in the repository.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// What counted them, and whether on a processor with AVX2: another shows the program another processor, which then takes other
    /// ways, and its figures say nothing of these.
    counter: String,
    loads: BTreeMap<String, Figure>,
}

#[derive(Serialize, Deserialize)]
struct Figure {
    instructions_per_request: u64,
    /// How far above it a change may go, in percent: twice what repeated runs differ by. As far below, it is to be renewed.
    tolerance_percent: f64,
}

/// Fails if a request takes more instructions than those that are kept, by more than the tolerance.
pub async fn compare(stage: &Stage, file: &Path, update: bool) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut kept: Kept = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let counter = counter()?;
    let comparable = kept.counter == counter;
    if !comparable {
        println!("counted by {counter}: not to be compared with what {} has counted", kept.counter);
    }
    let mut above = Vec::new();
    for (load, requests) in LOADS {
        let figure = kept.loads.get_mut(load).with_context(|| format!("{}: no {load}", file.display()))?;
        let counted = count(stage, load, requests).await.with_context(|| load)?;
        let change = (counted as f64 / figure.instructions_per_request as f64 - 1.0) * 100.0;
        let tolerance = figure.tolerance_percent;
        let judgement = if change > tolerance {
            above.push(load);
            format!("more than {tolerance} % above")
        } else if change < -tolerance {
            "less; renew the file with --update".to_owned()
        } else {
            "as before".to_owned()
        };
        println!("{load:10} {counted:>9} instructions per request ({change:+.2} %): {judgement}");
        figure.instructions_per_request = counted;
    }
    if update {
        kept.counter = counter;
        fs::write(file, serde_json::to_string_pretty(&kept)? + "\n")?;
    } else if comparable && !above.is_empty() {
        bail!("{}: more instructions than {} allows", above.join(", "), file.display());
    }
    Ok(())
}

fn counter() -> Result<String> {
    let output = Command::new("valgrind").arg("--version").output().context("valgrind")?;
    let has_avx2 = fs::read_to_string("/proc/cpuinfo")?.split_whitespace().any(|flag| flag == "avx2");
    let avx2 = if has_avx2 { "with AVX2" } else { "without AVX2" };
    Ok(format!("{} {avx2}", String::from_utf8_lossy(&output.stdout).trim()))
}

/// Instructions per request of the worker, the one thread whose work grows most with the requests.
async fn count(stage: &Stage, load: &str, requests: usize) -> Result<u64> {
    let short = run(stage, load, requests).await?;
    let long = run(stage, load, requests * LONGER).await?;
    let growth = long.iter().filter_map(|(thread, long)| long.checked_sub(*short.get(thread)?)).max();
    Ok(growth.context("no thread is in both runs")? / (requests * (LONGER - 1)) as u64)
}

/// Each thread's instructions in a run with so many requests, one at a time.
async fn run(stage: &Stage, load: &str, requests: usize) -> Result<BTreeMap<OsString, u64>> {
    let folder = TempDir::new()?;
    let how = How { callgrind: Some(folder.path().to_owned()), ..How::default() };
    let running = Kind::Boundgate.start(stage, &how).await?;
    let tokens = if load == "cold" { requests } else { 1 };
    let asks = (0..tokens).map(|_| Ask::get("/hello", Some(&stage.issuer.token(stage.client())?)));
    let course = Course::times(&asks.collect::<Result<_>>()?, requests);
    let protocol = if load == "h2" { Protocol::Http2 } else { Protocol::Http1 };
    let tls = Tls::new(&stage.pki, stage.client(), protocol, Sessions::Never)?;
    let done = match load {
        "handshake" => {
            let first = Ask::get("/hello", Some(&stage.token))?;
            closed(&mut vec![Fresh::new(tls, running.address, Sessions::Never, &first).await?], course)
                .await?
        }
        "h2" => closed(&mut Streams::open(&tls, running.address, 1).await?, course).await?,
        _ => closed(&mut Connection::open_many(&tls, running.address, 1).await?, course).await?,
    };
    ensure!(done == requests, "{done} requests instead of {requests}");
    drop(running); // ends the process, which writes the files
    threads(folder.path())
}

/// Instructions of each thread, in the order in which they were started; callgrind writes a file for each, and numbers them.
fn threads(folder: &Path) -> Result<BTreeMap<OsString, u64>> {
    let mut threads = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let text = fs::read_to_string(file.path())?;
        if let Some(total) = text.lines().find_map(|line| line.strip_prefix("totals: ")) {
            threads.insert(file.file_name(), total.trim().parse()?);
        }
    }
    Ok(threads)
}
