//! The tools themselves, client against server, so that a failing test accuses the right one.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use super::curl::Curl;
use super::message::Message;
use super::process::Process;
use super::server::{Answer, Server};
use super::world::World;

fn echo(request: &Message) -> Answer {
    match request.target() {
        "/chunked" => {
            Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        }
        "/trailers" => {
            Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nStatus: done\r\n\r\n")
        }
        "/until-close" => Answer::raw("HTTP/1.1 200 OK\r\n\r\nall of it").close(),
        "/reset" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").reset(),
        target => Answer::ok(target),
    }
}

#[test]
fn the_client_and_the_server_understand_each_other() {
    let world = World::new();
    let server = Server::https(&world.pki.server, echo);
    let client = world.client(None);
    let mut connection = client.connect(server.address).unwrap();
    assert_eq!(connection.get("/one", None).unwrap().text(), "/one");
    assert_eq!(connection.get("/chunked", Some("token")).unwrap().text(), "abc");
    assert_eq!(
        connection.get("/trailers", None).unwrap().trailers,
        [("Status".to_owned(), "done".to_owned())]
    );
    assert_eq!(connection.get("/until-close", None).unwrap().text(), "all of it");
    assert!(connection.get("/gone", None).is_err(), "the server had closed");
    let broken = client.get(server.address, "/reset", None).unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::ConnectionReset, "a body that breaks off is no answer");
    assert_eq!(server.requests()[1].value("authorization"), Some("Bearer token"));
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_server_that_is_gone_refuses_and_its_connections_end() {
    let world = World::new();
    let server = Server::https(&world.pki.server, echo);
    let (client, address) = (world.client(None), server.address);
    let mut open = client.connect(address).unwrap();
    open.get("/", None).unwrap();
    drop(server);
    assert!(open.get("/", None).is_err());
}

#[test]
fn a_script_has_the_bare_socket() {
    let server = Server::script(|mut socket| socket.write_all(b"SSH-2.0-not-http\r\n"));
    let mut heard = String::new();
    TcpStream::connect(server.address).unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "SSH-2.0-not-http\r\n");
}

#[test]
fn curl_answers_like_our_own_client() {
    let world = World::new();
    let server = Server::https(&world.pki.server, echo);
    let curl =
        |target: &str| Curl::to(&format!("{}{target}", server.url()), &world.pki.authority.certificate);
    let answer = curl("/chunked").token("token").identity(&world.pki.client_a).run().unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "abc"));
    assert_eq!(server.requests()[0].value("authorization"), Some("Bearer token"));
    assert!(curl("/reset").run().unwrap_err().starts_with("curl: "));
}

#[test]
fn a_process_is_heard_and_ends_when_it_is_told_to() {
    let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let mut process = Process::spawn(Command::new("sh").args(["-c", script]));
    let said = |word: &'static str| move |line: &str| (line == word).then_some(());
    process.stdout.find(said("ready")).unwrap();
    process.signal("TERM");
    assert_eq!(process.wait().code(), Some(3));
    process.stdout.find(said("bye")).unwrap();
    assert_eq!(process.stdout.find(said("never")), None, "its output has ended");
}

#[test]
fn a_minted_token_is_a_jws_of_its_key() {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};

    let world = World::new();
    let token = world.issuer.token(&world.pki.client_a);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let key = &world.issuer.jwks()["keys"][0];
    let coordinate = |name: &str| B64.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(input.as_bytes(), &B64.decode(signature).unwrap()).unwrap();
    assert_eq!(
        world.issuer.claims(&world.pki.client_a)["cnf"],
        json!({"x5t#S256": world.pki.client_a.thumbprint()})
    );
}
