//! The sentences that MLflow's clients know when a value is refused. Their tests, and their users' scripts, read them.

use crate::error::Error;

/// The most characters of a wrong value that a message repeats.
const SHOWN: usize = 300;

/// The value is there and wrong.
pub(crate) fn invalid_value(path: &str, value: &str, hint: &str) -> Error {
    invalid_json(path, &quoted(value), hint)
}

/// The value is there and wrong; it is given as JSON.
pub(crate) fn invalid_json(path: &str, value: &str, hint: &str) -> Error {
    Error::invalid_field(path, format!("Invalid value {value} for parameter '{path}' supplied: {hint}"))
}

/// The value is needed and not there.
pub(crate) fn missing_value(path: &str) -> Error {
    let message = format!(
        "Missing value for required parameter '{path}'. See the API docs for more information about request parameters."
    );
    Error::invalid_field(path, message)
}

/// The value named `what` is longer than that many characters.
pub(crate) fn check_length(text: &str, limit: usize, what: &str, path: &str) -> Result<(), Error> {
    if text.len() > limit && text.chars().count() > limit {
        return Err(Error::invalid_field(path, format!("'{what}' exceeds the maximum length of {limit} characters")));
    }
    Ok(())
}

/// Refuses the one character that Postgres keeps in no text.
pub(crate) fn check_nul(text: &str, path: &str) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(invalid_value(path, text, "A text cannot hold the NUL character."));
    }
    Ok(())
}

/// Whether it is a short word that stands in addresses and files as it is: lower-case letters, digits, dots, underscores
/// and hyphens, with a letter or digit at both ends.
pub(crate) fn is_word(text: &str, limit: usize) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    bytes.len() <= limit
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| is_end(Some(byte)) || b"._-".contains(byte))
}

/// The text as JSON in plain ASCII, cut when it is very long.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars().take(SHOWN) {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push_str(if text.chars().nth(SHOWN).is_some() { "…\"" } else { "\"" });
    out
}
