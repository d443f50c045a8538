#![allow(clippy::unwrap_used, clippy::panic)]
//! The table itself: it agrees with the core, with its own defaults, and with the sample that ships.

use std::path::Path;

use super::keys::ROOT;
use super::kind::{Kind, Text, did_you_mean};
use super::schema::{Absent, Form, Key, Section};
use super::variables::replace;
use crate::decide::issuer::Algorithm;

/// Every key with the path of its section.
fn every_key() -> Vec<(String, &'static Key)> {
    fn below(section: &'static Section, path: &str, keys: &mut Vec<(String, &'static Key)>) {
        keys.extend(section.keys.iter().map(|key| (path.to_owned(), key)));
        for inner in section.sections {
            let path = if path.is_empty() { inner.name.to_owned() } else { format!("{path}.{}", inner.name) };
            below(inner, &path, keys);
        }
    }
    let mut keys = Vec::new();
    below(&ROOT, "", &mut keys);
    keys
}

#[test]
fn no_section_names_a_key_twice() {
    fn check(section: &Section) {
        let mut names: Vec<_> = section.names().collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "[{}]", section.name);
        assert!(section.form == Form::Free || all > 0, "[{}]", section.name);
        section.sections.iter().for_each(check);
    }
    check(&ROOT);
}

#[test]
fn every_default_is_a_value_that_its_key_allows() {
    for (section, key) in every_key() {
        let Absent::Default(default) = key.absent else { continue };
        let texts = match key.kind {
            Kind::One(text) => vec![(text, default.to_owned())],
            Kind::List(text, _) => {
                let list = format!("list = {default}").parse::<toml::Table>().unwrap();
                let items = list["list"].as_array().unwrap().clone();
                items.iter().map(|item| (text, item.as_str().unwrap().to_owned())).collect()
            }
            Kind::Number(from, to) => {
                assert!((from..=to).contains(&default.parse().unwrap()));
                Vec::new()
            }
            Kind::Flag => Vec::new(),
        };
        for (text, value) in texts {
            assert!(text.read(&value, Path::new("")).is_ok(), "{section}.{} = {value}", key.name);
        }
    }
}

/// RFC 8725 §3.1, §3.2: the algorithms of the configuration are those of the core, and neither `none` nor HMAC.
#[test]
fn the_algorithms_are_those_of_the_core() {
    let issuers = ROOT.sections.iter().find(|section| section.name == "issuers").unwrap();
    let key = issuers.keys.iter().find(|key| key.name == "algorithms").unwrap();
    let Kind::List(Text::Word(words, _), 1) = key.kind else { panic!("{:?}", key.kind) };
    assert_eq!(words, Algorithm::ALL.map(Algorithm::name));
}

#[test]
fn the_sample_shows_every_key_with_its_default() {
    let sample = include_str!("../../../config.toml");
    for (section, key) in every_key() {
        let mut here = String::new();
        let written = sample.lines().find_map(|line| {
            let line = line.strip_prefix('#').unwrap_or(line);
            if line.starts_with('[') {
                here = line.trim_start_matches('[').split(']').next().unwrap_or_default().to_owned();
            }
            let (name, value) = line.split_once('=')?;
            (here == section && name.trim_end() == key.name).then(|| value.trim_start())
        });
        let written = written.unwrap_or_else(|| panic!("[{section}] {} is not in the sample", key.name));
        if let Absent::Default(default) = key.absent {
            let default =
                if matches!(key.kind, Kind::One(_)) { format!("\"{default}\"") } else { default.to_owned() };
            assert!(written.starts_with(&default), "[{section}] {} = {default}, not {written}", key.name);
        }
    }
}

#[test]
fn the_nearest_name_is_suggested_and_no_distant_one() {
    let names = ["jwks_uri", "jwks_file", "audiences", "algorithms", "issuer"];
    for (unknown, nearest) in [
        ("jwks_url", Some("jwks_uri")),
        ("jwks-uri", Some("jwks_uri")),
        ("JWKS_URI", Some("jwks_uri")),
        ("audience", Some("audiences")),
        ("algorithm", Some("algorithms")),
        ("isuer", Some("issuer")),
        ("colour", None),
        ("", None),
    ] {
        let hint = nearest.map(|name| format!("did you mean \"{name}\"?"));
        assert_eq!(did_you_mean(unknown, names.into_iter()), hint, "{unknown}");
    }
}

#[test]
fn a_longer_value_is_masked_before_one_that_it_contains() {
    let environment = |name: &str| Some(if name == "A" { "secret" } else { "secret-too" }.to_owned());
    let (_, variables) = replace("${A}/${B}", &environment).unwrap();
    let at = crate::config::settings::At { variables, ..Default::default() };
    assert_eq!(at.mask("no file secret/secret-too".to_owned()), "no file ${A}/${B}");
}

#[test]
fn a_value_is_masked_in_quotes_too() {
    let (text, variables) = replace("${A}", &|_| Some("a\"b\\c".to_owned())).unwrap();
    let at = crate::config::settings::At { variables, ..Default::default() };
    assert_eq!(at.mask(format!("{text} {text:?}")), "${A} \"${A}\"");
}
