//! From a compiled file to a pipeline of ours.
//!
//! This file reads what stands at the top; `dag` follows the tasks of a component and those inside of them, `leaf` makes a
//! step of a container, `source` says where a value comes from, and `condition` translates conditions.

mod condition;
mod dag;
mod leaf;
mod platform;
mod source;

use crate::{
    ir::{self, Component, Executor, Info, InputParameter},
    names::plain,
};
pub(crate) use dag::Outputs;
use domain::{
    document::{self, Document},
    pipeline::{
        Cache, ExecutorKind, FileErrors, Param, ParamKind, ParamValue, PipelineSpec, Problem, StepSpec, Work,
        kfp::KfpKind,
    },
};
use serde::de::DeserializeOwned;
use serde_json::Value;
pub(crate) use source::{Artifact, From, Source};
use std::collections::BTreeMap;

/// A pipeline that was read.
#[derive(Debug)]
pub struct Imported {
    /// What it is here.
    pub spec: PipelineSpec,
    /// The file that says so.
    pub source: String,
    /// What is otherwise than it was, without changing what the pipeline computes; a sentence each.
    pub notes: Vec<String>,
}

/// The most problems that are told.
const MAX_PROBLEMS: usize = 50;

/// Reads a compiled pipeline. Its steps run in this executor.
///
/// # Errors
/// With everything that is wrong with the file or has no place here, and where it stands.
pub fn import(source: &str, executor: ExecutorKind) -> Result<Imported, FileErrors> {
    let one = |problem| FileErrors(vec![problem]);
    let documents = Document::read_all(source).map_err(one)?;
    let [document, rest @ ..] = documents.as_slice() else {
        return Err(one(document::whole("The file is empty.")));
    };
    let mut import = Import::new(document).map_err(one)?;
    for other in rest {
        import.platform(other);
    }
    let spec = import.pipeline(executor);
    let Import { mut problems, notes, .. } = import;
    let (Some(spec), true) = (spec, problems.is_empty()) else {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.dedup();
        problems.truncate(MAX_PROBLEMS);
        return Err(FileErrors(problems));
    };
    let mut text = format!("# From Kubeflow Pipelines, compiled by {}.\n", one_line(import_sdk(document)));
    notes.iter().for_each(|note| text += &format!("# {note}\n"));
    text += &spec.to_yaml();
    // Whatever holds for a file of ours holds for this one too.
    match PipelineSpec::parse(&text) {
        Ok(spec) => Ok(Imported { spec, source: text, notes }),
        Err(FileErrors(found)) => {
            let what = |problem: Problem| {
                document::whole(format!("What becomes of it here cannot be: {}", one_note(&problem.message)))
            };
            Err(FileErrors(found.into_iter().map(what).collect()))
        }
    }
}

fn import_sdk(document: &Document) -> &str {
    document.value().get("sdkVersion").and_then(Value::as_str).unwrap_or("an unknown compiler")
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// What is known while a file is read.
pub(crate) struct Import<'a> {
    document: &'a Document,
    components: BTreeMap<String, Component>,
    executors: BTreeMap<String, Executor>,
    root: Component,
    /// Of executors: how long they may take.
    timeouts: BTreeMap<String, u64>,
    /// What commands of ours had from their pipeline.
    files: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    image: Option<String>,
    /// Steps so far.
    steps: usize,
    problems: Vec<Problem>,
    notes: Vec<String>,
}

