//! Lines of a step's log, and how their text is read.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A line of a step's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// 1, 2, 3 …
    pub number: i64,
    /// When it was read, in milliseconds since 1970.
    pub at_ms: i64,
    /// Which stream.
    pub stream: LogStream,
    /// The line, without its end.
    pub text: String,
}

/// Where a line of a log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// The command's standard output.
    Out,
    /// The command's standard error.
    Err,
    /// Slipway: what it did around the command.
    Sys,
}

/// The text of a line as it is read on a terminal: without sequences and other control characters, and without what a
/// carriage return overwrote.
#[must_use]
pub fn plain(line: &str) -> Cow<'_, str> {
    if !line.contains(|c: char| c.is_control() && c != '\t') {
        return line.into();
    }
    let line = line.trim_end_matches('\r');
    let mut rest = line.rsplit('\r').next().unwrap_or(line).chars().peekable();
    let mut text = String::new();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && rest.next_if_eq(&'[').is_some() {
            // Numbers, and the letter that says what they are for.
            while rest.next().is_some_and(|c| c.is_ascii_digit() || c == ';') {}
        } else if !c.is_control() || c == '\t' {
            text.push(c);
        }
    }
    text.into()
}

/// Where a text is found in a line that is read, in bytes: `A` to `Z` and `a` to `z` are the same.
#[must_use]
pub fn found(text: &str, find: &str) -> Vec<std::ops::Range<usize>> {
    let (text, find) = (text.to_ascii_lowercase(), find.to_ascii_lowercase());
    if find.is_empty() {
        return Vec::new();
    }
    text.match_indices(&find).map(|(at, found)| at..at + found.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_on_a_terminal() {
        assert_eq!(plain("as it is\t1"), "as it is\t1");
        assert_eq!(plain("10 %\r20 %\r\u{1b}[2K30 \u{1b}[1m%\u{1b}[0m\r"), "30 %");
        assert_eq!(plain("a\u{1b}[1;31mb \u{1b}["), "ab ");
    }

    #[test]
    fn a_text_is_found_in_large_and_small_letters() {
        assert_eq!(found("Loss: loss", "LOSS"), [0..4, 6..10]);
        assert_eq!(found("é Loss", "loss").first(), Some(&(3..7)));
        assert!(found("any", "").is_empty());
    }
}
