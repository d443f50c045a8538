//! What a section says: each value checked and in its place, defaults filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::super::settings::{At, Located, UpstreamUrl};
use super::kind::Value;

/// The files that one section names, each with its key.
pub type NamedFiles = Vec<(&'static str, Located<PathBuf>)>;

/// The values of one section. What was faulty is reported already and reads as if it were not there.
#[derive(Debug, Default)]
pub(in crate::config) struct Values {
    /// The section's place; no line where it was left out.
    pub(in crate::config) at: At,
    /// Names of the keys that were written, faulty ones too.
    pub(super) given: BTreeSet<&'static str>,
    pub(super) keys: BTreeMap<&'static str, Located<Value>>,
    pub(super) sections: BTreeMap<&'static str, Vec<Values>>,
    pub(super) free: Vec<(Located<String>, Located<String>)>,
}

impl Values {
    /// The section of this name within this one.
    pub(in crate::config) fn section(&self, name: &str) -> Option<&Values> {
        self.sections(name).first()
    }

    /// All sections of this name.
    pub(in crate::config) fn sections(&self, name: &str) -> &[Values] {
        self.sections.get(name).map_or(&[], Vec::as_slice)
    }

    /// This section and all within it.
    pub(in crate::config) fn all_sections(&self) -> Vec<&Values> {
        let within = self.sections.values().flatten().flat_map(Values::all_sections);
        std::iter::once(self).chain(within).collect()
    }

    /// The files that stand in this section itself.
    pub(in crate::config) fn named_files(&self) -> NamedFiles {
        let files = self.keys.iter().flat_map(|(key, found)| {
            let items = match &found.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(found),
            };
            items.iter().filter_map(|item| Some((*key, located(item, file)?)))
        });
        files.collect()
    }

    /// The key was written, if only to be faulty.
    pub(in crate::config) fn is_given(&self, key: &str) -> bool {
        self.given.contains(key)
    }

    /// The user's own keys with their values, in the order of the file.
    pub(in crate::config) fn free(&self) -> &[(Located<String>, Located<String>)] {
        &self.free
    }

    /// The value that belongs to this word of the key.
    pub(in crate::config) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<T> {
        let chosen = self.text(key)?;
        words.iter().find(|(word, _)| *word == chosen.value).map(|(_, value)| *value)
    }

    pub(in crate::config) fn text(&self, key: &str) -> Option<Located<String>> {
        located(self.keys.get(key)?, text)
    }

    pub(in crate::config) fn texts(&self, key: &str) -> Option<Vec<Located<String>>> {
        self.list(key, text)
    }

    pub(in crate::config) fn file(&self, key: &str) -> Option<Located<PathBuf>> {
        located(self.keys.get(key)?, file)
    }

    pub(in crate::config) fn files(&self, key: &str) -> Option<Vec<Located<PathBuf>>> {
        self.list(key, file)
    }

    pub(in crate::config) fn socket(&self, key: &str) -> Option<Located<PathBuf>> {
        located(self.keys.get(key)?, |value| match value {
            Value::Socket(path) => Some(path.clone()),
            _ => None,
        })
    }

    pub(in crate::config) fn address(&self, key: &str) -> Option<Located<SocketAddr>> {
        located(self.keys.get(key)?, |value| match value {
            Value::Address(address) => Some(*address),
            _ => None,
        })
    }

    pub(in crate::config) fn time(&self, key: &str) -> Option<Duration> {
        match self.keys.get(key)?.value {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }

    /// Bytes; the inner `None` is the word `none`.
    pub(in crate::config) fn size(&self, key: &str) -> Option<Option<u64>> {
        match self.keys.get(key)?.value {
            Value::Size(size) => Some(size),
            _ => None,
        }
    }

    pub(in crate::config) fn number(&self, key: &str) -> Option<usize> {
        match self.keys.get(key)?.value {
            Value::Number(number) => usize::try_from(number).ok(),
            _ => None,
        }
    }

    pub(in crate::config) fn flag(&self, key: &str) -> Option<bool> {
        match self.keys.get(key)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub(in crate::config) fn upstream(&self, key: &str) -> Option<UpstreamUrl> {
        match &self.keys.get(key)?.value {
            Value::Upstream(url) => Some(url.clone()),
            _ => None,
        }
    }

    fn list<T>(&self, key: &str, read: fn(&Value) -> Option<T>) -> Option<Vec<Located<T>>> {
        match &self.keys.get(key)?.value {
            Value::List(items) => items.iter().map(|item| located(item, read)).collect(),
            _ => None,
        }
    }
}

fn located<T>(found: &Located<Value>, read: impl Fn(&Value) -> Option<T>) -> Option<Located<T>> {
    Some(Located { value: read(&found.value)?, at: found.at.clone() })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn file(value: &Value) -> Option<PathBuf> {
    match value {
        Value::File(file) => Some(file.clone()),
        _ => None,
    }
}
