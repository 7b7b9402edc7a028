//! From a step and the values of the params to the command line and environment of a process.

use super::{
    env_name,
    spec::{Command, PipelineSpec},
    template::{Place, fill},
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
    /// The value of every param of a run: what was given, checked against the default's kind, and the default otherwise.
    ///
    /// # Errors
    /// When something is given for a param that does not exist, or of another kind. The error's field is `params.NAME`.
    pub fn resolve_params(&self, given: &BTreeMap<String, Value>) -> Result<BTreeMap<String, ParamValue>, Error> {
        let mut params = self.params.clone();
        for (name, value) in given {
            let field = format!("params.{}", show(name));
            let Some(default) = self.params.get(name) else {
                let others = suggest(name, self.params.keys().map(String::as_str));
                let message = format!("Pipeline \"{}\" has no param \"{}\"; {others}", self.name, show(name));
                return Err(Error::invalid_field(field, message));
            };
            let value = default
                .accept(value)
                .map_err(|rule| Error::invalid_field(field, format!("The param \"{name}\" {rule}.")))?;
            params.insert(name.clone(), value);
        }
        Ok(params)
    }

    /// What to run for this step when the params have these values; a param without a value has its default. `None` when
    /// there is no such step.
    ///
    /// A value never becomes code by itself: in a list command it stays one argument, and a script of the shell gets it
    /// in a variable.
    #[must_use]
    pub fn invocation(&self, step: &str, params: &BTreeMap<String, ParamValue>) -> Option<Invocation> {
        let step = self.steps.get(step)?;
        let of_pipeline = |name: &str| params.get(name).or_else(|| self.params.get(name));
        let fill_pipeline = |text: &str| {
            fill(text, |place| match place {
                Place::Param(name) => of_pipeline(name).map(ToString::to_string),
                Place::Input(_) | Place::Output(_) => None,
            })
        };
        let mut values: BTreeMap<&str, String> =
            self.params.keys().filter_map(|name| Some((name.as_str(), of_pipeline(name)?.to_string()))).collect();
        for (name, value) in &step.params {
            values.insert(name, fill_pipeline(&value.to_string()));
        }
        let fill_step = |text: &str| {
            fill(text, |place| match place {
                Place::Param(name) => values.get(name).cloned(),
                Place::Input(name) => Some(input_path(name)),
                Place::Output(name) => step.outputs.get(name).cloned(),
            })
        };

        let mut env: BTreeMap<String, String> =
            values.iter().map(|(name, value)| (env_name("PARAM", name), value.clone())).collect();
        env.extend(step.inputs.keys().map(|name| (env_name("INPUT", name), input_path(name))));
        env.extend(step.outputs.iter().map(|(name, path)| (env_name("OUTPUT", name), path.clone())));
        env.extend(self.env.iter().map(|(name, text)| (name.clone(), fill_pipeline(text))));
        env.extend(step.env.iter().map(|(name, text)| (name.clone(), fill_step(text))));

        let argv = match &step.command {
            Command::Shell(script) => vec!["/bin/sh".to_owned(), "-ec".to_owned(), script.clone()],
            Command::Program(arguments) => arguments.iter().map(|argument| fill_step(argument)).collect(),
        };
        Some(Invocation { argv, env })
    }
}
