//! What a step is told and what it answers, when it runs.
//!
//! Their system tells a command one message with its inputs and with where its outputs are expected, and reads another from
//! a file in the end. Values are JSON; an artifact is a path here, below the step's own directory, with metadata. In the end
//! both become outputs of the step as any other: the file of an artifact, a value for each parameter, and one more value with
//! what is told about an artifact: `{ "metadata": {…} }`, with `uri` when its content lies elsewhere.

use crate::{
    fill::Filling,
    placeholder::{Element, Part, Place, Property, parts},
};
use domain::{
    names::MetricKey,
    pipeline::{
        OutputSpec, input_path,
        kfp::{KfpInput, KfpKind, KfpSource, KfpStep},
    },
};
use serde_json::{Map, Value, json};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The folder of outputs in the directory of a step.
const DIR: &str = "kfp";

/// Where the answer is expected, in the directory of a step.
pub const ANSWER: &str = "kfp/executor_output.json";

/// The longest argument that a process takes, on Linux.
const MAX_ARGUMENT: usize = 128 * 1024 - 1;

/// The longest command, with all of its arguments: about what a process takes on Linux, with its environment.
const MAX_COMMAND: usize = 2 * 1024 * 1024;

/// Why a command is not begun.
const TOO_LONG: &str = "With everything filled in, its command or a variable of it is longer than a process takes: 128 KiB an \
                        argument, 2 MiB in all. Hand large values on as artifacts.";

/// Where an output of this name is expected, in the directory of a step.
#[must_use]
pub(crate) fn path(output: &str) -> String {
    format!("{DIR}/{output}")
}

/// How a step ended, for one that asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct End {
    /// `SUCCEEDED` and its like.
    pub state: String,
    /// Why it failed.
    pub message: String,
}

/// What a step may ask of its run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// What people call the run.
    pub name: String,
    /// What names it and no other.
    pub id: String,
    /// The step.
    pub task: String,
    /// What names this try of it and no other.
    pub task_id: String,
    /// When it began, RFC 3339.
    pub created_at: String,
}

/// What is known when a step begins.
#[derive(Debug)]
pub struct Known<'a> {
    /// What the step expects and promises.
    pub contract: &'a KfpStep,
    /// Its outputs.
    pub outputs: &'a BTreeMap<String, OutputSpec>,
    /// The params that it sees.
    pub params: &'a BTreeMap<String, Value>,
    /// Those of them that are its own: the file's words, in which placeholders are filled in.
    pub own: &'a BTreeSet<String>,
    /// How steps ended that it asks for.
    pub ends: &'a BTreeMap<String, End>,
    /// Its run.
    pub run: &'a Run,
    /// The directory in which its command begins, with its inputs.
    pub work: &'a Path,
    /// The same as its command sees it.
    pub seen: &'a Path,
}

/// The message, and what is made of it.
#[derive(Debug)]
pub struct Told<'a> {
    message: Value,
    run: &'a Run,
}

