//! JSON against serde_json: what is read means the same to both, and what is refused is what two readers could take differently.
#![no_main]

use boundgate_fuzz::decide::json;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let theirs = serde_json::from_slice::<Value>(data);
    match (json::object(data), theirs) {
        (Ok(object), Ok(theirs)) => {
            assert_eq!(members(&theirs), colons(data), "a duplicate key");
            let ours = Value::Object(object);
            assert_eq!(ours, theirs);
            let text = ours.to_string();
            let again = Value::Object(
                json::object(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {text}")),
            );
            // serde_json may be off by a bit when it reads a fraction.
            assert!(again == ours || has_fraction(&ours), "{text}");
        }
        (Ok(object), Err(error)) => panic!("{object:?} is {error} to serde_json"),
        (Err(fault), Ok(theirs @ Value::Object(_))) => match fault.0 {
            "JSON with a duplicate key" => assert_ne!(members(&theirs), colons(data), "{theirs}"),
            "JSON nested too deeply" => {
                assert!(depth(&theirs) > 32 || members(&theirs) != colons(data), "{theirs}")
            }
            "JSON with a number out of range" => {}
            other => panic!("{other}: {theirs}"),
        },
        (Err(_), _) => {}
    }
});

/// Members of all objects.
fn members(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len() + object.values().map(members).sum::<usize>(),
        Value::Array(items) => items.iter().map(members).sum(),
        _ => 0,
    }
}

/// Colons outside strings: one a member, as it was written.
fn colons(text: &[u8]) -> usize {
    let (mut colons, mut quoted, mut escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b':' if !quoted => colons += 1,
            _ => {}
        }
    }
    colons
}

fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Object(object) => object.values().any(has_fraction),
        Value::Array(items) => items.iter().any(has_fraction),
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(object) => 1 + object.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
