//! How sentences for people are put together.

use chrono::{DateTime, Utc};

/// A moment to the minute: `27 November 2026, 06:12 UTC`.
#[must_use]
pub fn minute(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// A day: `27 November 2026`.
#[must_use]
pub fn day(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y").to_string()
}

/// The text with its first letter in upper case.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `failed: x` as `Failed: x.`; nothing stays nothing.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim_end_matches('.');
    if text.is_empty() { String::new() } else { format!("{}.", capitalised(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_begins_with_a_capital_and_ends_with_one_stop() {
        for (text, expected) in
            [("failed: x", "Failed: x."), ("Done.", "Done."), ("", ""), ("été", "Été."), ("ß", "SS.")]
        {
            assert_eq!(sentence(text), expected);
        }
    }

    #[test]
    fn a_moment_is_told_to_the_minute_and_a_day_without() {
        let at = DateTime::from_timestamp(1_796_000_000, 0).unwrap();
        assert_eq!((minute(at).as_str(), day(at).as_str()), ("30 November 2026, 00:53 UTC", "30 November 2026"));
    }
}
