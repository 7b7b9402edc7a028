//! Keeping secrets out of logs.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use std::{borrow::Cow, fmt, sync::OnceLock};

/// What stands in a secret's place.
const STARS: &[u8] = b"***";

/// A value shorter than this is no secret: masking it would make a log unreadable, and hide nothing.
const SHORTEST: usize = 4;

/// So many bytes fit in the shortest line of base64 that programs write.
const SHORTEST_LINE: usize = 48;

/// Values that must not stand in a log.
///
/// Each is found also where a line was cut because it was too long. Of a value of several lines, each line is one that
/// must not be seen. The forms that a value takes in JSON, in an address and in base64 are looked for as well, the last also
/// where the value stands among others, as a password does in a header; others are not: a program that prints a secret
/// backwards shows it.
#[derive(Default)]
pub struct Mask {
    /// The values in all their forms.
    parts: Vec<String>,
    /// What finds them, made for the first text: many a step says nothing. None when it could not be made.
    find: OnceLock<Option<AhoCorasick>>,
    /// The length of the longest value, in bytes.
    longest: usize,
}

/// Without the values.
impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("parts", &self.parts.len()).finish_non_exhaustive()
    }
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
                parts.extend(in_base64(line.as_bytes()));
            }
            if value.contains('\n') {
                parts.push(in_json(value.trim_end()));
                parts.extend(in_base64(value.trim_end().as_bytes()));
                parts.extend(in_lines_of_base64(value.as_bytes()));
            } else if value.len() > SHORTEST_LINE {
                parts.extend(in_lines_of_base64(value.as_bytes()));
            }
        }
        parts.sort();
        parts.dedup();
        let longest = parts.iter().map(String::len).max().unwrap_or(0);
        Self { parts, find: OnceLock::new(), longest }
    }

    /// The length of the longest value, in bytes: so much of a line that goes on must be seen together.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The text without the values; borrowed when none of them is in it.
    #[must_use]
    pub fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        if self.longest == 0 {
            return Cow::Borrowed(text);
        }
        let make = || AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&self.parts).ok();
        // Rather nothing of the text than a value in it.
        let Some(find) = self.find.get_or_init(make) else { return Cow::Borrowed(STARS) };
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

/// The characters of base64 that say something of nothing but these bytes, when `before` other bytes (0 to 2) stand before
/// them in a group of three and anything after.
fn characters(bytes: &[u8], before: usize, engine: &impl Engine) -> String {
    let text = engine.encode([vec![0; before], bytes.to_vec()].concat());
    let first = (before * 8).div_ceil(6);
    let last = (before + bytes.len()) * 8 / 6;
    text.get(first..last).unwrap_or_default().to_owned()
}

/// As it stands in base64, alone or among other bytes, by either alphabet.
fn in_base64(bytes: &[u8]) -> impl Iterator<Item = String> {
    let whole = [STANDARD.encode(bytes), URL_SAFE.encode(bytes)];
    let among = (0..3).flat_map(|before| [characters(bytes, before, &STANDARD), characters(bytes, before, &URL_SAFE)]);
    whole.into_iter().chain(among).filter(|text| text.len() > SHORTEST).collect::<Vec<_>>().into_iter()
}

/// The same where base64 is written in lines, as `base64` and `openssl` do.
fn in_lines_of_base64(bytes: &[u8]) -> Vec<String> {
    let text = characters(bytes, 0, &STANDARD);
    let lines = |width: usize| {
        let line = |start: usize| text.get(start..text.len().min(start + width)).unwrap_or_default().to_owned();
        (0..text.len()).step_by(width).map(line).collect::<Vec<_>>()
    };
    [lines(64), lines(76)].concat().into_iter().filter(|line| line.len() > SHORTEST).collect()
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
    fn a_value_is_hidden_in_base64_alone_and_among_others() {
        let secret = "Tr0ub4dor&3-ähnlich";
        for (before, after) in [("", ""), ("user:", ""), ("us:", ":x"), ("u:", "\n"), ("", "\n")] {
            let text = STANDARD.encode(format!("{before}{secret}{after}"));
            let hidden = masked(&[secret], &format!("Authorization: Basic {text}"));
            let shown = hidden.strip_prefix("Authorization: Basic ").unwrap();
            assert!(shown.contains("***") && shown.len() <= text.len() - 20, "{before:?} {after:?}: {hidden}");
        }
        let url_safe = "subjects?_d=1~~~>>>";
        assert_eq!(masked(&[url_safe], &URL_SAFE.encode(url_safe)), "***");
        assert_eq!(masked(&["s3cret"], &STANDARD.encode("s3cret")), "***");
    }

    #[test]
    fn a_key_is_hidden_where_base64_is_written_in_lines() {
        let key: String = (0..20).map(|line| format!("line {line} of the key, and what it says\n")).collect();
        for width in [64, 76] {
            let text = STANDARD.encode(&key);
            let lines: Vec<&str> =
                (0..text.len()).step_by(width).map(|at| &text[at..text.len().min(at + width)]).collect();
            for (at, line) in lines.iter().enumerate().take(lines.len() - 1) {
                assert_eq!(masked(&[&key], line), "***", "line {at} of {width}");
            }
        }
    }

    #[test]
    fn what_is_too_short_to_be_a_secret_is_left() {
        assert_eq!(masked(&["1", "", "\n"], "11"), "11");
    }
}
