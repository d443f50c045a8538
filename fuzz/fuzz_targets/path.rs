//! Eight bytes for what a server does to a path, then the path: whatever that server takes it for, its own rule for it asks no more
//! than was asked. The servers are naive and know nothing of the code under test.
#![no_main]

use std::sync::LazyLock;

use boundgate_fuzz::decide::path::RequestPath;
use boundgate_fuzz::decide::route::{Access, Route, Routes};
use http::Method;
use libfuzzer_sys::fuzz_target;

/// Path, whether it is public, and scope, as configured; below as bytes that were decoded, for the naive router.
const RULES: [(&str, bool, &str); 6] = [
    ("/admin", false, "a"),
    ("/admin/*", false, "b"),
    ("/public/é", false, "c"),
    ("/v1/users:export", false, "d"),
    ("/public/a b/*", false, "e"),
    ("/public/*", true, ""),
];

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let route = |(path, public, scope): (&str, bool, &str)| {
        let access = if public { Access::Public } else { Access::Token };
        let scopes = if public { vec![] } else { vec![scope.to_owned()] };
        Route::new(path, vec![], access, scopes).unwrap()
    };
    Routes::new(RULES.map(route).into())
});

/// Servers, or what they are said to do: nginx, Go, Tomcat, Jetty, IIS, Node's URL, Shiro, two decoders in a row, a rewriting proxy …
const SERVERS: [&[Step]; 12] = [
    &[decode, merge, resolve],
    &[resolve, decode],
    &[drop_parameters, decode, resolve],
    &[decode, drop_parameters, resolve],
    &[decode, backslash, merge, resolve],
    &[backslash, resolve, without_authority],
    &[cut_parameters, decode, resolve],
    &[decode, decode, resolve],
    &[decode, decode, decode, resolve, merge],
    &[decode, cut_query, resolve],
    &[without_authority, decode, resolve],
    &[],
];

const STEPS: [Step; 8] =
    [decode, backslash, drop_parameters, cut_parameters, cut_query, resolve, merge, without_authority];

type Step = fn(&[u8]) -> Vec<u8>;

fuzz_target!(|data: &[u8]| {
    let Some((habits, path)) = data.split_at_checked(8) else { return };
    let Ok(path) = std::str::from_utf8(path) else { return };
    let Ok(read) = RequestPath::read(path) else { return };
    let demand = ROUTES.demand(&Method::GET, &read);
    assert!((1..=16).contains(&read.readings().count()));

    // What is sent, read again, is what was read.
    let again = RequestPath::read(read.sent()).unwrap();
    assert_eq!(again.sent(), read.sent());
    assert_eq!(sorted(&again), sorted(&read));
    assert_eq!(ROUTES.demand(&Method::GET, &again), demand);

    let own: Vec<Step> = habits.iter().filter_map(|habit| STEPS.get(usize::from(*habit)).copied()).collect();
    for steps in SERVERS.into_iter().chain([&own[..]]) {
        for seen in serve(read.sent(), steps) {
            let (public, scope) = rule(&seen);
            let asked = demand.scope.split(' ').any(|word| word == scope) || scope.is_empty();
            assert!(
                asked && (public || demand.access == Access::Token),
                "{path} is sent as {} and served as {}: {demand:?}",
                read.sent(),
                seen.escape_ascii()
            );
        }
    }
});

fn sorted(path: &RequestPath) -> Vec<&str> {
    let mut readings: Vec<&str> = path.readings().collect();
    readings.sort_unstable();
    readings
}

/// What the server's own rules are asked about: as it stands, and with dot segments resolved. Slashes are merged, and escapes of letters and
/// the like mean these even to a server that never decodes.
fn serve(sent: &str, steps: &[Step]) -> [Vec<u8>; 2] {
    let mut path = sent.as_bytes().to_vec();
    for step in steps {
        path = step(&path);
    }
    if !steps.contains(&(decode as Step)) {
        path = decode_these(&path, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    }
    let path = merge(&path);
    [resolve(&path), path]
}

/// The naive router: the first rule that fits, else a token without scopes.
fn rule(path: &[u8]) -> (bool, &'static str) {
    for (pattern, public, scope) in RULES {
        let fits = match pattern.strip_suffix('*') {
            Some(prefix) => path.starts_with(prefix.as_bytes()),
            None => path == pattern.as_bytes(),
        };
        if fits {
            return (public, scope);
        }
    }
    (false, "")
}

/// Decodes once, and leaves what is no escape.
fn decode(path: &[u8]) -> Vec<u8> {
    decode_these(path, |_| true)
}

fn decode_these(path: &[u8], which: fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()) {
            Some(escaped) if byte == b'%' && which(escaped) => {
                decoded.push(escaped);
                rest = &after[2..];
            }
            _ => {
                decoded.push(byte);
                rest = after;
            }
        }
    }
    decoded
}

fn backslash(path: &[u8]) -> Vec<u8> {
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

fn drop_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|byte| *byte == b'/').map(cut_parameters);
    segments.collect::<Vec<_>>().join(&b'/')
}

fn cut_parameters(path: &[u8]) -> Vec<u8> {
    path.split(|byte| *byte == b';').next().unwrap().to_vec()
}

fn cut_query(path: &[u8]) -> Vec<u8> {
    path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap().to_vec()
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|b, a| *a == b'/' && *b == b'/');
    merged
}

/// RFC 3986 §5.2.4, with a stack; an empty segment is one like any other.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut stack: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').skip(1).collect();
    for (index, segment) in segments.iter().enumerate() {
        match *segment {
            b"." => {}
            b".." => drop(stack.pop()),
            name => {
                stack.push(name);
                continue;
            }
        }
        if index + 1 == segments.len() {
            stack.push(b"");
        }
    }
    [&b"/"[..], &stack.join(&b'/')].concat()
}

/// `//host/path` is a reference to another host's `/path`.
fn without_authority(path: &[u8]) -> Vec<u8> {
    let Some(rest) = path.strip_prefix(b"//") else { return path.to_vec() };
    let start = rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
    let end = rest[start..].iter().position(|byte| *byte == b'/');
    end.map_or(b"/".to_vec(), |end| rest[start + end..].to_vec())
}
