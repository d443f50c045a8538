//! The rounds.

use anyhow::{Context as _, Result, ensure};

use crate::measure::Bench;
use crate::report::{Figures, Row};
use crate::scenario::{Scenario, Subject};
use crate::system::Kind;

pub struct Plan {
    pub systems: Vec<Kind>,
    pub scenarios: Vec<&'static Scenario>,
    pub rounds: usize,
}

/// Runs all rounds; in each, every scenario is measured of one system after the other, beginning with another one each time.
pub async fn run(bench: &Bench, plan: Plan) -> Result<Figures> {
    let mut versions = Vec::new();
    for &kind in &plan.systems {
        match kind.version(&bench.stage) {
            Some(version) => versions.push((kind, version)),
            None => eprintln!("{} is not installed and is left out", kind.name()),
        }
    }
    ensure!(!versions.is_empty(), "nothing to measure");
    let runs = |subject: &&Subject| versions.iter().any(|(kind, _)| *kind == subject.system);
    let mut rows: Vec<Row> = plan.scenarios.iter().map(|&scenario| Row::new(scenario)).collect();
    for round in 0..plan.rounds {
        for row in &mut rows {
            let mut subjects: Vec<&Subject> = row.scenario.subjects.iter().filter(runs).collect();
            let first = round % subjects.len().max(1);
            subjects.rotate_left(first);
            for Subject { label, system, load } in subjects {
                let name = row.scenario.name;
                let value =
                    bench.measure(*system, *load).await.with_context(|| format!("{name}, {label}"))?;
                eprintln!(
                    "{}/{} {name:10} {label:12} {value:9.2} {}",
                    round + 1,
                    plan.rounds,
                    row.scenario.unit
                );
                row.values.entry(label).or_default().push(value);
            }
        }
    }
    Ok(Figures { versions, rounds: plan.rounds, time: bench.effort.time, rows })
}
