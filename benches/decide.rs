//! What each stage of `decide` takes, in the order of a request: `cargo bench --bench decide`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use boundgate::decide::binding::{BoundToken, Require};
use boundgate::decide::client::ClientCert;
use boundgate::decide::headers::{Reserved, check_head};
use boundgate::decide::introspection::{Answer, Reading};
use boundgate::decide::issuer::{Algorithm, AnswerForm, Introspection, Issuer, Keys, TokenTypes};
use boundgate::decide::jwt;
use boundgate::decide::keys::KeySet;
use boundgate::decide::path::RequestPath;
use boundgate::decide::policy::{ClaimHeaders, Permit};
use boundgate::decide::route::{Access, Route, Routes};
use boundgate::decide::token::Token;
use boundgate::decide::verified::VerifiedToken;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::request::Parts;
use http::{HeaderName, Method, Request};
use jsonwebtoken::EncodingKey;
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;
const ISSUER: &str = "https://as.example.com";
const AUDIENCE: &str = "https://api.example.com";

criterion_group!(stages, client, head, path, routes, verification, introspection, times_and_binding);
criterion_main!(stages);

fn client(c: &mut Criterion) {
    let chain = vec![certificate()];
    c.bench_function("certificate: DER to thumbprint and dates", |b| {
        b.iter_batched(|| chain.clone(), |chain| ClientCert::read(chain).unwrap(), BatchSize::SmallInput);
    });
}

fn head(c: &mut Criterion) {
    let es256 = Signer::new(Algorithm::Es256);
    let parts = request(&es256.token(&claims()));
    c.bench_function("head: checks", |b| {
        b.iter(|| check_head(black_box(&parts)).unwrap().len());
    });
    c.bench_function("head: fields that may not pass are removed", |b| {
        let reserved = Reserved::new(&claim_headers());
        b.iter_batched_ref(
            || parts.headers.clone(),
            |headers| reserved.strip_request(headers),
            BatchSize::SmallInput,
        );
    });
    c.bench_function("token: found in the head", |b| {
        b.iter(|| Token::extract(black_box(&parts.headers)).unwrap().as_str().len());
    });
    let token = Token::extract(&parts.headers).unwrap();
    c.bench_function("token: digest", |b| b.iter(|| black_box(token).digest()));
}

fn path(c: &mut Criterion) {
    for (name, path) in [
        ("canonical", "/orders/2024/17"),
        ("escapes and dots", "/%6Frders/./2024/../2024//17"),
        ("several readings", "/orders%2f2024;v=1/17"),
    ] {
        c.bench_function(&format!("path: {name}"), |b| {
            b.iter(|| RequestPath::read(black_box(path)).unwrap())
        });
    }
}

fn routes(c: &mut Criterion) {
    let routes = (0..20).map(|n| {
        Route::new(&format!("/area-{n}/*"), vec![Method::GET], Access::Token, vec!["read".to_owned()])
            .unwrap()
    });
    let routes = Routes::new(routes.collect());
    let path = RequestPath::read("/area-19/orders/17").unwrap();
    c.bench_function("route: last of 20", |b| b.iter(|| routes.demand(&Method::GET, black_box(&path))));
    let none = Routes::default();
    c.bench_function("route: none configured", |b| b.iter(|| none.demand(&Method::GET, black_box(&path))));
}

fn verification(c: &mut Criterion) {
    let headers = claim_headers();
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
        let signer = Signer::new(algorithm);
        let (token, issuers) = (signer.token(&claims()), [signer.issuer()]);
        c.bench_function(&format!("JWT: {}", algorithm.name()), |b| {
            b.iter(|| jwt::verify(Token::parse(black_box(&token)).unwrap(), &issuers, &headers).is_ok());
        });
    }
    // What comes before the signature is checked, and all that an unknown issuer's token takes.
    let signer = Signer::new(Algorithm::Es256);
    let mut foreign = claims();
    foreign["iss"] = "https://elsewhere.example.com".into();
    let (token, issuers) = (signer.token(&foreign), [signer.issuer()]);
    c.bench_function("JWT: of an unknown issuer", |b| {
        b.iter(|| jwt::verify(Token::parse(black_box(&token)).unwrap(), &issuers, &headers).is_err());
    });
}

fn introspection(c: &mut Criterion) {
    let (issuer, headers) = (Signer::new(Algorithm::Es256).issuer(), claim_headers());
    let reading = Reading { index: 0, issuer: &issuer, headers: &headers, keep_jwt: false, now: NOW };
    let mut answer = claims();
    answer["active"] = true.into();
    let body = answer.to_string();
    let answer = Answer { media_type: Some("application/json"), body: body.as_bytes() };
    c.bench_function("introspection: answer", |b| b.iter(|| reading.read(black_box(&answer)).is_ok()));
}

