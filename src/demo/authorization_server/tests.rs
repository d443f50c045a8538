#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::*;
use crate::demo::client::client;
use crate::demo::pki::{Identity, self_signed_client};

const AUDIENCE: &str = "https://api.example.com";

struct World {
    ca: Authority,
    server: AuthorizationServer,
}

impl World {
    fn new(clients: Vec<Client>) -> World {
        let ca = Authority::new("CA", Validity::days(1)).unwrap();
        let options =
            Options { port: 0, audience: AUDIENCE.to_owned(), clients, lifetime: Duration::from_secs(300) };
        let server = AuthorizationServer::start(&ca, options).unwrap();
        World { ca, server }
    }

    fn identity(&self, common_name: &str) -> Identity {
        self.ca.client(common_name, Validity::days(1)).unwrap()
    }

    async fn get(&self, url: &str) -> (u16, Value) {
        read(client(&self.ca, None).unwrap().get(url).send().await.unwrap()).await
    }

    async fn token(&self, identity: Option<&Identity>, form: &str) -> (u16, Value) {
        let request = client(&self.ca, identity).unwrap().post(self.server.token_endpoint());
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        read(request.body(form.to_owned()).send().await.unwrap()).await
    }

    async fn refused(&self, identity: Option<&Identity>, form: &str) -> (u16, String) {
        let (status, body) = self.token(identity, form).await;
        assert!(body.get("access_token").is_none());
        (status, body["error"].as_str().unwrap().to_owned())
    }

    /// Verifies the token with the published keys and returns its claims.
    async fn verify(&self, token: &str) -> Result<Claims, jsonwebtoken::errors::Error> {
        let (_, keys) = self.get(&self.server.jwks_uri()).await;
        let keys: JwkSet = serde_json::from_value(keys).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some("at+jwt"));
        let Some(key) = keys.find(&header.kid.unwrap()) else { panic!("its key is not published") };
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[self.server.issuer()]);
        jsonwebtoken::decode(token, &DecodingKey::from_jwk(key).unwrap(), &validation)
            .map(|token| token.claims)
    }
}

