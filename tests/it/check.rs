//! `boundgate check`: what would run, what is unwise about it, and that `run` says the latter too.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use time::{Duration, OffsetDateTime};

use super::support::boundgate::{Boundgate, command};
use super::support::world::{Config, World};

const ROUTES: &str = r#"
[[routes]]
path = "/public/*"
methods = ["GET", "HEAD"]
access = "public"
[[routes]]
path = "/orders"
scopes = ["orders.read", "orders.write"]
"#;

/// A world whose files only their owner can touch.
fn tidy() -> World {
    let world = World::new();
    for entry in fs::read_dir(world.pki.path()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o600)).unwrap();
    }
    world
}

fn written(world: &World, config: &Config) -> PathBuf {
    let file = world.pki.path().join("config.toml");
    let [listener, admin] = ["127.0.0.1:8443", "127.0.0.1:9901"].map(|address| address.parse().unwrap());
    fs::write(&file, config.text(listener, admin)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}

fn check(world: &World, config: &Config) -> Output {
    command().arg("check").arg("--config").arg(written(world, config)).output().unwrap()
}

/// The lines below the heading of a section, with one space for several.
fn section(output: &Output, heading: &str) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = text.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// What is unwise, besides the limits of the machine and the certificates of a day that the tests run on.
fn warnings(output: &Output) -> Vec<String> {
    let mut warnings = section(output, "warnings");
    warnings.retain(|line| !line.starts_with("limits.connections: ") && !line.contains("valid until"));
    warnings
}

#[test]
fn it_prints_what_would_run() {
    let world = tidy();
    let crl = world.pki.authority.revoke("ca", &[], OffsetDateTime::now_utc() + Duration::hours(50));
    fs::set_permissions(crl, Permissions::from_mode(0o600)).unwrap();
    let config = Config {
        listener: "public_url = \"https://localhost:8443\"\nworkers = 3".into(),
        client_certificates: "mode = \"optional\"\nca = \"ca.pem\"\ncrl = [\"ca.crl.pem\"]".into(),
        more: format!(
            "{ROUTES}\n[limits]\nrequest_body = \"10MiB\"\nconnections = 7\n[forward.claims]\nX-User = \"sub\""
        ),
        ..world.config()
    };
    let output = check(&world, &config);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let path = |name: &str| world.pki.path().join(name).display().to_string();
    let first = format!("{}: the configuration is valid\n", path("config.toml"));
    assert!(output.stdout.starts_with(first.as_bytes()));

    let expect = |heading: &str, rows: &[&str]| {
        let lines = section(&output, heading);
        for row in rows {
            assert!(lines.iter().any(|line| line == row), "{heading}: no {row:?} in {lines:#?}");
        }
    };
    expect(
        "listener",
        &[
            "address 127.0.0.1:8443",
            "protocols TLS 1.2 and 1.3, h2 and http/1.1",
            &format!("certificate {} for localhost, 127.0.0.1, ::1", path("server.pem")),
            "public_url https://localhost:8443",
            "workers 3",
        ],
    );
    expect(
        "client certificates",
        &[
            "mode optional: without a certificate the request decides",
            &format!("trust chains that lead to {}", path("ca.pem")),
            "authority CN=ca",
            &format!("crl {}", path("ca.crl.pem")),
            "revocation every certificate below the authority needs a CRL; one past its nextUpdate still counts",
        ],
    );
    expect(
        "issuer https://as.example.test",
        &[
            "audiences https://api.example.test",
            "algorithms ES256, PS256, EdDSA, RS256",
            "token_types at+jwt, JWT or none",
            "leeway 30s",
            &format!("keys {} (1 key)", path("jwks.json")),
        ],
    );
    expect("binding", &["require always: an unbound token is refused", "methods mtls"]);
    let routes = section(&output, "routes, the first match wins");
    assert_eq!(
        routes,
        [
            "routes[0] GET HEAD /public/* public",
            "routes[1] every method /orders bound token with scopes orders.read orders.write",
            "last every method everything else bound token",
        ]
    );
    expect("upstream", &[&format!("url {}", world.api.url()), "connect_timeout 5s"]);
    expect("forward", &["authorization keep", "client_cert none", "x-user claim sub"]);
    expect("limits", &["request_head 64KiB", "request_body 10MiB", "connections 7", "head_timeout 10s"]);
    expect("log", &["format json", "level info"]);
    expect("admin", &["address 127.0.0.1:9901: /livez, /readyz, /metrics"]);
    let files = section(&output, "files");
    let ends = |name: &str, end: &str| {
        let found = files.iter().find(|line| line.starts_with(&path(name)));
        assert!(found.is_some_and(|line| line.ends_with(end)), "{name}: {files:#?}");
    };
    ends("config.toml", "config.toml");
    // The certificates are valid for a day from now on, the CRL for two and a little.
    assert!(
        files.iter().any(|line| line.contains("server.pem the certificate is valid until 20")),
        "{files:#?}"
    );
    ends("ca.crl.pem", "Z 2 days left");
    assert_eq!(files.len(), 6, "{files:#?}");
}

#[test]
fn what_is_unwise_is_printed_and_logged_and_changes_no_exit_code() {
    let world = tidy();
    assert_eq!(warnings(&check(&world, &world.config())), [""; 0]);

    fs::set_permissions(world.pki.path().join("server.key"), Permissions::from_mode(0o666)).unwrap();
    let second = "[[issuers]]\nissuer = \"https://other.example.test\"\naudiences = [\"https://api.example.test\"]\n\
                  jwks_file = \"jwks.json\"\n[binding]\nrequire = \"if-bound\"\n";
    let config = Config {
        listener: "public_url = \"https://api.example.test\"".into(),
        more: format!("{second}{ROUTES}[[routes]]\npath = \"/public/admin\"\n"),
        ..world.config()
    };
    let output = check(&world, &config);
    assert_eq!(output.status.code(), Some(0));
    let warnings = warnings(&output);
    let key = world.pki.path().join("server.key").display().to_string();
    let told = [
        "binding.require: ",
        "issuers[0], issuers[1]: ",
        "routes[2] (/public/admin): it asks for a token, but GET and HEAD requests are public",
        "listener.public_url: ",
        &format!("{key} (mode 0666): others than its owner can write to it"),
        &format!("{key} (mode 0666): everybody on this host can read"),
    ];
    for start in &told {
        assert!(warnings.iter().any(|line| line.starts_with(start)), "{start}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), told.len(), "{warnings:#?}");

    let boundgate = Boundgate::start(world.pki.path(), &config);
    for warning in warnings {
        let line = boundgate.log_line(|line| line["warning"] == warning.as_str());
        assert_eq!(line["level"], "warn");
    }
}

#[test]
fn file_descriptors_below_twice_the_connections_are_told() {
    let world = tidy();
    let config = |connections: u32| Config {
        more: format!("[limits]\nconnections = {connections}\n"),
        ..world.config()
    };
    let check = |connections: u32| {
        let file = written(&world, &config(connections));
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -n 200 && exec \"$0\" check --config \"$1\""]);
        let output = shell.arg(env!("CARGO_BIN_EXE_boundgate")).arg(file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        section(&output, "warnings").into_iter().find(|line| line.starts_with("limits.connections: "))
    };
    assert_eq!(check(100), None);
    let warning = check(101).unwrap();
    assert!(warning.contains("202") && warning.contains("200"), "{warning}");
}

#[test]
fn every_fault_is_reported_at_once_and_the_exit_code_is_2() {
    let world = tidy();
    let config = Config {
        client_certificates: "ca = \"missing.pem\"\ncrl = [\"server.key\"]".into(),
        ..world.config()
    };
    let output = check(&world, &config);
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{faults}");
    assert!(output.stdout.is_empty());
    for fault in ["client_certificates.ca: found ", "client_certificates.crl[0]: found "] {
        assert!(faults.contains(fault), "{fault}: {faults}");
    }
}
