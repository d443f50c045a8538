//! Just enough of Rust's syntax to find the paths that a source names.

/// The source with its comments blanked, and its strings and characters emptied; lines stay where they are.
pub(super) fn blank_text(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let length = match skipped(rest, code.chars().next_back()) {
            Some(length) => {
                code.push(' ');
                code.extend(rest[..length].chars().filter(|&c| c == '\n'));
                length
            }
            None => {
                code.push(next);
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    code
}

/// The length of the comment, string or character that begins here, if one does.
fn skipped(rest: &str, before: Option<char>) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    if !before.is_some_and(is_word) {
        let raw = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r');
        if let Some(opening) = raw {
            let hashes = opening.len() - opening.trim_start_matches('#').len();
            if opening[hashes..].starts_with('"') {
                let start = rest.len() - opening.len() + hashes + 1;
                let closing = format!("\"{}", "#".repeat(hashes));
                return Some(
                    rest[start..].find(&closing).map_or(rest.len(), |end| start + end + closing.len()),
                );
            }
        }
    }
    match rest.as_bytes() {
        [b'"', ..] => Some(quoted(rest, '"')),
        [b'\'', b'\\', ..] => Some(quoted(rest, '\'')),
        // 'x' is a character, 'x without a second quote is a lifetime.
        [b'\'', ..] => rest.char_indices().nth(2).filter(|&(_, c)| c == '\'').map(|(at, _)| at + 1),
        _ => None,
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    for (at, _) in rest.char_indices() {
        if rest[at..].starts_with("/*") {
            depth += 1;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The code with every item under `#[cfg(test)]` blanked: the rules are for what ships.
pub(super) fn blank_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let Some(start) = code.find(MARK) else { return code.to_owned() };
    let after = start + MARK.len();
    let end = after + item(&code[after..]);
    let lines = code[start..end].chars().filter(|&c| c == '\n').collect::<String>();
    format!("{}{lines}{}", &code[..start], blank_tests(&code[end..]))
}

/// The length of the item that begins here: up to its `;`, or through its outermost braces.
fn item(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path of the code with its line, groups of `use` written out.
pub(super) fn paths(code: &str) -> Vec<(usize, String)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(start) = code[at..].find(is_word).map(|offset| at + offset) {
        let line = 1 + code[..start].matches('\n').count();
        let end = tree(&code[start..], "", &mut |path| found.push((line, path)));
        at = start + end;
    }
    found
}

/// Reads one path that begins here, or a tree of them, and returns its length.
fn tree(code: &str, prefix: &str, found: &mut impl FnMut(String)) -> usize {
    let mut length = code.find(|c: char| !is_word(c)).unwrap_or(code.len());
    let path = format!("{prefix}{}", &code[..length]);
    let Some(more) = code[length..].trim_start().strip_prefix("::") else {
        found(path);
        return length;
    };
    length = code.len() - more.trim_start().len();
    let (rest, prefix) = (&code[length..], format!("{path}::"));
    match rest.chars().next() {
        Some('{') => length + group(rest, &prefix, found),
        Some(c) if is_word(c) => length + tree(rest, &prefix, found),
        _ => {
            found(path); // `a::*`, `a::<T>`
            length
        }
    }
}

/// Reads `{a, b::{c, d}}` and returns its length.
fn group(code: &str, prefix: &str, found: &mut impl FnMut(String)) -> usize {
    let mut at = 1;
    while let Some(c) = code[at..].chars().next() {
        match c {
            '}' => return at + 1,
            c if is_word(c) => at += tree(&code[at..], prefix, found),
            c => at += c.len_utf8(),
        }
    }
    at
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
