//! The command line, as scripts use it: exit codes, what stands on which output, and what the messages say.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::reload::until;
use super::support::boundgate::{Boundgate, command, free_address};
use super::support::process::Process;
use super::support::world::{Config, World};

/// How a command ended.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn boundgate(arguments: &[&str]) -> Outcome {
    outcome(command().args(arguments))
}

fn with_config(name: &str, file: &Path) -> Outcome {
    outcome(command().arg(name).arg("--config").arg(file))
}

/// Writes a configuration of this world on free addresses.
fn write(world: &World, config: &Config) -> PathBuf {
    let file = world.pki.path().join("config.toml");
    fs::write(&file, config.text(free_address(), free_address())).unwrap();
    file
}

/// `run` and `check` both refuse it with 2, and with these lines alone.
fn refused(file: &Path, said: &[&str]) {
    for name in ["run", "check"] {
        let outcome = with_config(name, file);
        assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""), "{name}: {}", outcome.stderr);
        let lines: Vec<_> = outcome.stderr.lines().collect();
        assert_eq!(lines.len(), said.len(), "{}", outcome.stderr);
        for (line, said) in lines.iter().zip(said) {
            let start = format!("{}:", file.display());
            assert!(line.starts_with(&start) && line.contains(said), "{line}\nlacks {said:?}");
        }
    }
}

#[test]
fn every_fault_of_a_configuration_is_told_with_line_key_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    assert_eq!(boundgate(&["certs", folder.path().to_str().unwrap()]).code, Some(0));
    let text = r#"[listener]
address = "localhost:8443"
certificate = "server.pem"
private_key = "server.key"

[client_certificates]
mode = "requierd"
trust = "ca"
ca = "missing.pem"

[[issuers]]
issuer = "https://as.example.com"
audiences = ["https://api.example.com"]
algorithms = ["HS256"]

[upstream]
url = "http://127.0.0.1:8080"
conect_timeout = "5s"

