//! Naive servers, written without the code under test: whatever one of them makes of the path that it is sent must have been matched.

use super::RequestPath;

/// A small deterministic generator (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

pub(super) fn hostile_paths(count: usize) -> impl Iterator<Item = String> {
    const PARTS: [&str; 36] = [
        "/", "/", "/", "/", "//", "/../", "/..", "..", ".", "a", "b", "public", "admin", ";", ";x=1", "\\",
        "@", ":", "%2f", "%2F", "%5c", "%2e", "%2E%2e", "%3b", "%3f", "%23", "%40", "%25", "%252e", "%252f",
        "%255c", "%253b", "%32", "%65", "%66", "%C3%A9",
    ];
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    (0..count).map(move |_| {
        let parts = random.below(9);
        std::iter::once("/").chain((0..parts).map(|_| random.pick(&PARTS))).collect()
    })
}

/// What a server does to the path, in an order of its own.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Decode,
    Backslash,
    DropParameters,
    CutParameters,
    CutQuery,
    Resolve,
    Merge,
    Authority,
}

const HABITS: [Habit; 10] = [
    Habit::Decode,
    Habit::Decode,
    Habit::Decode,
    Habit::Backslash,
    Habit::DropParameters,
    Habit::CutParameters,
    Habit::CutQuery,
    Habit::Resolve,
    Habit::Merge,
    Habit::Authority,
];

#[test]
fn whatever_a_server_makes_of_a_path_was_matched() {
    let mut random = Random(0x0123_4567_89AB_CDEF);
    let mut ambiguous = 0;
    for path in hostile_paths(6_000) {
        let Ok(read) = RequestPath::read(&path) else { continue };
        let readings: Vec<&str> = read.readings().collect();
        ambiguous += usize::from(readings.len() > 1);
        for _ in 0..30 {
            let habits: Vec<Habit> = (0..random.below(6)).map(|_| random.pick(&HABITS)).collect();
            let decodes_segments = random.below(2) == 0;
            for seen in serve(read.sent(), &habits, decodes_segments) {
                assert!(
                    readings.contains(&seen.as_str()),
                    "{path} is sent as {} and read as {seen} by {habits:?} {decodes_segments}, not in {readings:?}",
                    read.sent()
                );
            }
        }
    }
    assert!(ambiguous > 1_000, "{ambiguous}");
}

/// What this server matches with its own rules: as it stands, with dot segments that it takes for names, and with those resolved.
fn serve(sent: &str, habits: &[Habit], decodes_segments: bool) -> [String; 2] {
    let mut path = sent.as_bytes().to_vec();
    let mut is_decoded = false;
    for habit in habits {
        path = match habit {
            Habit::Decode => decode(&path),
            Habit::Backslash => path.iter().map(|b| if *b == b'\\' { b'/' } else { *b }).collect(),
            Habit::DropParameters => {
                let segments = path.split(|b| *b == b'/').map(|s| s.split(|b| *b == b';').next().unwrap());
                segments.collect::<Vec<_>>().join(&b'/')
            }
            Habit::CutParameters => path.split(|b| *b == b';').next().unwrap().to_vec(),
            Habit::CutQuery => path.split(|b| matches!(b, b'?' | b'#')).next().unwrap().to_vec(),
            Habit::Resolve => resolve(&path),
            Habit::Merge => merge(&path),
            Habit::Authority => without_authority(&path),
        };
        is_decoded |= matches!(habit, Habit::Decode);
    }
    let segments = path.split(|b| *b == b'/').map(|segment| match (decodes_segments, is_decoded) {
        (true, _) => escape(&decode(segment)),
        (false, true) => escape(segment),
        (false, false) => escape_what_must_be(segment),
    });
    let written = segments.collect::<Vec<_>>().join("/");
    let merged = merge(written.as_bytes());
    [merged.clone(), resolve(&merged)].map(|seen| String::from_utf8(seen).unwrap())
}

/// Decodes once; leaves what is no escape.
fn decode(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < path.len() {
        let digits = path.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        match (path[at], digits) {
            (b'%', Some(digits)) => {
                decoded.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// Writes decoded bytes as a segment.
fn escape(bytes: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(b);
    bytes.iter().map(|b| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Writes a segment that was never decoded: escapes stay, but for those of unreserved characters.
fn escape_what_must_be(segment: &[u8]) -> String {
    let mut written = String::new();
    let mut rest = segment;
    while let Some(byte) = rest.first() {
        let taken = if *byte == b'%' { 3 } else { 1 };
        let decoded = decode(&rest[..taken]);
        let keeps = taken == 3 && !decoded.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b));
        written += &if keeps { format!("%{:02X}", decoded[0]) } else { escape(&decoded) };
        rest = &rest[taken..];
    }
    written
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|b, a| *a == b'/' && *b == b'/');
    merged
}

/// RFC 3986 §5.2.4, letter by letter.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut input = path.to_vec();
    let mut output: Vec<u8> = Vec::new();
    let pop = |output: &mut Vec<u8>| output.truncate(output.iter().rposition(|b| *b == b'/').unwrap_or(0));
    while !input.is_empty() {
        if input.starts_with(b"/./") || input == b"/." {
            input.splice(..input.len().min(3), *b"/");
        } else if input.starts_with(b"/../") || input == b"/.." {
            input.splice(..input.len().min(4), *b"/");
            pop(&mut output);
        } else {
            let end = input[1..].iter().position(|b| *b == b'/').map_or(input.len(), |end| end + 1);
            output.extend(input.drain(..end));
        }
    }
    output
}

fn without_authority(path: &[u8]) -> Vec<u8> {
    if !path.starts_with(b"//") {
        return path.to_vec();
    }
    let authority = path.iter().position(|b| *b != b'/').map_or(&[][..], |start| &path[start..]);
    authority.iter().position(|b| *b == b'/').map_or(b"/".to_vec(), |end| authority[end..].to_vec())
}
