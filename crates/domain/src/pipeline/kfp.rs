//! What a step of Kubeflow Pipelines expects and promises: the `kfp` of a step.
//!
//! Such a command speaks that system's placeholders, is told its inputs as one JSON message, and answers with another. Where
//! its inputs come from and where its outputs go in *our* file is said here; `crates/kfp` makes the messages.

use super::{StepSpec, is_name};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The inputs and outputs of a step as Kubeflow Pipelines knows them, by the names that they have there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KfpStep {
    /// What it is told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, KfpInput>,
    /// What it gives on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, KfpOutput>,
}

/// An input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KfpInput {
    /// What it is: `STRING`, `NUMBER_INTEGER` and their like, or the schema of an artifact such as `system.Dataset@0.0.1`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: KfpKind,
    /// Where it comes from; none for an optional input that is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub from: Option<KfpSource>,
    /// The field of the value that is meant, and the field of that, and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field: Vec<String>,
    /// Its value when what it comes from was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<serde_json::Value>))]
    pub default: Option<serde_json::Value>,
    /// Of an artifact: the input of the step that is the value with what is told about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Whether it is a list of artifacts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub list: bool,
}

/// An output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KfpOutput {
    /// What it is.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub kind: KfpKind,
    /// The output of the step that it becomes.
    pub to: String,
    /// Of an artifact: the output of the step that becomes the value with what is told about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Of an artifact: the output of the step that becomes the numbers among its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<String>,
}

/// What an input or output is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KfpKind {
    /// A text.
    String,
    /// A number without a fraction.
    Integer,
    /// A number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// A list.
    List,
    /// A mapping.
    Struct,
    /// How another step ended.
    FinalStatus,
    /// A file or folder with metadata.
    Artifact {
        /// The title of its schema: `system.Model`.
        schema: String,
        /// The version of its schema.
        version: String,
    },
}

impl KfpKind {
    /// The kinds of values, with their names.
    pub const VALUES: [(&'static str, Self); 7] = [
        ("STRING", Self::String),
        ("NUMBER_INTEGER", Self::Integer),
        ("NUMBER_DOUBLE", Self::Double),
        ("BOOLEAN", Self::Boolean),
        ("LIST", Self::List),
        ("STRUCT", Self::Struct),
        ("TASK_FINAL_STATUS", Self::FinalStatus),
    ];

    /// Whether it is a file or folder with metadata.
    #[must_use]
    pub fn is_artifact(&self) -> bool {
        matches!(self, Self::Artifact { .. })
    }
}

impl fmt::Display for KfpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact { schema, version } if version.is_empty() => f.write_str(schema),
            Self::Artifact { schema, version } => write!(f, "{schema}@{version}"),
            value => f.write_str(Self::VALUES.iter().find(|(_, kind)| kind == value).map_or("", |(name, _)| name)),
        }
    }
}

impl TryFrom<String> for KfpKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Some((_, kind)) = Self::VALUES.into_iter().find(|(name, _)| *name == text) {
            return Ok(kind);
        }
        let (schema, version) = text.split_once('@').unwrap_or((&text, ""));
        if !schema.contains('.') {
            let shown = crate::problem::show(&text);
            return Err(format!("\"{shown}\" is neither the type of a parameter nor the schema of an artifact"));
        }
        Ok(Self::Artifact { schema: schema.to_owned(), version: version.to_owned() })
    }
}

impl From<KfpKind> for String {
    fn from(kind: KfpKind) -> Self {
        kind.to_string()
    }
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KfpSource {
    /// A param that the step sees: `params.rate`.
    Param(String),
    /// An input of the step: `inputs.rows`.
    Input(String),
    /// How a step ended that this one needs: `steps.train`.
    Step(String),
}

impl FromStr for KfpSource {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some(("params", name)) if is_name(name) => Ok(Self::Param(name.to_owned())),
            Some(("inputs", name)) if is_name(name) => Ok(Self::Input(name.to_owned())),
            Some(("steps", name)) if is_name(name) => Ok(Self::Step(name.to_owned())),
            _ => Err("an input of kfp comes from params.NAME, inputs.NAME or steps.NAME"),
        }
    }
}

impl fmt::Display for KfpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(name) => write!(f, "params.{name}"),
            Self::Input(name) => write!(f, "inputs.{name}"),
            Self::Step(name) => write!(f, "steps.{name}"),
        }
    }
}

impl TryFrom<String> for KfpSource {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KfpSource> for String {
    fn from(source: KfpSource) -> Self {
        source.to_string()
    }
}

impl KfpStep {
    /// The steps of which it asks how they ended.
    pub fn asked(&self) -> impl Iterator<Item = &str> {
        self.inputs.values().filter_map(|input| match &input.from {
            Some(KfpSource::Step(step)) => Some(step.as_str()),
            _ => None,
        })
    }

    /// What it names that the step does not have; each a sentence. `has_param` knows the params that the step sees.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn check(&self, step: &StepSpec, has_param: impl Fn(&str) -> bool) -> Vec<String> {
        let mut problems = Vec::new();
        for (name, input) in &self.inputs {
            let known = match &input.from {
                None => continue,
                Some(KfpSource::Param(name)) => has_param(name),
                Some(KfpSource::Input(name)) => step.inputs.contains_key(name),
                Some(KfpSource::Step(name)) => step.needs.contains(name),
            };
            let source = input.from.as_ref().map(ToString::to_string).unwrap_or_default();
            if !known {
                problems
                    .push(format!("The input \"{name}\" of kfp comes from {source}, which the step does not have."));
            }
            let about =
                input.about.as_ref().filter(|about| !input.kind.is_artifact() || !step.inputs.contains_key(*about));
            if let Some(about) = about {
                problems
                    .push(format!("What is told about \"{name}\" of kfp is \"{about}\", which is no input for it."));
            }
        }
        for (name, output) in &self.outputs {
            for to in [Some(&output.to), output.about.as_ref(), output.numbers.as_ref()].into_iter().flatten() {
                if step.outputs.get(to).is_none_or(|output| output.path().is_none()) {
                    problems.push(format!(
                        "The output \"{name}\" of kfp goes to \"{to}\", which is no output of the step."
                    ));
                }
            }
            if (output.about.is_some() || output.numbers.is_some()) && !output.kind.is_artifact() {
                problems.push(format!("The output \"{name}\" of kfp is a value, about which nothing more is told."));
            }
        }
        problems
    }
}
