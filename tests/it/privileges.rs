//! It runs as any user, needs no capability and writes nowhere.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use super::support::boundgate::{Boundgate, command, free_address};
use super::support::h2::H2;
use super::support::process::Process;
use super::support::skip::has;
use super::support::world::World;

/// `nobody`, in every distribution.
const NOBODY: u32 = 65534;
/// open(2)
const ACCESS: u32 = 0o3;
const READ_ONLY: u32 = 0;

/// A line of the process's status (proc(5)).
fn status(boundgate: &Boundgate, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", boundgate.process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("{name} in {status}")).trim().to_owned()
}

/// What it has open that is a file and not only read.
fn written_files(boundgate: &Boundgate) -> Vec<String> {
    let process = format!("/proc/{}", boundgate.process.id());
    let descriptors = fs::read_dir(format!("{process}/fd")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut written = Vec::new();
    for descriptor in descriptors.map(|name| name.into_string().unwrap()) {
        // One that closes meanwhile is a connection.
        let Ok(target) = fs::read_link(format!("{process}/fd/{descriptor}")) else { continue };
        let Ok(info) = fs::read_to_string(format!("{process}/fdinfo/{descriptor}")) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let reads_only = u32::from_str_radix(flags, 8).unwrap() & ACCESS == READ_ONLY;
        if target.is_absolute() && !target.starts_with("/dev") && !reads_only {
            written.push(target.display().to_string());
        }
    }
    written
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// As root: `nobody`, without groups; as anyone else, that user. No capability can come back, and the first byte that is written to
/// a file is the last (`RLIMIT_FSIZE`, setrlimit(2)).
fn without_privileges(program: &Path) -> Command {
    let mut run = Command::new("setpriv");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
        run.args([&*user, &*group, "--clear-groups", "--bounding-set=-all"]);
    }
    run.args(["--inh-caps=-all", "--no-new-privs", "prlimit", "--fsize=0", "--core=0"]).arg(program);
    run
}

#[test]
fn any_user_can_run_it_and_it_writes_nowhere() {
    if !has("setpriv", "--version") || !has("prlimit", "--version") {
        return;
    }
    let world = World::new();
    let folder = world.pki.path();
    let program = folder.join("boundgate");
    fs::copy(command().get_program(), &program).unwrap(); // where that user can get at it
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (address, admin, file) = (free_address(), free_address(), folder.join("config.toml"));
    fs::write(&file, world.config().text(address, admin)).unwrap();
    let before = names(folder);

    let mut run = without_privileges(&program);
    run.arg("run").arg("--config").arg(&file).current_dir(home.path());
    run.env_remove("RUST_LOG").env("HOME", home.path()).env("TMPDIR", home.path());
    let mut boundgate = Boundgate { address, admin, file, process: Process::spawn(&mut run) };
    boundgate.wait_until_ready();
    assert!(!status(&boundgate, "Uid").split_whitespace().any(|user| user == "0"), "not as root");
    for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(u64::from_str_radix(&status(&boundgate, capabilities), 16), Ok(0), "{capabilities}");
    }
    assert_eq!(status(&boundgate, "NoNewPrivs"), "1");

    let client = world.client(Some(&world.pki.client_a));
    let token = world.issuer.token(&world.pki.client_a);
    assert_eq!(client.get(address, "/", Some(&token)).unwrap().text(), "hello");
    assert_eq!(client.get(address, "/", None).unwrap().status(), 401);
    assert_eq!(H2::connect(&client, address).unwrap().get("/", Some(&token)).unwrap().text(), "hello");
    fs::write(&boundgate.file, world.config().text(address, admin) + "\n[limits]\ndrain = \"30s\"\n")
        .unwrap();
    boundgate.reload();
    assert_eq!(written_files(&boundgate), [""; 0]);
    boundgate.process.signal("TERM");
    assert_eq!(boundgate.process.wait().code(), Some(0), "{}", boundgate.process.output());
    assert_eq!((names(home.path()), names(folder)), (vec![], before), "no file has come or gone");
}
