//! Containers: of steps that came from there as they were, of ours with what makes a step's directory.

use super::{
    Export, Task, kind_of,
    scope::{Frame, Need, Needs},
    selector,
};
use crate::native;
use domain::pipeline::{
    Command, InputSpec, OutputKind, OutputSpec, ParamValue, Resources, Retries, StepSpec, Work,
    kfp::{KfpKind, KfpSource, KfpStep},
    template::{Part, Place, parts, whole_param},
};
use serde_json::{Map, Value, json};

impl Export<'_> {
    /// The component of a step that runs a command.
    pub(super) fn leaf(
        &mut self,
        frame: &Frame<'_>,
        name: &str,
        step: &StepSpec,
        task: &mut Task,
        needs: &mut Needs,
    ) -> String {
        let Work::Command(command) = &step.work else { return String::new() };
        let (component, mut container) = match &step.kfp {
            Some(contract) => self.foreign(frame, name, step, command, contract, task, needs),
            None => self.native(frame, name, step, command, task, needs),
        };
        match step.image.as_deref().or(self.spec.image.as_deref()).or(self.image) {
            Some(image) => container["image"] = image.into(),
            None => self.problem(format!(
                "Step \"{name}\" names no image, and Kubeflow Pipelines runs every step in a container; give one."
            )),
        }
        let resources = resources(&step.resources);
        if !resources.is_empty() {
            container["resources"] = resources.into();
        }
        for (what, is_there) in [
            ("pool", step.pool != "default"),
            ("limits", !step.limits.is_empty()),
            ("executor", step.executor.is_some()),
        ] {
            if is_there {
                self.note(format!("\"{what}\" of step {name} is left out."));
            }
        }
        #[allow(clippy::float_cmp)] // as it was written
        if step.retries.count > 0 && step.retries.jitter != Retries::default().jitter {
            self.note(format!("The jitter of the retries of step {name} is left out."));
        }
        let label = frame.label(name);
        let executor = self.label("exec-", &label);
        self.executors.insert(executor.clone(), json!({ "container": container }));
        if let Some(seconds) = step.timeout_seconds {
            self.deadlines.insert(executor.clone(), json!({ "activeDeadlineSeconds": seconds }));
        }
        let mut component = component;
        component["executorLabel"] = executor.into();
        self.add_component(&label, component)
    }

    /// What came from there.
    #[allow(clippy::too_many_arguments)] // all that a step is
    fn foreign(
        &mut self,
        frame: &Frame<'_>,
        name: &str,
        step: &StepSpec,
        command: &Command,
        contract: &KfpStep,
        task: &mut Task,
        needs: &mut Needs,
    ) -> (Value, Value) {
        let mut component = json!({});
        for (key, input) in &contract.inputs {
            let source = match &input.from {
                None => None,
                Some(KfpSource::Step(step)) => Some(json!({ "taskFinalStatus": { "producerTask": step } })),
                Some(KfpSource::Input(of)) => step
                    .inputs
                    .get(of)
                    .and_then(InputSpec::output)
                    .map(|output| self.source(frame, name, &Need::Output(output.clone()), needs)),
                Some(KfpSource::Param(param)) => Some(match step.params.get(param) {
                    Some(value) => match self.constant(name, value, |_| None) {
                        Some(constant) => json!({ "runtimeValue": { "constant": constant } }),
                        None => {
                            let inner = match value {
                                ParamValue::Text(text) => whole_param(text).unwrap_or_default().to_owned(),
                                _ => String::new(),
                            };
                            self.source(frame, name, &Need::Param(inner), needs)
                        }
                    },
                    None => self.source(frame, name, &Need::Param(param.clone()), needs),
                }),
            };
            let is_optional = input.from.is_none() || input.default.is_some() || input.kind == KfpKind::FinalStatus;
            let mut definition = match &input.kind {
                KfpKind::Artifact { schema, version } => {
                    json!({ "artifactType": { "schemaTitle": schema, "schemaVersion": version } })
                }
                kind => json!({ "parameterType": kind.to_string() }),
            };
            if is_optional {
                definition["isOptional"] = true.into();
            }
            if input.list {
                definition["isArtifactList"] = true.into();
            }
            if let Some(default) = &input.default {
                definition["defaultValue"] = default.clone();
            }
            let group = if input.kind.is_artifact() { "artifacts" } else { "parameters" };
            component["inputDefinitions"][group][key] = definition;
            if let Some(mut source) = source {
                if !input.field.is_empty() {
                    let of =
                        source["parameterExpressionSelector"].as_str().unwrap_or("parseJson(string_value)").to_owned();
                    let fields = selector(&input.field);
                    let fields = fields.strip_prefix("parseJson(string_value)").unwrap_or_default();
                    source["parameterExpressionSelector"] = format!("{of}{fields}").into();
                }
                let given = if input.kind.is_artifact() { &mut task.artifacts } else { &mut task.parameters };
                given.insert(key.clone(), source);
            }
        }
        for (key, output) in &contract.outputs {
            match &output.kind {
                KfpKind::Artifact { schema, version } => {
                    let kind = json!({ "schemaTitle": schema, "schemaVersion": version });
                    component["outputDefinitions"]["artifacts"][key] = json!({ "artifactType": kind });
                }
                kind => {
                    component["outputDefinitions"]["parameters"][key] = json!({ "parameterType": kind.to_string() })
                }
            }
        }
        let argv = match command {
            Command::Program(argv) => argv.clone(),
            Command::Shell(script) => vec!["/bin/sh".to_owned(), "-ec".to_owned(), script.clone()],
        };
        let mut container = json!({ "command": argv });
        if !step.env.is_empty() || !self.spec.env.is_empty() {
            let env =
                self.spec.env.iter().chain(&step.env).map(|(name, value)| json!({ "name": name, "value": value }));
            container["env"] = env.collect();
        }
        if !self.spec.files.is_empty() {
            self.problem(format!(
                "Step \"{name}\" is one of Kubeflow Pipelines, which cannot be given the pipeline's files."
            ));
        }
        (component, container)
    }

    /// A step of ours.
    fn native(
        &mut self,
        frame: &Frame<'_>,
        name: &str,
        step: &StepSpec,
        command: &Command,
        task: &mut Task,
        needs: &mut Needs,
    ) -> (Value, Value) {
        let mut component = json!({});
        let mut args: Vec<String> = Vec::new();
        let mut add = |record: &[&str]| args.extend(record.iter().map(|text| (*text).to_owned()));
        if step.image.is_none() && self.spec.image.is_some() {
            add(&["note", "image"]);
        }
        for (path, text) in &self.spec.files {
            add(&["file", path, text]);
        }
        let names: Vec<String> = frame.params.keys().chain(step.params.keys()).cloned().collect();
        let names: std::collections::BTreeSet<String> = names.into_iter().collect();
        for param in &names {
            if self.spec.params.get(param).is_some_and(|param| param.optional) && !step.params.contains_key(param) {
                self.problem(format!(
                    "Step \"{name}\" sees the optional param \"{param}\", which cannot be left out in Kubeflow Pipelines; give it a \
                     default."
                ));
            }
            let (source, kind) = match step.params.get(param) {
                None => {
                    let kind = frame.params.get(param).map_or(KfpKind::String, |seen| seen.kind.clone());
                    (self.source(frame, name, &Need::Param(param.clone()), needs), kind)
                }
                Some(value) => self.own_param(frame, name, value, task, needs),
            };
            task.parameters.insert(param.clone(), source);
            component["inputDefinitions"]["parameters"][param] = json!({ "parameterType": kind.to_string() });
            add(&["param", param, &value_of(param)]);
        }
        for (input, output) in step.inputs.iter().filter_map(|(name, input)| Some((name, input.output()?))) {
            let key = frame.input_key(step, input);
            let Some(leaf) = frame.leaf_of(output) else { continue };
            let kind = self.kind_of_leaf(&leaf);
            let source = self.source(frame, name, &Need::Output(output.clone()), needs);
            match kind {
                KfpKind::Artifact { .. } if leaf.is_list => self.problem(format!(
                    "Step \"{name}\" takes the files of all instances of \"{}\", which has no place in Kubeflow Pipelines; have \
                     a step take values, or pack them.",
                    output.step
                )),
                KfpKind::Artifact { schema, version } => {
                    let kind = json!({ "schemaTitle": schema, "schemaVersion": version });
                    component["inputDefinitions"]["artifacts"][&key] = json!({ "artifactType": kind });
                    add(&["input", input, &format!("{{{{$.inputs.artifacts['{key}'].path}}}}")]);
                    task.artifacts.insert(key, source);
                }
                kind => {
                    let kind = if leaf.is_list { KfpKind::List } else { kind };
                    component["inputDefinitions"]["parameters"][&key] = json!({ "parameterType": kind.to_string() });
                    add(&["value", input, &value_of(&key)]);
                    task.parameters.insert(key, source);
                }
            }
        }
        for (output, spec) in &step.outputs {
            let Some(path) = spec.path() else { continue };
            let own = domain::pipeline::OutputRef { step: name.to_owned(), output: output.clone() };
            let kind = frame.leaf_of(&own).map(|leaf| self.kind_of_leaf(&leaf)).unwrap_or(KfpKind::String);
            let place = match &kind {
                KfpKind::Artifact { schema, version } => {
                    let kind = json!({ "schemaTitle": schema, "schemaVersion": version });
                    component["outputDefinitions"]["artifacts"][output] = json!({ "artifactType": kind });
                    format!("{{{{$.outputs.artifacts['{output}'].path}}}}")
                }
                kind => {
                    component["outputDefinitions"]["parameters"][output] = json!({ "parameterType": kind.to_string() });
                    format!("{{{{$.outputs.parameters['{output}'].output_file}}}}")
                }
            };
            if !matches!(
                spec,
                OutputSpec::Path(_)
                    | OutputSpec::Typed { kind: OutputKind::Value, name: None, tolerance: None, varies: false, .. }
            ) {
                add(&["typed", output, &serde_json::to_string(spec).unwrap_or_default()]);
            }
            add(&["output", output, path, &place]);
        }
        for (kind, env) in [("all-env", &self.spec.env), ("env", &step.env)] {
            for (variable, text) in env {
                add(&[kind, variable, &theirs(text, step, frame, &component)]);
            }
        }
        match command {
            Command::Shell(script) => add(&["note", "script", "--", "/bin/sh", "-ec", script]),
            Command::Program(argv) => {
                add(&["--"]);
                argv.iter().for_each(|text| add(&[&theirs(text, step, frame, &component)]));
            }
        }
        let written = self.spec.files.values().chain(step.env.values()).chain(self.spec.env.values());
        let words = match command {
            Command::Shell(script) => vec![script],
            Command::Program(argv) => argv.iter().collect(),
        };
        if written.chain(words).any(|text| text.contains("{{$")) {
            self.problem(format!("Step \"{name}\" contains \"{{{{$\", which Kubeflow Pipelines would fill in."));
        }
        (component, json!({ "command": native::command(), "args": args }))
    }

    /// A param of a step itself: where it comes from, and what it is.
    fn own_param(
        &mut self,
        frame: &Frame<'_>,
        name: &str,
        value: &ParamValue,
        task: &mut Task,
        needs: &mut Needs,
    ) -> (Value, KfpKind) {
        let mut hidden = Vec::new();
        let constant = self.constant(name, value, |param| {
            hidden.push(param.to_owned());
            Some(value_of(&format!("pipelinechannel--{param}")))
        });
        let Some(constant) = constant else {
            let ParamValue::Text(text) = value else { return (Value::Null, KfpKind::String) };
            let param = whole_param(text).unwrap_or_default().to_owned();
            let kind = frame.params.get(&param).map_or(KfpKind::String, |seen| seen.kind.clone());
            return (self.source(frame, name, &Need::Param(param), needs), kind);
        };
        for param in hidden {
            let source = self.source(frame, name, &Need::Param(param.clone()), needs);
            task.parameters.insert(format!("pipelinechannel--{param}"), source);
        }
        let kind = kind_of(&constant);
        (json!({ "runtimeValue": { "constant": constant } }), kind)
    }

    /// The value as a constant, with what `place` gives for params in it; none for one that is a param and nothing else.
    fn constant(
        &mut self,
        name: &str,
        value: &ParamValue,
        mut place: impl FnMut(&str) -> Option<String>,
    ) -> Option<Value> {
        let ParamValue::Text(text) = value else { return Some(value.clone().into()) };
        if whole_param(text).is_some() {
            return None;
        }
        let mut out = String::new();
        for part in parts(text).filter_map(Result::ok) {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place(Place::Param(param)) => match place(param) {
                    Some(text) => out.push_str(&text),
                    None => self.problem(format!(
                        "A param of step \"{name}\" is made of \"{param}\" and more; there, it cannot be."
                    )),
                },
                Part::Place(_) => {}
            }
        }
        Some(out.into())
    }
}

