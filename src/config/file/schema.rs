//! The form of a configuration: what a section and a key are described by.

use super::kind::Kind;

/// A section: its keys and the sections within it.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    /// What it is about.
    pub(super) doc: &'static str,
    pub(super) form: Form,
    pub(super) keys: &'static [Key],
    pub(super) sections: &'static [Section],
}

/// How often a section is there, and what it means to leave it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `[name]`; left out it is a fault.
    Required,
    /// `[name]`; left out it has its defaults.
    Defaulted,
    /// `[name]`; left out there is none.
    Optional,
    /// `[[name]]`; one or more.
    OneOrMore,
    /// `[[name]]`; any number.
    Any,
    /// `[name]`, whose keys are the user's own and whose values are texts.
    Free,
}

impl Form {
    /// Written as `[[name]]`.
    pub(super) fn repeated(self) -> bool {
        matches!(self, Form::OneOrMore | Form::Any)
    }
}

/// A key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) absent: Absent,
    /// What it is and what its values mean; a sentence without its capital and its full stop.
    pub(super) doc: &'static str,
}

/// What it means to leave a key out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// There is no value.
    None,
    /// A fault.
    Fault,
    /// This value: a string without its quotes, anything else as in TOML.
    Default(&'static str),
}

impl Key {
    /// A key that may be left out and then has no value.
    pub(super) const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Key {
        Key { name, kind, absent: Absent::None, doc }
    }

    /// It must be there.
    pub(super) const fn required(self) -> Key {
        Key { absent: Absent::Fault, ..self }
    }

    /// It has this value when left out.
    pub(super) const fn default(self, value: &'static str) -> Key {
        Key { absent: Absent::Default(value), ..self }
    }
}

impl Section {
    /// Every name that may stand in this section.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let sections = self.sections.iter().map(|section| section.name);
        self.keys.iter().map(|key| key.name).chain(sections)
    }

    /// The path of the section below this one that has a key or a section of this name.
    pub(super) fn home_of(&self, name: &str, path: &str) -> Option<String> {
        self.sections.iter().find_map(|section| {
            let path =
                if path.is_empty() { section.name.to_owned() } else { format!("{path}.{}", section.name) };
            if section.names().any(|known| known == name) {
                return Some(path);
            }
            section.home_of(name, &path)
        })
    }
}
