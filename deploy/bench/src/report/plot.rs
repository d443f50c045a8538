//! The plot: every scenario that nginx takes part in, as multiples of what nginx needs.

use std::fmt::Write as _;

use super::{Figures, Row};
use crate::scenario::Goal;
use crate::system::Kind;

const WIDTH: f64 = 960.0;
const LABELS: f64 = 280.0;
const MARGIN: f64 = 60.0;
const BAR: f64 = 11.0;
const GAP: f64 = 14.0;
const TOP: f64 = 64.0;
/// What is longer than this many times nginx is cut off, and says how long it is.
const MOST: f64 = 5.0;
const SYSTEMS: [(Kind, &str); 4] = [
    (Kind::Boundgate, "#0b6e4f"),
    (Kind::Nginx, "#9aa5b1"),
    (Kind::Envoy, "#b5739d"),
    (Kind::Haproxy, "#5b8def"),
];

pub(super) fn plot(figures: &Figures) -> String {
    let measured = |kind: Kind| figures.versions.iter().any(|(other, _)| *other == kind);
    let systems: Vec<_> = SYSTEMS.into_iter().filter(|(kind, _)| measured(*kind)).collect();
    let nginx = Kind::Nginx.name();
    // Differences of latencies have no meaning as multiples.
    let rows: Vec<&Row> = figures
        .rows
        .iter()
        .filter(|row| row.scenario.baseline.is_none() && row.spread(nginx).is_some())
        .collect();
    let group = systems.len() as f64 * BAR + GAP;
    let height = TOP + rows.len() as f64 * group + 30.0;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\">Multiples of nginx without a token check; less is better. The black marks are the goals.</text>\n"
    );
    for (index, (kind, colour)) in systems.iter().enumerate() {
        let x = 16.0 + index as f64 * 120.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"38\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"47\">{}</text>",
            x + 15.0,
            kind.name()
        );
    }
    for step in 0..=MOST as usize {
        let x = at(step as f64);
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" x2=\"{x}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"#ddd\"/><text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#555\">{step}×</text>",
            height - 26.0,
            height - 10.0
        );
    }
    for (index, row) in rows.into_iter().enumerate() {
        let y = TOP + index as f64 * group + GAP / 2.0;
        bars(&mut svg, row, &systems, y);
    }
    svg + "</svg>\n"
}

fn bars(svg: &mut String, row: &Row, systems: &[(Kind, &str)], top: f64) {
    let middle = top + systems.len() as f64 * BAR / 2.0 + 4.0;
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
        LABELS - 10.0,
        row.scenario.title
    );
    let nginx = Kind::Nginx.name();
    for (index, (kind, colour)) in systems.iter().enumerate() {
        let Some(spread) = row.ratio(kind.name(), nginx) else { continue };
        let (y, end) = (top + index as f64 * BAR, at(spread.median));
        let _ = writeln!(
            svg,
            "<rect x=\"{LABELS}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\" font-size=\"9\">{:.2}</text>",
            end - LABELS,
            BAR - 1.0,
            end + 4.0,
            y + BAR - 2.5,
            spread.median
        );
    }
    for goal in row.scenario.goals {
        if let Goal::Ratio(most, "nginx") = goal {
            let x = at(*most);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"black\" stroke-width=\"2\"/>",
                top - 2.0,
                top + BAR + 1.0
            );
        }
    }
}

/// The place of a multiple.
fn at(multiple: f64) -> f64 {
    LABELS + multiple.clamp(0.0, MOST) / MOST * (WIDTH - LABELS - MARGIN)
}
