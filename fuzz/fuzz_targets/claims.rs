//! Header and claims, with a NUL between them, under a signature that is always good: what lies behind it.
#![no_main]

use std::sync::Arc;

use boundgate_fuzz::decide::jwt;
use boundgate_fuzz::decide::policy::Permit;
use boundgate_fuzz::decide::route::{Access, Demand};
use boundgate_fuzz::decide::token::Token;
use boundgate_fuzz::fixture::{
    AUDIENCE, CLAIM_HEADERS, CLIENT_CERT, ISSUER, ISSUERS, LEEWAY, NOW, bind, sign, split,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let (header, payload) = split(data);
    let text = sign(header, payload);
    let Ok(genuine) = jwt::verify(Token::parse(&text).unwrap(), &*ISSUERS, &CLAIM_HEADERS) else { return };
    let header: Value = serde_json::from_slice(header).unwrap();
    let claims: Value = serde_json::from_slice(payload).unwrap();
    assert_eq!((&claims["iss"], &header["alg"]), (&ISSUER.into(), &"EdDSA".into()));
    assert!(is_at_jwt(&header["typ"]), "{header}");
    for name in ["crit", "b64", "enc", "zip"] {
        assert!(header.get(name).is_none(), "{header}");
    }
    assert!(genuine.weight() > payload.len() / 64, "what is remembered is weighed");

    let Some(bound) = bind(Arc::new(genuine)) else { return };
    let time = |name: &str| claims.get(name).map(|time| time.as_f64().unwrap());
    let (now, leeway) = (NOW as f64, LEEWAY as f64);
    assert!(time("exp").unwrap().floor() + leeway > now, "{claims}");
    assert!(time("nbf").unwrap_or(0.0).floor() <= now + leeway, "{claims}");
    assert!(time("iat").unwrap_or(0.0).floor() <= now + leeway, "{claims}");
    let audiences = match &claims["aud"] {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => vec![one.as_str().unwrap()],
    };
    assert!(audiences.contains(&AUDIENCE), "{claims}");
    assert_eq!(claims["cnf"]["x5t#S256"], CLIENT_CERT.thumbprint_base64url().as_str());
    assert!(claims["cnf"].get("jkt").is_none(), "{claims}");

    let demand = Demand { access: Access::Token, scope: "read admin".into(), route: "/".into() };
    let Ok(permit) = Permit::grant(&demand, Some(bound)) else { return };
    let scope = [&claims["scope"], &claims["scp"]].into_iter().find(|scope| !scope.is_null()).unwrap();
    let granted = match scope {
        Value::Array(words) => words.iter().map(|word| word.as_str().unwrap()).collect::<Vec<_>>(),
        scope => scope.as_str().unwrap().split(' ').collect(),
    };
    assert!(granted.contains(&"read") && granted.contains(&"admin"), "{claims}");
    for (name, value) in permit.identity() {
        assert!(value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?}");
        assert_eq!(value.as_bytes().trim_ascii(), value.as_bytes(), "{name}: {value:?}");
    }
});

fn is_at_jwt(typ: &Value) -> bool {
    let typ = typ.as_str().unwrap().to_ascii_lowercase();
    typ == "at+jwt" || typ == "application/at+jwt"
}
