//! What a step takes: outputs of other steps, versions of datasets, versions of models.

use crate::step::Versioned;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What a step takes. In the JSON form an output of another step is its name alone.
///
/// The names and versions of datasets and models may contain `${{ params.NAME }}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = StepInputSpec))]
#[serde(untagged)]
pub enum InputSpec {
    /// An output of another step.
    Output(OutputRef),
    /// A version of a dataset of the workspace, as a folder.
    Dataset {
        /// The dataset's name.
        dataset: String,
        /// `latest`, `passed`, a number, or a digest. What is the latest is found out once in a run.
        #[serde(default = "latest", skip_serializing_if = "is_latest")]
        version: String,
        /// Whether it is taken only when it was found to be what is expected of the dataset.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        checked: bool,
    },
    /// The files of a version of a registered model, as a folder.
    Model {
        /// The model's name.
        model: String,
        /// `latest`, a number, or an alias. Which version that is is found out once in a run.
        #[serde(default = "latest", skip_serializing_if = "is_latest")]
        version: String,
    },
}

impl InputSpec {
    /// The version of a dataset or model that it is, if it is one.
    #[must_use]
    pub fn version(&self) -> Option<VersionInput<'_>> {
        match self {
            Self::Output(_) => None,
            Self::Dataset { dataset, version, checked } => {
                Some(VersionInput { of: Versioned::Dataset, name: dataset, asked: version, checked: *checked })
            }
            Self::Model { model, version } => {
                Some(VersionInput { of: Versioned::Model, name: model, asked: version, checked: false })
            }
        }
    }

    /// The output of another step that it is, if it is one.
    #[must_use]
    pub fn output(&self) -> Option<&OutputRef> {
        match self {
            Self::Output(output) => Some(output),
            Self::Dataset { .. } | Self::Model { .. } => None,
        }
    }
}

impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(output) => output.fmt(f),
            Self::Dataset { dataset, version, .. } => write!(f, "dataset {dataset}@{version}"),
            Self::Model { model, version } => write!(f, "model {model}@{version}"),
        }
    }
}

/// A version of a dataset or model that a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionInput<'a> {
    /// Of what.
    pub of: Versioned,
    /// What that is called.
    pub name: &'a str,
    /// Which: `latest`, `passed`, a number, an alias, a digest.
    pub asked: &'a str,
    /// Whether it must have been found to be what is expected of it.
    pub checked: bool,
}

/// The version of an input that names none.
pub const LATEST: &str = "latest";

fn latest() -> String {
    LATEST.to_owned()
}

fn is_latest(version: &str) -> bool {
    version == LATEST
}

/// An output of another step: `prepare.dataset`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputRef {
    /// The step that makes it.
    pub step: String,
    /// The output's name there.
    pub output: String,
}

impl FromStr for OutputRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((step, output)) if super::is_name(step) && super::is_name(output) => {
                Ok(Self { step: step.to_owned(), output: output.to_owned() })
            }
            _ => Err("an input is written as step.output, such as prepare.dataset"),
        }
    }
}

impl fmt::Display for OutputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.step, self.output)
    }
}

