//! Values that clients log: of params, tags and metrics, and times.

use crate::{
    error::Error,
    wording::{check_length, check_nul, invalid_json, missing_value, quoted},
};
use std::io;

/// The value of a parameter. MLflow cuts long ones; so do we, and the answer says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamValue {
    text: String,
    truncated: bool,
}

impl ParamValue {
    /// The most characters that are kept.
    pub const MAX: usize = 6000;

    /// Reads a value, and cuts it when it is too long: see [`ParamValue::was_truncated`].
    ///
    /// # Errors
    /// When it holds the NUL character.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        check_nul(text, path)?;
        let kept = cut(text, Self::MAX);
        Ok(Self { text: kept.to_owned(), truncated: kept.len() < text.len() })
    }

    /// The value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the end of what was sent is missing.
    #[must_use]
    pub fn was_truncated(&self) -> bool {
        self.truncated
    }
}

/// How the keys begin of tags that MLflow's clients set by themselves.
pub const CLIENTS_TAGS: &str = "mlflow.";

/// The value of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagValue {
    text: String,
    truncated: bool,
}

impl TagValue {
    /// The most characters that are kept of a run's tag.
    pub const MAX_RUN: usize = 8000;
    /// The most characters of an experiment's tag.
    pub const MAX_EXPERIMENT: usize = 20_000;
    /// The most characters of a tag of a registered model, a version or a logged model.
    pub const MAX_MODEL: usize = 100_000;

    /// Reads the value of a run's tag, and cuts it when it is too long: see [`TagValue::was_truncated`].
    ///
    /// # Errors
    /// When it holds the NUL character.
    pub fn for_run(text: &str, path: &str) -> Result<Self, Error> {
        check_nul(text, path)?;
        let kept = cut(text, Self::MAX_RUN);
        Ok(Self { text: kept.to_owned(), truncated: kept.len() < text.len() })
    }

    /// Reads the value of an experiment's tag.
    ///
    /// # Errors
    /// When it is too long or holds the NUL character.
    pub fn for_experiment(text: &str, path: &str) -> Result<Self, Error> {
        Self::whole(text, Self::MAX_EXPERIMENT, path)
    }

    /// Reads the value of a tag of a registered model, a model version or a logged model.
    ///
    /// # Errors
    /// When it is too long or holds the NUL character.
    pub fn for_model(text: &str, path: &str) -> Result<Self, Error> {
        Self::whole(text, Self::MAX_MODEL, path)
    }

    fn whole(text: &str, limit: usize, path: &str) -> Result<Self, Error> {
        check_nul(text, path)?;
        check_length(text, limit, path, path)?;
        Ok(Self { text: text.to_owned(), truncated: false })
    }

    /// The value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the end of what was sent is missing.
    #[must_use]
    pub fn was_truncated(&self) -> bool {
        self.truncated
    }
}

/// The value of a metric: any number or not-a-number. Infinities are kept as the largest finite numbers, as MLflow
/// keeps them.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub struct MetricValue(f64);

impl MetricValue {
    /// The value as it is kept. There is one not-a-number and one zero, so that what is logged twice is equal.
    #[must_use]
    pub fn new(value: f64) -> Self {
        if value.is_nan() {
            return Self(f64::NAN);
        }
        // Adding zero makes a plain zero of the negative one.
        Self(value.clamp(f64::MIN, f64::MAX) + 0.0)
    }

    /// Reads a value from a request: a number, `"NaN"`, `"Infinity"`, `"-Infinity"`, a number in quotes, or a truth
    /// value, which all clients' encoders may send for a double.
    ///
    /// # Errors
    /// When it is missing or none of these.
    pub fn from_json(value: &serde_json::Value, path: &str) -> Result<Self, Error> {
        use serde_json::Value;
        let number = match value {
            Value::Null => return Err(missing_value(path)),
            Value::Number(number) => number.as_f64(),
            Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
            Value::String(text) => match text.as_str() {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                // Rust also reads `inf`, `infinity` and `nan`, which no encoder writes.
                text if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => text.parse().ok(),
                _ => None,
            },
            Value::Array(_) | Value::Object(_) => None,
        };
        let hint = "Please specify value as a valid double (64-bit floating point)";
        number.map(Self::new).ok_or_else(|| {
            let shown = value.as_str().map_or_else(|| quoted(&value.to_string()), quoted);
            invalid_json(path, &shown, hint)
        })
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// As MLflow answers it: not-a-number is the text `NaN`.
    #[must_use]
    pub fn to_json(self) -> serde_json::Value {
        serde_json::Number::from_f64(self.0).map_or_else(|| "NaN".into(), Into::into)
    }
}

/// A time that a client sends: milliseconds since 1970, not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(i64);

impl Millis {
    /// Reads a time.
    ///
    /// # Errors
    /// When it lies before 1970.
    pub fn parse(millis: i64, path: &str) -> Result<Self, Error> {
        if millis < 0 {
            let hint = "A time is a number of milliseconds since 1970 and not negative.";
            return Err(invalid_json(path, &millis.to_string(), hint));
        }
        Ok(Self(millis))
    }

