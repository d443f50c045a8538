//! From the text to [`Values`]: every section and key of the file is looked up in the table, and none is passed over.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use super::super::error::Report;
use super::super::settings::{At, Located};
use super::keys::ROOT;
use super::kind::{Kind, Text, Value, did_you_mean};
use super::schema::{Absent, Form, Key, Section};
use super::values::Values;
use super::variables::{Environment, replace};

/// Reads the text of a configuration whose relative paths start from `folder`. Every fault goes to `report`.
pub(in crate::config) fn read(
    text: &str,
    folder: &Path,
    environment: Environment<'_>,
    report: &mut Report,
) -> Values {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.syntax(error.span().map(|span| line(text, span.start)), error.message());
    }
    Walk { text, folder, environment, report }.section(&ROOT, At::default(), document.get_ref())
}

/// The line of a byte of the text, counted from 1.
fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

struct Walk<'a> {
    text: &'a str,
    folder: &'a Path,
    environment: Environment<'a>,
    report: &'a mut Report,
}

impl Walk<'_> {
    fn section(&mut self, rule: &'static Section, at: At, table: &DeTable<'_>) -> Values {
        let mut values = Values { at, ..Values::default() };
        if rule.form == Form::Free {
            values.free = self.free(&values.at, table);
            return values;
        }
        for (name, value) in table {
            if !rule.names().any(|known| known == name.get_ref().as_ref()) {
                self.unknown(rule, &values.at, name, value);
            }
        }
        for key in rule.keys {
            let found = table.get(key.name);
            if found.is_some() {
                values.given.insert(key.name);
            }
            if let Some(value) = self.key(key, &values.at, found) {
                values.keys.insert(key.name, value);
            }
        }
        for inner in rule.sections {
            let found = self.sections(inner, &values.at, table.get(inner.name));
            values.sections.insert(inner.name, found);
        }
        values
    }

    fn unknown(
        &mut self,
        rule: &Section,
        outer: &At,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let at = self.place(outer, name.get_ref(), name.span().start);
        let is_section = match value.get_ref() {
            DeValue::Table(_) => true,
            DeValue::Array(items) => items.iter().any(|item| item.get_ref().is_table()),
            _ => false,
        };
        let found = if is_section { "an unknown section" } else { "an unknown key" };
        let allowed = match rule.names().collect::<Vec<_>>().join(", ") {
            names if rule.keys.is_empty() => format!("the sections {names}"),
            names => names,
        };
        let hint = did_you_mean(name.get_ref(), rule.names())
            .or_else(|| ROOT.home_of(name.get_ref(), "").map(|home| format!("it belongs to [{home}]")));
        self.report.fault(&at, found, allowed, hint);
    }

    /// The sections of one name; at most one where it is not a repeated one.
    fn sections(
        &mut self,
        rule: &'static Section,
        outer: &At,
        found: Option<&Spanned<DeValue<'_>>>,
    ) -> Vec<Values> {
        let Some(found) = found else {
            return self.absent_section(rule, outer);
        };
        let at = self.place(outer, rule.name, found.span().start);
        match found.get_ref() {
            DeValue::Table(table) if !rule.form.repeated() => vec![self.section(rule, at, table)],
            DeValue::Array(items) if rule.form.repeated() && !items.is_empty() => {
                self.repeated(rule, &at, items)
            }
            DeValue::Array(_) if rule.form == Form::Any => Vec::new(),
            other => {
                let written = if rule.form.repeated() { "[[…]]" } else { "[…]" };
                let header = written.replace('…', rule.name);
                self.report.fault(&at, describe(other), format!("a section {header}"), None);
                Vec::new()
            }
        }
    }

    fn repeated(&mut self, rule: &'static Section, outer: &At, items: &DeArray<'_>) -> Vec<Values> {
        let mut sections = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let at = self.item(outer, i, item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => sections.push(self.section(rule, at, table)),
                other => {
                    self.report.fault(&at, describe(other), format!("a section [[{}]]", rule.name), None)
                }
            }
        }
        sections
    }

    fn absent_section(&mut self, rule: &'static Section, outer: &At) -> Vec<Values> {
        let at = At { key: join(&outer.key, rule.name), ..At::default() };
        match rule.form {
            Form::Defaulted | Form::Free => vec![self.section(rule, at, &DeTable::new())],
            Form::Optional | Form::Any => Vec::new(),
            Form::Required => {
                self.report.missing(&at, format!("a section [{}]", rule.name), None);
                Vec::new()
            }
            Form::OneOrMore => {
                self.report.missing(&at, format!("at least one section [[{}]]", rule.name), None);
                Vec::new()
            }
        }
    }

    /// A section whose keys are the user's own.
    fn free(&mut self, outer: &At, table: &DeTable<'_>) -> Vec<(Located<String>, Located<String>)> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let mut pairs = Vec::new();
        for (name, value) in entries {
            let at = self.place(outer, name.get_ref(), name.span().start);
            if let Some(Located { value: Value::Text(text), at: value_at }) =
                self.value(Kind::One(Text::Any), at.clone(), value.get_ref())
            {
                let name = Located { value: name.get_ref().to_string(), at };
                pairs.push((name, Located { value: text, at: value_at }));
            }
        }
        pairs
    }

    fn key(
        &mut self,
        key: &'static Key,
        outer: &At,
        found: Option<&Spanned<DeValue<'_>>>,
    ) -> Option<Located<Value>> {
        if let Some(found) = found {
            let at = self.place(outer, key.name, found.span().start);
            return self.value(key.kind, at, found.get_ref());
        }
        let at = At { key: join(&outer.key, key.name), ..At::default() };
        match key.absent {
            Absent::None => None,
            Absent::Fault => {
                let at = At { line: outer.line, ..at };
                self.report.missing(&at, key.kind.to_string(), Some(format!("required: {}", key.doc)));
                None
            }
            Absent::Default(default) => match key.kind {
                Kind::One(_) => self.value(key.kind, at, &DeValue::String(default.into())),
                _ => self.value(key.kind, at, DeValue::parse(default).ok()?.get_ref()),
            },
        }
    }

    fn value(&mut self, kind: Kind, at: At, found: &DeValue<'_>) -> Option<Located<Value>> {
        match (kind, found) {
            (Kind::One(text), DeValue::String(written)) => return self.text(text, at, written),
            (Kind::List(text, least), DeValue::Array(items)) if items.len() >= least => {
                // Every item is looked at, also after a faulty one.
                let items: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| {
                        let at = self.item(&at, i, item.span().start);
                        self.value(Kind::One(text), at, item.get_ref())
                    })
                    .collect();
                let items = items.into_iter().collect::<Option<_>>()?;
                return Some(Located { value: Value::List(items), at });
            }
            (Kind::Number(from, to), DeValue::Integer(integer)) => {
                let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
                if let Some(number) = number.filter(|number| (from..=to).contains(number)) {
                    return Some(Located { value: Value::Number(number), at });
                }
            }
            (Kind::Flag, DeValue::Boolean(flag)) => return Some(Located { value: Value::Flag(*flag), at }),
            _ => {}
        }
        self.report.fault(&at, show(kind, found), kind.to_string(), None);
        None
    }

    fn text(&mut self, kind: Text, mut at: At, written: &str) -> Option<Located<Value>> {
        let read = replace(written, self.environment).map_err(Some).and_then(|(text, variables)| {
            at.variables = variables;
            kind.read(&text, self.folder)
        });
        match read {
            Ok(value) => Some(Located { value, at }),
            Err(hint) => {
                let found = if matches!(kind, Text::Secret) { "a text".to_owned() } else { quote(written) };
                let hint = hint.map(|hint| at.mask(hint));
                self.report.fault(&at, found, kind.to_string(), hint);
                None
            }
        }
    }

    /// The place of a key or section of the document. A default is parsed apart and has no line.
    fn place(&self, outer: &At, name: &str, offset: usize) -> At {
        At { line: Some(line(self.text, offset)), key: join(&outer.key, name), variables: Vec::new() }
    }

    fn item(&self, outer: &At, index: usize, offset: usize) -> At {
        let line = outer.line.map(|_| line(self.text, offset));
        At { line, key: format!("{}[{index}]", outer.key), variables: Vec::new() }
    }
}

/// A key below another. A name that is no bare key of TOML stands in quotes.
fn join(outer: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let name = if bare { name.to_owned() } else { quote(name) };
    if outer.is_empty() { name } else { format!("{outer}.{name}") }
}

/// What was found, without the value where it may be a secret.
fn show(kind: Kind, found: &DeValue<'_>) -> String {
    match (kind, found) {
        (Kind::One(Text::Secret), other) => format!("a value of type {}", other.type_str()),
        (_, other) => describe(other),
    }
}

fn describe(found: &DeValue<'_>) -> String {
    match found {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) if items.is_empty() => "an empty list".to_owned(),
        DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_table()) => {
            "repeated sections".to_owned()
        }
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a section".to_owned(),
    }
}

/// A text as a person wrote it: its first line, and no more of it than a message can bear. A key that was pasted where its
/// file belongs is not shown.
fn quote(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let start: String = first.chars().take(100).collect();
    let cut = if start.len() < text.trim_end().len() { "…" } else { "" };
    format!("\"{}{cut}\"", start.escape_debug())
}
