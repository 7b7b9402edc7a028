//! Params: what may be changed for a run, and what may be given for them.

use super::value::ParamValue;
use crate::problem::show;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a param takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// A text.
    String,
    /// A number.
    Number,
    /// A number without a fraction.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list.
    List,
    /// A mapping.
    Object,
}

impl ParamKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [Self::String, Self::Number, Self::Integer, Self::Boolean, Self::List, Self::Object];

    /// The name in a file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Object => "object",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind of a param that gives its default alone.
    #[must_use]
    pub fn of(value: &ParamValue) -> Self {
        match value {
            ParamValue::Bool(_) => Self::Boolean,
            ParamValue::Whole(_) | ParamValue::Fraction(_) => Self::Number,
            ParamValue::Text(_) => Self::String,
            ParamValue::List(_) => Self::List,
            ParamValue::Object(_) => Self::Object,
        }
    }

    /// To follow "must be".
    fn noun(self) -> &'static str {
        match self {
            Self::String => "a text",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::List => "a list",
            Self::Object => "a mapping",
        }
    }
}

/// A param. One that says nothing but its default is written as that default alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(from = "Written", into = "Written")]
pub struct Param {
    /// What it takes.
    #[serde(rename = "type")]
    pub kind: ParamKind,
    /// Its value when a run gives none. Without one, a run must give it, unless it is optional.
    pub default: Option<ParamValue>,
    /// Whether a run may leave it out though it has no default: then it has no value.
    pub optional: bool,
    /// What it is for.
    pub description: String,
    /// The only values that it takes; any, when there are none.
    pub choices: Vec<ParamValue>,
    /// The least number that it takes.
    pub minimum: Option<f64>,
    /// The greatest number that it takes.
    pub maximum: Option<f64>,
}

/// The two forms of a param.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Whole(Whole),
    Default(ParamValue),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(rename = "type")]
    kind: ParamKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<ParamValue>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    optional: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<ParamValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum: Option<f64>,
}

impl From<Written> for Param {
    fn from(written: Written) -> Self {
        match written {
            Written::Default(default) => Self::from(default),
            Written::Whole(Whole { kind, default, optional, description, choices, minimum, maximum }) => {
                Self { kind, default, optional, description, choices, minimum, maximum }
            }
        }
    }
}

impl From<Param> for Written {
    fn from(param: Param) -> Self {
        match &param.default {
            // A mapping could be taken for the other form.
            Some(default) if !matches!(default, ParamValue::Object(_)) && param == Param::from(default.clone()) => {
                Self::Default(default.clone())
            }
            _ => {
                let Param { kind, default, optional, description, choices, minimum, maximum } = param;
                Self::Whole(Whole { kind, default, optional, description, choices, minimum, maximum })
            }
        }
    }
}

impl From<ParamValue> for Param {
    fn from(default: ParamValue) -> Self {
        Self {
            kind: ParamKind::of(&default),
            default: Some(default),
            optional: false,
            description: String::new(),
            choices: Vec::new(),
            minimum: None,
            maximum: None,
        }
    }
}

impl Param {
    /// The value that was given, as JSON or as the text of a form.
    ///
    /// # Errors
    /// With what is wrong, to follow the param's name in a sentence.
    pub fn accept(&self, given: &Value) -> Result<ParamValue, String> {
        let value = self.kind.read(given)?;
        self.check(&value)?;
        Ok(value)
    }

    /// Whether it takes this value.
    ///
    /// # Errors
    /// With what is wrong, to follow the param's name in a sentence.
    pub fn check(&self, value: &ParamValue) -> Result<(), String> {
        if !self.kind.takes(value) {
            return Err(format!("must be {}", self.kind.noun()));
        }
        if !self.choices.is_empty() && !self.choices.contains(value) {
            let shown: Vec<String> = self.choices.iter().take(20).map(|choice| show(&choice.to_string())).collect();
            return Err(format!("must be one of {}", shown.join(", ")));
        }
        let number = value.as_number();
        match (number, self.minimum, self.maximum) {
            (Some(number), Some(least), _) if number < least => Err(format!("must be at least {least}")),
            (Some(number), _, Some(most)) if number > most => Err(format!("must be at most {most}")),
            _ => Ok(()),
        }
    }
}

