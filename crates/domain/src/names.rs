//! Names that clients give to things: keys of metrics, params and tags, and names of experiments, runs and models.
//!
//! A value of these types keeps MLflow's rules and limits, and what it refuses it refuses in MLflow's words. The
//! `path` that the readers take is where the value stands in the request, such as `name` or `metrics[3].name`; the
//! message repeats it.

use crate::{
    error::Error,
    wording::{check_length, check_nul, invalid_value, missing_value},
};
use std::fmt;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text, taken out.
            #[must_use]
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    )+};
}

names! {
    /// The key of a metric.
    MetricKey,
    /// The key of a parameter.
    ParamKey,
    /// The key of a tag, of anything.
    TagKey,
    /// The name of an experiment.
    ExperimentName,
    /// The name of a run.
    RunName,
    /// The name of a registered model.
    RegisteredModelName,
    /// The name of a logged model.
    LoggedModelName,
    /// An alias of a registered model's version.
    AliasName,
}

/// The most characters of a key.
pub const MAX_KEY: usize = 250;

impl MetricKey {
    /// Reads a key.
    ///
    /// # Errors
    /// When it is empty, too long, holds a character that keys do not hold, or is a path that means another one.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        key(text, path, "Metric name").map(Self)
    }
}

impl ParamKey {
    /// Reads a key.
    ///
    /// # Errors
    /// When it is empty, too long, holds a character that keys do not hold, or is a path that means another one.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        key(text, path, "Param key").map(Self)
    }
}

impl TagKey {
    /// Reads a key.
    ///
    /// # Errors
    /// When it is empty, too long, holds a character that keys do not hold, or is a path that means another one.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        key(text, path, path).map(Self)
    }
}

impl ExperimentName {
    /// The most characters.
    pub const MAX: usize = 500;

    /// Reads a name. `path` is `name`, or `new_name` in a renaming.
    ///
    /// # Errors
    /// When it is blank, too long or holds control characters.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Err(Error::invalid_field(path, format!("Invalid experiment name: '{text}'")));
        }
        check_length(text, Self::MAX, path, path)?;
        check_printable(text, path)?;
        Ok(Self(text.to_owned()))
    }
}

impl RunName {
    /// The most characters.
    pub const MAX: usize = 250;

    /// Reads a name.
    ///
    /// # Errors
    /// When it is blank, too long or holds control characters.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Err(missing_value(path));
        }
        check_length(text, Self::MAX, path, path)?;
        check_printable(text, path)?;
        Ok(Self(text.to_owned()))
    }
}

impl RegisteredModelName {
    /// The most characters.
    pub const MAX: usize = 256;

    /// Reads a name. `path` is `name`, or `new_name` in a renaming.
    ///
    /// # Errors
    /// When it is blank, too long, holds a slash, colon, backslash or control character, also when these are
    /// percent-encoded, or is a dot or two: names stand in addresses, where two names must never mean one thing.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        if text.trim().is_empty() {
            return Err(missing_value(path));
        }
        if text.contains(['/', ':']) {
            return Err(Error::invalid_field(
                path,
                format!("Invalid model name '{}'. Names cannot contain '/' or ':'.", shown(text)),
            ));
        }
        if let Some(other) = other_path(text) {
            return Err(invalid_value(path, text, &other));
        }
        check_length(text, Self::MAX, path, path)?;
        check_printable(text, path)?;
        let decoded = crate::artifact_path::decode_fully(text);
        if decoded.is_none_or(|text| text.contains(['/', ':', '\\']) || text.chars().any(char::is_control)) {
            let hint = "Names cannot contain a backslash, nor a percent-encoded '/', ':' or control character.";
            return Err(invalid_value(path, text, hint));
        }
        Ok(Self(text.to_owned()))
    }
}

impl LoggedModelName {
    /// The most characters.
    pub const MAX: usize = 500;

    /// Reads a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds one of `/ : . % " '` or a control character.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        if text.is_empty() || text.contains(['/', ':', '.', '%', '"', '\'']) {
            return Err(Error::invalid_field(
                path,
                format!(
                    "Invalid model name ('{}') provided. Model name must be a non-empty string and cannot contain the \
                     following characters: ('/', ':', '.', '%', '\"', \"'\")",
                    shown(text)
                ),
            ));
        }
        check_length(text, Self::MAX, path, path)?;
        check_printable(text, path)?;
        Ok(Self(text.to_owned()))
    }
}

impl AliasName {
    /// The most characters.
    pub const MAX: usize = 255;

