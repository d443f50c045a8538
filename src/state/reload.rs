//! Watching files and building the next snapshot, on the control thread.
//!
//! A file has changed when its bytes have: that holds on every file system, through every kind of link, and for an exchange of
//! folders as Kubernetes does it (`..data`). What does not validate replaces nothing; it is tried again at every look, so that
//! a certificate and its key that arrive one after the other need no luck.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::files::{self, CRL_LIMIT};
use super::snapshot::Snapshot;
use super::{load, named};
use crate::config::error::Faults;
use crate::config::settings::{Located, Settings};
use crate::decide::token::Digest;

#[cfg(test)]
mod tests;

/// What the files were when they were last looked at.
pub struct Watch {
    config: PathBuf,
    /// `None`: a file that could not be read.
    seen: BTreeMap<PathBuf, Option<Digest>>,
    /// What was wrong when they were last loaded.
    faults: Option<Faults>,
}

/// What a look at the files has shown.
pub enum Look {
    /// There is nothing to say: the files are as they were, or as faulty as they were.
    Unchanged,
    /// This is what they say now. Its notes tell what only a restart puts in force.
    Changed(Box<Snapshot>),
    /// They are faulty, and the present snapshot stays in force.
    Broken(Faults),
}

impl Watch {
    /// Loads a configuration with every file that it names, and watches them from then on.
    ///
    /// # Errors
    /// Every fault of the configuration, or every fault of its files.
    pub fn start(config: &Path) -> Result<(Watch, Snapshot), Faults> {
        let mut watch = Watch { config: config.to_owned(), seen: BTreeMap::new(), faults: None };
        watch.changed(&[config.to_owned()]);
        let settings = named::read(config)?;
        let snapshot = watch.load(settings, None)?;
        Ok((watch, snapshot))
    }

    /// Looks at the files, and loads them where one has changed or where they were faulty before. The same faults are told once,
    /// and again to who `asked` (SIGHUP).
    pub fn look(&mut self, current: &Snapshot, asked: bool) -> Look {
        if !self.changed(&load::files(&current.settings)) && self.faults.is_none() {
            return Look::Unchanged;
        }
        match self.load_again(current) {
            Ok(snapshot) => {
                self.faults = None;
                Look::Changed(Box::new(snapshot))
            }
            Err(faults) if !asked && self.faults.as_ref() == Some(&faults) => Look::Unchanged,
            Err(faults) => {
                self.faults = Some(faults.clone());
                Look::Broken(faults)
            }
        }
    }

    fn load_again(&mut self, current: &Snapshot) -> Result<Snapshot, Faults> {
        let mut settings = named::read(&self.config)?;
        let needs_restart = keep_until_restart(&mut settings, &current.settings);
        let mut snapshot = self.load(settings, Some(current))?;
        snapshot.notes.extend(needs_restart);
        Ok(snapshot)
    }

    /// Digests are taken before files are loaded, so that a change in between is seen at the next look.
    fn load(&mut self, settings: Settings, previous: Option<&Snapshot>) -> Result<Snapshot, Faults> {
        for file in load::files(&settings) {
            self.seen.entry(file).or_insert_with_key(|file| digest(file));
        }
        load::snapshot(Arc::new(settings), previous)
    }

    /// Whether one of these files is another than when it was last seen.
    fn changed(&mut self, files: &[PathBuf]) -> bool {
        let now: BTreeMap<_, _> = files.iter().map(|file| (file.clone(), digest(file))).collect();
        let changed = now.iter().any(|(file, digest)| self.seen.get(file) != Some(digest));
        self.seen = now;
        changed
    }
}

fn digest(file: &Path) -> Option<Digest> {
    files::read(file, CRL_LIMIT).ok().map(|bytes| Sha256::digest(&bytes).into())
}

/// Puts back what is in force where only a restart can change it, and says so.
fn keep_until_restart(settings: &mut Settings, current: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    let mut keep = |key: &str, now: String, before: String| {
        if now != before {
            notes.push(format!("{key}: {now} needs a restart; until then {before} stays in force"));
        }
    };
    let (listener, admin) = (&mut settings.listener, &mut settings.admin);
    let before = &current.listener;
    keep("listener.address", listener.address.value.to_string(), before.address.value.to_string());
    keep("listener.workers", listener.workers.to_string(), before.workers.to_string());
    keep("admin.address", admin.address.value.to_string(), current.admin.address.value.to_string());
    keep("admin.control", shown(&admin.control), shown(&current.admin.control));
    listener.address.value = before.address.value;
    listener.workers = before.workers;
    admin.address.value = current.admin.address.value;
    admin.control.clone_from(&current.admin.control);
    notes
}

fn shown(socket: &Option<Located<PathBuf>>) -> String {
    socket.as_ref().map_or("none".to_owned(), |path| format!("unix:{}", path.value.display()))
}
