//! From a pipeline of ours to a compiled file.
//!
//! Our steps see those around them; theirs are handed every value by the component that they stand in. So for each step
//! with steps of its own, what these take from outside becomes inputs of a component. This file writes what stands at the
//! top and the tasks; `leaf` writes containers, `scope` finds where a value comes from.

mod condition;
mod leaf;
mod scope;

use domain::pipeline::{
    ListRef, MetricsSpec, OutputKind, OutputSpec, ParamKind, PipelineSpec, Priority, Retries, StepSpec, TriggerRule,
    kfp::KfpKind, yaml,
};
use scope::{Frame, Need, Needs, Seen};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A pipeline as Kubeflow Pipelines reads it.
#[derive(Debug)]
pub struct Exported {
    /// The file.
    pub source: String,
    /// What was left out because it has no place there, and does not change what the pipeline computes; a sentence each.
    pub notes: Vec<String>,
}

/// Marks the component of a step that runs many times: it has this one task.
pub(crate) const INSTANCES: &str = "-instances";

/// The keys of a step that are looked at here.
const KNOWN: [&str; 24] = [
    "command",
    "steps",
    "description",
    "needs",
    "trigger_rule",
    "finally",
    "if",
    "matrix",
    "map",
    "max_parallel",
    "params",
    "inputs",
    "outputs",
    "env",
    "timeout_seconds",
    "retries",
    "pool",
    "limits",
    "executor",
    "image",
    "resources",
    "kfp",
    "cache",
    "metrics",
];

/// Writes a pipeline as a compiled file of Kubeflow Pipelines. Steps that name no image run in `image`.
///
/// # Errors
/// With everything that has no place there; a sentence each.
pub fn export(spec: &PipelineSpec, image: Option<&str>) -> Result<Exported, Vec<String>> {
    let mut export = Export { spec, image, ..Export::new(spec) };
    let root = export.root();
    let Export { components, executors, deadlines, notes, problems, .. } = export;
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut info = json!({ "name": spec.name });
    if !spec.description.is_empty() {
        info["description"] = spec.description.clone().into();
    }
    let file = json!({
        "components": components,
        "deploymentSpec": { "executors": executors },
        "pipelineInfo": info,
        "root": root,
        "schemaVersion": "2.1.0",
        "sdkVersion": concat!("slipway-", env!("CARGO_PKG_VERSION")),
    });
    let mut source = yaml(&file);
    if !deadlines.is_empty() {
        let platform = json!({ "platforms": { "kubernetes": { "deploymentSpec": { "executors": deadlines } } } });
        source = format!("{source}---\n{}", yaml(&platform));
    }
    Ok(Exported { source, notes })
}

struct Export<'a> {
    spec: &'a PipelineSpec,
    image: Option<&'a str>,
    components: Map<String, Value>,
    executors: Map<String, Value>,
    /// Of executors: how long they may take.
    deadlines: Map<String, Value>,
    names: BTreeSet<String>,
    /// What values are that steps of ours give on, by where the step stands and what it calls them.
    kinds: BTreeMap<(Vec<String>, String), KfpKind>,
    notes: Vec<String>,
    problems: Vec<String>,
}