impl<'a> Known<'a> {
    /// The message for the step. Makes the folders of its outputs. Blocks.
    ///
    /// # Errors
    /// What is not as the step expects it; a sentence for its author.
    pub fn tell(&self) -> Result<Told<'a>, String> {
        let disk = |error: std::io::Error| format!("The folder of its outputs could not be made: {error}.");
        fs::create_dir_all(self.work.join(DIR)).map_err(disk)?;
        let mut inputs = json!({ "parameterValues": self.parameters()? });
        let mut artifacts = Map::new();
        for (name, input) in self.contract.inputs.iter().filter(|(_, input)| input.kind.is_artifact()) {
            let found = self.artifacts(name, input)?;
            if !found.is_empty() {
                artifacts.insert(name.clone(), json!({ "artifacts": found }));
            }
        }
        if !artifacts.is_empty() {
            inputs["artifacts"] = artifacts.into();
        }
        let (mut values, mut files) = (Map::new(), Map::new());
        for (name, output) in &self.contract.outputs {
            let path = self.outputs.get(&output.to).and_then(OutputSpec::path).unwrap_or_default();
            let place = self.seen.join(path).display().to_string();
            if output.kind.is_artifact() {
                let artifact = artifact(name, &output.kind, &place, &Value::Null);
                files.insert(name.clone(), json!({ "artifacts": [artifact] }));
            } else {
                values.insert(name.clone(), json!({ "outputFile": place }));
            }
        }
        let mut outputs = json!({ "outputFile": self.seen.join(ANSWER).display().to_string() });
        if !values.is_empty() {
            outputs["parameters"] = values.into();
        }
        if !files.is_empty() {
            outputs["artifacts"] = files.into();
        }
        Ok(Told { message: json!({ "inputs": inputs, "outputs": outputs }), run: self.run })
    }

    fn parameters(&self) -> Result<Map<String, Value>, String> {
        let mut raw = BTreeMap::new();
        for (name, input) in self.contract.inputs.iter().filter(|(_, input)| !input.kind.is_artifact()) {
            if let Some(value) = self.value(name, input)? {
                raw.insert(name.as_str(), value);
            }
        }
        let mut filling = Filling::new(self, &raw);
        let mut filled = Map::new();
        for (name, value) in &raw {
            let value = if self.is_own(name) { filling.value(name, 0)? } else { value.clone() };
            let kind = self.contract.inputs.get(*name).map(|input| &input.kind);
            filled.insert(ToString::to_string(name), kind.map_or(value.clone(), |kind| typed(kind, value)));
        }
        Ok(filled)
    }

    /// The value as it was given; none when it was not.
    fn value(&self, name: &str, input: &KfpInput) -> Result<Option<Value>, String> {
        let given = match &input.from {
            None => None,
            Some(KfpSource::Param(param)) => self.params.get(param).cloned(),
            Some(KfpSource::Input(of)) => self.json(of)?,
            Some(KfpSource::Step(step)) => self.ends.get(step).map(|end| self.status(step, end)),
        };
        let Some(given) = given else { return Ok(input.default.clone()) };
        let field = |value: Value, field: &String| match value {
            // A value that was handed on as text.
            Value::String(text) => serde_json::from_str::<Value>(&text).ok()?.get(field).cloned(),
            value => value.get(field).cloned(),
        };
        let found = input.field.iter().try_fold(given, field);
        found.map(Some).ok_or_else(|| format!("The input \"{name}\" has no field \"{}\".", input.field.join(".")))
    }

    fn json(&self, input: &str) -> Result<Option<Value>, String> {
        let path = self.work.join(input_path(input));
        if !path.exists() {
            return Ok(None);
        }
        let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.map(Some).ok_or_else(|| format!("The input \"{input}\" is no value."))
    }

    fn status(&self, step: &str, end: &End) -> Value {
        let mut status = json!({
            "state": end.state,
            "pipelineJobResourceName": self.run.name,
            "pipelineTaskName": step,
        });
        if !end.message.is_empty() {
            status["error"] = json!({ "code": 1, "message": end.message });
        }
        status
    }

    /// Whether an input is of the file's own words, in which placeholders are filled in.
    pub(crate) fn is_own(&self, name: &str) -> bool {
        let source = self.contract.inputs.get(name).and_then(|input| input.from.as_ref());
        matches!(source, Some(KfpSource::Param(param)) if self.own.contains(param))
    }

    /// The artifacts of an input: one, or those of a list, however deep the lists stand in each other.
    fn artifacts(&self, name: &str, input: &KfpInput) -> Result<Vec<Value>, String> {
        let Some(KfpSource::Input(of)) = &input.from else { return Ok(Vec::new()) };
        let about = match &input.about {
            Some(about) => self.json(about)?,
            None => None,
        };
        let relative = input_path(of);
        if !self.work.join(&relative).exists() {
            return Ok(Vec::new());
        }
        let (mut found, mut left) = (Vec::new(), vec![(relative, about.unwrap_or_default())]);
        while let Some((place, about)) = left.pop() {
            match about {
                Value::Array(items) => {
                    // Taken from the end: so the first is next.
                    let items: Vec<_> = items.into_iter().enumerate().collect();
                    left.extend(items.into_iter().rev().map(|(index, about)| (format!("{place}/{index}"), about)));
                }
                about => {
                    let place = self.seen.join(&place).display().to_string();
                    found.push(artifact(name, &input.kind, &place, &about));
                }
            }
        }
        Ok(found)
    }
}

fn artifact(name: &str, kind: &KfpKind, place: &str, about: &Value) -> Value {
    let (schema, version) = match kind {
        KfpKind::Artifact { schema, version } => (schema.as_str(), version.as_str()),
        _ => ("system.Artifact", ""),
    };
    let metadata = about.get("metadata").filter(|metadata| metadata.is_object());
    json!({
        "name": name,
        "type": { "schemaTitle": schema, "schemaVersion": version },
        "uri": about.get("uri").and_then(Value::as_str).unwrap_or(place),
        "metadata": metadata.cloned().unwrap_or_else(|| json!({})),
    })
}

