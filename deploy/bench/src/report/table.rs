//! The Markdown table.

use super::{Figures, Row, Spread};
use crate::scenario::Goal;

/// One row a scenario: medians of all systems, then the ratios with their range over the rounds, the goals and whether they were reached.
pub(super) fn table(figures: &Figures) -> String {
    let systems = figures.versions.iter().map(|(kind, _)| kind.name());
    let systems: Vec<&str> = systems.collect();
    let mut table = format!("| scenario | unit | {} | reached | goal | |\n", systems.join(" | "));
    table += &format!("| --- | --- |{} --- | --- | --- |\n", " ---: |".repeat(systems.len()));
    for row in &figures.rows {
        table += &line(row, &systems);
    }
    table
}

fn line(row: &Row, systems: &[&str]) -> String {
    let own = row.scenario.subjects.first().map_or("", |subject| subject.label);
    let mut cells = vec![row.scenario.title.to_owned(), row.scenario.unit.to_owned()];
    for &system in systems {
        let median = row.spread(system).map_or("–".to_owned(), |spread| number(spread.median));
        cells.push(if system == own { format!("**{median}**") } else { median });
    }
    let outcomes: Vec<_> =
        row.scenario.goals.iter().filter_map(|goal| Some((goal, row.outcome(goal)?))).collect();
    let join = |texts: Vec<String>| texts.join("<br>");
    cells.push(join(outcomes.iter().map(|(goal, outcome)| reached(goal, outcome.spread)).collect()));
    cells.push(join(outcomes.iter().map(|(goal, _)| aim(goal)).collect()));
    cells.push(join(
        outcomes.iter().map(|(_, outcome)| if outcome.reached { "yes" } else { "**no**" }.into()).collect(),
    ));
    format!("| {} |\n", cells.join(" | "))
}

fn reached(goal: &Goal, Spread { median, least, most }: Spread) -> String {
    match goal {
        Goal::Ratio(_, other) => format!("{median:.2} × {other} ({least:.2}–{most:.2})"),
        Goal::NotAbove(other) => {
            format!("{other} {:+.0} ({least:+.0} to {most:+.0})", median)
        }
        Goal::Value(_) => format!("{} ({}–{})", number(median), number(least), number(most)),
    }
}

fn aim(goal: &Goal) -> String {
    match goal {
        Goal::Ratio(most, other) => format!("≤ {most:.2} × {other}"),
        Goal::NotAbove(other) => format!("≤ {other}"),
        Goal::Value(most) => format!("≤ {most}"),
    }
}

/// Three digits, more or less.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        ..2.0 => format!("{value:.2}"),
        2.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
