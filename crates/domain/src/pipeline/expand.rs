//! From a step and the values of the params to the command line and environment of a process.

use super::{
    env_name,
    input::InputSpec,
    output::OutputSpec,
    param::Param,
    spec::{Command, PipelineSpec, StepSpec, Work},
    template::{Place, fill, whole_param},
    value::ParamValue,
};
use crate::{
    Error,
    problem::{show, suggest},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The directory, in that of a step, that holds its inputs.
pub const INPUTS_DIR: &str = "inputs";

/// The directory, in that of a step, that holds what Slipway itself needs there.
pub const OWN_DIR: &str = ".slipway";

/// The program that runs notebooks, in the directory of a step that has one.
pub const NOTEBOOK_PROGRAM: &str = ".slipway/notebook.py";

/// Where the input of this name lies, relative to the step's directory.
#[must_use]
pub fn input_path(name: &str) -> String {
    format!("{INPUTS_DIR}/{name}")
}

/// What to run for a step, with all values filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program and its arguments. Never empty.
    pub argv: Vec<String>,
    /// Variables: `PARAM_X`, `INPUT_X` and `OUTPUT_X`, then those of the pipeline and the step. Later ones go before
    /// earlier ones of the same name.
    pub env: BTreeMap<String, String>,
}

impl PipelineSpec {
    /// The value of every param of a run: what was given, checked against what the param takes, and the default otherwise.
    ///
    /// # Errors
    /// When something is given for a param that does not exist, or that it does not take, or when one without a default is
    /// not given. The error's field is `params.NAME`.
    pub fn resolve_params(&self, given: &BTreeMap<String, Value>) -> Result<BTreeMap<String, ParamValue>, Error> {
        if let Some(name) = given.keys().find(|name| !self.params.contains_key(*name)) {
            let others = suggest(name, self.params.keys().map(String::as_str));
            let message = format!("Pipeline \"{}\" has no param \"{}\"; {others}", self.name, show(name));
            return Err(Error::invalid_field(format!("params.{}", show(name)), message));
        }
        // A form gives an empty text for what is left out.
        let is_left_out = |(name, param): &(&String, &Param)| {
            param.optional && given.get(*name).is_none_or(|value| value.is_null() || value.as_str() == Some(""))
        };
        let resolve = |(name, param): (&String, &Param)| {
            let value = match (given.get(name), &param.default) {
                (Some(value), _) => param.accept(value),
                (None, Some(default)) => Ok(default.clone()),
                (None, None) => Err("has no default; give a value".to_owned()),
            };
            let wrong = |rule| Error::invalid_field(format!("params.{name}"), format!("The param \"{name}\" {rule}."));
            Ok((name.clone(), value.map_err(wrong)?))
        };
        self.params.iter().filter(|param| !is_left_out(param)).map(resolve).collect()
    }

    /// The values of all params that the step at this place sees: those of the run, of the steps around it, of the matrix
    /// and maps that made this instance of it (`items`), and its own, inner ones before outer ones. A param without a value
    /// has its default.
    #[must_use]
    pub fn values(
        &self,
        place: &[impl AsRef<str>],
        params: &BTreeMap<String, ParamValue>,
        items: &BTreeMap<String, ParamValue>,
    ) -> BTreeMap<String, ParamValue> {
        let default = |(name, param): (&String, &Param)| Some((name.clone(), param.default.clone()?));
        let mut values: BTreeMap<String, ParamValue> = self.params.iter().filter_map(default).collect();
        values.extend(params.iter().filter(|(name, _)| self.params.contains_key(*name)).map(pair));
        for step in self.steps_to(place) {
            values.extend(step.item_names().filter_map(|name| items.get_key_value(name)).map(pair));
            let own: Vec<_> =
                step.params.iter().map(|(name, value)| (name.clone(), fill_value(value, &values))).collect();
            values.extend(own);
        }
        values
    }

    /// What a step takes, with the values of its params filled into the names and versions of datasets and models.
    #[must_use]
    pub fn filled_inputs(step: &StepSpec, values: &BTreeMap<String, ParamValue>) -> BTreeMap<String, InputSpec> {
        let filled = |input: &InputSpec| match input {
            InputSpec::Output(output) => InputSpec::Output(output.clone()),
            InputSpec::Dataset { dataset, version, checked } => InputSpec::Dataset {
                dataset: fill_params(dataset, values),
                version: fill_params(version, values),
                checked: *checked,
            },
            InputSpec::Model { model, version } => {
                InputSpec::Model { model: fill_params(model, values), version: fill_params(version, values) }
            }
        };
        step.inputs.iter().map(|(name, input)| (name.clone(), filled(input))).collect()
    }