impl Told<'_> {
    /// The message itself.
    #[must_use]
    pub fn message(&self) -> &Value {
        &self.message
    }

    /// The command with everything filled in.
    ///
    /// # Errors
    /// When an argument is longer than the system takes; a sentence.
    pub fn command(&self, argv: &[String]) -> Result<Vec<String>, String> {
        let inputs = &self.message["inputs"];
        let is_present = |name: &str| {
            let of = |kind: &str| inputs.get(kind).and_then(|all| all.get(name)).is_some_and(|value| !value.is_null());
            of("parameterValues") || of("artifacts")
        };
        // Nothing once it does not fit.
        let left = Cell::new(Some(MAX_COMMAND));
        let fill = |text: &str| {
            let filled = left.get().and_then(|most| self.filled(text, most.min(MAX_ARGUMENT)));
            left.set(filled.as_ref().and_then(|text| left.get()?.checked_sub(text.len())));
            filled.unwrap_or_default()
        };
        let argv: Vec<String> = argv.iter().flat_map(|text| Element::read(text).render(&is_present, &fill)).collect();
        if left.get().is_none() || argv.iter().any(|argument| argument.len() > MAX_ARGUMENT) {
            return Err(TOO_LONG.to_owned());
        }
        Ok(argv)
    }

    /// A text with everything filled in.
    ///
    /// # Errors
    /// When it is longer than the system takes; a sentence.
    pub fn text(&self, text: &str) -> Result<String, String> {
        self.filled(text, MAX_ARGUMENT).ok_or_else(|| TOO_LONG.to_owned())
    }

    /// A text with everything filled in, unless that is longer than so much.
    fn filled(&self, text: &str, most: usize) -> Option<String> {
        let Ok(found) = parts(text) else { return Some(text.to_owned()) };
        let mut filled = String::new();
        for part in &found {
            filled.push_str(&self.part(part));
            if filled.len() > most {
                return None;
            }
        }
        Some(filled)
    }

    fn part(&self, part: &Part<'_>) -> String {
        let (inputs, outputs) = (&self.message["inputs"], &self.message["outputs"]);
        match part {
            Part::Text(text) => (*text).to_owned(),
            Part::Place(Place::Message(level)) => (0..*level).fold(self.message.to_string(), |text, _| escaped(&text)),
            Part::Place(Place::Parameter(name)) => text_of(&inputs["parameterValues"][name]),
            Part::Place(Place::OutputFile(name)) => text_of(&outputs["parameters"][name]["outputFile"]),
            Part::Place(Place::AnswerFile) => text_of(&outputs["outputFile"]),
            Part::Place(Place::Run(of)) => of_run(self.run, of).to_owned(),
            Part::Place(Place::InputArtifact(name, property)) => of_artifact(&inputs["artifacts"][name], property),
            Part::Place(Place::OutputArtifact(name, property)) => of_artifact(&outputs["artifacts"][name], property),
        }
    }
}

fn of_artifact(list: &Value, property: &Property<'_>) -> String {
    let one = &list["artifacts"][0];
    match property {
        Property::All => text_of(list),
        Property::Uri | Property::Path => text_of(&one["uri"]),
        Property::Name => text_of(&one["name"]),
        Property::Metadata => text_of(&one["metadata"]),
        Property::Field(name) => text_of(&one["metadata"][name]),
    }
}

pub(crate) fn of_run<'a>(run: &'a Run, what: &str) -> &'a str {
    match what {
        "pipeline_job_name" | "pipeline_job_resource_name" => &run.name,
        "pipeline_job_uuid" => &run.id,
        "pipeline_task_name" => &run.task,
        "pipeline_task_uuid" => &run.task_id,
        "pipeline_job_create_time_utc" | "pipeline_job_schedule_time_utc" => &run.created_at,
        // Artifacts have no place that a step could name.
        _ => "",
    }
}

fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As it stands in a command: a text without quotes, nothing for what is not there.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The value as its type has it, where it can be had so.
pub(crate) fn typed(kind: &KfpKind, value: Value) -> Value {
    match (kind, value) {
        (KfpKind::String, value) => Value::String(text_of(&value)),
        (KfpKind::Integer, Value::Number(number)) => match number.as_f64() {
            #[allow(clippy::cast_possible_truncation)] // whole, and small enough
            Some(float) if number.as_i64().is_none() && float.fract() == 0.0 && float.abs() < 9e15 => {
                (float as i64).into()
            }
            _ => number.into(),
        },
        (KfpKind::Double, Value::Number(number)) => number.as_f64().map_or(Value::Null, Value::from),
        (KfpKind::Integer | KfpKind::Double | KfpKind::List | KfpKind::Struct, Value::String(text)) => {
            match serde_json::from_str::<Value>(&text) {
                Ok(Value::String(_)) | Err(_) => text.into(),
                // A field of a value may be a text that looks like something else.
                Ok(_) if *kind == KfpKind::Struct && !text.trim_start().starts_with('{') => text.into(),
                Ok(read) => typed(kind, read),
            }
        }
        (KfpKind::Boolean, Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => true.into(),
            "false" => false.into(),
            _ => text.into(),
        },
        (_, value) => value,
    }
}

/// Whether a value is of its type.
fn is_of(kind: &KfpKind, value: &Value) -> bool {
    match kind {
        KfpKind::String => value.is_string(),
        KfpKind::Integer => value.is_i64() || value.is_u64(),
        KfpKind::Double => value.is_number(),
        KfpKind::Boolean => value.is_boolean(),
        KfpKind::List => value.is_array(),
        KfpKind::Struct => value.is_object(),
        KfpKind::FinalStatus | KfpKind::Artifact { .. } => true,
    }
}

/// What an output of the step became.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// This value.
    Value(Value),
    /// What lies at another path than was expected, relative to the step's directory.
    At(String),
    /// An empty file: an artifact of which there is only what is told about it.
    Nothing,
}

/// What the step gave on, by the names of its outputs here; those that are left out lie where they were expected. `read`
/// gives what is written at a path in the step's directory, none when nothing is; `is_there` whether anything is.
///
/// # Errors
/// What is not as the step promised; a sentence for its author.
pub fn answered(
    contract: &KfpStep,
    outputs: &BTreeMap<String, OutputSpec>,
    seen: &Path,
    read: impl Fn(&str) -> Result<Option<Vec<u8>>, String>,
    is_there: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Given>, String> {
    let answer = match read(ANSWER)? {
        None => Value::Null,
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| format!("The answer of the step (executor_output.json) is not JSON: {error}."))?,
    };
    let mut given = BTreeMap::new();
    for (name, output) in &contract.outputs {
        let path = outputs.get(&output.to).and_then(OutputSpec::path).unwrap_or_default();
        if !output.kind.is_artifact() {
            let value = match answer["parameterValues"].get(name).filter(|value| !value.is_null()) {
                Some(value) => typed(&output.kind, value.clone()),
                None => match read(path)? {
                    Some(bytes) => written(&output.kind, &bytes).ok_or_else(|| not_of(name, &output.kind))?,
                    None => return Err(format!("The step did not give its output \"{name}\".")),
                },
            };
            if !is_of(&output.kind, &value) {
                return Err(not_of(name, &output.kind));
            }
            given.insert(output.to.clone(), Given::Value(value));
            continue;
        }
        let told = &answer["artifacts"][name]["artifacts"][0];
        let expected = seen.join(path).display().to_string();
        let place = ["customPath", "custom_path", "uri"]
            .into_iter()
            .find_map(|key| told[key].as_str().filter(|p| !p.is_empty()));
        let elsewhere = place.filter(|place| *place != expected);
        let mut about = json!({ "metadata": told["metadata"].as_object().cloned().unwrap_or_default() });
        let inside = elsewhere.and_then(|place| Path::new(place).strip_prefix(seen).ok()?.to_str());
        match (elsewhere, inside) {
            (Some(_), Some(inside)) if is_there(inside) => {
                given.insert(output.to.clone(), Given::At(inside.to_owned()));
            }
            (Some(place), None) => {
                about["uri"] = place.into();
                if !is_there(path) {
                    given.insert(output.to.clone(), Given::Nothing);
                }
            }
            _ if !is_there(path) => {
                given.insert(output.to.clone(), Given::Nothing);
            }
            _ => {}
        }
        if let Some(to) = &output.numbers {
            // Metadata may hold anything; what cannot be a metric stays in it.
            let numbers = told["metadata"].as_object().into_iter().flatten();
            let numbers = numbers.filter(|(key, value)| value.is_number() && MetricKey::parse(key, "key").is_ok());
            let numbers: Map<String, Value> = numbers.map(|(key, value)| (key.clone(), value.clone())).collect();
            given.insert(to.clone(), Given::Value(numbers.into()));
        }
        if let Some(to) = &output.about {
            given.insert(to.clone(), Given::Value(about));
        }
    }
    Ok(given)
}

