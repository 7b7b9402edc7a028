//! A command of ours in a container of theirs: it gets the directory, the files and the variables that it has here. What is
//! written so is found again when it is read.

use crate::{
    import::{Artifact, From, Outputs, Source},
    ir::Container,
    placeholder::{Part, Place, Property, parts},
};
use domain::pipeline::{Command, OutputKind, OutputRef, OutputSpec, ParamValue};
use serde_json::Value;
use std::collections::BTreeMap;

/// Makes the directory of a step from its arguments, runs the command that follows `--`, and puts its outputs where they are
/// expected. For any shell.
pub(crate) const LAUNCH: &str = include_str!("launch.sh");

/// What stands before the arguments.
pub(crate) fn command() -> [&'static str; 4] {
    ["/bin/sh", "-ec", LAUNCH, "slipway"]
}

/// Whether a container runs a command of ours.
pub(crate) fn is_native(container: &Container) -> bool {
    container.command.iter().map(String::as_str).eq(command())
}

/// A step of ours, as it was before it was written.
#[derive(Debug)]
pub(crate) struct Native {
    pub(crate) command: Command,
    pub(crate) inputs: BTreeMap<String, OutputRef>,
    pub(crate) constants: BTreeMap<String, ParamValue>,
    pub(crate) outputs: BTreeMap<String, OutputSpec>,
    pub(crate) own_env: BTreeMap<String, String>,
    /// Of its pipeline.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) has_image: bool,
}

/// The step that a container runs. None when it runs something else, or is told what a step of ours cannot be told; then it
/// is a container like any other.
pub(crate) fn read(
    container: &Container,
    parameters: &BTreeMap<String, Source>,
    artifacts: &BTreeMap<String, Option<Artifact>>,
    outputs: &Outputs,
) -> Option<Native> {
    if !is_native(container) || !container.env.is_empty() {
        return None;
    }
    let mut native = Native {
        command: Command::Program(Vec::new()),
        inputs: BTreeMap::new(),
        constants: BTreeMap::new(),
        outputs: BTreeMap::new(),
        own_env: BTreeMap::new(),
        files: BTreeMap::new(),
        env: BTreeMap::new(),
        has_image: false,
    };
    let mut is_script = false;
    // Their names of inputs, by ours.
    let mut keys = BTreeMap::new();
    let mut rest = container.args.iter().map(String::as_str);
    loop {
        match rest.next()? {
            "--" => break,
            "note" => match rest.next()? {
                "image" => native.has_image = true,
                "script" => is_script = true,
                _ => return None,
            },
            kind => {
                let (name, value) = (rest.next()?.to_owned(), rest.next()?);
                match kind {
                    "file" => drop(native.files.insert(name, value.to_owned())),
                    "env" => drop(native.own_env.insert(name, ours(value, &keys)?)),
                    "all-env" => drop(native.env.insert(name, ours(value, &keys)?)),
                    "param" => native.param(name, parameters)?,
                    "input" => {
                        let found = parts(value).ok()?;
                        let [Part::Place(Place::InputArtifact(key, Property::Path))] = found.as_slice() else {
                            return None;
                        };
                        let artifact = artifacts.get(*key)?.as_ref()?;
                        keys.insert((*key).to_owned(), name.clone());
                        native.inputs.insert(name, artifact.file.clone());
                    }
                    "value" => {
                        let found = parts(value).ok()?;
                        let [Part::Place(Place::Parameter(key))] = found.as_slice() else { return None };
                        match &parameters.get(*key)?.from {
                            From::Output(output, fields) if fields.is_empty() => {
                                drop(native.inputs.insert(name, output.clone()))
                            }
                            _ => return None,
                        }
                    }
                    "typed" => drop(native.outputs.insert(name, serde_json::from_str(value).ok()?)),
                    "output" => {
                        rest.next()?;
                        let path = value.to_owned();
                        let output = match outputs.values.contains_key(&name) {
                            true => OutputSpec::Typed {
                                path,
                                kind: OutputKind::Value,
                                name: None,
                                tolerance: None,
                                varies: false,
                            },
                            false => OutputSpec::Path(path),
                        };
                        native.outputs.entry(name).or_insert(output);
                    }
                    _ => return None,
                }
            }
        }
    }
    let argv: Vec<&str> = rest.collect();
    native.command = match argv.as_slice() {
        ["/bin/sh", "-ec", script] if is_script => Command::Shell((*script).to_owned()),
        argv => Command::Program(argv.iter().map(|text| ours(text, &keys)).collect::<Option<_>>()?),
    };
    Some(native)
}

impl Native {
    /// A param that the command sees: one of its own, unless it is one of those around it.
    fn param(&mut self, name: String, parameters: &BTreeMap<String, Source>) -> Option<()> {
        let value = match &parameters.get(&name)?.from {
            From::Param(param, fields) if fields.is_empty() && *param == name => return Some(()),
            From::Param(param, fields) if fields.is_empty() => Value::from(format!("${{{{ params.{param} }}}}")),
            From::Constant(Value::String(text)) => Value::from(text.replace("${{", "$${{")),
            From::Constant(value) => value.clone(),
            From::Text(Value::String(text), values) => {
                let mut out = String::new();
                for part in parts(text).ok()? {
                    match part {
                        Part::Text(text) => out += &text.replace("${{", "$${{"),
                        Part::Place(Place::Parameter(of)) => match &values.get(of)?.from {
                            From::Param(param, fields) if fields.is_empty() => {
                                out += &format!("${{{{ params.{param} }}}}")
                            }
                            _ => return None,
                        },
                        Part::Place(_) => return None,
                    }
                }
                out.into()
            }
            _ => return None,
        };
        self.constants.insert(name, ParamValue::try_from(value).ok()?);
        Some(())
    }
}

/// A text of theirs with our placeholders; `keys` are their names of inputs, with ours.
fn ours(text: &str, keys: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::new();
    for part in parts(text).ok()? {
        match part {
            Part::Text(text) => out += &text.replace("${{", "$${{"),
            Part::Place(Place::Parameter(name)) => out += &format!("${{{{ params.{name} }}}}"),
            Part::Place(Place::InputArtifact(name, Property::Path)) => {
                out += &format!("${{{{ inputs.{} }}}}", keys.get(name)?)
            }
            Part::Place(Place::OutputFile(name) | Place::OutputArtifact(name, Property::Path)) => {
                out += &format!("${{{{ outputs.{name} }}}}");
            }
            Part::Place(_) => return None,
        }
    }
    Some(out)
}