    /// The milliseconds.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

/// JSON as MLflow's server and its Python client write it into tags, with spaces after commas and colons.
pub fn spaced_json<T: serde::Serialize>(value: &T) -> String {
    struct Spaced;

    impl serde_json::ser::Formatter for Spaced {
        fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }

        fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
            if first { Ok(()) } else { writer.write_all(b", ") }
        }

        fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
            writer.write_all(b": ")
        }
    }

    let mut out = Vec::new();
    // Writing into memory does not fail, and what has no JSON form is written as far as it has.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, Spaced));
    String::from_utf8(out).unwrap_or_default()
}

/// The first characters of a text.
fn cut(text: &str, limit: usize) -> &str {
    text.char_indices().nth(limit).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_in_a_tag_has_spaces() {
        assert_eq!(spaced_json(&json!([{ "a": [1, 2], "b": null }, {}])), r#"[{"a": [1, 2], "b": null}, {}]"#);
    }

    #[test]
    fn a_long_param_value_is_cut_and_says_so() {
        let whole = ParamValue::parse(&"é".repeat(6000), "value").unwrap();
        assert!(!whole.was_truncated());
        let cut = ParamValue::parse(&"é".repeat(6001), "value").unwrap();
        assert!(cut.was_truncated());
        assert_eq!(cut.as_str(), whole.as_str());
        assert_eq!(ParamValue::parse("", "value").unwrap().as_str(), "");
    }

    #[test]
    fn only_a_runs_tag_is_cut() {
        let cut = TagValue::for_run(&"x".repeat(8001), "value").unwrap();
        assert_eq!((cut.as_str().len(), cut.was_truncated()), (8000, true));
        assert!(TagValue::for_experiment(&"é".repeat(20_000), "value").is_ok());
        assert_eq!(
            TagValue::for_experiment(&"x".repeat(20_001), "value").unwrap_err().message,
            "'value' exceeds the maximum length of 20000 characters"
        );
        assert!(TagValue::for_model(&"x".repeat(100_000), "value").is_ok());
        assert!(TagValue::for_model(&"x".repeat(100_001), "value").is_err());
    }

    #[test]
    fn no_value_holds_nul() {
        assert!(ParamValue::parse("a\0", "value").is_err());
        assert!(TagValue::for_run("\0", "value").is_err());
        assert!(TagValue::for_experiment("\0", "value").is_err());
        assert!(TagValue::for_model("\0", "value").is_err());
    }

    #[test]
    fn a_metric_is_read_from_every_form_that_encoders_write() {
        for (value, expected) in [
            (json!(0.5), 0.5),
            (json!(-3), -3.0),
            (json!(u64::MAX), 1.844_674_407_370_955_2e19),
            (json!("1.5"), 1.5),
            (json!("-1e-3"), -0.001),
            (json!(true), 1.0),
            (json!(false), 0.0),
            (json!("Infinity"), f64::MAX),
            (json!("-Infinity"), f64::MIN),
            (json!("1e999"), f64::MAX),
        ] {
            assert_eq!(MetricValue::from_json(&value, "value").unwrap().get(), expected, "{value}");
        }
        assert!(MetricValue::from_json(&json!("NaN"), "value").unwrap().get().is_nan());
    }

    #[test]
    fn what_is_no_number_is_no_metric() {
        for value in
            [json!("x"), json!(""), json!("inf"), json!("nan"), json!("1_0"), json!("0x1"), json!([1]), json!({})]
        {
            let message = MetricValue::from_json(&value, "metrics[0].value").unwrap_err().message;
            assert!(message.contains("for parameter 'metrics[0].value' supplied"), "{message}");
        }
        assert_eq!(
            MetricValue::from_json(&json!(null), "value").unwrap_err().message,
            "Missing value for required parameter 'value'. See the API docs for more information about request parameters."
        );
    }

    #[test]
    fn equal_values_are_kept_alike() {
        let bits = |value: f64| MetricValue::new(value).get().to_bits();
        assert_eq!(bits(-0.0), bits(0.0));
        assert_eq!(bits(f64::NAN), bits(-f64::NAN));
    }

    #[test]
    fn a_metric_is_answered_as_mlflow_answers_it() {
        assert_eq!(MetricValue::new(f64::NAN).to_json(), json!("NaN"));
        assert_eq!(MetricValue::new(f64::INFINITY).to_json().to_string(), "1.7976931348623157e+308");
        assert_eq!(MetricValue::new(0.5).to_json(), json!(0.5));
    }

    #[test]
    fn a_time_is_not_before_1970() {
        assert_eq!(
            Millis::parse(-1, "start_time").unwrap_err().message,
            "Invalid value -1 for parameter 'start_time' supplied: A time is a number of milliseconds since 1970 and \
             not negative."
        );
        assert_eq!(Millis::parse(i64::MAX, "end_time").unwrap().get(), i64::MAX);
    }
}
