//! What came out of a run, and what follows from it.

mod document;
mod plot;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::scenario::{Goal, Scenario};
use crate::system::Kind;

pub struct Figures {
    pub versions: Vec<(Kind, String)>,
    pub rounds: usize,
    /// Of each measured window.
    pub time: Duration,
    pub rows: Vec<Row>,
}

/// A scenario with one figure a round of each of its subjects.
pub struct Row {
    pub scenario: &'static Scenario,
    /// By the subject's label.
    pub values: BTreeMap<&'static str, Vec<f64>>,
}

impl Figures {
    /// The Markdown table.
    pub fn table(&self) -> String {
        table::table(self)
    }

    /// Writes the table into `out`.md, the plot to `out`.svg and the raw figures to `out`.json.
    pub fn write(&self, out: &Path) -> Result<()> {
        let write = |ending: &str, text: String| {
            let file = out.with_extension(ending);
            fs::write(&file, text).with_context(|| file.display().to_string())
        };
        let before = fs::read_to_string(out.with_extension("md")).unwrap_or_default();
        let plot = out.with_extension("svg");
        let plot = plot.file_name().context("--out needs a file's name")?.to_string_lossy();
        write("md", document::merge(&before, &document::section(self, &plot)))?;
        write("svg", plot::plot(self))?;
        write("json", self.raw()?)
    }

    fn raw(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Raw<'a> {
            versions: BTreeMap<&'static str, &'a str>,
            machine: String,
            rounds: usize,
            seconds: f64,
            scenarios: Vec<RawRow<'a>>,
        }
        #[derive(Serialize)]
        struct RawRow<'a> {
            name: &'static str,
            unit: &'static str,
            values: &'a BTreeMap<&'static str, Vec<f64>>,
        }
        let raw = Raw {
            versions: self.versions.iter().map(|(kind, version)| (kind.name(), version.as_str())).collect(),
            machine: document::machine(),
            rounds: self.rounds,
            seconds: self.time.as_secs_f64(),
            scenarios: self
                .rows
                .iter()
                .map(|Row { scenario, values }| RawRow { name: scenario.name, unit: scenario.unit, values })
                .collect(),
        };
        Ok(serde_json::to_string_pretty(&raw)? + "\n")
    }
}

/// A figure over all rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// `None` of nothing.
    fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => *values.get(middle)?,
            _ => (values.get(middle.checked_sub(1)?)? + values.get(middle)?) / 2.0,
        };
        Some(Spread { median, least: *values.first()?, most: *values.last()? })
    }
}

/// How far a goal was met.
pub struct Outcome {
    pub spread: Spread,
    pub reached: bool,
}

impl Row {
    pub fn new(scenario: &'static Scenario) -> Row {
        Row { scenario, values: BTreeMap::new() }
    }

    /// Of the subject with this label, less the baseline of the same round.
    pub fn spread(&self, label: &str) -> Option<Spread> {
        Spread::of(self.rounds(label)?)
    }

    /// The first subject's figures as multiples of this one's, each within a round.
    pub fn ratio(&self, of: &str, to: &str) -> Option<Spread> {
        self.compare(of, to, |of, to| of / to)
    }

    /// `None` if one of those that are compared was not measured.
    pub fn outcome(&self, goal: &Goal) -> Option<Outcome> {
        let subject = self.scenario.subjects.first()?.label;
        let (spread, most) = match *goal {
            Goal::Ratio(most, other) => (self.ratio(subject, other)?, most),
            Goal::NotAbove(other) => (self.compare(subject, other, |of, to| of - to)?, 0.0),
            Goal::Value(most) => (self.spread(subject)?, most),
        };
        Some(Outcome { spread, reached: spread.median <= most })
    }

    fn compare(&self, of: &str, to: &str, with: impl Fn(f64, f64) -> f64) -> Option<Spread> {
        Spread::of(self.rounds(of)?.iter().zip(self.rounds(to)?).map(|(&of, to)| with(of, to)).collect())
    }

    fn rounds(&self, label: &str) -> Option<Vec<f64>> {
        let values = self.values.get(label)?;
        match self.scenario.baseline {
            None => Some(values.clone()),
            Some(baseline) => {
                let baseline = self.values.get(baseline)?;
                Some(values.iter().zip(baseline).map(|(value, baseline)| value - baseline).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests;
