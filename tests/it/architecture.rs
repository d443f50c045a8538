//! The shape of the house, held by a test: what the pure core may touch, who may import whom, how large a file may grow.
//!
//! The sources are read as text: comments, strings and test modules are blanked, and what is left is searched for paths.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

mod source;

use source::{blank_tests, blank_text, paths};

/// The modules of the crate: each imports only from those that stand after it. `lib` stands for the crate's root.
const ORDER: [&str; 12] =
    ["lib", "main", "cli", "demo", "listen", "serve", "state", "trace", "log", "metrics", "config", "decide"];

/// What the pure core must not name: a path counts if it is one of these or lies below it.
const IMPURE: [&str; 20] = [
    "tokio",
    "hyper",
    "hyper_util",
    "tokio_rustls",
    "reqwest",
    "rustls",
    "socket2",
    "moka",
    "quick_cache",
    "tracing",
    "std::fs",
    "std::io",
    "std::env",
    "std::process",
    "std::thread",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::time::Instant",
    "std::time::SystemTime",
];

const LONGEST: usize = 400;

#[test]
fn the_core_is_pure() {
    let sources = sources();
    let faults = sources.iter().filter(|source| source.module == "decide").flat_map(impurities);
    report(
        faults,
        "decide/ decides from its arguments alone, so that every decision can be tested without a network and repeated: \
         what it lacks it returns as a need, the time is an argument, and the shell (serve/, state/) does the rest.",
    );
}

#[test]
fn a_module_imports_only_from_its_right() {
    let sources = sources();
    report(
        sources.iter().flat_map(wrong_imports),
        "The order is main > cli > demo > listen > serve > state > trace > log > metrics > config > decide. An import against it \
         is a cycle in the making: move what both sides need to the right, or hand it over as an argument. \
         A new module needs its place in ORDER of tests/it/architecture.rs.",
    );
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let too_long = |(file, text): (&PathBuf, &String)| {
        let lines = text.lines().count();
        (lines > LONGEST).then(|| format!("{}: {lines} lines", file.display()))
    };
    let files = ["src", "tests"].into_iter().flat_map(|folder| read(Path::new(folder), &["rs", "mjs"]));
    let files: BTreeMap<PathBuf, String> = files.collect();
    assert!(files.len() > 10, "the files were not found");
    report(
        files.iter().filter_map(too_long),
        "A file above 400 lines is a room that wants a wall: give one of its subjects a file of its own.",
    );
}

/// `forbid` cannot be taken back further down, as `deny` could (rustc, "Lint levels").
#[test]
fn unsafe_code_is_forbidden() {
    let manifest = fs::read_to_string("Cargo.toml").expect("the manifest");
    let lints =
        manifest.split("\n[").find(|section| section.starts_with("lints.rust]")).expect("[lints.rust]");
    assert!(lints.lines().any(|line| line == "unsafe_code = \"forbid\""), "{lints}");
    assert!(!Path::new("build.rs").exists(), "code that the lints of the crate do not reach");
}

/// A source file without its comments, strings and test modules.
struct Source {
    file: PathBuf,
    /// The module of the crate that it belongs to, first segment only.
    module: String,
    /// How many `super` lead from here to the crate's root.
    depth: usize,
    code: String,
}

impl Source {
    fn new(file: &Path, text: &str) -> Source {
        let below = file.strip_prefix("src").expect("a file of src/");
        let first = below.iter().next().and_then(|first| Path::new(first).file_stem()).unwrap_or_default();
        let module = first.to_string_lossy().into_owned();
        let depth = below.iter().count() - usize::from(below.ends_with("mod.rs"));
        Source { file: file.to_owned(), module, depth, code: blank_tests(&blank_text(text)) }
    }

    /// The module of the crate that a path leads to, if it goes by way of the crate's root.
    fn module_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let segments: Vec<&str> = path.split("::").collect();
        let supers = segments.iter().take_while(|&&segment| segment == "super").count();
        match segments[0] {
            "crate" | "boundgate" => segments.get(1).copied(),
            "super" if supers == self.depth => segments.get(supers).copied(),
            _ => None,
        }
    }

    fn fault(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.file.display())
    }
}

