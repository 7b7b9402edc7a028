//! Patterns of names: `*` for any characters, `?` for one, everything else for itself.

use crate::error::Error;
use wildmatch::{WildMatch, WildMatchPattern};

/// The most patterns of a list.
pub const MAX_PATTERNS: usize = 50;
/// The most characters of a pattern.
const MAX_LENGTH: usize = 250;

/// Whether a name fits a pattern.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    WildMatch::new(pattern).matches(name)
}

/// Whether a text fits a pattern in which `*` alone stands for others, as in the files of policies.
#[must_use]
pub fn matches_star(pattern: &str, text: &str) -> bool {
    WildMatchPattern::<'*', '\0'>::new(pattern).matches(text)
}

/// Whether a name fits one of several patterns; none of them is all names.
#[must_use]
pub fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, name))
}

/// Refuses a list that is no list of patterns.
///
/// # Errors
/// When there are more than 50, or one is empty, longer than 250 characters, or holds a character that cannot be seen.
pub fn check(patterns: &[String], field: &str) -> Result<(), Error> {
    if patterns.len() > MAX_PATTERNS {
        return Err(Error::invalid_field(field, format!("Give at most {MAX_PATTERNS} names.")));
    }
    let is_wrong = |pattern: &String| {
        pattern.trim().is_empty() || pattern.chars().count() > MAX_LENGTH || pattern.chars().any(char::is_control)
    };
    if patterns.iter().any(is_wrong) {
        let text = format!("Each name has 1 to {MAX_LENGTH} visible characters; * stands for any of them, ? for one.");
        return Err(Error::invalid_field(field, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        for (pattern, name) in [
            ("churn", "churn"),
            ("*", ""),
            ("*", "anything"),
            ("churn-*", "churn-eu"),
            ("*-eu", "churn-eu"),
            ("c*n-?u", "churn-eu"),
            ("a*b*c", "aXbYbZc"),
            ("**", "x"),
            ("?é", "éé"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("churn", "Churn"), ("", "x"), ("?", ""), ("churn-*", "churn"), ("a*b", "abc")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(matches_any(&[], "x") && !matches_any(&["y".to_owned()], "x"));
    }

    #[test]
    fn a_list_has_few_short_patterns() {
        assert_eq!(check(&["churn-*".to_owned()], "models"), Ok(()));
        for wrong in [vec![String::new()], vec!["x".repeat(251)], vec!["a\0".to_owned()], vec!["x".to_owned(); 51]] {
            assert_eq!(check(&wrong, "models").unwrap_err().field.as_deref(), Some("models"));
        }
    }

    proptest! {
        #[test]
        fn it_is_what_trying_every_split_says(pattern in "[ab*?]{0,6}", name in "[ab]{0,7}") {
            fn naive(pattern: &[u8], name: &[u8]) -> bool {
                match (pattern.first(), name.first()) {
                    (None, None) => true,
                    (Some(b'*'), _) => naive(&pattern[1..], name) || (!name.is_empty() && naive(pattern, &name[1..])),
                    (Some(b'?'), Some(_)) => naive(&pattern[1..], &name[1..]),
                    (Some(a), Some(b)) if a == b => naive(&pattern[1..], &name[1..]),
                    _ => false,
                }
            }
            prop_assert_eq!(matches(&pattern, &name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