impl ParamKind {
    fn takes(self, value: &ParamValue) -> bool {
        match self {
            Self::Integer => matches!(value, ParamValue::Whole(_)),
            kind => Self::of(value) == kind,
        }
    }

    /// Forms give texts, and a number or truth value given for a text is taken as it is written.
    fn read(self, given: &Value) -> Result<ParamValue, String> {
        let rule = || format!("must be {}", self.noun());
        Ok(match (self, given) {
            (Self::String, Value::Number(_) | Value::Bool(_)) => ParamValue::Text(given.to_string()),
            (Self::Boolean, Value::String(text)) => match text.trim() {
                "true" => ParamValue::Bool(true),
                "false" => ParamValue::Bool(false),
                _ => return Err(rule()),
            },
            (Self::Number | Self::Integer, Value::String(text)) => {
                ParamValue::number(text.trim().parse().map_err(|_| rule())?)?
            }
            (Self::List | Self::Object, Value::String(text)) => {
                let value: Value = serde_json::from_str(text).map_err(|_| format!("{}, written as JSON", rule()))?;
                ParamValue::try_from(value)?
            }
            _ => ParamValue::try_from(given.clone())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn param(value: Value) -> Param {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_default_alone_is_written_as_it_is() {
        for written in [json!(0.1), json!("text"), json!(true), json!([1, 2])] {
            assert_eq!(serde_json::to_value(param(written.clone())).unwrap(), written);
        }
        let whole = json!({ "type": "integer", "default": 3, "minimum": 1.0 });
        assert_eq!(serde_json::to_value(param(whole.clone())).unwrap(), whole);
        let object = json!({ "type": "object", "default": { "type": "string" } });
        assert_eq!(serde_json::to_value(param(object.clone())).unwrap(), object);
    }

    #[test]
    fn a_given_value_must_be_of_the_kind_of_the_param() {
        let rate = param(json!(0.1));
        assert_eq!(rate.accept(&json!("0.05")), Ok(ParamValue::Fraction(0.05)));
        assert_eq!(rate.accept(&json!(2)), Ok(ParamValue::Whole(2)));
        assert_eq!(rate.accept(&json!("fast")), Err("must be a number".to_owned()));
        assert_eq!(rate.accept(&json!("inf")), Err("must be a finite number".to_owned()));
        assert_eq!(rate.accept(&json!(true)), Err("must be a number".to_owned()));
        assert_eq!(param(json!(true)).accept(&json!("false")), Ok(ParamValue::Bool(false)));
        assert_eq!(param(json!("")).accept(&json!(7)), Ok(ParamValue::Text("7".to_owned())));
        assert!(param(json!("")).accept(&json!(null)).is_err());
        assert!(param(json!("")).accept(&json!("a\0b")).is_err());
        assert_eq!(param(json!([])).accept(&json!("[1]")), Ok(ParamValue::List(vec![json!(1)])));
        assert_eq!(param(json!([])).accept(&json!("1")), Err("must be a list".to_owned()));
        assert_eq!(param(json!([])).accept(&json!("[")), Err("must be a list, written as JSON".to_owned()));
    }

    #[test]
    fn bounds_and_choices_hold() {
        let rows = param(json!({ "type": "integer", "default": 3, "minimum": 1, "maximum": 9 }));
        assert_eq!(rows.accept(&json!(9)), Ok(ParamValue::Whole(9)));
        assert_eq!(rows.accept(&json!(10)), Err("must be at most 9".to_owned()));
        assert_eq!(rows.accept(&json!("0")), Err("must be at least 1".to_owned()));
        assert_eq!(rows.accept(&json!(1.5)), Err("must be a whole number".to_owned()));
        let kind = param(json!({ "type": "string", "choices": ["tree", "linear"] }));
        assert_eq!(kind.accept(&json!("tree")), Ok(ParamValue::Text("tree".to_owned())));
        assert_eq!(kind.accept(&json!("net")), Err("must be one of tree, linear".to_owned()));
    }
}