[limits]
drain = "20"
"#;
    fs::write(&file, text).unwrap();
    refused(
        &file,
        &[
            ":2: listener.address: found \"localhost:8443\"; allowed: an IP address with a port",
            ":7: client_certificates.mode: found \"requierd\"; allowed: \"required\" or \"optional\" \
             (did you mean \"required\"?)",
            ":9: client_certificates.ca: found ",
            ":14: issuers[0].algorithms[0]: found \"HS256\"; allowed: \"ES256\"",
            ":18: upstream.conect_timeout: found an unknown key; allowed: url",
            ":21: limits.drain: found \"20\"; allowed: a time from \"0s\"",
        ],
    );
    let stderr = with_config("check", &file).stderr;
    for said in ["(did you mean \"connect_timeout\"?)", "missing.pem: no such file"] {
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let world = World::new();
    let folder = world.pki.path();
    let file = write(&world, &world.config());
    let good = |name: &str| fs::read(folder.join(name)).unwrap();
    let (key, another_key) = (good("server.key"), good("client-a.key"));
    fs::write(folder.join("server.key"), another_key).unwrap();
    refused(&file, &["listener.private_key: found "]);
    assert!(with_config("check", &file).stderr.contains("the key of another certificate"));
    fs::write(folder.join("server.key"), &key).unwrap();

    fs::set_permissions(folder.join("server.key"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(folder.join("server.key")).is_err() {
        refused(&file, &["server.key: a file that this process may not read"]); // unless it is root
    }
    fs::remove_file(folder.join("server.key")).unwrap();
    refused(&file, &["server.key: no such file"]);
    fs::create_dir(folder.join("server.key")).unwrap();
    refused(&file, &["server.key: a directory"]);
    // Each of several.
    fs::remove_file(folder.join("jwks.json")).unwrap();
    refused(&file, &["listener.private_key: found ", "issuers[0].jwks_file: found "]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    refused(&folder.path().join("missing.toml"), &["No such file"]);
    fs::write(folder.path().join("latin1.toml"), b"# caf\xe9\n").unwrap();
    refused(&folder.path().join("latin1.toml"), &["UTF-8"]);
    fs::write(folder.path().join("syntax.toml"), "[listener\n").unwrap();
    refused(&folder.path().join("syntax.toml"), &[":1: found a syntax error"]);
}

#[test]
fn a_port_in_use_is_a_failure_at_run_time_and_names_itself() {
    let world = World::new();
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = holder.local_addr().unwrap();
    let file = world.pki.path().join("config.toml");
    for (key, listener, admin) in
        [("listener.address", taken, free_address()), ("admin.address", free_address(), taken)]
    {
        fs::write(&file, world.config().text(listener, admin)).unwrap();
        let outcome = with_config("run", &file);
        assert_eq!((outcome.code, &*outcome.stdout), (Some(1), ""), "{}", outcome.stderr);
        let [line] = outcome.stderr.lines().collect::<Vec<_>>()[..] else { panic!("{}", outcome.stderr) };
        assert!(line.contains(key) && line.contains(&taken.to_string()), "{line}");
        // Whether a port is free is not a matter of the configuration.
        assert_eq!(with_config("check", &file).code, Some(0));
    }
}

#[test]
fn a_second_instance_does_not_share_the_port() {
    let world = World::new();
    let first = Boundgate::start(world.pki.path(), &world.config());
    let file = world.pki.path().join("second.toml");
    fs::write(&file, world.config().text(first.address, free_address())).unwrap();
    assert_eq!(with_config("run", &file).code, Some(1));
    assert_eq!(first.ask("/readyz").unwrap().status(), 200);
}

#[test]
fn usage_errors_are_2_and_go_to_standard_error() {
    let wrong: [&[&str]; 9] = [
        &[],
        &["frobnicate"],
        &["run", "--confg", "x"],
        &["run", "--config"],
        &["run", "surplus"],
        &["certs"],
        &["thumbprint"],
        &["thumbprint", "a", "b"],
        &["demo", "--twice"],
    ];
    for arguments in wrong {
        let outcome = boundgate(arguments);
        assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""), "{arguments:?}");
        assert!(
            outcome.stderr.contains("--help") || outcome.stderr.contains("Usage:"),
            "{arguments:?}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn help_and_version_are_answers() {
    let version = boundgate(&["--version"]);
    let expected = format!("boundgate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.stdout, &*version.stderr), (Some(0), expected, ""));
    let help = boundgate(&["--help"]);
    assert_eq!((help.code, &*help.stderr), (Some(0), ""));
    for name in ["run", "check", "demo", "certs", "thumbprint", "health", "drain"] {
        assert!(help.stdout.contains(&format!("\n  {name} ")), "{}", help.stdout);
        let help = boundgate(&[name, "--help"]);
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains("Usage: boundgate"), "{}", help.stdout);
    }
}

#[test]
fn the_configuration_is_the_one_of_the_command_line_else_of_the_environment_else_config_toml() {
    let world = World::new();
    let folder = world.pki.path();
    let file = write(&world, &world.config());
    assert_eq!(outcome(command().arg("check").current_dir(folder)).code, Some(0));
    fs::rename(&file, folder.join("named.toml")).unwrap();
    let check = |variable: &str, arguments: &[&str]| {
        let mut command = command();
        command.arg("check").args(arguments).env("BOUNDGATE_CONFIG", folder.join(variable));
        outcome(command.current_dir(folder)).code
    };
    assert_eq!(check("named.toml", &[]), Some(0));
    assert_eq!(check("missing.toml", &[]), Some(2));
    assert_eq!(check("missing.toml", &["--config", "named.toml"]), Some(0));
    assert_eq!(check("named.toml", &["--config", "missing.toml"]), Some(2));

    // `run` and `health` follow it too.
    let mut run = command();
    let process = Process::spawn(run.arg("run").env("BOUNDGATE_CONFIG", folder.join("named.toml")));
    process.stdout.find(|line| line.contains("listening").then_some(())).unwrap();
    let health = || outcome(command().arg("health").env("BOUNDGATE_CONFIG", folder.join("named.toml")));
    until("readiness", || health().code == Some(0));
}

#[test]
fn the_configuration_that_ships_is_valid_with_the_certificates_of_certs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml"), &file).unwrap();
    let certs = |folder: &Path| outcome(command().arg("certs").arg("certs").current_dir(folder));
    assert_eq!(certs(folder.path()).code, Some(0));
    let check = with_config("check", &file);
    assert_eq!((check.code, &*check.stderr), (Some(0), ""));
    for said in ["0.0.0.0:8443", "https://as.example.com", "http://127.0.0.1:8080", "clients-ca.pem"] {
        assert!(check.stdout.contains(said), "{}", check.stdout);
    }

    let files = || {
        let names = ["ca.pem", "ca.key", "clients-ca.pem", "server.pem", "server.key", "client-a.pem"];
        names.map(|name| fs::read(folder.path().join("certs").join(name)).unwrap())
    };
    let before = files();
    let again = certs(folder.path());
    assert_eq!((again.code, &*again.stdout), (Some(1), ""));
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    assert_eq!(files(), before, "it overwrites nothing");
}

#[test]
fn a_thumbprint_is_the_one_of_openssl() {
    let world = World::new();
    let certificate = &world.pki.client_a.certificate;
    let openssl = outcome(
        Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(certificate),
    );
    let (_, expected) = openssl.stdout.split_once('=').expect("openssl is installed");
    let hex = outcome(command().arg("thumbprint").arg("--hex").arg(certificate));
    assert_eq!((hex.code, &*hex.stdout), (Some(0), expected));
    let thumbprint = outcome(command().arg("thumbprint").arg(certificate));
    assert_eq!(thumbprint.stdout.trim_end(), world.pki.client_a.thumbprint());

    for file in [&world.pki.client_a.private_key, &world.pki.path().join("missing.pem")] {
        let outcome = outcome(command().arg("thumbprint").arg(file));
        assert_eq!((outcome.code, &*outcome.stdout), (Some(1), ""));
        assert!(outcome.stderr.contains(file.to_str().unwrap()), "{}", outcome.stderr);
    }
}

#[test]
fn health_tells_ready_from_not_ready_and_not_there() {
    let world = World::new();
    let file = world.pki.path().join("config.toml");
    let port = free_address().port();
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()] {
        let admin = SocketAddr::new(ip, port);
        fs::write(&file, world.config().text(free_address(), admin)).unwrap();
        let absent = with_config("health", &file);
        assert_eq!((absent.code, &*absent.stdout), (Some(1), ""), "{admin}");
        assert!(absent.stderr.contains(&port.to_string()), "{}", absent.stderr);

        let mut process = Process::spawn(command().arg("run").arg("--config").arg(&file));
        until("readiness", || with_config("health", &file).code == Some(0));
        let ready = with_config("health", &file);
        assert_eq!((ready.code, &*ready.stderr), (Some(0), ""), "{admin}");
        process.signal("TERM");
        assert_eq!(process.wait().code(), Some(0));
    }

    let nobody = free_address();
    let issuer = format!(
        "issuer = \"https://as.example.test\"\naudiences = [\"a\"]\njwks_uri = \"https://{nobody}/jwks\""
    );
    let mut boundgate = Boundgate::spawn(world.pki.path(), &Config { issuer, ..world.config() });
    boundgate.process.stdout.find(|line| line.contains("listening").then_some(())).unwrap();
    let waiting = with_config("health", &boundgate.file);
    assert_eq!((waiting.code, &*waiting.stdout), (Some(1), ""));
    assert!(
        waiting.stderr.contains("503") && waiting.stderr.contains("as.example.test"),
        "{}",
        waiting.stderr
    );
    assert!(boundgate.process.ended().is_none(), "it runs whether or not an issuer answers");

    fs::write(&file, "[listener]\n").unwrap();
    assert_eq!(with_config("health", &file).code, Some(2));
}

#[test]
fn the_demo_comes_out_as_it_should() {
    let demo = boundgate(&["demo", "--once"]);
    assert_eq!(demo.code, Some(0), "{}\n{}", demo.stdout, demo.stderr);
    assert!(demo.stdout.contains("curl "), "{}", demo.stdout);
}

#[test]
fn variables_come_from_the_environment_and_are_never_shown() {
    let world = World::new();
    let config = Config {
        listener: "public_url = \"${PUBLIC}\"".to_owned(),
        issuer: world.config().issuer.replace("\"jwks.json\"", "\"${KEYS}.json\""),
        ..world.config()
    };
    let file = write(&world, &config);
    let check = |variables: &[(&str, &str)]| {
        let mut command = command();
        command.env_remove("PUBLIC").env_remove("KEYS").envs(variables.iter().copied());
        outcome(command.arg("check").arg("--config").arg(&file))
    };
    let public = ("PUBLIC", "https://api.example.test");
    assert_eq!(check(&[public, ("KEYS", "jwks")]).code, Some(0));
    for unset in [&[public][..], &[public, ("KEYS", "")]] {
        let outcome = check(unset);
        assert_eq!((outcome.code, &*outcome.stdout), (Some(2), ""));
        assert!(
            outcome.stderr.contains("issuers[0].jwks_file: found \"${KEYS}.json\""),
            "{}",
            outcome.stderr
        );
        assert!(outcome.stderr.contains("KEYS is not set"), "{}", outcome.stderr);
    }
    let both = check(&[("PUBLIC", "confidential"), ("KEYS", "confidential")]);
    assert_eq!(both.code, Some(2));
    assert_eq!(both.stderr.lines().count(), 2, "{}", both.stderr);
    assert!(both.stderr.contains("${PUBLIC}") && both.stderr.contains("${KEYS}"), "{}", both.stderr);
    assert!(!both.stderr.contains("confidential"), "{}", both.stderr);
}

#[test]
fn a_reader_that_leaves_ends_a_command_without_a_panic() {
    let mut command = command();
    let mut child = command.arg("--help").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    assert_ne!(output.status.code(), Some(101));
}
