//! `[forward] client_cert`: the upstream learns the certificate of this very connection, and nothing that a client says of one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;

use super::support::boundgate::Boundgate;
use super::support::client::Client;
use super::support::message::Message;
use super::support::pki::Identity;
use super::support::world::{Config, World};

const NAMES: [&str; 3] = ["client-cert", "client-cert-chain", "x-forwarded-client-cert"];

/// What a client would have the upstream believe, in spellings that servers read as one (RFC 9440 §2.4).
const LIES: &str = "Client-Cert: :bGll:\r\nclient_cert: :bGll:\r\nCLIENT-CERT: :bGll:\r\n\
                    Client-Cert-Chain: :bGll:\r\nClient_Cert_Chain: :bGll:\r\n\
                    X-Forwarded-Client-Cert: Hash=lie\r\nX_Forwarded_Client_Cert: Hash=lie\r\n\
                    Connection: client-cert, x-forwarded-client-cert\r\n";

fn config(world: &World, form: &str) -> Config {
    Config {
        client_certificates: "mode = \"optional\"\ntrust = \"ca\"\nca = \"ca.pem\"".to_owned(),
        more: format!(
            "[binding]\nrequire = \"if-bound\"\n\n[forward]\nclient_cert = \"{form}\"\n\n\
             [[routes]]\npath = \"/public/*\"\naccess = \"public\"\n"
        ),
        ..world.config()
    }
}

/// The request as it reached the API.
fn forwarded(world: &World, boundgate: &Boundgate, client: &Client, path: &str, token: &str) -> Message {
    let mut connection = client.connect(boundgate.address).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{LIES}\r\n");
    assert_eq!(connection.exchange(request).unwrap().status(), 200);
    world.api.requests().pop().unwrap()
}

/// Whether a server could take this for a name of ours.
fn is_ours(name: &str) -> bool {
    NAMES.contains(&name.to_ascii_lowercase().replace('_', "-").as_str())
}

fn has_any(request: &Message) -> bool {
    request.fields.iter().any(|(name, _)| is_ours(name))
}

fn decoded(sequence: &str) -> Vec<u8> {
    let base64 = sequence.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).expect(sequence);
    STANDARD.decode(base64).expect(sequence)
}

#[test]
fn rfc_9440_carries_the_leaf_and_the_chain_of_the_connection() {
    // RFC 9440 §2.1, §2.2: one byte sequence; §2.3: the chain only together with it, without the leaf; §2.4: a client's own are
    // removed.
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &config(&world, "rfc9440"));
    for identity in [&world.pki.client_a, &world.pki.client_b] {
        let request =
            forwarded(&world, &boundgate, &world.client(Some(identity)), "/", &world.issuer.token(identity));
        assert_eq!(decoded(request.value("client-cert").unwrap()), *identity.der);
        assert_eq!(request.value("client-cert-chain"), None, "only the leaf was presented");
        assert_eq!(request.value("x-forwarded-client-cert"), None);
        assert_eq!(request.fields.iter().filter(|(name, _)| is_ours(name)).count(), 1);
    }
    let chain = vec![world.pki.client_a.der.clone(), authority(&world)];
    let client = with_chain(&world, &world.pki.client_a, chain.clone());
    let request = forwarded(&world, &boundgate, &client, "/", &world.issuer.token(&world.pki.client_a));
    assert_eq!(decoded(request.value("client-cert").unwrap()), *chain[0]);
    assert_eq!(decoded(request.value("client-cert-chain").unwrap()), *chain[1]);
}

#[test]
fn xfcc_carries_what_envoy_would() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &config(&world, "xfcc"));
    let client_a = &world.pki.client_a;
    let mut connection = world.client(Some(client_a)).connect(boundgate.address).unwrap();
    for _ in 0..2 {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{LIES}\r\n",
            world.issuer.token(client_a)
        );
        assert_eq!(connection.exchange(request).unwrap().status(), 200);
        let request = world.api.requests().pop().unwrap();
        let element = request.value("x-forwarded-client-cert").unwrap();
        let hex: String = thumbprint(client_a).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            element.starts_with(&format!("Hash={hex};Cert=\"-----BEGIN%20CERTIFICATE-----%0A")),
            "{element}"
        );
        assert!(element.ends_with("%0A\";Subject=\"CN=client-a\";DNS=client-a.example.test"), "{element}");
        assert_eq!((request.value("client-cert"), request.value("client-cert-chain")), (None, None));
    }
}

#[test]
fn without_a_certificate_or_a_decision_nothing_is_said() {
    // RFC 9440 §2.4: what a client sends is removed, whether or not there is anything to put in its place.
    let world = World::new();
    let client_a = &world.pki.client_a;
    let mut unbound = world.issuer.claims(client_a);
    unbound.as_object_mut().unwrap().remove("cnf");
    let (bound, unbound) = (world.issuer.token(client_a), world.issuer.mint(&unbound));
    for form in ["none", "rfc9440", "xfcc"] {
        let boundgate = Boundgate::start(world.pki.path(), &config(&world, form));
        let (with, without) = (world.client(Some(client_a)), world.client(None));
        assert!(!has_any(&forwarded(&world, &boundgate, &without, "/", &unbound)), "{form}: no certificate");
        assert!(!has_any(&forwarded(&world, &boundgate, &with, "/public/x", &bound)), "{form}: public route");
        assert_eq!(has_any(&forwarded(&world, &boundgate, &with, "/", &bound)), form != "none", "{form}");
        assert_eq!(
            has_any(&forwarded(&world, &boundgate, &with, "/", &unbound)),
            form != "none",
            "{form}: the certificate is proven by the handshake, whatever the token says of it"
        );
    }
}

#[test]
fn a_reload_changes_the_form_on_an_open_connection() {
    let world = World::new();
    let boundgate = Boundgate::start(world.pki.path(), &config(&world, "rfc9440"));
    let client_a = &world.pki.client_a;
    let token = world.issuer.token(client_a);
    let mut connection = world.client(Some(client_a)).connect(boundgate.address).unwrap();
    assert_eq!(connection.get("/", Some(&token)).unwrap().status(), 200);
    assert!(world.api.requests().pop().unwrap().value("client-cert").is_some());
    boundgate.rewrite(&config(&world, "xfcc"));
    boundgate.process.signal("HUP");
    let deadline = std::time::Instant::now() + super::support::process::PATIENCE;
    loop {
        assert_eq!(connection.get("/", Some(&token)).unwrap().status(), 200);
        let request = world.api.requests().pop().unwrap();
        let found = (request.value("client-cert"), request.value("x-forwarded-client-cert"));
        match found {
            (None, Some(_)) => return,
            (Some(_), None) => assert!(std::time::Instant::now() < deadline, "it was never reloaded"),
            other => panic!("{other:?}"),
        }
    }
}

fn thumbprint(identity: &Identity) -> Vec<u8> {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    URL_SAFE_NO_PAD.decode(identity.thumbprint()).unwrap()
}

fn authority(world: &World) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::from_pem_file(&world.pki.authority.certificate).unwrap()
}

/// A client that presents this chain.
fn with_chain(world: &World, identity: &Identity, chain: Vec<CertificateDer<'static>>) -> Client {
    let mut client = world.client(Some(identity));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority(world)).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(super::support::client::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, identity.key())
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    client.config = std::sync::Arc::new(config);
    client
}
