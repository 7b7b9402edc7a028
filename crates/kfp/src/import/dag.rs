//! The tasks of a component, and of the components that they run: steps, and steps in steps.

use super::{
    Import, condition, kind_of_parameter,
    leaf::Taken,
    show,
    source::{Artifact, From, Source},
};
use crate::{
    export::INSTANCES,
    ir::{Component, Dag, RetryPolicy, Task},
    names::Names,
    native,
};
use domain::pipeline::{
    Cache, InputSpec, ListRef, MapSpec, MetricsSpec, OutputRef, OutputSpec, ParamValue, Resources, Retries, StepSpec,
    TriggerRule, Work, kfp::KfpKind,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The strategy of what runs whatever became of what it waits for.
const COMPLETED: &str = "ALL_UPSTREAM_TASKS_COMPLETED";

/// How deep components may stand in each other. Each makes a file of ours two levels deeper, of which it may have 32.
const MAX_DEPTH: usize = 12;

/// The most steps; more our files refuse.
const MAX_STEPS: usize = domain::pipeline::MAX_STEPS;

/// What the tasks of a component see around them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// Where the component's parameters come from.
    pub(super) parameters: BTreeMap<String, Source>,
    /// Where its artifacts come from; none for one that is not given.
    pub(super) artifacts: BTreeMap<String, Option<Artifact>>,
    /// Names of the steps around.
    steps: Names,
    /// Names of the params that are seen.
    pub(super) params: Names,
    depth: usize,
}

impl Scope {
    pub(super) fn root() -> Self {
        Self::default()
    }
}

/// The steps that the tasks of a component become, and what they give on.
#[derive(Debug, Default)]
pub(crate) struct Siblings {
    steps: BTreeMap<String, String>,
    outputs: BTreeMap<String, Outputs>,
}

/// What a component gives on: their names to ours.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outputs {
    pub(crate) values: BTreeMap<String, (String, KfpKind)>,
    /// The file, and what is told about it when something is.
    pub(crate) artifacts: BTreeMap<String, (String, Option<String>)>,
    /// What the numbers of an artifact that is metrics are called.
    pub(crate) numbers: BTreeMap<String, String>,
}

impl Import<'_> {
    pub(super) fn outputs_of(&self, component: &Component) -> Result<Outputs, String> {
        let (mut names, mut outputs) = (Names::default(), Outputs::default());
        for (name, definition) in &component.output_definitions.parameters {
            let kind = kind_of_parameter(definition.parameter_type.as_deref(), definition.r#type.as_deref())?;
            outputs.values.insert(name.clone(), (names.take(name), kind));
        }
        for name in component.output_definitions.artifacts.keys() {
            let file = names.take(name);
            let about = self.tells_about(component, name).then(|| names.take(&format!("{file}-about")));
            outputs.artifacts.insert(name.clone(), (file, about));
        }
        for (name, definition) in &component.output_definitions.artifacts {
            if definition.artifact_type.schema_title.as_deref() == Some("system.Metrics")
                && let Some((file, Some(_))) = outputs.artifacts.get(name)
            {
                outputs.numbers.insert(name.clone(), names.take(&format!("{file}-numbers")));
            }
        }
        Ok(outputs)
    }

    /// Whether something is told about an artifact: of those that our own commands give, nothing is.
    fn tells_about(&self, component: &Component, output: &str) -> bool {
        let (mut left, mut seen) = (vec![(component, output)], BTreeSet::new());
        while let Some((component, output)) = left.pop() {
            let Some(dag) = &component.dag else {
                let executor = component.executor_label.as_ref().and_then(|label| self.executors.get(label));
                if executor.and_then(|executor| executor.container.as_ref()).is_some_and(native::is_native) {
                    return false;
                }
                continue;
            };
            let selectors = dag.outputs.artifacts.get(output).map(|output| output.artifact_selectors.as_slice());
            for one in selectors.unwrap_or_default() {
                let name = dag.tasks.get(&one.producer_subtask).map(|task| task.component_ref.name.as_str());
                let inner = name.and_then(|name| self.components.get_key_value(name));
                if let Some((name, inner)) = inner
                    && seen.insert((name, &one.output_artifact_key))
                {
                    left.push((inner, &one.output_artifact_key));
                }
            }
        }
        true
    }
}

