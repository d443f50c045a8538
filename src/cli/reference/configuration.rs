//! Every key of `config.toml`.

use super::SYNTAX;
use super::markdown::{Page, code, prose};
use crate::config::reference::{KeyEntry, sections};

pub(super) fn page() -> String {
    let mut page = Page::new("config.toml").paragraph(&prose(SYNTAX));
    for section in sections() {
        page = page.heading(&code(&section.heading)).paragraph(&prose(&section.about));
        if !section.keys.is_empty() {
            page = page.table(["key", "default", "allowed", "meaning"], section.keys.iter().map(row));
        }
    }
    page.finish()
}

fn row(key: &KeyEntry) -> [String; 4] {
    let default = match &key.default {
        Ok(value) => code(value),
        Err(why) => (*why).to_owned(),
    };
    [code(key.name), default, prose(&key.allowed), prose(&key.about)]
}