    /// Reads an alias that is to be set.
    ///
    /// # Errors
    /// When it is no alias, or one that always means a version by itself: `latest`, `v7`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let alias = Self::lookup(text)?;
        if text.eq_ignore_ascii_case("latest") {
            return Err(Error::invalid_field("alias", "'latest' alias name (case insensitive) is reserved."));
        }
        let number = text.strip_prefix(['v', 'V']);
        if number.is_some_and(|number| !number.is_empty() && number.chars().all(char::is_numeric)) {
            return Err(Error::invalid_field("alias", format!("Version alias name '{text}' is reserved.")));
        }
        Ok(alias)
    }

    /// Reads an alias that is asked for or removed: also one that cannot be set.
    ///
    /// # Errors
    /// When it is empty, too long, or holds something else than letters, digits, `_` and `-`.
    pub fn lookup(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::invalid_field("alias", "Registered model alias name cannot be empty."));
        }
        if !text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
            return Err(Error::invalid_field(
                "alias",
                format!(
                    "Invalid alias name: '{}'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
                    shown(text)
                ),
            ));
        }
        check_length(text, Self::MAX, "Registered model alias name", "alias")?;
        Ok(Self(text.to_owned()))
    }
}

/// Reads a key of a metric, param or tag; `what` is what a message calls it when it is too long.
fn key(text: &str, path: &str, what: &str) -> Result<String, Error> {
    if text.is_empty() {
        return Err(missing_value(path));
    }
    if !text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | ' ' | ':')) {
        let hint = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), \
                    colon(:) and slashes (/).";
        return Err(invalid_value(path, text, hint));
    }
    if let Some(other) = other_path(text) {
        return Err(invalid_value(path, text, &other));
    }
    check_length(text, MAX_KEY, what, path)?;
    Ok(text.to_owned())
}

/// What a name means as a path, when that is another name or lies outside.
fn other_path(name: &str) -> Option<String> {
    let normal = normal_path(name);
    (normal != name || normal == "." || normal.starts_with("..") || normal.starts_with('/')).then(|| {
        format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as \
             such. This name would resolve to '{}'",
            shown(&normal)
        )
    })
}

/// The path without `.`, doubled slashes and what `..` takes back, as POSIX has it.
fn normal_path(path: &str) -> String {
    let root = match path {
        _ if path.starts_with("//") && !path.starts_with("///") => "//",
        _ if path.starts_with('/') => "/",
        _ => "",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match (part, parts.last()) {
            ("..", Some(last)) if *last != ".." => {
                parts.pop();
            }
            ("..", None) if !root.is_empty() => {}
            _ => parts.push(part),
        }
    }
    let normal = format!("{root}{}", parts.join("/"));
    if normal.is_empty() { ".".to_owned() } else { normal }
}

fn check_printable(text: &str, path: &str) -> Result<(), Error> {
    check_nul(text, path)?;
    if text.chars().any(char::is_control) {
        return Err(invalid_value(path, text, "Names cannot contain line breaks or other control characters."));
    }
    Ok(())
}