async fn read(answer: reqwest::Response) -> (u16, Value) {
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

const FORM: &str = "grant_type=client_credentials&client_id=client-a";

#[tokio::test]
async fn a_client_gets_a_token_that_is_bound_to_the_certificate_of_its_connection() {
    // RFC 8705 §3: the token is bound to the certificate that was used at the token endpoint; RFC 9068 §2.2: its claims.
    let world = World::new(vec![Client::new("client-a", &["orders.read", "orders.write"])]);
    let identity = world.identity("client-a");
    let (status, answer) =
        world.token(Some(&identity), &format!("{FORM}&scope=orders.read&resource={AUDIENCE}")).await;
    assert_eq!((status, &answer["token_type"]), (200, &json!("Bearer")));
    assert_eq!((&answer["scope"], &answer["expires_in"]), (&json!("orders.read"), &json!(300)));

    let claims = world.verify(answer["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["cnf"], json!({ "x5t#S256": identity.thumbprint() }));
    assert_eq!(claims["scope"], "orders.read");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("client-a"), &json!("client-a")));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(claims["jti"].as_str().unwrap()).unwrap().len(), 16);

    let renewed = world.identity("client-a");
    let (_, answer) = world.token(Some(&renewed), FORM).await;
    let claims = world.verify(answer["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["cnf"]["x5t#S256"], renewed.thumbprint());
    assert_eq!(claims["scope"], "orders.read orders.write");
}

#[tokio::test]
async fn only_the_registered_certificate_authenticates_a_client() {
    // RFC 8705 §2.1: a missing or another certificate is `invalid_client`, 401 (RFC 6749 §5.2).
    let world = World::new(vec![Client::new("client-a", &[]), Client::new("client-b", &[])]);
    let invalid_client = (401, "invalid_client".to_owned());
    assert_eq!(world.refused(None, FORM).await, invalid_client);
    assert_eq!(world.refused(Some(&world.identity("client-b")), FORM).await, invalid_client);
    let unknown = "grant_type=client_credentials&client_id=nobody";
    assert_eq!(world.refused(Some(&world.identity("nobody")), unknown).await, invalid_client);

    // A certificate that leads to no CA does not even get through the handshake.
    let stranger = self_signed_client("client-a", Validity::days(1)).unwrap();
    let request = client(&world.ca, Some(&stranger)).unwrap().post(world.server.token_endpoint());
    request.body(FORM).send().await.unwrap_err();
}

#[tokio::test]
async fn a_request_that_is_not_one_for_a_token_is_told_so() {
    let world = World::new(vec![Client::new("client-a", &["orders.read"])]);
    let identity = world.identity("client-a");
    let large = format!("{FORM}&x={}", "x".repeat(9000));
    for (form, error) in [
        ("client_id=client-a", "invalid_request"),
        ("grant_type=client_credentials", "invalid_request"),
        (&large, "invalid_request"),
        (&format!("{FORM}&client_id=client-a"), "invalid_request"),
        ("client_id=client-a&grant_type=password", "unsupported_grant_type"),
        (&format!("{FORM}&scope=orders.write"), "invalid_scope"),
        (&format!("{FORM}&audience=https://other.example"), "invalid_target"),
        (&format!("{FORM}&resource=https://other.example"), "invalid_target"),
    ] {
        assert_eq!(world.refused(Some(&identity), form).await, (400, error.to_owned()), "{form}");
    }
    let unnamed = client(&world.ca, Some(&identity)).unwrap().post(world.server.token_endpoint()).body(FORM);
    assert_eq!(read(unnamed.send().await.unwrap()).await.1["error"], "invalid_request");
    assert_eq!(world.get(&world.server.token_endpoint()).await.0, 405);
    assert_eq!(world.get(&format!("{}/nothing", world.server.issuer())).await.0, 404);
}

#[tokio::test]
async fn a_client_may_be_registered_without_bound_tokens_and_with_claims_of_its_own() {
    // RFC 8705 §3.4: tls_client_certificate_bound_access_tokens is a matter of each client's registration.
    let mut unbound = Client::new("client-a", &[]);
    unbound.bound = false;
    unbound.claims.insert("sub".to_owned(), json!("somebody"));
    let world = World::new(vec![unbound]);
    let (_, answer) = world.token(Some(&world.identity("client-a")), FORM).await;
    let claims = world.verify(answer["access_token"].as_str().unwrap()).await.unwrap();
    assert!(!claims.contains_key("cnf"));
    assert_eq!(claims["sub"], "somebody");
}

#[tokio::test]
async fn metadata_and_keys_need_no_certificate() {
    // RFC 8414 §2, RFC 8705 §3.3 and §5.
    let world = World::new(Vec::new());
    let url = format!("{}/.well-known/oauth-authorization-server", world.server.issuer());
    let (status, metadata) = world.get(&url).await;
    assert_eq!(status, 200);
    assert_eq!(metadata["issuer"], world.server.issuer());
    assert_eq!(metadata["token_endpoint"], world.server.token_endpoint());
    assert_eq!(metadata["mtls_endpoint_aliases"]["token_endpoint"], world.server.token_endpoint());
    assert_eq!(metadata["jwks_uri"], world.server.jwks_uri());
    assert_eq!(metadata["token_endpoint_auth_methods_supported"], json!(["tls_client_auth"]));
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);

    let (status, keys) = world.get(&world.server.jwks_uri()).await;
    assert_eq!((status, keys["keys"].as_array().unwrap().len()), (200, 1));
    let names: Vec<_> = keys["keys"][0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"], "and no private part");
}

#[tokio::test]
async fn tests_can_rotate_its_key_make_it_fail_and_have_any_token_of_it() {
    let world = World::new(Vec::new());
    let server = &world.server;
    let mut claims = server.claims("client-a", "orders.read", Some("abc")).unwrap();
    let token = server.issue(&claims).unwrap();
    assert_eq!(world.verify(&token).await.unwrap(), claims);

    let old_kid = server.header().kid;
    server.rotate_key().unwrap();
    assert_ne!(server.header().kid, old_kid);
    claims.insert("exp".to_owned(), json!(1));
    world.verify(&server.issue(&claims).unwrap()).await.unwrap_err();

    let asked = server.jwks_requests();
    server.set_available(false);
    assert_eq!(world.get(&server.jwks_uri()).await.0, 503);
    server.set_available(true);
    assert_eq!(world.get(&server.jwks_uri()).await.0, 200);
    assert_eq!(server.jwks_requests(), asked + 2);
}
