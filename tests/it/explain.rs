//! `boundgate explain`: it says what the proxy would do, and what everything that the decision is made of looks like.

mod agreement;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::support::boundgate::command;
use super::support::issuer::{Issuer, now};
use super::support::pki::Identity;
use super::support::world::{Config, World};

const ROUTES: &str = "[[routes]]\npath = \"/public/*\"\naccess = \"public\"\n\n\
                      [[routes]]\npath = \"/admin/*\"\nscopes = [\"admin\"]\n\n\
                      [forward.claims]\nX-Auth-Subject = \"sub\"\n";

fn config(world: &World) -> Config {
    Config {
        client_certificates: "mode = \"optional\"\ntrust = \"ca\"\nca = \"ca.pem\"".to_owned(),
        more: ROUTES.to_owned(),
        ..world.config()
    }
}

/// Writes this configuration beside the certificates, for a command that needs no address.
fn write(world: &World, config: &Config) -> PathBuf {
    let file = world.pki.path().join("explained.toml");
    let (listener, admin) = ("127.0.0.1:8443".parse().unwrap(), "127.0.0.1:9901".parse().unwrap());
    fs::write(&file, config.text(listener, admin)).unwrap();
    file
}

fn run(config: &Path, arguments: &[&str]) -> Output {
    command().arg("explain").arg("--config").arg(config).args(arguments).output().unwrap()
}

/// The standard output; nothing may be said besides.
fn text(output: &Output) -> &str {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    std::str::from_utf8(&output.stdout).unwrap()
}

fn explained(config: &Path, token: &str, identities: &[&Identity], more: &[&str]) -> (i32, Value) {
    let mut arguments = vec!["--json", "--token", token];
    arguments.extend(identities.iter().flat_map(|i| ["--cert", i.certificate.to_str().unwrap()]));
    arguments.extend(more);
    let output = run(config, &arguments);
    let report = serde_json::from_str(text(&output)).unwrap();
    (output.status.code().unwrap(), report)
}

