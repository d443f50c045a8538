use super::*;
use crate::measure::Load;
use crate::scenario::Subject;

static SCENARIO: Scenario = Scenario {
    name: "x",
    title: "a scenario",
    unit: "µs",
    subjects: &[
        Subject { label: "Boundgate", system: Kind::Boundgate, load: Load::Rest },
        Subject { label: "nginx", system: Kind::Nginx, load: Load::Rest },
    ],
    baseline: Some("direct"),
    goals: &[
        Goal::Ratio(0.5, "nginx"),
        Goal::NotAbove("nginx"),
        Goal::Value(1.0),
        Goal::Ratio(1.0, "absent"),
    ],
};

fn row() -> Row {
    let values = [("Boundgate", [3.0, 12.0, 5.0]), ("nginx", [5.0, 14.0, 9.0]), ("direct", [1.0, 10.0, 3.0])];
    Row { scenario: &SCENARIO, values: values.map(|(label, values)| (label, values.to_vec())).into() }
}

#[test]
fn rounds_are_compared_within_themselves() {
    // Less the baseline: 2, 2, 2 and 4, 4, 6.
    let row = row();
    assert_eq!(row.ratio("Boundgate", "nginx"), Some(Spread { median: 0.5, least: 1.0 / 3.0, most: 0.5 }));
    assert_eq!(row.spread("nginx"), Some(Spread { median: 4.0, least: 4.0, most: 6.0 }));
}

#[test]
fn a_goal_is_reached_by_the_median() {
    let reached = SCENARIO.goals.iter().map(|goal| row().outcome(goal).map(|outcome| outcome.reached));
    assert_eq!(reached.collect::<Vec<_>>(), [Some(true), Some(true), Some(false), None]);
}

#[test]
fn a_median_of_an_even_number_lies_between() {
    assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
    assert_eq!(Spread::of(vec![]), None);
}

#[test]
fn the_table_and_the_plot_have_what_was_measured() {
    let versions = vec![(Kind::Boundgate, "1.0.0".to_owned()), (Kind::Nginx, "1.22".to_owned())];
    let figures = Figures { versions, rounds: 3, time: Duration::from_secs(1), rows: vec![row()] };
    let table = figures.table();
    let line = table.lines().last().unwrap();
    assert!(line.starts_with("| a scenario | µs | **2.0** | 4.0 | 0.50 × nginx (0.33–0.50)"), "{line}");
    assert!(figures.raw().unwrap().contains("\"Boundgate\""));
}

#[test]
fn a_document_keeps_what_others_wrote() {
    let first = document::merge("", "ONE\n");
    let edited = format!("# Title\n\n{first}\nAfterthought\n");
    let second = document::merge(&edited, "TWO\n");
    assert_eq!(second, edited.replace("ONE", "TWO"));
}
