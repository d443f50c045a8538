//! `${VAR}` inside strings.

use super::super::settings::Variable;

/// Looks up a variable.
pub(in crate::config) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces each `${VAR}`; `$${` is a literal `${`. A variable that is empty counts as unset.
///
/// # Errors
/// A sentence saying which variable is not set, or what is wrong with its name.
pub(super) fn replace(
    written: &str,
    environment: Environment<'_>,
) -> Result<(String, Vec<Variable>), String> {
    let mut text = String::with_capacity(written.len());
    let mut variables = Vec::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(literal) = after.strip_prefix("${") {
            text.push_str("${");
            rest = literal;
        } else if let Some(variable) = after.strip_prefix('{') {
            let (name, tail) = variable
                .split_once('}')
                .filter(|(name, _)| is_name(name))
                .ok_or("a variable is written ${NAME}, a literal ${ as $${")?;
            let value = environment(name)
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("the variable {name} is not set or empty"))?;
            text.push_str(&value);
            variables.push(Variable { name: name.to_owned(), value });
            rest = tail;
        } else {
            text.push('$');
            rest = after;
        }
    }
    text.push_str(rest);
    // A value that contains another is masked first, or a part of it would stay visible.
    variables.sort_by_key(|variable| std::cmp::Reverse(variable.value.len()));
    Ok((text, variables))
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::replace;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("as.example.com".to_owned()),
            "TRICK" => Some("${HOST}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn replaces_each_variable_once() {
        for (written, expected) in [
            ("https://${HOST}/jwks", "https://as.example.com/jwks"),
            ("${HOST}${HOST}", "as.example.comas.example.com"),
            ("$${HOST}", "${HOST}"),
            ("$$${HOST}", "$${HOST}"),
            ("$$", "$$"),
            ("a$b", "a$b"),
            ("$HOST", "$HOST"),
            ("${TRICK}", "${HOST}"),
            ("ä${HOST}ö", "äas.example.comö"),
        ] {
            assert_eq!(replace(written, &environment).unwrap().0, expected, "{written}");
        }
    }

    #[test]
    fn refuses_what_is_unset_empty_or_no_name() {
        for written in ["${NONE}", "${EMPTY}", "${", "${HOST", "${}", "${1A}", "${A-B}", "x${ HOST}"] {
            assert!(replace(written, &environment).is_err(), "{written}");
        }
    }

    #[test]
    fn debug_output_does_not_show_the_value() {
        let (_, variables) = replace("${HOST}", &environment).unwrap();
        assert_eq!(format!("{variables:?}"), "[${HOST}]");
    }
}
