//! Values of params: a text, a number, a truth value, a list or a mapping.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Whole numbers beyond this lose digits in JSON.
const MAX_WHOLE: f64 = 9_007_199_254_740_991.0;

/// The value of a param. It has one form only: a number without a fraction is whole, so that `1` and `1.0`, which have
/// the same digest, also look the same to a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "Value", into = "Value", untagged)]
pub enum ParamValue {
    /// `true` or `false`.
    Bool(bool),
    /// A number without a fraction, within ±(2⁵³−1).
    Whole(i64),
    /// A finite number with a fraction.
    Fraction(f64),
    /// A text, without the NUL character.
    Text(String),
    /// A list of JSON values.
    List(Vec<Value>),
    /// A mapping of JSON values.
    Object(serde_json::Map<String, Value>),
}

/// The longest list or mapping, as JSON.
const MAX_JSON_BYTES: usize = 256 * 1024;

impl ParamValue {
    /// The number, in its one form.
    ///
    /// # Errors
    /// When it is not finite, or whole and so large that JSON would lose digits.
    pub fn number(number: f64) -> Result<Self, &'static str> {
        if !number.is_finite() {
            Err("must be a finite number")
        } else if number.fract() != 0.0 {
            Ok(Self::Fraction(number))
        } else if number.abs() <= MAX_WHOLE {
            #[allow(clippy::cast_possible_truncation)] // whole, and within 2⁵³
            Ok(Self::Whole(number as i64))
        } else {
            Err("is too large for an exact number; write it as a text, in quotes")
        }
    }

    /// The number, when it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            #[allow(clippy::cast_precision_loss)] // within 2⁵³
            Self::Whole(number) => Some(*number as f64),
            Self::Fraction(number) => Some(*number),
            Self::Bool(_) | Self::Text(_) | Self::List(_) | Self::Object(_) => None,
        }
    }
}

/// As a step sees it, in its environment and its command line.
impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Whole(value) => value.fmt(f),
            // JSON's form: 1e-7 rather than 0.0000001.
            Self::Fraction(value) => f.write_str(&Value::from(*value).to_string()),
            Self::Text(value) => f.write_str(value),
            Self::List(items) => f.write_str(&Value::from(items.clone()).to_string()),
            Self::Object(fields) => f.write_str(&Value::from(fields.clone()).to_string()),
        }
    }
}

impl TryFrom<Value> for ParamValue {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        match value {
            Value::Bool(value) => Ok(Self::Bool(value)),
            Value::Number(number) => Ok(Self::number(number.as_f64().unwrap_or(f64::NAN))?),
            Value::String(text) if text.contains('\0') => Err("contains the NUL character".to_owned()),
            Value::String(text) => Ok(Self::Text(text)),
            Value::Null => Err("must be a text, a number, true or false, a list or a mapping".to_owned()),
            value if value.to_string().len() > MAX_JSON_BYTES => {
                Err(format!("is longer than {} KiB; put it into a file", MAX_JSON_BYTES / 1024))
            }
            value if value.to_string().contains("\\u0000") => Err("contains the NUL character".to_owned()),
            Value::Array(items) => Ok(Self::List(items)),
            Value::Object(fields) => Ok(Self::Object(fields)),
        }
    }
}

impl From<ParamValue> for Value {
    fn from(value: ParamValue) -> Self {
        match value {
            ParamValue::Bool(value) => value.into(),
            ParamValue::Whole(value) => value.into(),
            ParamValue::Fraction(value) => value.into(),
            ParamValue::Text(value) => value.into(),
            ParamValue::List(items) => items.into(),
            ParamValue::Object(fields) => fields.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(ParamValue::try_from(json!(1.0)), Ok(ParamValue::Whole(1)));
        assert_eq!(ParamValue::try_from(json!(1)), Ok(ParamValue::Whole(1)));
        assert_eq!(serde_json::to_string(&ParamValue::number(-0.0).unwrap()).unwrap(), "0");
        assert_eq!(ParamValue::try_from(json!(1e-7)).unwrap().to_string(), "1e-7");
        assert!(ParamValue::try_from(json!(9_007_199_254_740_993_i64)).is_err());
    }

    #[test]
    fn a_value_reads_back_from_json() {
        for value in [json!(true), json!(3), json!(0.25), json!("x"), json!([1, "a"]), json!({ "a": [] })] {
            let read: ParamValue = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), value);
        }
        assert!(serde_json::from_value::<ParamValue>(json!(null)).is_err());
    }
}