fn value_of(parameter: &str) -> String {
    format!("{{{{$.inputs.parameters['{parameter}']}}}}")
}

/// A text with their placeholders for ours.
fn theirs(text: &str, step: &StepSpec, frame: &Frame<'_>, component: &Value) -> String {
    let mut out = String::new();
    for part in parts(text).filter_map(Result::ok) {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Place(Place::Param(name)) => out.push_str(&value_of(name)),
            Part::Place(Place::Input(name)) => {
                let key = frame.input_key(step, name);
                match component["inputDefinitions"]["artifacts"].get(&key) {
                    Some(_) => out.push_str(&format!("{{{{$.inputs.artifacts['{key}'].path}}}}")),
                    // The launcher writes it there; there is no other place of a value.
                    None => out.push_str(&domain::pipeline::input_path(name)),
                }
            }
            Part::Place(Place::Output(name)) => match component["outputDefinitions"]["artifacts"].get(name) {
                Some(_) => out.push_str(&format!("{{{{$.outputs.artifacts['{name}'].path}}}}")),
                None if step.outputs.contains_key(name) => {
                    out.push_str(&format!("{{{{$.outputs.parameters['{name}'].output_file}}}}"));
                }
                None => {}
            },
        }
    }
    out
}

fn resources(resources: &Resources) -> Map<String, Value> {
    let mut asked = Map::new();
    if let Some(cpu) = resources.cpu {
        asked.insert("cpuLimit".to_owned(), cpu.into());
        asked.insert("resourceCpuLimit".to_owned(), cpu.to_string().into());
    }
    if let Some(bytes) = resources.memory_bytes {
        #[allow(clippy::cast_precision_loss)] // in gigabytes
        asked.insert("memoryLimit".to_owned(), (bytes as f64 / 1e9).into());
        asked.insert("resourceMemoryLimit".to_owned(), bytes.to_string().into());
    }
    if resources.gpu > 0 {
        let (kind, count) = ("nvidia.com/gpu", resources.gpu.to_string());
        let accelerator = json!({ "type": kind, "count": count, "resourceType": kind, "resourceCount": count });
        asked.insert("accelerator".to_owned(), accelerator);
    }
    asked
}