    /// What a step gives on, with the names of all datasets and models: that of the output where none is given.
    #[must_use]
    pub fn filled_outputs(step: &StepSpec, values: &BTreeMap<String, ParamValue>) -> BTreeMap<String, OutputSpec> {
        let filled = |output: &String, spec: &OutputSpec| match spec {
            OutputSpec::Typed { path, kind, name, tolerance, varies } if kind.is_named() => OutputSpec::Typed {
                path: path.clone(),
                kind: *kind,
                name: Some(name.as_ref().map_or_else(|| output.clone(), |name| fill_params(name, values))),
                tolerance: *tolerance,
                varies: *varies,
            },
            other => other.clone(),
        };
        step.outputs.iter().map(|(name, output)| (name.clone(), filled(name, output))).collect()
    }

    /// What to run for the step at this place when its params have these [`values`](Self::values). `None` when there is no
    /// such step, or it has steps of its own.
    ///
    /// A value never becomes code by itself: in a list command it stays one argument, and a script of the shell gets it
    /// in a variable.
    #[must_use]
    pub fn invocation(&self, place: &[impl AsRef<str>], values: &BTreeMap<String, ParamValue>) -> Option<Invocation> {
        let step = self.step(place)?;
        let fill_pipeline = |text: &str| fill_params(text, values);
        let fill_step = |text: &str| {
            fill(text, |place| match place {
                Place::Param(name) => values.get(name).map(ToString::to_string),
                Place::Input(name) => Some(input_path(name)),
                Place::Output(name) => step.outputs.get(name).and_then(|output| output.path()).map(ToOwned::to_owned),
            })
        };

        let mut env: BTreeMap<String, String> =
            values.iter().map(|(name, value)| (env_name("PARAM", name), value.to_string())).collect();
        env.extend(step.inputs.keys().map(|name| (env_name("INPUT", name), input_path(name))));
        let paths = step.outputs.iter().filter_map(|(name, output)| Some((name, output.path()?)));
        env.extend(paths.map(|(name, path)| (env_name("OUTPUT", name), path.to_owned())));
        env.extend(["PYTHONHASHSEED", "SLIPWAY_SEED"].map(|name| (name.to_owned(), self.seed.to_string())));
        env.extend(self.env.iter().map(|(name, text)| (name.clone(), fill_pipeline(text))));
        if step.kfp.is_some() {
            // What stands in them is for Kubeflow's placeholders, which are filled in when the inputs are there.
            env.extend(step.env.clone());
            let Work::Command(Command::Program(argv)) = &step.work else { return None };
            return Some(Invocation { argv: argv.clone(), env });
        }
        env.extend(step.env.iter().map(|(name, text)| (name.clone(), fill_step(text))));

        let argv = match (&step.work, step.notebook()) {
            (Work::Command(Command::Shell(script)), _) => {
                vec!["/bin/sh".to_owned(), "-ec".to_owned(), script.clone()]
            }
            (Work::Command(Command::Program(arguments)), _) => {
                arguments.iter().map(|argument| fill_step(argument)).collect()
            }
            (Work::Notebook(_), Some((source, executed))) => {
                ["python3", NOTEBOOK_PROGRAM, source, executed].map(str::to_owned).to_vec()
            }
            (Work::Notebook(_), None) | (Work::Steps(_) | Work::Approval(_) | Work::Pipeline(_), _) => return None,
        };
        Some(Invocation { argv, env })
    }
}

fn pair((name, value): (&String, &ParamValue)) -> (String, ParamValue) {
    (name.clone(), value.clone())
}

/// A text that is a placeholder alone has the value itself, whatever its kind.
fn fill_value(value: &ParamValue, known: &BTreeMap<String, ParamValue>) -> ParamValue {
    let ParamValue::Text(text) = value else { return value.clone() };
    if let Some(whole) = whole_param(text).and_then(|name| known.get(name)) {
        return whole.clone();
    }
    ParamValue::Text(fill_params(text, known))
}

fn fill_params(text: &str, known: &BTreeMap<String, ParamValue>) -> String {
    fill(text, |place| match place {
        Place::Param(name) => known.get(name).map(ToString::to_string),
        Place::Input(_) | Place::Output(_) => None,
    })
}
