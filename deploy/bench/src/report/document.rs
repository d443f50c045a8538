//! The part of the documentation that a run writes, between two marks; what stands around it is left alone.

use std::fs;

use super::Figures;

const BEGIN: &str = "<!-- Written by deploy/bench from here on. -->\n";
const END: &str = "<!-- Written by deploy/bench up to here. -->\n";

/// The document with this section in the place of the last one, or at its end.
pub(super) fn merge(document: &str, section: &str) -> String {
    let section = format!("{BEGIN}{section}{END}");
    match (document.find(BEGIN), document.find(END)) {
        (Some(begin), Some(end)) => {
            format!("{}{section}{}", &document[..begin], &document[end + END.len()..])
        }
        _ if document.is_empty() => format!("# Performance\n\n{section}"),
        _ => format!("{document}\n{section}"),
    }
}

pub(super) fn section(figures: &Figures, plot: &str) -> String {
    let versions: Vec<String> =
        figures.versions.iter().map(|(kind, version)| format!("{} {version}", kind.name())).collect();
    let (rounds, seconds) = (figures.rounds, figures.time.as_secs_f64());
    format!(
        "
```console
$ cargo run --release --manifest-path deploy/bench/Cargo.toml -- --rounds {rounds} --seconds {seconds} --out docs/performance
```

{versions} on {machine}. The system under test has processor 0 for itself, load and upstream have processor 1. Medians of {rounds} rounds; each
ratio is that of one round, with the range over all rounds in parentheses. Each figure is that of a fresh process, after it has let a good
request through and refused one without a certificate and ones with a stolen, a forged and no token (nginx checks no token). All log
every request. CPU is user and system time of the system under test alone.

{table}
![CPU time and memory as multiples of nginx's]({plot})

",
        versions = versions.join(", "),
        machine = machine(),
        table = figures.table(),
    )
}

/// The processor and the kernel.
pub(super) fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> =
        cpus.lines().filter_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = models.first().copied().unwrap_or("an unknown processor");
    format!("{} × {model}, Linux {}", models.len(), kernel.trim())
}