impl Siblings {
    pub(super) fn step(&self, task: &str) -> Result<&str, String> {
        self.steps.get(task).map(String::as_str).ok_or_else(|| format!("there is no task \"{}\" beside it", show(task)))
    }

    pub(super) fn value(&self, task: &str, output: &str) -> Result<Source, String> {
        let step = self.step(task)?.to_owned();
        let found = self.outputs.get(task).and_then(|outputs| outputs.values.get(output));
        let (name, kind) = found.ok_or_else(|| no_output(task, output))?;
        let output = OutputRef { step, output: name.clone() };
        Ok(Source { from: From::Output(output, Vec::new()), kind: kind.clone() })
    }

    pub(super) fn artifact(&self, task: &str, output: &str) -> Result<Artifact, String> {
        let step = self.step(task)?;
        let found = self.outputs.get(task).and_then(|outputs| outputs.artifacts.get(output));
        let (file, about) = found.ok_or_else(|| no_output(task, output))?;
        let of = |output: &String| OutputRef { step: step.to_owned(), output: output.clone() };
        Ok(Artifact { file: of(file), about: about.as_ref().map(of) })
    }
}

fn no_output(task: &str, output: &str) -> String {
    format!("the task \"{}\" has no output \"{}\"", show(task), show(output))
}

