//! Values of params: a text, a number or a truth value.

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
}

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

    /// What the value is, to follow "must be".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Whole(_) | Self::Fraction(_) => "a number",
            Self::Text(_) => "a text",
        }
    }

    /// A value given for a param whose default is `self`, as JSON or as the text of a form: it must be of the same kind.
    ///
    /// # Errors
    /// With what is wrong, to follow the param's name in a sentence.
    pub fn accept(&self, given: &Value) -> Result<Self, String> {
        let value = match (self, given) {
            (Self::Text(_), Value::Number(_) | Value::Bool(_)) => Self::Text(given.to_string()),
            (Self::Bool(_), Value::String(text)) => match text.trim() {
                "true" => Self::Bool(true),
                "false" => Self::Bool(false),
                _ => return Err("must be true or false".to_owned()),
            },
            (Self::Whole(_) | Self::Fraction(_), Value::String(text)) => {
                let number = text.trim().parse().map_err(|_| "must be a number".to_owned())?;
                Self::number(number)?
            }
            _ => Self::try_from(given.clone())?,
        };
        if self.kind() == value.kind() { Ok(value) } else { Err(format!("must be {}", self.kind())) }
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
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err("must be a text, a number, true or false".to_owned())
            }
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
    fn a_given_value_must_be_of_the_kind_of_the_default() {
        let rate = ParamValue::Fraction(0.1);
        assert_eq!(rate.accept(&json!("0.05")), Ok(ParamValue::Fraction(0.05)));
        assert_eq!(rate.accept(&json!(2)), Ok(ParamValue::Whole(2)));
        assert_eq!(rate.accept(&json!("fast")), Err("must be a number".to_owned()));
        assert_eq!(rate.accept(&json!("inf")), Err("must be a finite number".to_owned()));
        assert_eq!(rate.accept(&json!(true)), Err("must be a number".to_owned()));
        assert_eq!(ParamValue::Bool(true).accept(&json!("false")), Ok(ParamValue::Bool(false)));
        assert_eq!(ParamValue::Text(String::new()).accept(&json!(7)), Ok(ParamValue::Text("7".to_owned())));
        assert!(ParamValue::Text(String::new()).accept(&json!(null)).is_err());
        assert!(ParamValue::Text(String::new()).accept(&json!("a\0b")).is_err());
    }

    #[test]
    fn a_value_reads_back_from_json() {
        for value in [json!(true), json!(3), json!(0.25), json!("x")] {
            let read: ParamValue = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), value);
        }
        assert!(serde_json::from_value::<ParamValue>(json!([1])).is_err());
    }
}
