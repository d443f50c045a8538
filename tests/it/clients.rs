//! Clients as other people write them, each in the language's own HTTP library: they pass with their certificate and are
//! refused with another's. Where a runtime is missing, its test says so and passes; on CI it fails.

use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::support::boundgate::Boundgate;
use super::support::curl::Curl;
use super::support::message::{Message, read_head};
use super::support::pki::Identity;
use super::support::skip::has;
use super::support::world::World;

/// RFC 8705 §3: the token passes on a connection with the certificate that it is bound to, and on no other.
fn passes_with_its_own_certificate_alone(
    protocol: &str,
    get: impl Fn(&World, &str, &Identity, &str) -> Message,
) {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let url = format!("https://{}/orders", boundgate.address);
    let token = world.issuer.token(&world.pki.client_a);
    let own = get(&world, &url, &world.pki.client_a, &token);
    assert_eq!((own.start, &own.body[..]), (format!("{protocol} 200"), &b"hello"[..]));
    let another = get(&world, &url, &world.pki.client_b, &token);
    assert_eq!(another.start, format!("{protocol} 401"));
    assert_eq!(another.verdict(), (401, "thumbprint-mismatch".to_owned()));
    assert_eq!(world.api.requests().len(), 1, "what was refused did not reach the API");
}

/// A program of `tests/clients`.
fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// What a program prints: the protocol and the status, an empty line, the body. It reads the token from its standard input.
fn run(command: &mut Command, token: &str) -> Message {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut stdout = BufReader::new(&output.stdout[..]);
    let mut message = read_head(&mut stdout).unwrap();
    stdout.read_to_end(&mut message.body).unwrap();
    message
}

/// Runs a program with URL, CA, certificate and key as arguments.
fn with_pem(command: &mut Command, world: &World, url: &str, identity: &Identity, token: &str) -> Message {
    command.arg(url).arg(&world.pki.authority.certificate);
    run(command.arg(&identity.certificate).arg(&identity.private_key), token)
}

#[test]
fn curl_over_http1_and_http2() {
    if !has("curl", "--version") {
        return;
    }
    for (protocol, version) in [("HTTP/1.1", "--http1.1"), ("HTTP/2", "--http2")] {
        passes_with_its_own_certificate_alone(protocol, |world, url, identity, token| {
            let curl = Curl::to(url, &world.pki.authority.certificate).identity(identity).token(token);
            let mut answer = curl.args(&[version]).run().unwrap();
            answer.start = format!("{} {}", answer.start.split(' ').next().unwrap(), answer.status());
            answer
        });
    }
}

#[test]
fn python_http_client() {
    if !has("python3", "--version") {
        return;
    }
    passes_with_its_own_certificate_alone("HTTP/1.1", |world, url, identity, token| {
        with_pem(Command::new("python3").arg(program("client.py")), world, url, identity, token)
    });
}

#[test]
fn node_https() {
    if !has("node", "--version") {
        return;
    }
    passes_with_its_own_certificate_alone("HTTP/1.1", |world, url, identity, token| {
        with_pem(Command::new("node").arg(program("client.mjs")), world, url, identity, token)
    });
}

#[test]
fn node_http2() {
    if !has("node", "--version") {
        return;
    }
    passes_with_its_own_certificate_alone("HTTP/2", |world, url, identity, token| {
        let mut node = Command::new("node");
        node.arg(program("client.mjs")).arg(url).arg(&world.pki.authority.certificate);
        run(node.arg(&identity.certificate).arg(&identity.private_key).arg("http2"), token)
    });
}

#[test]
fn java_http_client_over_http1_and_http2() {
    if !has("java", "--version") || !has("openssl", "version") {
        return;
    }
    for (protocol, version) in [("HTTP/1.1", "HTTP_1_1"), ("HTTP/2", "HTTP_2")] {
        passes_with_its_own_certificate_alone(protocol, |world, url, identity, token| {
            let store = identity.certificate.with_extension("p12");
            let mut openssl = Command::new("openssl");
            openssl.args(["pkcs12", "-export", "-passout", "pass:password", "-out"]).arg(&store);
            openssl.arg("-in").arg(&identity.certificate).arg("-inkey").arg(&identity.private_key);
            assert!(openssl.status().unwrap().success());
            let mut java = Command::new("java");
            java.arg(program("Client.java")).arg(url).arg(&world.pki.authority.certificate);
            run(java.arg(store).arg(version), token)
        });
    }
}