fn impurities(source: &Source) -> Vec<String> {
    let impure = |path: &str| {
        IMPURE
            .iter()
            .any(|name| path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
    };
    let found = paths(&source.code).into_iter().filter(|(_, path)| impure(path));
    found.map(|(line, path)| source.fault(line, &format!("{path} in the pure core"))).collect()
}

fn wrong_imports(source: &Source) -> Vec<String> {
    let Some(own) = rank(&source.module) else {
        return vec![source.fault(1, &format!("{} has no place in ORDER", source.module))];
    };
    let mut faults = Vec::new();
    for (line, path) in paths(&source.code) {
        let Some(to) = source.module_of(&path).filter(|&to| to != source.module) else { continue };
        if rank(to).is_none_or(|to| to < own) {
            faults.push(source.fault(line, &format!("{} imports {path}", source.module)));
        }
    }
    faults
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|&name| name == module)
}

fn sources() -> Vec<Source> {
    let files = read(Path::new("src"), &["rs"]);
    assert!(files.keys().any(|file| file.starts_with("src/decide")), "the sources were not found");
    let shipped = files.iter().filter(|(file, _)| !is_test(file));
    shipped.map(|(file, text)| Source::new(file, text)).collect()
}

/// `…tests.rs`, or a file in a folder `tests`.
fn is_test(file: &Path) -> bool {
    file.to_string_lossy().ends_with("tests.rs") || file.iter().any(|part| part == "tests")
}

/// The files below a folder of the package with one of these endings; what npm put there is not ours.
fn read(folder: &Path, endings: &[&str]) -> BTreeMap<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(package.join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if package.join(&path).is_dir() {
            if !path.ends_with("node_modules") {
                files.extend(read(&path, endings));
            }
        } else if path.extension().is_some_and(|ending| endings.iter().any(|&e| ending == e)) {
            let text = fs::read_to_string(package.join(&path)).unwrap();
            files.insert(path, text);
        }
    }
    files
}

fn report(faults: impl IntoIterator<Item = String>, lesson: &str) {
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "\n{}\n\n{lesson}\n", faults.join("\n"));
}

#[test]
fn the_rules_catch_what_they_forbid() {
    let faults = |file: &str, text: &str| {
        let source = Source::new(Path::new(file), text);
        let pure = if source.module == "decide" { impurities(&source) } else { Vec::new() };
        pure.len() + wrong_imports(&source).len()
    };
    let forbidden = [
        ("src/decide/x.rs", "use std::{fmt, time::{Duration, SystemTime}};"),
        ("src/decide/x.rs", "fn f() { std::fs::read(\"x\"); }"),
        ("src/decide/x.rs", "use rustls::pki_types::CertificateDer;"),
        ("src/decide/x.rs", "use crate::config::settings::At;"),
        ("src/config/x/y.rs", "pub(crate) use crate::{decide::jwt, state::{Snapshot}};"),
        ("src/listen/mod.rs", "fn f() -> crate::cli::Args {}"),
        ("src/state/tls/mod.rs", "use super::super::serve::admin;"),
        ("src/decide/mod.rs", "use super::log;"),
        ("src/news.rs", "fn f() {}"),
    ];
    for (file, text) in forbidden {
        assert_eq!(faults(file, text), 1, "{file}: {text}");
    }
    let allowed = [
        (
            "src/decide/x.rs",
            "use rustls_pki_types::CertificateDer; use std::net::IpAddr; use std::time::Duration;",
        ),
        (
            "src/decide/x.rs",
            "// use tokio::net;\n/* std::fs */ const A: &str = \"std::io\"; const B: &str = r#\"\"tokio::\"#;",
        ),
        (
            "src/decide/x.rs",
            "#[cfg(test)]\nmod tests { use std::time::SystemTime; fn f() { if true { crate::demo::f() } } }",
        ),
        ("src/config/x.rs", "use crate::decide::jwt; use crate::config::error; use super::error;"),
        ("src/main.rs", "use boundgate::cli;"),
        ("src/lib.rs", "pub mod cli; use crate::decide::jwt;"),
    ];
    for (file, text) in allowed {
        assert_eq!(faults(file, text), 0, "{file}: {text}");
    }
}
