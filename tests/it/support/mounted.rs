//! Files as Kubernetes mounts a Secret or a ConfigMap: each is a link through `..data`, which is a link to a folder that is
//! never written again, only exchanged for another.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A folder whose files are mounted.
pub(crate) struct Mounted {
    folder: PathBuf,
    version: u32,
}

impl Mounted {
    /// Turns these files of a folder into mounted ones.
    pub(crate) fn new(folder: &Path, names: &[&str]) -> Mounted {
        let mut mounted = Mounted { folder: folder.to_owned(), version: 0 };
        let files: Vec<_> = names.iter().map(|name| (*name, fs::read(folder.join(name)).unwrap())).collect();
        mounted.exchange(&files);
        for name in names {
            let link = folder.join(format!("{name}.link"));
            symlink(Path::new("..data").join(name), &link).unwrap();
            fs::rename(link, folder.join(name)).unwrap();
        }
        mounted
    }

    /// What the kubelet does when the Secret has changed: all files at once, the old ones are gone.
    pub(crate) fn update(&mut self, changes: &[(&str, Vec<u8>)]) {
        let current = fs::canonicalize(self.folder.join("..data")).unwrap();
        let mut files = Vec::new();
        for entry in fs::read_dir(&current).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let change = changes.iter().find(|(changed, _)| *changed == name);
            let content = change.map_or_else(|| fs::read(current.join(&name)).unwrap(), |(_, c)| c.clone());
            files.push((name, content));
        }
        self.exchange(&files);
        fs::remove_dir_all(current).unwrap();
    }

    fn exchange(&mut self, files: &[(impl AsRef<Path>, Vec<u8>)]) {
        self.version += 1;
        let version = format!("..2026_{}", self.version);
        fs::create_dir(self.folder.join(&version)).unwrap();
        for (name, content) in files {
            fs::write(self.folder.join(&version).join(name), content).unwrap();
        }
        symlink(version, self.folder.join("..data_tmp")).unwrap();
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
    }
}
