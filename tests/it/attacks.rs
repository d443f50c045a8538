//! The table of published attacks holds: each row names tests, and each of these exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const TABLE: &str = "docs/attacks.md";

#[test]
fn every_row_names_tests_that_exist() {
    let text = fs::read_to_string(TABLE).unwrap();
    let tests = tests();
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Attack") && !line.starts_with("| ---"))
        .collect();
    assert!(rows.len() > 50, "the table was not found");
    let mut faults = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [attack, _, _, named] = cells[..] else {
            faults.push(format!("not four cells: {row}"));
            continue;
        };
        let named: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            faults.push(format!("{attack}: no test"));
        }
        faults.extend(
            named
                .iter()
                .filter(|name| !tests.contains(**name))
                .map(|name| format!("{attack}: no test {name}")),
        );
    }
    assert!(faults.is_empty(), "{TABLE}:\n{}", faults.join("\n"));
}

/// Every test of the sources, as `file::function`.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    ["src", "tests/it"].into_iter().for_each(|folder| collect(Path::new(folder), &mut files));
    let mut tests = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        // What stands between the attribute and the name is other attributes at most.
        for after in text.split("#[test]").skip(1).chain(text.split("#[tokio::test]").skip(1)) {
            let function = after.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
            tests.extend(function.map(|(name, _)| format!("{}::{name}", file.display())));
        }
    }
    assert!(tests.len() > 500, "the sources were not found");
    tests
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