impl Import<'_> {
    /// The steps of a component's tasks, which stand at this path.
    pub(super) fn tasks(
        &mut self,
        dag: &Dag,
        around: &Scope,
        path: &[String],
    ) -> (BTreeMap<String, StepSpec>, Siblings) {
        let (mut steps, mut siblings) = (BTreeMap::new(), Siblings::default());
        self.steps += dag.tasks.len();
        if around.depth > MAX_DEPTH || self.steps > MAX_STEPS {
            let message = if self.steps > MAX_STEPS {
                format!(
                    "The pipeline has more than {MAX_STEPS} tasks, those of components in components counted each time."
                )
            } else {
                "Components stand too deep in each other, or in themselves.".to_owned()
            };
            self.problem(path, message);
            return (steps, siblings);
        }
        let mut scope = around.clone();
        for (key, task) in &dag.tasks {
            siblings.steps.insert(key.clone(), scope.steps.take(key));
            let component = self.components.get(&task.component_ref.name);
            let outputs = component.map(|component| self.outputs_of(component)).transpose();
            siblings.outputs.insert(key.clone(), outputs.ok().flatten().unwrap_or_default());
        }
        for (key, task) in &dag.tasks {
            let path: Vec<String> = path.iter().cloned().chain(["tasks".to_owned(), key.clone()]).collect();
            match self.task(dag, key, task, &scope, &siblings) {
                Ok(step) => {
                    steps.insert(siblings.steps.get(key).cloned().unwrap_or_default(), step);
                }
                Err(message) => {
                    let component = show(&task.component_ref.name);
                    self.problem(&path, format!("Task \"{}\" (component \"{component}\"): {message}.", show(key)));
                }
            }
        }
        (steps, siblings)
    }

    fn task(
        &mut self,
        dag: &Dag,
        key: &str,
        task: &Task,
        scope: &Scope,
        siblings: &Siblings,
    ) -> Result<StepSpec, String> {
        let name = &task.component_ref.name;
        let component = self.components.get(name).cloned().ok_or("there is no such component")?;
        if !component.single_platform_specs.is_empty() || !component.task_config_passthroughs.is_empty() {
            return Err("settings of a platform within a component are not supported here".to_owned());
        }
        if task.artifact_iterator.is_some() {
            return Err("a loop over a list of artifacts is not supported here; loop over a list of values".to_owned());
        }
        let mut parameters = self.parameters(task, name, scope, siblings)?;
        let mut params = scope.params.clone();
        let (mut matrix, mut map) = (BTreeMap::new(), None);
        if let Some(iterator) = &task.parameter_iterator {
            let definition = component.input_definitions.parameters.get(&iterator.item_input);
            let kind =
                definition.map(|d| kind_of_parameter(d.parameter_type.as_deref(), d.r#type.as_deref())).transpose()?;
            let item = params.take(&iterator.item_input);
            let source = Source { from: From::Param(item.clone(), Vec::new()), kind: kind.unwrap_or(KfpKind::Struct) };
            parameters.insert(iterator.item_input.clone(), source);
            let list = match (&iterator.items.raw, &iterator.items.input_parameter) {
                (Some(raw), _) => {
                    let list = serde_json::from_str(raw)
                        .map_err(|error| format!("the items of its loop are no JSON: {error}"))?;
                    From::Constant(list)
                }
                (None, Some(input)) => {
                    let given = task.inputs.parameters.get(input);
                    let given =
                        given.ok_or_else(|| format!("its loop goes over \"{}\", which is not given", show(input)))?;
                    self.parameter(task, given, scope, siblings)?.from
                }
                (None, None) => return Err("its loop goes over nothing".to_owned()),
            };
            match list {
                From::Constant(Value::Array(items)) => {
                    matrix.insert(item, items_of(items)?);
                }
                From::Param(name, fields) if fields.is_empty() => {
                    map = Some(MapSpec { item, over: ListRef::Param(name) })
                }
                From::Output(output, fields) if fields.is_empty() => {
                    map = Some(MapSpec { item, over: ListRef::Output(output) });
                }
                From::Constant(_) => return Err("its loop goes over what is no list".to_owned()),
                From::Param(..) | From::Output(..) => {
                    return Err(
                        "a loop over a field of a value is not supported here; have a step give the list".to_owned()
                    );
                }
                From::Text(..) | From::Status(_) | From::Absent => {
                    return Err("its loop goes over what is known too late".to_owned());
                }
            }
        }
        let max_parallel = match task.iterator_policy.parallelism_limit {
            0 => None,
            _ if task.parameter_iterator.is_none() => {
                return Err("it limits how many of it run, and has no loop".to_owned());
            }
            most => Some(most),
        };

        let artifacts = self.artifacts(task, &component, scope, siblings)?;
        let mut taken = Taken::new(params.clone());
        let mut step = if let Some(inner) = &component.dag {
            if task.retry_policy.is_some() {
                return Err(
                    "retries of a component with tasks of its own are not supported here; give them to its tasks"
                        .to_owned(),
                );
            }
            let inner_scope = Scope {
                parameters: parameters.clone(),
                artifacts,
                steps: scope.steps.clone(),
                params,
                depth: scope.depth + 1,
            };
            let path = ["components", name, "dag"].map(str::to_owned);
            let (steps, siblings) = self.tasks(inner, &inner_scope, &path);
            StepSpec {
                outputs: passed_on(inner, &self.outputs_of(&component)?, &siblings)?,
                ..blank(Work::Steps(steps))
            }
        } else {
            let mut step = self.leaf(&component, task, scope, siblings, &parameters, &artifacts, &mut taken)?;
            // What asks how others ended is not the same again.
            let is_kept = task.caching_options.enable_cache && !asks_for_ends(&step);
            step.cache = is_kept.then_some(Cache { enabled: true, max_age_seconds: None });
            if !task.caching_options.cache_key.is_empty() {
                return Err("a key of its own for the cache is not supported here".to_owned());
            }
            step.retries = task.retry_policy.as_ref().map(retries).transpose()?.unwrap_or_default();
            step
        };
        if let Some(instances) = one_instance(&component, name, task, &step) {
            let (inputs, constants) = (std::mem::take(&mut taken.inputs), std::mem::take(&mut taken.constants));
            step = instances;
            let own = std::mem::take(&mut step.inputs).into_iter();
            taken.inputs = own.filter_map(|(name, input)| Some((name, input.output()?.clone()))).collect();
            taken.constants = std::mem::take(&mut step.params);
            taken.inputs.extend(inputs);
            taken.constants.extend(constants);
        }
        if !task.trigger_policy.condition.is_empty() {
            let of = |message: String| format!("its condition cannot be kept: {message}");
            let condition = condition::translate(&task.trigger_policy.condition, &mut taken, |name| {
                if let Some(source) = parameters.get(name) {
                    return Ok(source.clone());
                }
                let given = task.inputs.parameters.get(name);
                let given = given.ok_or_else(|| format!("it asks for \"{}\", which is not given", show(name)))?;
                self.parameter(task, given, scope, siblings)
            });
            let condition = condition.map_err(of)?;
            domain::pipeline::condition::check(&condition)
                .map_err(|what| of(super::one_note(what.trim_end_matches('.'))))?;
            step.condition = Some(condition);
        }
        (step.matrix, step.map, step.max_parallel) = (matrix, map, max_parallel);
        step.inputs = taken.inputs.into_iter().map(|(name, output)| (name, InputSpec::Output(output))).collect();
        step.params = taken.constants;
        let title = task.task_info.name.trim();
        if !title.is_empty() && title != key {
            title.clone_into(&mut step.description);
        }
        self.order(dag, task, siblings, scope, &mut step)?;
        Ok(step)
    }

    /// What the step waits for, and what must have become of it.
    fn order(
        &self,
        dag: &Dag,
        task: &Task,
        siblings: &Siblings,
        scope: &Scope,
        step: &mut StepSpec,
    ) -> Result<(), String> {
        let is_last = match task.trigger_policy.strategy.as_str() {
            "" | "TRIGGER_STRATEGY_UNSPECIFIED" | "ALL_UPSTREAM_TASKS_SUCCEEDED" => false,
            COMPLETED => true,
            other => return Err(format!("the strategy \"{}\" is not known", show(other))),
        };
        let waits = task.dependent_tasks.iter().map(|task| Ok(siblings.step(task)?.to_owned()));
        let waits = waits.collect::<Result<BTreeSet<String>, String>>()?;
        // What it takes outputs of it waits for anyway.
        let told: BTreeSet<String> = step.kfp.iter().flat_map(|kfp| kfp.asked()).map(str::to_owned).collect();
        let implied: BTreeSet<String> = step.all_needs().into_iter().map(str::to_owned).collect();
        let is_told = !told.is_empty();
        step.needs = waits.iter().filter(|name| !implied.contains(*name)).cloned().chain(told).collect();
        if is_last {
            step.trigger_rule = TriggerRule::AllDone;
            let others = dag.tasks.iter().filter(|(_, other)| other.trigger_policy.strategy != COMPLETED);
            let mut others = others.filter_map(|(key, _)| siblings.steps.get(key));
            // What waits for everything else also runs when the run is cancelled.
            step.finally = scope.depth == 0 && !waits.is_empty() && others.all(|other| waits.contains(other));
            if step.finally && !is_told {
                (step.needs, step.trigger_rule) = (BTreeSet::new(), TriggerRule::default());
            }
        }
        Ok(())
    }

    fn artifacts(
        &self,
        task: &Task,
        component: &Component,
        scope: &Scope,
        siblings: &Siblings,
    ) -> Result<BTreeMap<String, Option<Artifact>>, String> {
        let mut found = BTreeMap::new();
        for (name, definition) in &component.input_definitions.artifacts {
            let of = |message: String| format!("its input \"{}\": {message}", show(name));
            let artifact = match task.inputs.artifacts.get(name) {
                Some(given) => self.artifact(given, scope, siblings).map_err(of)?,
                None => None,
            };
            if artifact.is_none() && !definition.is_optional {
                return Err(of("it is not given".to_owned()));
            }
            found.insert(name.clone(), artifact);
        }
        Ok(found)
    }
}

/// What a component gives on whose tasks are these.
fn passed_on(dag: &Dag, names: &Outputs, inner: &Siblings) -> Result<BTreeMap<String, OutputSpec>, String> {
    let mut found = BTreeMap::new();
    for (key, output) in &dag.outputs.parameters {
        let Some((name, _)) = names.values.get(key) else { continue };
        let selectors = match (&output.value_from_parameter, &output.value_from_oneof) {
            (Some(one), _) => std::slice::from_ref(one),
            (None, Some(many)) => many.parameter_selectors.as_slice(),
            (None, None) => &[],
        };
        let mut from = Vec::new();
        for selector in selectors {
            if let From::Output(output, _) =
                inner.value(&selector.producer_subtask, &selector.output_parameter_key)?.from
            {
                from.push(output);
            }
        }
        found.insert(name.clone(), first_of(key, from)?);
    }
    for (key, output) in &dag.outputs.artifacts {
        let Some((file, about)) = names.artifacts.get(key) else { continue };
        let from = output.artifact_selectors.iter();
        let from = from.map(|one| inner.artifact(&one.producer_subtask, &one.output_artifact_key));
        let from = from.collect::<Result<Vec<_>, _>>()?;
        found.insert(file.clone(), first_of(key, from.iter().map(|artifact| artifact.file.clone()).collect())?);
        if let Some(about) = about {
            found.insert(
                about.clone(),
                first_of(key, from.into_iter().filter_map(|artifact| artifact.about).collect())?,
            );
        }
    }
    Ok(found)
}

fn first_of(output: &str, mut from: Vec<OutputRef>) -> Result<OutputSpec, String> {
    match from.len() {
        0 => Err(format!("its output \"{}\" comes from nowhere", show(output))),
        1 => Ok(OutputSpec::Of { from: from.remove(0) }),
        _ => Ok(OutputSpec::FirstOf { from }),
    }
}

pub(super) fn asks_for_ends(step: &StepSpec) -> bool {
    step.kfp.as_ref().is_some_and(|kfp| kfp.asked().next().is_some())
}

/// The step that runs many times, of a component that was written for it: a loop around one task.
fn one_instance(component: &Component, name: &str, task: &Task, step: &StepSpec) -> Option<StepSpec> {
    let is_written = name.contains(INSTANCES) && component.dag.as_ref().is_some_and(|dag| dag.tasks.len() == 1);
    let (_, inner) = step.steps()?.first_key_value().filter(|_| is_written && task.parameter_iterator.is_some())?;
    (inner.condition.is_none() && !inner.is_many()).then(|| inner.clone())
}

fn items_of(items: Vec<Value>) -> Result<Vec<ParamValue>, String> {
    if items.is_empty() {
        return Err("its loop goes over an empty list".to_owned());
    }
    if items.iter().any(crate::placeholder::is_in) {
        return Err("a loop over a list that is made of other values is not supported here; have a step give the list"
            .to_owned());
    }
    let value = |item| ParamValue::try_from(item).map_err(|rule| format!("an item of its loop {rule}"));
    items.into_iter().map(value).collect()
}

fn retries(policy: &RetryPolicy) -> Result<Retries, String> {
    let seconds = |text: &str, default: f64| match text.strip_suffix('s').map(str::parse::<f64>) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded
        Some(Ok(seconds)) => Ok(seconds.ceil().clamp(0.0, 86_400.0) as u64),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole
        None if text.is_empty() => Ok(default as u64),
        _ => Err(format!("\"{}\" is no span of time", show(text))),
    };
    if policy.max_retry_count > 20 {
        return Err(format!("it is tried again {} times; at most 20 are allowed here", policy.max_retry_count));
    }
    if policy.max_retry_count == 0 {
        return Ok(Retries::default());
    }
    let factor = if policy.backoff_factor == 0.0 { 2.0 } else { policy.backoff_factor };
    if !(1.0..=10.0).contains(&factor) {
        return Err(format!("the factor {factor} of its retries is not from 1 to 10"));
    }
    Ok(Retries {
        count: policy.max_retry_count,
        backoff_seconds: seconds(&policy.backoff_duration, 0.0)?,
        factor,
        max_seconds: seconds(&policy.backoff_max_duration, 3600.0)?.max(1),
        jitter: Retries::default().jitter,
    })
}

/// A step that says nothing but what it is.
pub(super) fn blank(work: Work) -> StepSpec {
    StepSpec {
        work,
        description: String::new(),
        needs: BTreeSet::new(),
        trigger_rule: TriggerRule::default(),
        finally: false,
        condition: None,
        matrix: BTreeMap::new(),
        map: None,
        max_parallel: None,
        params: BTreeMap::new(),
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        timeout_seconds: None,
        retries: Retries::default(),
        pool: "default".to_owned(),
        limits: BTreeSet::new(),
        executor: None,
        image: None,
        resources: Resources::default(),
        cache: None,
        metrics: MetricsSpec::default(),
        kfp: None,
    }
}
