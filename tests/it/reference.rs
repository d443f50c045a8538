//! `docs/` says what the code does: generated pages are compared with what this version generates, the others with a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::support::boundgate::{Boundgate, command};
use super::support::world::World;

const REGENERATE: &str = "run `cargo run -- reference docs`, look at the difference and commit it";

/// Pages that are written by hand.
const BY_HAND: [&str; 1] = ["reference/log.md"];

#[test]
fn the_generated_pages_are_those_of_this_version() {
    let fresh = tempfile::tempdir().unwrap();
    let run = command()
        .arg("reference")
        .arg(fresh.path())
        .env("BOUNDGATE_CONFIG", "elsewhere.toml")
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut expected = files(fresh.path());
    let mut shipped = files(&docs());
    shipped.retain(|name, _| expected.keys().any(|new| Path::new(new).parent() == Path::new(name).parent()));
    for page in BY_HAND {
        assert!(shipped.remove(page).is_some(), "docs/{page} is missing");
    }
    assert!(expected.contains_key("reference/configuration.md") && expected.contains_key("man/boundgate.1"));

    let stale: Vec<_> = shipped.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(stale.is_empty(), "docs/: nothing generates {stale:?}: remove it");
    expected.retain(|name, content| shipped.get(name) != Some(content));
    let differ: Vec<_> = expected.keys().collect();
    assert!(differ.is_empty(), "docs/: {differ:?} is not what this version generates: {REGENERATE}");
}

#[test]
fn the_log_page_has_every_field_of_a_decision_in_order() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let client = world.client(Some(&world.pki.client_a));
    client.get(boundgate.address, "/", Some(&world.issuer.token(&world.pki.client_a))).unwrap();
    client.get(boundgate.address, "/", None).unwrap();
    let page = fs::read_to_string(docs().join("reference/log.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: Vec<String> = rows.map(str::to_owned).collect();
    for decision in ["accepted", "refused"] {
        boundgate.log_line(|line| line["decision"] == decision);
        let line = boundgate
            .process
            .stdout
            .find(|line| line.contains(&format!("\"decision\":\"{decision}\"")).then(|| line.to_owned()));
        assert_eq!(keys(&line.unwrap()), documented, "docs/reference/log.md");
    }
}

/// The keys of a JSON object of scalars, in its order, which a parsed value has lost.
fn keys(line: &str) -> Vec<String> {
    let parsed: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let mut keys: Vec<String> = parsed.into_keys().collect();
    keys.sort_by_key(|key| line.find(&format!("\"{key}\":")));
    keys
}

#[test]
fn completions_of_every_shell_know_every_command() {
    let page = fs::read_to_string(docs().join("reference/command-line.md")).unwrap();
    let commands: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## `boundgate ")?.strip_suffix('`')).collect();
    assert!(commands.contains("check") && !commands.contains("reference"), "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = command().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(run.stdout).unwrap();
        for name in &commands {
            assert!(script.contains(name), "{shell} does not know {name}");
        }
    }
    let unknown = command().args(["completions", "sh"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn bash_can_read_its_completions() {
    let script = fs::File::open(docs().join("completions/boundgate.bash")).unwrap();
    let bash = Command::new("bash").arg("-n").stdin(Stdio::from(script)).output();
    let bash = bash.expect("bash, which every Debian has");
    assert!(bash.status.success(), "{}", String::from_utf8_lossy(&bash.stderr));
}

#[test]
fn man_writes_the_pages_that_ship() {
    let folder = tempfile::tempdir().unwrap();
    let run = command().arg("man").arg(folder.path().join("new/man1")).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(files(&folder.path().join("new/man1")), files(&docs().join("man")), "{REGENERATE}");

    fs::write(folder.path().join("file"), "").unwrap();
    let nowhere = command().arg("man").arg(folder.path().join("file")).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("/file: "));
}

fn docs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Every file below a folder by its path from there.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(
                files(&path).into_iter().map(|(inner, content)| (format!("{name}/{inner}"), content)),
            );
        } else {
            found.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    found
}
