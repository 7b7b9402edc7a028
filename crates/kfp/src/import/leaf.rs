//! A step that runs a container.

use super::{
    Import,
    dag::{Outputs, Scope, Siblings, blank},
    show,
    source::{Artifact, From, Source},
};
use crate::{
    ir::{Component, Container, Resources as Asked, Task},
    message,
    names::Names,
    native,
    placeholder::{Element, Part, Place, parts},
};
use domain::pipeline::{
    Command, OutputKind, OutputRef, OutputSpec, ParamValue, Resources, StepSpec, Work,
    kfp::{KfpInput, KfpKind, KfpOutput, KfpSource, KfpStep},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a step takes: outputs of others by its names for them, and values of its own.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) inputs: BTreeMap<String, OutputRef>,
    pub(super) constants: BTreeMap<String, ParamValue>,
    names: Names,
    params: Names,
}

impl Taken {
    /// Nothing yet; these params are seen.
    pub(super) fn new(params: Names) -> Self {
        Self { params, ..Self::default() }
    }

    /// The name of the input that is this output.
    pub(super) fn input(&mut self, theirs: &str, output: &OutputRef) -> String {
        if let Some((name, _)) = self.inputs.iter().find(|(_, known)| *known == output) {
            return name.clone();
        }
        let name = self.names.take(theirs);
        self.inputs.insert(name.clone(), output.clone());
        name
    }

    /// The name of a param of the step with this value.
    fn constant(&mut self, theirs: &str, value: Value) -> Result<String, String> {
        let value = match value {
            // Their braces are not ours.
            Value::String(text) => Value::from(text.replace("${{", "$${{")),
            value => value,
        };
        let value = ParamValue::try_from(value).map_err(|rule| format!("its value {rule}"))?;
        let name = self.params.take(theirs);
        self.constants.insert(name.clone(), value);
        Ok(name)
    }
}