fn times_and_binding(c: &mut Criterion) {
    let client = ClientCert::read(vec![certificate()]).unwrap();
    let mut claims = claims();
    claims["cnf"] = json!({"x5t#S256": client.thumbprint_base64url()});
    let signer = Signer::new(Algorithm::Es256);
    let (token, issuer) = (signer.token(&claims), signer.issuer());
    let issuers = [Arc::clone(&issuer)];
    let verify = || jwt::verify(Token::parse(&token).unwrap(), &issuers, &claim_headers());
    let genuine = Arc::new(verify().map_err(drop).unwrap());
    let check = || VerifiedToken::check(Arc::clone(&genuine), &issuer, black_box(NOW)).map_err(drop).unwrap();
    let bind =
        |token| BoundToken::bind(token, Some(black_box(&client)), Require::Always).map_err(drop).unwrap();

    c.bench_function("claims: times and audience", |b| b.iter(check));
    c.bench_function("binding: comparison", |b| b.iter_batched(check, bind, BatchSize::SmallInput));
    let route =
        Route::new("/*", Vec::new(), Access::Token, vec!["read".to_owned(), "write".to_owned()]).unwrap();
    let demand = Routes::new(vec![route]).demand(&Method::GET, &RequestPath::read("/orders").unwrap());
    c.bench_function("policy: two scopes", |b| {
        let grant = |token| Permit::grant(&demand, Some(token)).map_err(drop).unwrap();
        b.iter_batched(|| bind(check()), grant, BatchSize::SmallInput);
    });
}

/// A key of an authorization server.
struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    jwk: Value,
}

impl Signer {
    fn new(algorithm: Algorithm) -> Signer {
        let base64url = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (key, jwk) = match algorithm {
            Algorithm::Es256 => {
                let pair = KeyPair::generate().unwrap();
                let (x, y) = pair.der_bytes()[1..].split_at(32); // after the 0x04 of an uncompressed point
                let jwk = json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)});
                (EncodingKey::from_ec_der(pair.serialized_der()), jwk)
            }
            Algorithm::EdDsa => {
                let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.der_bytes())});
                (EncodingKey::from_ed_der(pair.serialized_der()), jwk)
            }
            _ => {
                let pair =
                    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
                let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
                let jwk =
                    jsonwebtoken::jwk::Jwk::from_encoding_key(&key, jsonwebtoken::Algorithm::RS256).unwrap();
                let jwk = serde_json::to_value(jwk).unwrap();
                (key, json!({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]}))
            }
        };
        Signer { algorithm, key, jwk }
    }

    fn token(&self, claims: &Value) -> String {
        let header = json!({"typ": "at+jwt", "alg": self.algorithm.name(), "kid": "1"});
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let algorithm = self.algorithm.name().parse().unwrap();
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    fn issuer(&self) -> Arc<Issuer> {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = "1".into();
        let (keys, _) = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();
        Arc::new(Issuer {
            name: ISSUER.into(),
            audiences: vec![AUDIENCE.to_owned()],
            algorithms: vec![Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa, Algorithm::Rs256],
            token_types: TokenTypes { at_jwt: true, jwt: true },
            leeway: 30,
            keys: Keys { generation: 1, set: Some(Arc::new(keys)) },
            introspection: Some(Introspection {
                always: false,
                answer: AnswerForm::Json,
                client_id: "boundgate".to_owned(),
                require_audience: true,
                cache_ttl: Duration::from_secs(60),
                negative_ttl: Duration::from_secs(10),
                generation: 1,
            }),
        })
    }
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW - 10, "jti": "0123456789abcdef",
        "sub": "alice", "client_id": "client-1", "scope": "read write",
        "cnf": {"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"},
    })
}

fn claim_headers() -> ClaimHeaders {
    let entry = |name, claim: &str| (HeaderName::from_static(name), claim.to_owned());
    ClaimHeaders::new(vec![entry("x-auth-subject", "sub"), entry("x-auth-client", "client_id")]).unwrap()
}

fn certificate() -> rustls_pki_types::CertificateDer<'static> {
    let params = CertificateParams::new(vec!["client.example.com".to_owned()]).unwrap();
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn request(token: &str) -> Parts {
    let request = Request::get("/orders/17")
        .header("host", "api.example.com")
        .header("user-agent", "curl/8.5.0")
        .header("accept", "*/*")
        .header("authorization", format!("Bearer {token}"))
        .header("x-forwarded-for", "203.0.113.7");
    request.body(()).unwrap().into_parts().0
}