/// The outcome of a check, with its reason.
fn outcome<'a>(report: &'a Value, name: &str) -> (&'a str, Option<&'a str>) {
    let checks = report["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    (check["outcome"].as_str().unwrap(), check["reason"].as_str())
}

/// Claims with one replaced, or, by null, removed.
fn with(mut claims: Value, name: &str, value: Value) -> Value {
    let members = claims.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    claims
}

#[test]
fn one_fault_hides_no_other() {
    let world = World::new();
    let file = write(&world, &config(&world));
    let (client_a, client_b) = (&world.pki.client_a, &world.pki.client_b);
    let claims = with(world.issuer.claims(client_a), "aud", json!("https://other.example.test"));
    let claims = with(with(claims, "exp", json!(now() - 3 * 3600)), "scope", json!("read"));
    let token = Issuer::new(world.issuer.name.clone()).mint(&claims);
    let (code, report) = explained(&file, &token, &[client_b, client_a], &["--path", "/admin/x"]);
    assert_eq!((code, report["reason"].as_str()), (1, Some("signature-invalid")));
    for (name, expected) in [
        ("certificate", ("pass", None)),
        ("route", ("pass", None)),
        ("form", ("pass", None)),
        ("type", ("pass", None)),
        ("issuer", ("pass", None)),
        ("algorithm", ("pass", None)),
        ("signature", ("fail", Some("signature-invalid"))),
        ("claims", ("pass", None)),
        ("expiry", ("fail", Some("token-expired"))),
        ("not-before", ("pass", None)),
        ("issued-at", ("pass", None)),
        ("audience", ("fail", Some("audience-mismatch"))),
        ("binding", ("fail", Some("thumbprint-mismatch"))),
        ("scopes", ("fail", Some("scope-missing"))),
        ("headers", ("pass", None)),
    ] {
        assert_eq!(outcome(&report, name), expected, "{name}");
    }
    // RFC 8705 §3.1: both thumbprints, and which of the certificates the token was issued for.
    let thumbprints = &report["thumbprints"];
    assert_eq!(thumbprints["token"]["base64url"], client_a.thumbprint());
    assert_eq!(thumbprints["token"]["hex"], hex(client_a));
    assert_eq!(thumbprints["certificates"][0]["base64url"], client_b.thumbprint());
    assert_eq!(thumbprints["certificates"][0]["hex"], hex(client_b));
    assert_eq!(thumbprints["certificates"][0]["issued_for"], false);
    assert_eq!(thumbprints["certificates"][1]["issued_for"], true);
    assert_eq!(thumbprints["certificates"][1]["subject"], "CN=client-a");
    assert_eq!(thumbprints["certificates"][1]["admitted"], true);
    assert_eq!(thumbprints["issued_for"], json!([client_a.certificate.to_str().unwrap()]));
    assert_eq!(report["token"]["claims"], claims);
    assert_eq!(report["token"]["header"]["alg"], "ES256");
    assert_eq!(report["times"]["leeway"], 30);
    assert_eq!(report["times"]["exp"]["text"], "3 h ago");
    assert_eq!(report["times"]["nbf"], Value::Null);
    assert_eq!(
        report["route"],
        json!({"method": "GET", "path": "/admin/x", "route": "/admin/*", "access": "token", "scopes": ["admin"]})
    );
}

/// As `openssl x509 -fingerprint -sha256` has it.
fn hex(identity: &Identity) -> String {
    let bytes = URL_SAFE_NO_PAD.decode(identity.thumbprint()).unwrap();
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[test]
fn without_keys_the_signature_is_not_known_to_hold() {
    let world = World::new();
    let uri = "https://as.example.test/jwks";
    let remote = Config {
        issuer: world.config().issuer.replace("jwks_file = \"jwks.json\"", &format!("jwks_uri = \"{uri}\"")),
        ..config(&world)
    };
    let file = write(&world, &remote);
    let client_a = &world.pki.client_a;
    let token = world.issuer.token(client_a);

    let (code, report) = explained(&file, &token, &[client_a], &[]);
    assert_eq!((code, report["verdict"].as_str()), (1, Some("unknown")), "{report:#}");
    assert_eq!((&report["reason"], &report["status"]), (&Value::Null, &Value::Null));
    assert_eq!(outcome(&report, "signature"), ("not-checked", None));
    assert!(report.to_string().contains(&format!("fetch {uri} and pass it as --jwks FILE")), "{report:#}");

    let keys = world.pki.path().join("jwks.json");
    let with_keys = ["--jwks", keys.to_str().unwrap()];
    let (code, report) = explained(&file, &token, &[client_a], &with_keys);
    assert_eq!((code, report["verdict"].as_str()), (0, Some("pass")), "{report:#}");

    let other = world.pki.path().join("other.json");
    Issuer::new("other").write_jwks(&other);
    let (code, report) = explained(&file, &token, &[client_a], &["--jwks", other.to_str().unwrap()]);
    assert_eq!((code, report["reason"].as_str()), (1, Some("signature-invalid")));

    // What is known to be wrong is said, whatever the signature.
    let expired = world.issuer.mint(&with(world.issuer.claims(client_a), "exp", json!(1)));
    let (code, report) = explained(&file, &expired, &[client_a], &[]);
    assert_eq!((code, report["reason"].as_str()), (1, Some("token-expired")));
}

#[test]
fn it_needs_only_the_files_that_it_asks() {
    // A client's developer has the configuration, and neither the server's key nor its CA.
    let world = World::new();
    let file = write(&world, &config(&world));
    let client_a = &world.pki.client_a;
    let token = world.issuer.token(client_a);
    fs::remove_file(&world.pki.server.private_key).unwrap();
    fs::remove_file(&world.pki.server.certificate).unwrap();
    assert_eq!(explained(&file, &token, &[client_a], &[]).0, 0);

    fs::remove_file(&world.pki.authority.certificate).unwrap();
    let (code, report) = explained(&file, &token, &[client_a], &[]);
    assert_eq!((code, report["verdict"].as_str()), (1, Some("unknown")));
    assert_eq!(outcome(&report, "certificate"), ("not-checked", None));
    assert_eq!(report["thumbprints"]["certificates"][0]["admitted"], Value::Null);
    assert_eq!(outcome(&report, "binding"), ("pass", None));
}

#[test]
fn a_required_certificate_is_missed() {
    let world = World::new();
    let file = write(&world, &Config { more: ROUTES.to_owned(), ..world.config() });
    let token = world.issuer.token(&world.pki.client_a);
    for path in ["/", "/public/x"] {
        let (code, report) = explained(&file, &token, &[], &["--path", path]);
        assert_eq!((code, report["reason"].as_str()), (1, Some("certificate-missing")), "{path}");
    }
    let (_, report) = explained(&file, &token, &[], &[]);
    assert_eq!(outcome(&report, "binding"), ("fail", Some("certificate-missing")));
    assert!(report.to_string().contains(&format!("bound to {}", world.pki.client_a.thumbprint())));
}

#[test]
fn people_get_a_text_without_the_token() {
    let world = World::new();
    let file = write(&world, &config(&world));
    let (client_a, client_b) = (&world.pki.client_a, &world.pki.client_b);
    let claims =
        with(world.issuer.claims(client_a), "sub", json!("a\u{1b}[31m\u{202e}\u{9b}b\nForged: line"));
    let token = world.issuer.mint(&claims);
    let cert = client_b.certificate.to_str().unwrap();
    let output = run(&file, &["--token", &token, "--cert", cert]);
    assert_eq!(output.status.code(), Some(1));
    let text = text(&output);
    assert!(text.starts_with("The request would be refused: thumbprint-mismatch (401).\n"), "{text}");
    for said in [
        "RFC 8705 §3",
        "RFC 9068 §4",
        &client_a.thumbprint(),
        &client_b.thumbprint(),
        &hex(client_a),
        &hex(client_b),
        "leeway 30 s",
        "✓ audience",
        "✗ binding",
        "– scopes",
        "\"https://api.example.test\"",
    ] {
        assert!(text.contains(said), "{said:?} in\n{text}");
    }
    assert!(!text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
    assert!(!text.contains("\nForged"), "{text}");
    for part in token.split('.') {
        assert!(!text.contains(part), "the token itself is not shown");
    }
    let colours = command()
        .env("NO_COLOR", "1")
        .args(["explain", "--config", file.to_str().unwrap(), "--token", &token])
        .output()
        .unwrap();
    assert!(!colours.stdout.contains(&0x1b));
}

#[test]
fn standard_input_and_pasted_prefixes() {
    let world = World::new();
    let file = write(&world, &config(&world));
    let client_a = &world.pki.client_a;
    let token = world.issuer.token(client_a);
    let cert = client_a.certificate.to_str().unwrap();
    let mut child = command()
        .args(["explain", "--json", "--token", "-", "--cert", cert, "--config", file.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\r\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));

    let (half, rest) = token.split_at(50);
    for (given, hint) in [
        (format!("Bearer {token}"), "begins with 'Bearer '"),
        (format!("Authorization: bearer {token}"), "begins with 'Authorization:'"),
        (format!("\"{token}\""), "has quotes"),
        (format!("{half}\n  {rest}"), "line breaks"),
    ] {
        let (code, report) = explained(&file, &given, &[client_a], &[]);
        assert_eq!((code, report["reason"].as_str()), (1, Some("token-malformed")), "{given}");
        assert!(report["hints"].to_string().contains(hint), "{report:#}");
        assert_eq!(outcome(&report, "form"), ("fail", Some("token-malformed")));
        assert_eq!(
            outcome(&report, "signature"),
            ("pass", None),
            "the rest is about the token that was meant"
        );
        assert!(!report.to_string().contains(rest));
    }
    let (_, report) = explained(&file, "opaque", &[client_a], &[]);
    assert!(report["hints"].to_string().contains("RFC 7662"), "{report:#}");
    let (_, report) = explained(&file, "a.b.c.d.e", &[client_a], &[]);
    assert!(report["hints"].to_string().contains("JWE"), "{report:#}");
}

#[test]
fn what_cannot_be_used_is_exit_code_2() {
    let world = World::new();
    let file = write(&world, &config(&world));
    let token = world.issuer.token(&world.pki.client_a);
    let key = world.pki.client_a.private_key.to_str().unwrap();
    let missing = world.pki.path().join("missing");
    let missing = missing.to_str().unwrap();
    for arguments in [
        vec!["--token", &token, "--cert", missing],
        vec!["--token", &token, "--cert", key],
        vec!["--token", &token, "--jwks", missing],
        vec!["--token", &token, "--jwks", key],
        vec!["--token", &token, "--method", "G T", "--path", "/"],
        vec!["--token", &token, "--method", "GET"],
        vec!["--unknown", "--token", &token],
        vec![],
    ] {
        let output = run(&file, &arguments);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.is_empty() && !said.contains(&token) && !said.contains("PRIVATE"), "{said}");
    }
    let output = run(Path::new(missing), &["--token", &token]);
    assert_eq!(output.status.code(), Some(2));
    let unset = world.pki.path().join("unset.toml");
    let text = fs::read_to_string(&file).unwrap().replace(&world.issuer.name, "https://${BOUNDGATE_NOT_SET}");
    fs::write(&unset, text).unwrap();
    let output = run(&unset, &["--token", &token]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("BOUNDGATE_NOT_SET"));
}