impl Import<'_> {
    #[allow(clippy::too_many_arguments)] // all that a task is
    pub(super) fn leaf(
        &mut self,
        component: &Component,
        task: &Task,
        scope: &Scope,
        siblings: &Siblings,
        parameters: &BTreeMap<String, Source>,
        artifacts: &BTreeMap<String, Option<Artifact>>,
        taken: &mut Taken,
    ) -> Result<StepSpec, String> {
        let label = component.executor_label.as_deref().ok_or("it has neither tasks of its own nor a container")?;
        let executor = self.executors.get(label).cloned();
        let executor = executor.ok_or_else(|| format!("there is no executor \"{}\"", show(label)))?;
        if executor.importer.is_some() {
            return Err("an importer takes an artifact from any address, which is not supported here; have a step fetch it, or \
                        make it a dataset and take that"
                .to_owned());
        }
        if executor.resolver.is_some() || executor.custom_job.is_some() {
            return Err("resolvers and custom jobs are of another platform and not supported here".to_owned());
        }
        let container = executor.container.ok_or("its executor runs no container")?;
        if container.lifecycle.as_ref().is_some_and(|lifecycle| *lifecycle != Value::Object(serde_json::Map::default()))
        {
            return Err("a check before the cache (lifecycle) is not supported here".to_owned());
        }
        if container.image.contains("{{$") {
            return Err("an image that is chosen by a value is not supported here; name it".to_owned());
        }
        if container.image.is_empty() {
            return Err("it names no image".to_owned());
        }

        let outputs = self.outputs_of(component)?;
        let mut step = match native::read(&container, parameters, artifacts, &outputs) {
            Some(native) => {
                (taken.inputs, taken.constants) = (native.inputs, native.constants);
                self.of_pipeline_as_a_whole(native.files, native.env, native.has_image.then_some(&container.image))?;
                StepSpec { outputs: native.outputs, env: native.own_env, ..blank(Work::Command(native.command)) }
            }
            None => {
                let contract = Contract { step: KfpStep::default(), sources: BTreeMap::new(), taken };
                self.foreign(component, task, &container, scope, siblings, parameters, artifacts, &outputs, contract)?
            }
        };
        step.image = Some(container.image.clone()).filter(|image| self.image.as_ref() != Some(image));
        step.resources = self.resources(label, &container.resources)?;
        step.timeout_seconds = self.timeouts.get(label).copied();
        Ok(step)
    }

    /// Files, environment and image that a command of ours had from its pipeline.
    fn of_pipeline_as_a_whole(
        &mut self,
        files: BTreeMap<String, String>,
        env: BTreeMap<String, String>,
        image: Option<&String>,
    ) -> Result<(), String> {
        for (known, found) in [(&mut self.files, files), (&mut self.env, env)] {
            for (name, text) in found {
                if known.get(&name).is_some_and(|other| *other != text) {
                    return Err(format!("another step has another \"{}\" for the whole pipeline", show(&name)));
                }
                known.insert(name, text);
            }
        }
        if let Some(image) = image {
            self.image = Some(image.clone());
        }
        Ok(())
    }

    /// A container that speaks their placeholders.
    #[allow(clippy::too_many_arguments)] // all that a task is
    fn foreign(
        &self,
        component: &Component,
        task: &Task,
        container: &Container,
        scope: &Scope,
        siblings: &Siblings,
        parameters: &BTreeMap<String, Source>,
        artifacts: &BTreeMap<String, Option<Artifact>>,
        outputs: &Outputs,
        mut contract: Contract<'_>,
    ) -> Result<StepSpec, String> {
        // Those that are made of others come last.
        let (texts, plain): (Vec<_>, Vec<_>) =
            parameters.iter().partition(|(_, source)| matches!(source.from, From::Text(..)));
        for (name, source) in plain.into_iter().chain(texts) {
            if contract.sources.get(name) == Some(source) {
                continue;
            }
            let definition = component.input_definitions.parameters.get(name);
            let default = definition.and_then(|definition| definition.default_value.clone());
            contract
                .parameter(name, source, default)
                .map_err(|message| format!("its input \"{}\": {message}", show(name)))?;
        }
        for (name, artifact) in artifacts {
            let Some(definition) = component.input_definitions.artifacts.get(name) else { continue };
            let kind = artifact_kind(&definition.artifact_type)?;
            let (from, about) = match artifact {
                Some(artifact) => {
                    let file = contract.taken.input(name, &artifact.file);
                    let about = artifact.about.as_ref();
                    let about = about.map(|about| contract.taken.input(&format!("{file}-about"), about));
                    (Some(KfpSource::Input(file)), about)
                }
                None => (None, None),
            };
            let input =
                KfpInput { kind, from, field: Vec::new(), default: None, about, list: definition.is_artifact_list };
            contract.step.inputs.insert(name.clone(), input);
        }
        let mut ours = BTreeMap::new();
        for (name, (to, kind)) in &outputs.values {
            ours.insert(to.clone(), typed(message::path(to), OutputKind::Value));
            contract
                .step
                .outputs
                .insert(name.clone(), KfpOutput { kind: kind.clone(), to: to.clone(), about: None, numbers: None });
        }
        for (name, (to, about)) in &outputs.artifacts {
            let definition = component.output_definitions.artifacts.get(name);
            if definition.is_some_and(|definition| definition.is_artifact_list) {
                return Err(format!(
                    "its output \"{}\" is a list of artifacts, which is not supported here; write a folder",
                    show(name)
                ));
            }
            let kind =
                artifact_kind(&definition.map(|definition| definition.artifact_type.clone()).unwrap_or_default())?;
            ours.insert(to.clone(), OutputSpec::Path(message::path(to)));
            if let Some(about) = about {
                ours.insert(about.clone(), typed(message::path(about), OutputKind::Value));
            }
            let numbers = outputs.numbers.get(name);
            if let Some(numbers) = numbers {
                ours.insert(numbers.clone(), typed(message::path(numbers), OutputKind::Metrics));
            }
            let output = KfpOutput { kind, to: to.clone(), about: about.clone(), numbers: numbers.cloned() };
            contract.step.outputs.insert(name.clone(), output);
        }

        let argv: Vec<String> = container.command.iter().chain(&container.args).cloned().collect();
        if container.command.is_empty() {
            return Err("it has no command: what its image does by itself is not run here; name it".to_owned());
        }
        let env: BTreeMap<String, String> =
            container.env.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect();
        for text in
            argv.iter().map(|text| Element::read(text)).chain(env.values().map(|text| Element::Text(text.clone())))
        {
            for input in text.asks_for() {
                if !contract.step.inputs.contains_key(input) {
                    return Err(format!("its command asks for the input \"{}\", which it does not have", show(input)));
                }
            }
            for text in text.texts() {
                let found =
                    parts(text).map_err(|part| format!("\"{}\" in its command is not supported here", show(part)))?;
                for part in found {
                    self.place(&part, task, scope, siblings, &mut contract)?;
                }
            }
        }
        let kfp = Some(Box::new(contract.step));
        Ok(StepSpec { kfp, env, outputs: ours, ..blank(Work::Command(Command::Program(argv))) })
    }

    /// What a placeholder names must be there.
    fn place(
        &self,
        part: &Part<'_>,
        task: &Task,
        scope: &Scope,
        siblings: &Siblings,
        contract: &mut Contract<'_>,
    ) -> Result<(), String> {
        let Part::Place(place) = part else { return Ok(()) };
        let (what, name, is_there) = match place {
            Place::Message(_) | Place::AnswerFile | Place::Run(_) => return Ok(()),
            Place::Parameter(name) => {
                if !contract.step.inputs.contains_key(*name)
                    && let Some(given) = task.inputs.parameters.get(*name)
                {
                    let source = self.parameter(task, given, scope, siblings)?;
                    contract.parameter(name, &source, None)?;
                }
                ("parameter", name, contract.step.inputs.get(*name).is_some_and(|input| !input.kind.is_artifact()))
            }
            Place::InputArtifact(name, _) => {
                ("artifact", name, contract.step.inputs.get(*name).is_some_and(|input| input.kind.is_artifact()))
            }
            Place::OutputFile(name) => {
                ("output", name, contract.step.outputs.get(*name).is_some_and(|output| !output.kind.is_artifact()))
            }
            Place::OutputArtifact(name, _) => (
                "output artifact",
                name,
                contract.step.outputs.get(*name).is_some_and(|output| output.kind.is_artifact()),
            ),
        };
        if is_there {
            Ok(())
        } else {
            Err(format!("its command names the {what} \"{}\", which it does not have", show(name)))
        }
    }

    fn resources(&mut self, label: &str, asked: &Asked) -> Result<Resources, String> {
        let text = |new: &Option<String>, old: &Option<Value>, unit: &str| match (new, old) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(Value::Number(number))) if number.as_f64() != Some(0.0) => Some(format!("{number}{unit}")),
            _ => None,
        };
        let cpu = text(&asked.resource_cpu_limit, &asked.cpu_limit, "");
        let memory = text(&asked.resource_memory_limit, &asked.memory_limit, "G");
        let requests = text(&asked.resource_cpu_request, &asked.cpu_request, "")
            .or_else(|| text(&asked.resource_memory_request, &asked.memory_request, "G"));
        if requests.is_some() {
            self.note(format!("What {} requests of processors and memory is left out; limits are kept.", show(label)));
        }
        let wrong =
            |text: &str| format!("\"{}\" is no amount of processors or memory that is understood here", show(text));
        let mut resources = Resources::default();
        if let Some(text) = cpu {
            resources.cpu = Some(cores(&text).ok_or_else(|| wrong(&text))?);
        }
        if let Some(text) = memory {
            resources.memory_bytes = Some(bytes(&text).ok_or_else(|| wrong(&text))?);
        }
        if let Some(accelerator) = &asked.accelerator {
            let kind = accelerator.resource_type.as_deref().or(accelerator.r#type.as_deref()).unwrap_or_default();
            let count = accelerator.resource_count.as_ref().or(accelerator.count.as_ref());
            let count = match count {
                Some(Value::String(text)) => text.parse().ok(),
                Some(Value::Number(number)) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
                _ => None,
            };
            match (kind, count) {
                ("", None | Some(0)) => {}
                (kind, Some(count)) if kind.to_lowercase().contains("nvidia") || kind.ends_with("/gpu") => {
                    resources.gpu = count
                }
                _ => {
                    return Err(format!(
                        "the accelerator \"{}\" is not supported here; GPUs of NVIDIA are",
                        show(kind)
                    ));
                }
            }
        }
        Ok(resources)
    }
}

