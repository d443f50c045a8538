//! The table of all keys for people: what stands where, what is allowed, what it means.

use super::keys::ROOT;
use super::schema::{Absent, Form, Key, Section};

/// A section of `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionEntry {
    /// As it is written: `[listener]`, `[[issuers]]`.
    pub heading: String,
    /// What it is about and whether it may be left out, in sentences.
    pub about: String,
    /// Its keys, in the order of the table; none where they are the user's own.
    pub keys: Vec<KeyEntry>,
}

/// A key of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name within the section.
    pub name: &'static str,
    /// What it may hold.
    pub allowed: String,
    /// What holds when it is left out, as in TOML; `Err`: there is no such value, and why.
    pub default: Result<String, &'static str>,
    /// What it means, as a sentence.
    pub about: String,
}

/// Every section with its keys, in the order of the interface.
pub fn sections() -> Vec<SectionEntry> {
    let mut entries = Vec::new();
    for section in ROOT.sections {
        add(section, "", &mut entries);
    }
    entries
}

fn add(section: &Section, outer: &str, entries: &mut Vec<SectionEntry>) {
    let path = if outer.is_empty() { section.name.to_owned() } else { format!("{outer}.{}", section.name) };
    let heading = if section.form.repeated() { format!("[[{path}]]") } else { format!("[{path}]") };
    let form = match section.form {
        Form::Required => "Required.",
        Form::Defaulted => "May be left out, and then has its defaults.",
        Form::Optional => "May be left out.",
        Form::OneOrMore => "Once or more.",
        Form::Any => "Any number of times.",
        Form::Free => "May be left out. Its keys are your own.",
    };
    let about = format!("{} {form}", sentence(section.doc));
    let keys = section.keys.iter().map(entry).collect();
    entries.push(SectionEntry { heading, about, keys });
    for inner in section.sections {
        add(inner, &path, entries);
    }
}

fn entry(key: &Key) -> KeyEntry {
    let default = match key.absent {
        Absent::None => Err("none"),
        Absent::Fault => Err("required"),
        Absent::Default(value) if key.kind.is_text() => Ok(format!("\"{value}\"")),
        Absent::Default(value) => Ok(value.to_owned()),
    };
    KeyEntry { name: key.name, allowed: key.kind.to_string(), default, about: sentence(key.doc) }
}

/// With a capital and a full stop; the names of values and protocols keep their spelling.
fn sentence(phrase: &str) -> String {
    let (first, rest) = phrase.split_at(phrase.find(' ').unwrap_or(phrase.len()));
    let name = first.ends_with(':') || first.bytes().any(|b| !b.is_ascii_lowercase());
    let mut letters = first.chars();
    let first = match letters.next() {
        Some(letter) if !name => format!("{}{}", letter.to_ascii_uppercase(), letters.as_str()),
        _ => first.to_owned(),
    };
    format!("{first}{rest}.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn sections_and_keys_are_written_as_in_the_file() {
        let sections = sections();
        let headings: Vec<_> = sections.iter().map(|section| section.heading.as_str()).collect();
        for heading in
            ["[listener]", "[[issuers]]", "[issuers.tls]", "[[routes]]", "[forward.claims]", "[admin]"]
        {
            assert_eq!(headings.iter().filter(|known| **known == heading).count(), 1, "{headings:?}");
        }
        let key = |heading: &str, name: &str| {
            let section = sections.iter().find(|section| section.heading == heading).unwrap();
            section.keys.iter().find(|key| key.name == name).unwrap().clone()
        };
        assert_eq!(key("[listener]", "address").default, Err("required"));
        assert_eq!(key("[listener]", "public_url").default, Err("none"));
        assert_eq!(key("[limits]", "connections").default, Ok("10000".to_owned()));
        assert_eq!(key("[limits]", "drain").default, Ok("\"20s\"".to_owned()));
        assert_eq!(key("[binding]", "methods").default, Ok("[\"mtls\"]".to_owned()));
        assert_eq!(key("[binding]", "require").allowed, "\"always\" or \"if-bound\"");
    }

    #[test]
    fn everything_is_said_in_a_sentence_of_its_own() {
        for section in sections() {
            assert!(section.about.len() > 12, "{section:?}");
            for key in section.keys {
                assert!(
                    key.about.len() > 12 && key.about.ends_with('.'),
                    "{}: {}",
                    section.heading,
                    key.name
                );
            }
        }
    }

    #[test]
    fn a_phrase_becomes_a_sentence_and_a_word_of_the_file_stays_as_it_is() {
        for (phrase, expected) in [
            ("how long", "How long."),
            ("json: an object", "json: an object."),
            ("PEM files", "PEM files."),
            ("https: x", "https: x."),
            ("x", "X."),
        ] {
            assert_eq!(sentence(phrase), expected);
        }
    }
}
