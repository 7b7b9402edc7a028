//! Keeping secrets out of logs.

use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;

/// What stands in a secret's place.
const STARS: &[u8] = b"***";

/// A value shorter than this is no secret: masking it would make a log unreadable, and hide nothing.
const SHORTEST: usize = 4;

/// Values that must not stand in a log.
///
/// Each is found also where a line was cut because it was too long. Of a value of several lines, each line is one that
/// must not be seen. The forms that a value takes in JSON and in an address are looked for as well; others are not: a
/// program that prints a secret backwards shows it.
#[derive(Debug, Default)]
pub struct Mask {
    find: Option<AhoCorasick>,
    /// The length of the longest value, in bytes.
    longest: usize,
}

impl Mask {
    /// Masks these values.
    #[must_use]
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut parts: Vec<String> = Vec::new();
        for value in values {
            let lines: Vec<&str> = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST).collect();
            for line in lines {
                parts.extend([line.to_owned(), in_json(line), in_address(line)]);
            }
            if value.contains('\n') {
                parts.push(in_json(value.trim_end()));
            }
        }
        parts.sort();
        parts.dedup();
        let longest = parts.iter().map(String::len).max().unwrap_or(0);
        let find = (longest > 0)
            .then(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&parts).ok())
            .flatten();
        Self { find, longest }
    }

    /// The length of the longest value, in bytes: so much of a line that goes on must be seen together.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The text without the values.
    pub(crate) fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(find) = &self.find else { return Cow::Borrowed(text) };
        if !find.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len());
        find.replace_all_with_bytes(text, &mut masked, |_, _, to| {
            to.extend_from_slice(STARS);
            true
        });
        Cow::Owned(masked)
    }

    /// The text without the values.
    #[must_use]
    pub fn hide(&self, text: String) -> String {
        match self.apply(text.as_bytes()) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => String::from_utf8_lossy(&masked).into_owned(),
        }
    }
}

/// As it stands in a JSON string.
fn in_json(value: &str) -> String {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// As it stands in an address.
fn in_address(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(values: &[&str], text: &str) -> String {
        Mask::new(values.iter().copied()).hide(text.to_owned())
    }

    #[test]
    fn values_are_hidden_wherever_they_stand() {
        assert_eq!(masked(&["s3cret", "s3cret-longer"], "a s3cret, b s3cret-longer."), "a ***, b ***.");
        assert_eq!(masked(&["pa/ss\"word"], r#"{"p": "pa/ss\"word"} ?p=pa%2Fss%22word"#), r#"{"p": "***"} ?p=***"#);
        assert_eq!(masked(&["öffnen!"], "öffnen! öffnen"), "*** öffnen");
    }

    #[test]
    fn each_line_of_a_key_is_hidden() {
        let key = "-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----\n";
        assert_eq!(masked(&[key], "ijklmnop"), "***");
        assert_eq!(masked(&[key], &serde_json::to_string(key).unwrap()), "\"***\\n\"");
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_is_left() {
        assert_eq!(masked(&["1", "", "\n"], "11"), "11");
    }
}