fn typed(path: String, kind: OutputKind) -> OutputSpec {
    OutputSpec::Typed { path, kind, name: None, tolerance: None, varies: false }
}

/// What is gathered of a step while it is read.
struct Contract<'t> {
    step: KfpStep,
    /// Where its inputs come from that are values.
    sources: BTreeMap<String, Source>,
    taken: &'t mut Taken,
}

impl Contract<'_> {
    /// Adds an input that is a value.
    fn parameter(&mut self, name: &str, source: &Source, default: Option<Value>) -> Result<(), String> {
        let (from, field, default) = match &source.from {
            From::Constant(value) => {
                let param = self.taken.constant(name, message::typed(&source.kind, value.clone()))?;
                (Some(KfpSource::Param(param)), Vec::new(), None)
            }
            From::Text(value, values) => {
                let mut value = value.clone();
                for (theirs, source) in values {
                    let hidden = self.hidden(theirs, source)?;
                    if hidden != *theirs {
                        rename(&mut value, theirs, &hidden);
                    }
                }
                (Some(KfpSource::Param(self.taken.constant(name, value)?)), Vec::new(), None)
            }
            From::Param(param, field) => (Some(KfpSource::Param(param.clone())), field.clone(), default),
            From::Output(output, field) => {
                (Some(KfpSource::Input(self.taken.input(name, output))), field.clone(), default)
            }
            From::Status(step) => (Some(KfpSource::Step(step.clone())), Vec::new(), None),
            From::Absent => (None, Vec::new(), default),
        };
        let input = KfpInput { kind: source.kind.clone(), from, field, default, about: None, list: false };
        self.step.inputs.insert(name.to_owned(), input);
        self.sources.insert(name.to_owned(), source.clone());
        Ok(())
    }

    /// The input by which a text of the file gets a value that it names: one that is there already, or one more.
    fn hidden(&mut self, theirs: &str, source: &Source) -> Result<String, String> {
        let mut name = theirs.to_owned();
        for number in 2.. {
            match self.step.inputs.get(&name) {
                None => break,
                // What it is may be told by the component, or only by where it comes from.
                Some(_) if self.sources.get(&name).is_some_and(|known| known.from == source.from) => return Ok(name),
                Some(_) => name = format!("{theirs}-{number}"),
            }
        }
        self.parameter(&name, source, None)?;
        Ok(name)
    }
}

