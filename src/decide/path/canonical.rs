//! The canonical form of a path (RFC 3986 §6.2.2): what is compared with the routes.

/// The pattern of a route in the form in which readings are compared with it.
///
/// Escapes of characters that may stand in a segment are decoded: of a path with such an escape, that is always one reading.
///
/// # Errors
/// A sentence: not a path, or not in canonical form.
pub(in crate::decide) fn pattern(path: &str) -> Result<String, String> {
    let normal = normalise(path)?;
    let text = super::steps::decode_segments(&normal).unwrap_or(normal);
    let canonical = canonical(&text);
    if merge_slashes(&text) != text || resolve_dots(&text) != text {
        return Err(format!("no path is matched with dot segments or empty ones: write {canonical:?}"));
    }
    Ok(canonical)
}

/// Whether a path is canonical and has one reading, in one pass. Says `false` of some that are, such as `/.well-known`.
pub(super) fn is_canonical(path: &str) -> bool {
    let mut before = 0;
    path.starts_with('/')
        && path.bytes().all(|byte| {
            let after_slash = before == b'/';
            before = byte;
            match byte {
                b'/' | b'.' => !after_slash,
                b';' => false,
                _ => is_pchar(byte),
            }
        })
}

/// Checks a path and writes it with upper-case escapes, and with an escape for each character that RFC 3986 §3.3 does not allow
/// in a path. Only a backslash stays, for the steps to read.
///
/// # Errors
/// What is wrong with the path, without any part of it.
pub(super) fn normalise(path: &str) -> Result<String, &'static str> {
    if !path.starts_with('/') {
        return Err("the path does not begin with a slash");
    }
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
                (Some(high), Some(low)) => push_escape(&mut normal, high << 4 | low),
                _ => return Err("the path has a bad escape"),
            },
            b'?' | b'#' => return Err("a path ends before a query or a fragment"),
            b'/' | b'\\' => normal.push(char::from(byte)),
            _ if is_pchar(byte) => normal.push(char::from(byte)),
            _ => push_escape(&mut normal, byte),
        }
    }
    check(&normal)?;
    Ok(normal)
}

/// Refuses a normalised path whose decoded bytes hold control characters or are not UTF-8, which has no overlong forms
/// (RFC 3629 §3).
pub(super) fn check(normal: &str) -> Result<(), &'static str> {
    let mut decoded = Vec::with_capacity(normal.len());
    let mut rest = normal.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, after) = split_escape(rest).unwrap_or((byte, after));
        decoded.push(byte);
        rest = after;
    }
    match std::str::from_utf8(&decoded) {
        Err(_) => Err("the path is not UTF-8"),
        Ok(text) if text.contains(char::is_control) => Err("the path has a control character"),
        Ok(_) => Ok(()),
    }
}

/// The canonical form of a normalised path: escapes of unreserved characters decoded, `//` merged, dot segments resolved.
///
/// Slashes are merged first, as file systems and nginx do: `/a//../b` is `/b`.
pub(super) fn canonical(normal: &str) -> String {
    resolve_dots(&unresolved(normal))
}

/// The canonical form but for its dot segments, which stay: how a server reads a path that does not resolve them.
pub(super) fn unresolved(normal: &str) -> String {
    merge_slashes(&decode(normal, is_unreserved).replace('\\', "%5C"))
}

/// Decodes the escapes of these characters once. `%` itself is never decoded here, so that no new escape arises.
pub(super) fn decode(normal: &str, which: fn(u8) -> bool) -> String {
    let mut decoded = String::with_capacity(normal.len());
    let mut rest = normal;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        decoded.push_str(before);
        let (escape, after) = escape.split_at(3.min(escape.len()));
        match split_escape(escape.as_bytes()) {
            Some((byte, _)) if which(byte) => decoded.push(char::from(byte)),
            _ => decoded.push_str(escape),
        }
        rest = after;
    }
    decoded.push_str(rest);
    decoded
}

/// Removes dot segments (RFC 3986 §5.2.4); an empty segment is one like any other. What would leave the root stays there, and
/// where the last segment is a dot segment its slash stays.
pub(super) fn resolve_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// Makes one slash of several in a row.
pub(super) fn merge_slashes(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !merged.ends_with('/') {
            merged.push(character);
        }
    }
    merged
}

/// The byte of the escape that these bytes begin with, and what follows it.
pub(super) fn split_escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    match bytes {
        [b'%', high, low, after @ ..] => Some((hex(*high)? << 4 | hex(*low)?, after)),
        _ => None,
    }
}

/// `unreserved` of RFC 3986 §2.3.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 §3.3 without escapes: `unreserved`, `sub-delims`, `:` and `@`.
pub(super) fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@'
        )
}

fn hex(byte: u8) -> Option<u8> {
    // A digit of base 16 fits into a byte.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn push_escape(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}