/// The name in a message: not endless, and on one line.
fn shown(text: &str) -> String {
    let shown: String = text.chars().take(100).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(100).is_some() { format!("{shown}…") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: fmt::Debug>(read: Result<T, Error>) -> String {
        read.unwrap_err().message
    }

    #[test]
    fn a_key_holds_letters_of_any_script_and_some_signs() {
        for text in ["a", "val/loss", "top-5 acc", "a.b_c:d", "é", "日本語", ".a", "a..b", "a b", " ", &"é".repeat(250)]
        {
            assert_eq!(MetricKey::parse(text, "name").unwrap().as_str(), text);
            assert_eq!(ParamKey::parse(text, "key").unwrap().as_str(), text);
            assert_eq!(TagKey::parse(text, "key").unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_characters_in_a_key_are_refused_in_mlflows_words() {
        assert_eq!(
            message(MetricKey::parse("a@b", "metrics[0].name")),
            "Invalid value \"a@b\" for parameter 'metrics[0].name' supplied: Names may only contain alphanumerics, \
             underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
        );
        for text in
            ["a@b", "a%b", "a(b", "a,b", "a#b", "a\\b", "a\nb", "a\n", "a\0", "a\tb", "a'b", "a\"b", "a`b", "😀"]
        {
            assert!(MetricKey::parse(text, "name").is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_that_is_a_path_means_itself() {
        assert_eq!(
            message(ParamKey::parse("a/../b", "key")),
            "Invalid value \"a/../b\" for parameter 'key' supplied: Names may be treated as files in certain cases, \
             and must not resolve to other names when treated as such. This name would resolve to 'b'"
        );
        for text in
            ["a//b", "/a", "//a", "///a", ".", "..", "../a", "a/.", "a/./b", "a/", "./a", "a/..", "..a", "../.."]
        {
            assert!(TagKey::parse(text, "key").is_err(), "{text}");
        }
    }

    #[test]
    fn a_missing_key_is_said_to_be_missing() {
        assert_eq!(
            message(MetricKey::parse("", "key")),
            "Missing value for required parameter 'key'. See the API docs for more information about request parameters."
        );
    }

    #[test]
    fn a_long_key_is_refused_by_its_sort() {
        let long = "é".repeat(251);
        assert_eq!(
            message(MetricKey::parse(&long, "name")),
            "'Metric name' exceeds the maximum length of 250 characters"
        );
        assert_eq!(message(ParamKey::parse(&long, "key")), "'Param key' exceeds the maximum length of 250 characters");
        assert_eq!(
            message(TagKey::parse(&long, "tags[1].key")),
            "'tags[1].key' exceeds the maximum length of 250 characters"
        );
    }

    #[test]
    fn a_message_repeats_a_wrong_value_as_ascii_json_and_not_without_end() {
        let message = message(MetricKey::parse("é\"\\\n😀@", "name"));
        assert!(message.starts_with(r#"Invalid value "\u00e9\"\\\n\ud83d\ude00@" for"#), "{message}");
        let message = MetricKey::parse(&"@".repeat(1_000_000), "name").unwrap_err().message;
        assert!(message.len() < 700);
    }

    #[test]
    fn an_experiment_has_a_name() {
        assert_eq!(ExperimentName::parse("wine / v2: 100%", "name").unwrap().as_str(), "wine / v2: 100%");
        assert_eq!(message(ExperimentName::parse("", "name")), "Invalid experiment name: ''");
        assert!(ExperimentName::parse("  ", "name").is_err());
        assert!(ExperimentName::parse("a\0b", "name").is_err());
        assert_eq!(
            message(ExperimentName::parse(&"x".repeat(501), "name")),
            "'name' exceeds the maximum length of 500 characters"
        );
    }

    #[test]
    fn a_run_name_is_any_line() {
        assert!(RunName::parse("adjective-animal-123 (2/3)", "run_name").is_ok());
        for text in ["", "a\nb", &"x".repeat(251)] {
            assert!(RunName::parse(text, "run_name").is_err());
        }
    }

    #[test]
    fn a_registered_models_name_stands_in_addresses() {
        for text in ["churn", "Churn model v2", "50% off", "a.b", "日本", "a%zz", "100%25"] {
            assert!(RegisteredModelName::parse(text, "name").is_ok(), "{text}");
        }
        assert_eq!(
            message(RegisteredModelName::parse("a/b", "name")),
            "Invalid model name 'a/b'. Names cannot contain '/' or ':'."
        );
        assert_eq!(
            message(RegisteredModelName::parse(" ", "name")),
            "Missing value for required parameter 'name'. See the API docs for more information about request parameters."
        );
        assert!(message(RegisteredModelName::parse("..", "name")).contains("must not resolve to other names"));
        for text in [
            ".",
            "a:b",
            "a%2Fb",
            "a%2fb",
            "a%252Fb",
            "%3a",
            "a\\b",
            "a%5cb",
            "a\nb",
            "a%00",
            "a\0",
            "%c0%af",
            &"x".repeat(257),
        ] {
            assert!(RegisteredModelName::parse(text, "name").is_err(), "{text}");
        }
    }

    #[test]
    fn a_logged_models_name_has_no_dots() {
        assert!(LoggedModelName::parse("my model-1", "name").is_ok());
        assert_eq!(
            message(LoggedModelName::parse("a/b", "name")),
            "Invalid model name ('a/b') provided. Model name must be a non-empty string and cannot contain the \
             following characters: ('/', ':', '.', '%', '\"', \"'\")"
        );
        for text in ["", "a:b", "a.b", "a%b", "a\"b", "a'b", "a\0", "a\r"] {
            assert!(LoggedModelName::parse(text, "name").is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_alias_is_a_word_that_is_not_taken() {
        for text in ["champion", "a_b-c", "version", "v", "v1a", "é"] {
            assert!(AliasName::parse(text).is_ok(), "{text}");
        }
        for (text, expected) in [
            ("", "Registered model alias name cannot be empty."),
            (
                "a b",
                "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores (_), and dashes (-).",
            ),
            ("Latest", "'latest' alias name (case insensitive) is reserved."),
            ("v7", "Version alias name 'v7' is reserved."),
            ("V12", "Version alias name 'V12' is reserved."),
        ] {
            assert_eq!(message(AliasName::parse(text)), expected);
        }
        assert_eq!(
            message(AliasName::parse(&"a".repeat(256))),
            "'Registered model alias name' exceeds the maximum length of 255 characters"
        );
        assert!(AliasName::lookup("latest").is_ok());
        assert!(AliasName::lookup("a/b").is_err());
    }
}