/// Has placeholders name another input.
fn rename(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => {
            for quote in ['\'', '"'] {
                let place = |name: &str| format!("{{{{$.inputs.parameters[{quote}{name}{quote}]}}}}");
                *text = text.replace(&place(from), &place(to));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, from, to)),
        _ => {}
    }
}

fn artifact_kind(schema: &crate::ir::ArtifactType) -> Result<KfpKind, String> {
    if schema.schema_uri.is_some() || schema.instance_schema.is_some() {
        return Err("an artifact whose schema is a file of its own is not supported here".to_owned());
    }
    let title = schema.schema_title.clone().unwrap_or_else(|| "system.Artifact".to_owned());
    let kind = if schema.schema_version.is_empty() { title } else { format!("{title}@{}", schema.schema_version) };
    KfpKind::try_from(kind)
}

/// A constant of a condition.
pub(super) fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(_) | Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Processors as Kubernetes writes them: 2, 0.5, 500m.
fn cores(text: &str) -> Option<f64> {
    let cores = match text.strip_suffix('m') {
        Some(thousandths) => thousandths.parse::<f64>().ok()? / 1000.0,
        None => text.parse().ok()?,
    };
    (cores.is_finite() && cores > 0.0).then_some(cores)
}

/// Memory as Kubernetes writes it: 512Mi, 4G.
fn bytes(text: &str) -> Option<u64> {
    let binary =
        [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50)].map(|(unit, power)| (unit, 2_f64.powi(power)));
    let decimal = [("K", 3), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("", 0)]
        .map(|(unit, power)| (unit, 10_f64.powi(power)));
    binary.into_iter().chain(decimal).find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // within the bounds of what a file takes, or refused there
        (number.is_finite() && number > 0.0).then_some((number * factor).round() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_those_of_kubernetes() {
        assert_eq!((cores("500m"), cores("2"), cores("0"), cores("x")), (Some(0.5), Some(2.0), None, None));
        assert_eq!(
            (bytes("1Gi"), bytes("1.5G"), bytes("12"), bytes("-1M")),
            (Some(1 << 30), Some(1_500_000_000), Some(12), None)
        );
    }
}