impl TryFrom<String> for OutputRef {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<OutputRef> for String {
    fn from(reference: OutputRef) -> Self {
        reference.to_string()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for OutputRef {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for OutputRef {}

#[cfg(test)]
mod tests {
    use crate::pipeline::{InputSpec, OutputKind, OutputSpec, ParamValue, PipelineSpec};
    use std::collections::BTreeMap;

    fn step(inputs: &str, outputs: &str) -> Result<PipelineSpec, String> {
        let yaml = format!(
            "name: a\nparams: {{ region: north, version: 3 }}\nsteps:\n  s:\n    command: x\n    inputs: {inputs}\n    outputs: {outputs}\n"
        );
        PipelineSpec::parse(&yaml).map_err(|problems| problems.to_string())
    }

    #[test]
    fn versions_are_taken_by_name_with_values_of_params() {
        let spec = step(
            "{ a: { dataset: 'rows-${{ params.region }}', version: '${{ params.version }}' }, b: { model: wine } }",
            "{ out: { path: o, type: dataset, name: 'next-${{ params.region }}' }, m: { path: m, type: model } }",
        )
        .unwrap();
        let step = &spec.steps["s"];
        let values = BTreeMap::from([
            ("region".to_owned(), ParamValue::Text("north".to_owned())),
            ("version".to_owned(), ParamValue::try_from(serde_json::json!(3)).unwrap()),
        ]);
        let inputs: Vec<String> =
            PipelineSpec::filled_inputs(step, &values).values().map(ToString::to_string).collect();
        assert_eq!(inputs, ["dataset rows-north@3", "model wine@latest"]);
        let names: Vec<Option<String>> = PipelineSpec::filled_outputs(step, &values)
            .into_values()
            .map(|output| match output {
                OutputSpec::Typed { name, .. } => name,
                _ => None,
            })
            .collect();
        assert_eq!(names, [Some("m".to_owned()), Some("next-north".to_owned())]);
        // What is the latest needs no word, and makes no other digest.
        let json = serde_json::to_value(&step.inputs).unwrap();
        assert_eq!(json["b"], serde_json::json!({ "model": "wine" }));
        assert!(matches!(&step.inputs["b"], InputSpec::Model { version, .. } if version == "latest"));
    }

    #[test]
    fn what_cannot_be_taken_or_given_is_told() {
        let told = |inputs, outputs| step(inputs, outputs).unwrap_err();
        assert!(told("{ a: { dataset: 'no name' } }", "{}").contains("name of a dataset"));
        assert!(told("{ a: { version: 3 } }", "{}").contains("An input is an output of another step"));
        assert!(told("{ a: { dataset: d, model: m } }", "{}").contains("An input is an output of another step"));
        assert!(told("{ a: { dataset: 'x-${{ params.none }}' } }", "{}").contains("no param \"none\""));
        assert!(told("{}", "{ a: { path: p, type: value, name: x } }").contains("A name belongs to"));
        assert!(told("{}", "{ a: { path: p, type: dataset, tolerance: 0.1 } }").contains("A tolerance belongs to"));
        assert!(told("{}", "{ a: { path: p, type: metrics, tolerance: 2 } }").contains("from 0 to 1"));
    }

    #[test]
    fn a_version_of_a_dataset_may_have_to_be_checked() {
        let spec = step("{ a: { dataset: rows, checked: true }, b: { dataset: rows, version: passed }, c: { dataset: rows, checked: false } }", "{}").unwrap();
        let inputs = &spec.steps["s"].inputs;
        let asked = |name: &str| inputs[name].version().map(|wanted| (wanted.asked, wanted.checked)).unwrap();
        assert_eq!((asked("a"), asked("b"), asked("c")), (("latest", true), ("passed", false), ("latest", false)));
        let filled = PipelineSpec::filled_inputs(&spec.steps["s"], &BTreeMap::new());
        assert_eq!(&filled, inputs);
        // What need not be checked needs no word, and makes no other digest.
        let json = serde_json::to_value(inputs).unwrap();
        assert_eq!(json["a"], serde_json::json!({ "dataset": "rows", "checked": true }));
        assert_eq!(json["c"], serde_json::json!({ "dataset": "rows" }));
        assert_eq!(&serde_json::from_value::<BTreeMap<String, InputSpec>>(json).unwrap(), inputs);

        let told = |inputs| step(inputs, "{}").unwrap_err();
        assert!(told("{ a: { model: m, checked: true } }").contains("What is checked are datasets"));
        assert!(told("{ a: { dataset: d, checked: maybe } }").contains("\"checked\" is true or false"));
        assert!(told("{ a: { dataset: d, version: passed, checked: true } }").contains("has passed its checks"));
        let asks = "name: a\nsteps:\n  s: { approval: {}, inputs: { a: { dataset: d, checked: true } } }\n";
        let told = PipelineSpec::parse(asks).unwrap_err().to_string();
        assert!(told.contains("\"checked\" is for steps with a command"), "{told}");
    }

    #[test]
    fn metrics_are_values_and_datasets_are_files() {
        let spec = step("{}", "{ s: { path: s.json, type: metrics, tolerance: 0.01 } }").unwrap();
        let output = &spec.steps["s"].outputs["s"];
        assert_eq!((output.kind(), output.tolerance()), (Some(OutputKind::Metrics), 0.01));
        let mapped = |kind| {
            let yaml = format!(
                "name: a\nsteps:\n  l:\n    command: x\n    outputs: {{ o: {{ path: o, type: {kind} }} }}\n  m:\n    command: x\n    map: {{ i: l.o }}\n"
            );
            PipelineSpec::parse(&yaml).is_ok()
        };
        assert!(mapped("value") && !mapped("dataset"));
    }
}