fn not_of(name: &str, kind: &KfpKind) -> String {
    format!("The output \"{name}\" of the step is no {kind}.")
}

/// A value that was written into a file: a text as it is, everything else as JSON.
fn written(kind: &KfpKind, bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    match kind {
        KfpKind::String => Some(text.into()),
        KfpKind::Boolean => serde_json::from_str(&text.trim().to_ascii_lowercase()).ok(),
        kind => serde_json::from_str(text.trim()).ok().map(|value| typed(kind, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::pipeline::PipelineSpec;

    const FILE: &str = r#"
name: x
params: { who: World }
steps:
  first: { command: x, outputs: { rows: { path: r, type: value }, data: d, about: { path: a, type: value } } }
  second:
    command: [run, "{{$}}"]
    params: { text: "<{{$.inputs.parameters['who']}}>", many: ["{{$.inputs.parameters['n']}}", 2] }
    inputs: { rows: first.rows, data: first.data, data-about: first.about }
    outputs: { model: kfp/model, model-about: { path: kfp/model-about, type: value }, o: { path: kfp/o, type: value } }
    kfp:
      inputs:
        who: { type: STRING, from: params.who }
        text: { type: STRING, from: params.text }
        many: { type: LIST, from: params.many }
        n: { type: NUMBER_DOUBLE, from: inputs.rows, field: [n] }
        gone: { type: STRING, default: other }
        not: { type: STRING }
        data: { type: system.Dataset@0.0.1, from: inputs.data, about: data-about }
      outputs:
        Model: { type: system.Model@0.0.1, to: model, about: model-about }
        o: { type: NUMBER_INTEGER, to: o }
"#;

    fn with_step<T>(test: impl FnOnce(&Known<'_>, &Path) -> T) -> T {
        let spec = PipelineSpec::parse(FILE).unwrap();
        let step = &spec.steps["second"];
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("inputs")).unwrap();
        fs::write(dir.path().join("inputs/rows"), r#"{"n": 3}"#).unwrap();
        fs::write(dir.path().join("inputs/data"), "x").unwrap();
        fs::write(dir.path().join("inputs/data-about"), r#"{"metadata": {"rows": 3}}"#).unwrap();
        let params = spec.values(&["second"], &BTreeMap::new(), &BTreeMap::new());
        // What somebody else wrote is not looked into.
        let mut params: BTreeMap<String, Value> =
            params.into_iter().map(|(name, value)| (name, value.into())).collect();
        params.insert("who".into(), "{{$.pipeline_job_name}}".into());
        let known = Known {
            contract: step.kfp.as_deref().unwrap(),
            outputs: &step.outputs,
            params: &params,
            own: &step.params.keys().cloned().collect(),
            ends: &BTreeMap::new(),
            run: &Run { name: "x #1".into(), ..Run::default() },
            work: dir.path(),
            seen: Path::new("/slipway/work"),
        };
        test(&known, dir.path())
    }

    #[test]
    fn a_step_is_told_values_artifacts_and_where_its_outputs_go() {
        with_step(|known, dir| {
            let told = known.tell().unwrap();
            insta::assert_json_snapshot!(told.message());
            assert!(dir.join("kfp").is_dir());
            let argv = [
                "a",
                "--x={{$.inputs.parameters['n']}}",
                "{{$.inputs.artifacts['data'].metadata['rows']}}",
                "{{$.outputs.artifacts['Model'].path}}",
                r#"{"IfPresent": {"InputName": "not", "Then": ["x"]}}"#,
                "{{$.json_escape[1]}}",
            ];
            let argv = told.command(&argv.map(str::to_owned)).unwrap();
            assert_eq!(argv[..4], ["a", "--x=3.0", "3", "/slipway/work/kfp/model"]);
            assert!(argv[4].starts_with(r#"{\"inputs\":"#), "{}", argv[4]);
        });
    }

    #[test]
    fn what_a_step_answers_becomes_outputs() {
        with_step(|known, _| {
            let answer = |text: &'static str, there: &'static [&'static str]| {
                answered(
                    known.contract,
                    known.outputs,
                    known.seen,
                    |path| match path {
                        ANSWER if text.is_empty() => Ok(None),
                        ANSWER => Ok(Some(text.into())),
                        _ if there.contains(&path) => Ok(Some(b" 7\n".to_vec())),
                        _ => Ok(None),
                    },
                    |path| there.contains(&path),
                )
            };
            let about = |value: Value| Given::Value(value);
            let given = answer(
                r#"{"parameterValues": {"o": 3.0}, "artifacts": {"Model": {"artifacts": [{"metadata": {"f": 1}, "uri": "/slipway/work/kfp/model"}]}}}"#,
                &["kfp/model"],
            );
            let expected = [("model-about", about(json!({ "metadata": { "f": 1 } }))), ("o", Given::Value(3.into()))];
            assert_eq!(given.unwrap(), expected.map(|(name, given)| (name.to_owned(), given)).into());
            let given = answer("", &["kfp/o"]).unwrap();
            assert_eq!((&given["o"], &given["model"]), (&Given::Value(7.into()), &Given::Nothing));
            let given = answer(
                r#"{"parameterValues": {"o": 1}, "artifacts": {"Model": {"artifacts": [{"uri": "s3://b/m"}]}}}"#,
                &[],
            )
            .unwrap();
            assert_eq!(
                (&given["model"], &given["model-about"]),
                (&Given::Nothing, &about(json!({ "metadata": {}, "uri": "s3://b/m" })))
            );
            let given = answer(r#"{"parameterValues": {"o": 1}, "artifacts": {"Model": {"artifacts": [{"uri": "/slipway/work/m.bin"}]}}}"#, &["m.bin"]).unwrap();
            assert_eq!(given["model"], Given::At("m.bin".into()));
            assert_eq!(answer("", &[]).unwrap_err(), "The step did not give its output \"o\".");
            assert_eq!(
                answer(r#"{"parameterValues": {"o": "x"}}"#, &[]).unwrap_err(),
                "The output \"o\" of the step is no NUMBER_INTEGER."
            );
            assert!(answer("{", &[]).unwrap_err().starts_with("The answer of the step"));
        });
    }

    #[test]
    fn texts_that_grow_out_of_each_other_are_refused() {
        with_step(|known, _| {
            // Each is twice the next: a text of half a kilobyte becomes one of sixteen megabytes.
            let naming = |name: &str| format!("{{{{$.inputs.parameters['{name}']}}}}").repeat(2);
            let names: Vec<String> = (0..16).map(|level| format!("p{level}")).collect();
            let mut params: BTreeMap<String, Value> = names
                .iter()
                .zip(names.iter().skip(1))
                .map(|(name, next)| (name.clone(), naming(next).into()))
                .collect();
            params.insert("p15".into(), "x".repeat(500).into());
            let input = |name: &String| KfpInput {
                kind: KfpKind::String,
                from: Some(KfpSource::Param(name.clone())),
                field: Vec::new(),
                default: None,
                about: None,
                list: false,
            };
            let contract = KfpStep {
                inputs: names.iter().map(|name| (name.clone(), input(name))).collect(),
                outputs: BTreeMap::new(),
            };
            let tell = |params: &BTreeMap<String, Value>| {
                let own = names.iter().cloned().collect();
                Known { contract: &contract, params, own: &own, ..*known }.tell().map(|told| told.message)
            };
            assert!(tell(&params).unwrap_err().contains("more than 4 MiB together"));
            params.insert("p15".into(), naming("p0").into());
            assert!(tell(&params).unwrap_err().contains("made of others that are made of it"));
            params.insert("p15".into(), "x".into());
            let told = tell(&params).unwrap();
            assert_eq!(told["inputs"]["parameterValues"]["p0"].as_str().map(str::len), Some(1 << 15));
        });
    }

    #[test]
    fn a_command_that_grows_is_refused() {
        with_step(|known, _| {
            let told = known.tell().unwrap();
            let argument = "{{$.json_escape[3]}}".repeat(10);
            assert!(told.command(&vec![argument.clone(); 10]).is_ok());
            assert_eq!(told.command(&vec![argument.clone(); 10_000]).unwrap_err(), TOO_LONG);
            assert_eq!(told.text(&argument.repeat(1000)).unwrap_err(), TOO_LONG);
        });
    }
}