impl<'a> Export<'a> {
    fn new(spec: &'a PipelineSpec) -> Self {
        Self {
            spec,
            image: None,
            components: Map::new(),
            executors: Map::new(),
            deadlines: Map::new(),
            names: BTreeSet::new(),
            kinds: BTreeMap::new(),
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, message: impl Into<String>) {
        self.problems.push(message.into());
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn root(&mut self) -> Value {
        if !self.spec.secrets.is_empty() {
            self.problem("The pipeline has \"secrets\", which have no place in Kubeflow Pipelines.");
        }
        let mut definitions = Map::new();
        let mut params = BTreeMap::new();
        for (name, param) in &self.spec.params {
            let kind = match param.kind {
                ParamKind::String => KfpKind::String,
                ParamKind::Number => KfpKind::Double,
                ParamKind::Integer => KfpKind::Integer,
                ParamKind::Boolean => KfpKind::Boolean,
                ParamKind::List => KfpKind::List,
                ParamKind::Object => KfpKind::Struct,
            };
            let mut definition = json!({ "parameterType": kind.to_string() });
            if let Some(default) = &param.default {
                definition["defaultValue"] = default.clone().into();
                definition["isOptional"] = true.into();
            }
            if param.optional {
                definition["isOptional"] = true.into();
            }
            if !param.description.is_empty() {
                definition["description"] = param.description.clone().into();
            }
            if !param.choices.is_empty() {
                definition["literals"] = param.choices.iter().cloned().map(Value::from).collect();
            }
            if param.minimum.is_some() || param.maximum.is_some() {
                self.note(format!("The bounds of the param {name} are left out."));
            }
            definitions.insert(name.clone(), definition);
            params.insert(name.clone(), Seen { kind, key: name.clone(), field: None });
        }
        for (what, is_there) in [("priority", self.spec.priority != Priority::Normal), ("seed", self.spec.seed != 0)] {
            if is_there {
                self.note(format!("The {what} is left out."));
            }
        }
        let frame = Frame { steps: &self.spec.steps, params, outer: None, place: Vec::new() };
        self.find_kinds(&frame);
        let mut needs = Needs::new();
        let tasks = self.tasks(&frame, &mut needs);
        let mut root = json!({ "dag": { "tasks": tasks } });
        if !definitions.is_empty() {
            root["inputDefinitions"] = json!({ "parameters": definitions });
        }
        root
    }

    fn tasks(&mut self, frame: &Frame<'_>, needs: &mut Needs) -> Map<String, Value> {
        let mut tasks = Map::new();
        for (name, step) in frame.steps {
            let known = serde_json::to_value(step).unwrap_or_default();
            let unknown = known.as_object().into_iter().flat_map(Map::keys).find(|key| !KNOWN.contains(&key.as_str()));
            if let Some(key) = unknown {
                self.problem(format!("Step \"{name}\" has \"{key}\", which has no place in Kubeflow Pipelines."));
            }
            let task = self.task(frame, name, step, needs);
            tasks.insert(name.clone(), task);
        }
        tasks
    }

    fn task(&mut self, frame: &Frame<'_>, name: &str, step: &StepSpec, needs: &mut Needs) -> Value {
        let mut task = Task::default();
        let component = if step.is_many() || step.steps().is_some() {
            self.group(frame, name, step, &mut task, needs)
        } else {
            self.leaf(frame, name, step, &mut task, needs)
        };
        if let Some(condition) = &step.condition {
            match self.condition(frame, name, step, condition, &mut task, needs) {
                Ok(condition) => task.trigger.insert("condition".to_owned(), condition.into()),
                Err(message) => {
                    self.problem(format!(
                        "The condition of step \"{name}\" has no place in Kubeflow Pipelines: {message}."
                    ));
                    None
                }
            };
        }
        if step.trigger_rule == TriggerRule::AllDone || step.finally {
            task.trigger.insert("strategy".to_owned(), "ALL_UPSTREAM_TASKS_COMPLETED".into());
        }
        let mut waits: BTreeSet<&str> =
            step.all_needs().into_iter().filter(|need| frame.steps.contains_key(*need)).collect();
        if step.finally {
            waits.extend(frame.steps.iter().filter(|(_, other)| !other.finally).map(|(name, _)| name.as_str()));
        }
        for (input, other) in &step.inputs {
            if other.output().is_none() {
                self.problem(format!(
                    "The input \"{input}\" of step \"{name}\" is a {other}, which has no place in Kubeflow Pipelines; have a step \
                     fetch it."
                ));
            }
        }
        let title = if step.description.is_empty() { name } else { &step.description };
        let mut value =
            json!({ "componentRef": { "name": component }, "taskInfo": { "name": title }, "cachingOptions": {} });
        if let Some(cache) = self.spec.cache_of(step).filter(|_| !step.is_many() && step.steps().is_none()) {
            value["cachingOptions"] = json!({ "enableCache": true });
            if cache.max_age_seconds.is_some() {
                self.note(format!("How old what step {name} gave may be is left out."));
            }
        }
        if step.metrics != MetricsSpec::default() && !step.is_many() {
            self.note(format!("How the metrics of step {name} are compared is left out."));
        }
        let mut set = |key: &str, field: Map<String, Value>| {
            if !field.is_empty() {
                value[key] = field.into();
            }
        };
        let mut inputs = Map::new();
        for (key, field) in [("parameters", task.parameters), ("artifacts", task.artifacts)] {
            if !field.is_empty() {
                inputs.insert(key.to_owned(), field.into());
            }
        }
        set("inputs", inputs);
        set("triggerPolicy", task.trigger);
        set("parameterIterator", task.iterator);
        if !waits.is_empty() {
            value["dependentTasks"] = waits.into_iter().map(Value::from).collect();
        }
        if let Some(most) = step.max_parallel {
            value["iteratorPolicy"] = json!({ "parallelismLimit": most });
        }
        if step.retries.count > 0 && !step.is_many() {
            value["retryPolicy"] = retries(&step.retries);
        }
        value
    }

    /// The component of a step with steps of its own, or of one that runs many times.
    fn group(&mut self, frame: &Frame<'_>, name: &str, step: &StepSpec, task: &mut Task, needs: &mut Needs) -> String {
        // What runs many times is a task inside of another that repeats it.
        let instances;
        let (steps, outputs, suffix) = match step.steps() {
            Some(steps) => (steps, step.outputs.clone(), ""),
            None => {
                let one = StepSpec {
                    needs: BTreeSet::new(),
                    trigger_rule: TriggerRule::default(),
                    finally: false,
                    condition: None,
                    matrix: BTreeMap::new(),
                    map: None,
                    max_parallel: None,
                    description: String::new(),
                    ..step.clone()
                };
                instances = BTreeMap::from([(name.to_owned(), one)]);
                let from =
                    |output: &String| domain::pipeline::OutputRef { step: name.to_owned(), output: output.clone() };
                let outputs = step.outputs.keys().map(|output| (output.clone(), OutputSpec::Of { from: from(output) }));
                (&instances, outputs.collect(), INSTANCES)
            }
        };
        let mut inner = frame.inside(name, steps);
        let mut definitions = BTreeMap::new();
        if let Some(map) = &step.map {
            let (key, need, kind) = match &map.over {
                ListRef::Param(param) => {
                    let kind = self.spec.params.get(param).and_then(|param| param.default.clone()).map(Value::from);
                    (param.clone(), Need::Param(param.clone()), kind.and_then(|list| list.get(0).map(kind_of)))
                }
                ListRef::Output(output) => (channel(output), Need::Output(output.clone()), None),
            };
            let source = self.source(frame, name, &need, needs);
            task.parameters.insert(key.clone(), source);
            let kind = kind.unwrap_or(KfpKind::String);
            task.iterator.insert("itemInput".to_owned(), map.item.clone().into());
            task.iterator.insert("items".to_owned(), json!({ "inputParameter": key }));
            inner.params.insert(map.item.clone(), Seen { kind: kind.clone(), key: map.item.clone(), field: None });
            definitions.insert(map.item.clone(), kind);
        }
        if let Some((first, values)) = step.matrix.first_key_value() {
            let (key, items, kind) = if step.matrix.len() == 1 {
                let items: Vec<Value> = values.iter().cloned().map(Value::from).collect();
                let kind = items.first().map_or(KfpKind::String, kind_of);
                inner.params.insert(first.clone(), Seen { kind: kind.clone(), key: first.clone(), field: None });
                (first.clone(), Value::from(items), kind)
            } else {
                let key = "pipelinechannel--matrix".to_owned();
                for (name, values) in &step.matrix {
                    let kind =
                        values.first().cloned().map(Value::from).map_or(KfpKind::String, |value| kind_of(&value));
                    inner.params.insert(name.clone(), Seen { kind, key: key.clone(), field: Some(name.clone()) });
                }
                let items =
                    step.combinations().into_iter().map(|values| serde_json::to_value(values).unwrap_or_default());
                (key, items.collect(), KfpKind::Struct)
            };
            task.iterator.insert("itemInput".to_owned(), key.clone().into());
            task.iterator.insert("items".to_owned(), json!({ "raw": items.to_string() }));
            definitions.insert(key, kind);
        }
        if !step.params.is_empty() && step.steps().is_some() {
            self.problem(format!(
                "Step \"{name}\" has params for the steps inside of it, which have no place in Kubeflow Pipelines; give them to \
                 these steps."
            ));
        }
        let mut inner_needs = Needs::new();
        let tasks = self.tasks(&inner, &mut inner_needs);
        let (mut parameters, mut artifacts) = (Map::new(), Map::new());
        for (key, kind) in definitions {
            parameters.insert(key, json!({ "parameterType": kind.to_string() }));
        }
        for (key, (need, kind)) in inner_needs {
            let source = self.source(frame, name, &need, needs);
            if let KfpKind::Artifact { schema, version } = &kind {
                artifacts.insert(
                    key.clone(),
                    json!({ "artifactType": { "schemaTitle": schema, "schemaVersion": version } }),
                );
                task.artifacts.insert(key, source);
            } else if !parameters.contains_key(&key) {
                parameters.insert(key.clone(), json!({ "parameterType": kind.to_string() }));
                task.parameters.insert(key, source);
            }
        }
        let (given, from) = self.passed_on(&inner, name, step.is_many(), &outputs);
        let mut component = json!({ "dag": { "tasks": tasks } });
        if !from.as_object().is_none_or(Map::is_empty) {
            component["dag"]["outputs"] = from;
            component["outputDefinitions"] = given;
        }
        for (key, definitions) in [("parameters", parameters), ("artifacts", artifacts)] {
            if !definitions.is_empty() {
                component["inputDefinitions"][key] = definitions.into();
            }
        }
        self.add_component(&format!("{}{suffix}", frame.label(name)), component)
    }

    /// What a component gives on of what its tasks give: how it is declared, and where it comes from.
    fn passed_on(
        &mut self,
        inner: &Frame<'_>,
        name: &str,
        is_many: bool,
        outputs: &BTreeMap<String, OutputSpec>,
    ) -> (Value, Value) {
        let (mut given, mut from) = (json!({}), json!({}));
        for (output, spec) in outputs {
            let refs = match spec {
                OutputSpec::Of { from } => std::slice::from_ref(from),
                OutputSpec::FirstOf { from } => from.as_slice(),
                OutputSpec::Path(_) | OutputSpec::Typed { .. } => continue,
            };
            let found: Vec<_> = refs.iter().filter_map(|one| Some((one, inner.leaf_of(one)?))).collect();
            let Some((_, first)) = found.first() else {
                self.problem(format!("The output \"{output}\" of step \"{name}\" comes from nowhere."));
                continue;
            };
            if first.is_about() {
                continue;
            }
            let is_list = is_many || first.is_list;
            let key_of = |one: &domain::pipeline::OutputRef| inner.key_of(one);
            match self.kind_of_leaf(first) {
                KfpKind::Artifact { schema, version } => {
                    let selectors = found
                        .iter()
                        .map(|(one, _)| json!({ "producerSubtask": one.step, "outputArtifactKey": key_of(one) }));
                    from["artifacts"][output] = json!({ "artifactSelectors": selectors.collect::<Vec<_>>() });
                    let mut definition = json!({ "artifactType": { "schemaTitle": schema, "schemaVersion": version } });
                    if is_list {
                        definition["isArtifactList"] = true.into();
                    }
                    given["artifacts"][output] = definition;
                }
                kind => {
                    let kind = if is_list { KfpKind::List } else { kind };
                    let selectors = found
                        .iter()
                        .map(|(one, _)| json!({ "producerSubtask": one.step, "outputParameterKey": key_of(one) }));
                    let mut selectors: Vec<Value> = selectors.collect();
                    from["parameters"][output] = match selectors.len() {
                        1 => json!({ "valueFromParameter": selectors.remove(0) }),
                        _ => json!({ "valueFromOneof": { "parameterSelectors": selectors } }),
                    };
                    given["parameters"][output] = json!({ "parameterType": kind.to_string() });
                }
            }
        }
        (given, from)
    }

    /// Where a task of this frame gets it, and, when that is from outside, that the frame needs it.
    fn source(&mut self, frame: &Frame<'_>, whose: &str, need: &Need, needs: &mut Needs) -> Value {
        match need {
            Need::Param(name) => {
                let Some(seen) = frame.params.get(name) else {
                    self.problem(format!("Step \"{whose}\" asks for the param \"{name}\", which is not seen there."));
                    return Value::Null;
                };
                if frame.outer.is_some() && !frame.sets(name) {
                    needs.insert(name.clone(), (need.clone(), seen.kind.clone()));
                }
                let mut source = json!({ "componentInputParameter": seen.key });
                if let Some(field) = &seen.field {
                    source["parameterExpressionSelector"] = selector(std::slice::from_ref(field)).into();
                }
                source
            }
            Need::Output(output) => {
                let Some(leaf) = frame.leaf_of(output) else {
                    self.problem(format!("Step \"{whose}\" takes {output}, which is not there."));
                    return Value::Null;
                };
                let kind = self.kind_of_leaf(&leaf);
                let (is_file, key) = (kind.is_artifact(), frame.key_of(output));
                if frame.steps.contains_key(&output.step) {
                    return match is_file {
                        true => {
                            json!({ "taskOutputArtifact": { "producerTask": output.step, "outputArtifactKey": key } })
                        }
                        false => {
                            json!({ "taskOutputParameter": { "producerTask": output.step, "outputParameterKey": key } })
                        }
                    };
                }
                let kind = if leaf.is_list && !is_file { KfpKind::List } else { kind };
                needs.insert(channel(output), (need.clone(), kind));
                match is_file {
                    true => json!({ "componentInputArtifact": channel(output) }),
                    false => json!({ "componentInputParameter": channel(output) }),
                }
            }
        }
    }

    fn add_component(&mut self, label: &str, component: Value) -> String {
        let name = self.label("comp-", label);
        self.components.insert(name.clone(), component);
        name
    }

    /// A name with this prefix that nothing has yet.
    fn label(&mut self, prefix: &str, label: &str) -> String {
        let mut name = format!("{prefix}{label}");
        for number in 2.. {
            if self.names.insert(name.clone()) {
                break;
            }
            name = format!("{prefix}{label}-{number}");
        }
        name
    }

    /// What a value or file is that a step gives on.
    fn kind_of_leaf(&self, leaf: &scope::Leaf<'_>) -> KfpKind {
        let of_contract =
            leaf.step.kfp.iter().flat_map(|kfp| kfp.outputs.values()).find(|output| output.to == leaf.output);
        if let Some(output) = of_contract {
            return output.kind.clone();
        }
        let artifact = |title: &str| KfpKind::Artifact { schema: title.to_owned(), version: "0.0.1".to_owned() };
        match leaf.step.outputs.get(leaf.output).and_then(OutputSpec::kind) {
            Some(OutputKind::Value) => {
                let key = (leaf.place.clone(), leaf.output.to_owned());
                self.kinds.get(&key).cloned().unwrap_or(KfpKind::String)
            }
            Some(OutputKind::Metrics) => KfpKind::Struct,
            Some(OutputKind::Dataset) => artifact("system.Dataset"),
            Some(OutputKind::Model) => artifact("system.Model"),
            Some(OutputKind::File) | None => artifact("system.Artifact"),
        }
    }

    /// Finds out what values are from what is done with them: a list when a step is mapped over it, a number or truth value
    /// when a condition takes it for one. All others are handed on as the text that was written.
    fn find_kinds(&mut self, frame: &Frame<'_>) {
        for (name, step) in frame.steps {
            let mut found = Vec::new();
            if let Some(ListRef::Output(output)) = step.map.as_ref().map(|map| &map.over) {
                found.push((output, Some(KfpKind::List)));
            }
            for (input, output) in step.inputs.iter().filter_map(|(name, input)| Some((name, input.output()?))) {
                let kind = step.condition.as_ref().and_then(|condition| condition::kind_of(condition, input));
                found.push((output, kind));
            }
            for (output, kind) in found {
                if let (Some(kind), Some(leaf)) = (kind, frame.leaf_of(output))
                    && leaf.step.kfp.is_none()
                    && (!leaf.is_list || kind != KfpKind::List)
                {
                    self.kinds.insert((leaf.place, leaf.output.to_owned()), kind);
                }
            }
            if let Some(steps) = step.steps() {
                self.find_kinds(&frame.inside(name, steps));
            }
        }
    }
}

/// What is gathered of a task.
#[derive(Default)]
struct Task {
    parameters: Map<String, Value>,
    artifacts: Map<String, Value>,
    trigger: Map<String, Value>,
    iterator: Map<String, Value>,
}

/// What an output is called when it is handed from component to component.
fn channel(output: &domain::pipeline::OutputRef) -> String {
    format!("pipelinechannel--{}-{}", output.step, output.output)
}

fn selector(fields: &[String]) -> String {
    let fields: String = fields.iter().map(|field| format!("[{}]", Value::from(field.as_str()))).collect();
    format!("parseJson(string_value){fields}")
}

fn kind_of(value: &Value) -> KfpKind {
    match value {
        Value::Bool(_) => KfpKind::Boolean,
        Value::Number(number) if number.is_f64() => KfpKind::Double,
        Value::Number(_) => KfpKind::Integer,
        Value::Array(_) => KfpKind::List,
        Value::Object(_) => KfpKind::Struct,
        Value::String(_) | Value::Null => KfpKind::String,
    }
}

fn retries(retries: &Retries) -> Value {
    json!({
        "maxRetryCount": retries.count,
        "backoffDuration": format!("{}s", retries.backoff_seconds),
        "backoffFactor": retries.factor,
        "backoffMaxDuration": format!("{}s", retries.max_seconds),
    })
}
