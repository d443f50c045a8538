#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accepted;
mod introspection;
mod refused;
mod routes;

use std::path::{Path, PathBuf};

use crate::config::error::Faults;
use crate::config::settings::Settings;

const MINIMAL: &str = include_str!("../../../tests/configs/minimal.toml");
const SAMPLE: &str = include_str!("../../../config.toml");

/// Reads a text as `/etc/boundgate/config.toml`, in an environment of a few variables.
fn parse(text: &str) -> Result<Settings, Faults> {
    let environment = |name: &str| {
        let value = match name {
            "HOST" => "as.internal.example",
            "FOLDER" => "/run/hidden-folder",
            "WORD" => "hidden-word",
            "EMPTY" => "",
            _ => return None,
        };
        Some(value.to_owned())
    };
    super::parse(Path::new("/etc/boundgate/config.toml"), text, &environment)
}

/// The minimal configuration with a line more in one of its sections, or with a section more.
fn with(section: &str, line: &str) -> String {
    let header = if section == "issuers" { "[[issuers]]".to_owned() } else { format!("[{section}]") };
    if MINIMAL.contains(&header) {
        MINIMAL.replacen(&header, &format!("{header}\n{line}"), 1)
    } else {
        format!("{MINIMAL}\n{header}\n{line}\n")
    }
}

/// The minimal configuration with one of its lines replaced.
fn instead(key: &str, line: &str) -> String {
    let is_it = |old: &&str| old.split('=').next().unwrap().trim_end() == key;
    let old = MINIMAL.lines().find(is_it).unwrap_or_else(|| panic!("no {key}"));
    MINIMAL.replacen(old, line, 1)
}

fn accepted(text: &str) -> Settings {
    parse(text).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

/// The one fault of a text, without file and line.
fn fault(text: &str) -> String {
    let faults = parse(text).expect_err(text).0;
    assert_eq!(faults.len(), 1, "{faults:#?}\n{text}");
    let rendered = faults[0].to_string();
    let (_, rest) = rendered.split_once(": ").unwrap();
    rest.to_owned()
}

fn path(text: &str) -> PathBuf {
    PathBuf::from(text)
}