impl<'a> Import<'a> {
    fn new(document: &'a Document) -> Result<Self, Problem> {
        if ir::is_argo(document) {
            let message = "This is a workflow of Argo, as the first version of Kubeflow Pipelines compiled it. Compile the \
                           pipeline with kfp 2 or newer.";
            return Err(document.problem(&["apiVersion"], message));
        }
        let value = document.value();
        if value.get("pipelineSpec").is_some() {
            let message = "This is the job of a pipeline, not the pipeline. Compile it with kfp 2 or newer, to YAML.";
            return Err(document.problem(&["pipelineSpec"], message));
        }
        let known = [
            "components",
            "defaultPipelineRoot",
            "deploymentSpec",
            "pipelineInfo",
            "root",
            "schemaVersion",
            "sdkVersion",
        ];
        if let Some(key) = value.as_object().and_then(|fields| fields.keys().find(|key| !known.contains(&key.as_str())))
        {
            return Err(document.problem(&[key], format!("\"{}\" is not known in a compiled pipeline.", show(key))));
        }
        let version = value.get("schemaVersion").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with("2.") {
            let message =
                format!("The file has the schema version \"{}\"; 2.0.0 and 2.1.0 are understood.", show(version));
            return Err(document.problem(&["schemaVersion"], message));
        }
        Ok(Self {
            document,
            components: all(document, &["components"], "Component")?,
            executors: all(document, &["deploymentSpec", "executors"], "Executor")?,
            root: read(document, &["root"], "The pipeline")?,
            timeouts: BTreeMap::new(),
            files: BTreeMap::new(),
            env: BTreeMap::new(),
            image: None,
            steps: 0,
            problems: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Something is wrong at this path of the document.
    fn problem(&mut self, path: &[String], message: impl Into<String>) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.problems.push(self.document.problem(&path, message));
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = one_note(&note.into());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn pipeline(&mut self, executor: ExecutorKind) -> Option<PipelineSpec> {
        let info: Info = match read(self.document, &["pipelineInfo"], "The pipeline's name") {
            Ok(info) => info,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let root = self.root.clone();
        let at = |key: &str| vec!["root".to_owned(), "inputDefinitions".to_owned(), key.to_owned()];
        for name in root.input_definitions.artifacts.keys() {
            let message = format!(
                "The pipeline takes the artifact \"{}\"; a run of a pipeline can be given values alone. Have a step fetch it.",
                show(name)
            );
            self.problem(&at("artifacts"), message);
        }
        let (mut params, mut scope) = (BTreeMap::new(), dag::Scope::root());
        for (name, definition) in &root.input_definitions.parameters {
            match Self::param(name, definition) {
                Ok((param, kind)) => {
                    let ours = scope.params.take(name);
                    let from = From::Param(ours.clone(), Vec::new());
                    scope.parameters.insert(name.clone(), Source { from, kind });
                    params.insert(ours, param);
                }
                Err(message) => self.problem(&at("parameters"), message),
            }
        }
        let Some(dag) = &root.dag else {
            self.problem(&["root".to_owned()], "The pipeline has no tasks.");
            return None;
        };
        let outputs = dag.outputs.parameters.keys().chain(dag.outputs.artifacts.keys());
        for name in outputs {
            self.note(format!("The pipeline's own output {} is found at the step that gives it.", show(name)));
        }
        if let Some(place) = self.document.value().get("defaultPipelineRoot").and_then(Value::as_str) {
            self.note(format!("Artifacts lie in Slipway's own store instead of {}.", show(place)));
        }
        let (mut steps, _) = self.tasks(dag, &scope, &["root".to_owned(), "dag".to_owned()]);
        let title = Some(info.display_name.as_str()).filter(|title| !title.is_empty() && *title != info.name);
        let description = match (title, info.description.trim()) {
            (Some(title), "") => title.to_owned(),
            (Some(title), text) => format!("{title}: {text}"),
            (None, text) => text.to_owned(),
        };
        // What holds for all steps is said once.
        let cache = may_all_be_kept(&steps).then_some(Cache { enabled: true, max_age_seconds: None });
        if cache.is_some() {
            forget_cache(&mut steps);
        }
        Some(PipelineSpec {
            name: plain(&info.name),
            description,
            params,
            files: std::mem::take(&mut self.files),
            env: std::mem::take(&mut self.env),
            secrets: BTreeMap::new(),
            executor: Some(executor).filter(|executor| *executor != ExecutorKind::Process),
            image: self.image.take(),
            priority: domain::pipeline::Priority::default(),
            cache,
            seed: 0,
            steps,
        })
    }

    fn param(name: &str, definition: &InputParameter) -> Result<(Param, KfpKind), String> {
        let kind = kind_of_parameter(definition.parameter_type.as_deref(), definition.r#type.as_deref())?;
        let ours = match kind {
            KfpKind::String => ParamKind::String,
            KfpKind::Integer => ParamKind::Integer,
            KfpKind::Double => ParamKind::Number,
            KfpKind::Boolean => ParamKind::Boolean,
            KfpKind::List => ParamKind::List,
            KfpKind::Struct => ParamKind::Object,
            KfpKind::FinalStatus | KfpKind::Artifact { .. } => {
                return Err(format!("The pipeline's parameter \"{}\" is {kind}, which nobody can give.", show(name)));
            }
        };
        let value = |value: &Value| ParamValue::try_from(value.clone());
        let wrong = |rule: String| format!("The pipeline's parameter \"{}\" {rule}.", show(name));
        let default = definition.default_value.as_ref().map(value).transpose().map_err(wrong)?;
        let choices = definition.literals.iter().map(value).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let param = Param {
            kind: ours,
            optional: default.is_none() && definition.is_optional,
            default,
            description: definition.description.clone(),
            choices,
            minimum: None,
            maximum: None,
        };
        if let Some(default) = &param.default {
            param.check(default).map_err(wrong)?;
        }
        Ok((param, kind))
    }
}

/// Whether every command may be kept, but for those that never are.
fn may_all_be_kept(steps: &BTreeMap<String, StepSpec>) -> bool {
    steps.values().all(|step| match step.steps() {
        Some(inner) => may_all_be_kept(inner),
        None => step.cache.is_some() || dag::asks_for_ends(step),
    })
}

fn forget_cache(steps: &mut BTreeMap<String, StepSpec>) {
    for step in steps.values_mut() {
        step.cache = None;
        if let Work::Steps(inner) = &mut step.work {
            forget_cache(inner);
        }
    }
}

/// The kind of a parameter, by its type, or by that of older compilers.
pub(crate) fn kind_of_parameter(kind: Option<&str>, old: Option<&str>) -> Result<KfpKind, String> {
    let name = match (kind, old) {
        (Some("TASK_CONFIG"), _) => {
            return Err("TASK_CONFIG is not supported here: what a step gets of its machine is its own.".to_owned());
        }
        (Some(kind), _) => kind,
        (None, Some("INT")) => "NUMBER_INTEGER",
        (None, Some("DOUBLE")) => "NUMBER_DOUBLE",
        (None, Some("STRING")) => "STRING",
        (None, _) => return Err("A parameter has no type that is known here.".to_owned()),
    };
    let found = KfpKind::VALUES.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, kind)| kind).ok_or_else(|| format!("\"{}\" is no type of a parameter.", show(name)))
}

fn all<T: DeserializeOwned>(document: &Document, path: &[&str], what: &str) -> Result<BTreeMap<String, T>, Problem> {
    let parent = path.iter().try_fold(document.value(), |value, key| value.get(key));
    let fields = match parent {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(fields)) => fields,
        Some(_) => return Err(document.problem(path, format!("\"{}\" must be a mapping.", path.join(".")))),
    };
    let one = |name: &String| {
        let path: Vec<&str> = path.iter().copied().chain([name.as_str()]).collect();
        Ok((name.clone(), read(document, &path, &format!("{what} \"{}\"", show(name)))?))
    };
    fields.keys().map(one).collect()
}

/// What stands at this path.
fn read<T: DeserializeOwned>(document: &Document, path: &[&str], what: &str) -> Result<T, Problem> {
    let Some(value) = path.iter().try_fold(document.value(), |value, key| value.get(key)) else {
        return Err(document.problem(path, format!("{what} is missing: there is no \"{}\".", path.join("."))));
    };
    serde_json::from_value(value.clone()).map_err(|error| {
        document.problem(path, format!("{what} cannot be read: {}.", error.to_string().trim_end_matches('.')))
    })
}

/// Cut to what fits in a sentence.
pub(crate) fn show(text: &str) -> String {
    let mut shown: String = text.chars().take(64).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}

fn one_note(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
