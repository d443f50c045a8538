//! `/livez`, `/readyz` and `/metrics` are on the admin port and nowhere else.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use super::{Form, refused};
use crate::support::boundgate::Boundgate;
use crate::support::message::{Message, read_response};
use crate::support::world::World;

const PAGES: [&str; 3] = ["/livez", "/readyz", "/metrics"];

#[test]
fn on_the_public_port_they_are_paths_of_the_api() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    let token = world.issuer.token(&world.pki.client_a);
    let mut connection = world.client(Some(&world.pki.client_a)).connect(boundgate.address).unwrap();
    for page in PAGES {
        refused(&boundgate, "token-missing", Form::Problem, || connection.get(page, None).unwrap());
        assert_eq!(connection.get(page, Some(&token)).unwrap().text(), "hello", "the API answers");
    }
    let heard: Vec<_> = world.api.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(heard, PAGES);
}

#[test]
fn the_admin_port_reads_and_nothing_else() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &world.config());
    for page in PAGES {
        assert_eq!(boundgate.ask(page).unwrap().status(), 200, "{page}");
    }
    let issuers = &boundgate.ask("/readyz").unwrap().json()["issuers"];
    assert!(issuers.to_string().contains(&world.issuer.name), "it lists each issuer's state: {issuers}");
    assert!(boundgate.ask("/metrics").unwrap().text().contains("boundgate_connections 0"));
    assert_eq!(boundgate.ask("/").unwrap().status(), 404);
    assert_eq!(boundgate.ask("/revocations").unwrap().status(), 404);
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(ask(&boundgate, method, "/metrics").status(), 405);
    }
    assert_eq!(world.api.requests(), [], "it leads nowhere");
}

fn ask(boundgate: &Boundgate, method: &str, target: &str) -> Message {
    let mut stream = BufReader::new(TcpStream::connect(boundgate.admin).unwrap());
    write!(stream.get_mut(), "{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").unwrap();
    read_response(&mut stream).unwrap()
}
