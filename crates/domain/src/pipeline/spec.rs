//! What a pipeline's file says.
//!
//! The JSON form is stored, and its canonical bytes are what the digest names. So a field that has its default is left
//! out: a field added later changes no digest of a file that does not use it.

use super::{
    input::{InputSpec, OutputRef, VersionInput},
    kfp::KfpStep,
    metrics::MetricsSpec,
    output::OutputSpec,
    param::Param,
    value::ParamValue,
};
use crate::{Digest, step_approval::ApprovalSpec};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

/// A pipeline's file, read and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineSpec {
    /// The pipeline's name.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What may be changed for a run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Param>,
    /// Files that it brings: path to text. They are written into the directory of every step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Environment of every step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Secrets of the workspace that every step gets: name of a variable to name of a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// Where its steps run, unless they say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<ExecutorKind>,
    /// The image of its steps that run in containers, unless they name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Which steps go first when there are more than workers.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// Whether what steps gave is used again, of steps that say nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// What chance in its steps begins with: the value of `PYTHONHASHSEED` and `SLIPWAY_SEED`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub seed: u32,
    /// Its steps by name, those that run in the end among them.
    pub steps: BTreeMap<String, StepSpec>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepSpec {
    /// What it is.
    #[serde(flatten)]
    pub work: Work,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Steps that must have succeeded before it begins, besides those whose outputs it takes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<String>,
    /// What must have become of the steps that it needs.
    #[serde(default, skip_serializing_if = "TriggerRule::is_default")]
    pub trigger_rule: TriggerRule,
    /// Whether it runs when all others have ended, whatever became of them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub finally: bool,
    /// An expression that must be true when all it needs has ended; otherwise it is skipped.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// It runs once for every combination of these values: name of a param to values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub matrix: BTreeMap<String, Vec<ParamValue>>,
    /// It runs once for every entry of a list that is known only when it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<MapSpec>,
    /// How many of its instances may run at once, when a matrix or a map makes many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Params of this step alone; they go before those outside of it of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, ParamValue>,
    /// What it takes, by the name that it has for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, InputSpec>,
    /// What it gives on, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputSpec>,
    /// Its environment; goes before the pipeline's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Secrets of the workspace that it gets: name of a variable to name of a secret. They go before the pipeline's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// How long a try may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// What happens when it fails.
    #[serde(default, skip_serializing_if = "Retries::is_default")]
    pub retries: Retries,
    /// Which workers may run it.
    #[serde(default = "default_pool", skip_serializing_if = "is_default_pool")]
    pub pool: String,
    /// Limits of the workspace that count it while it runs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub limits: BTreeSet<String>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<ExecutorKind>,
    /// The image of its container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What of its machine it may use.
    #[serde(default, skip_serializing_if = "Resources::is_default")]
    pub resources: Resources,
    /// What it expects and promises when its command is one of Kubeflow Pipelines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kfp: Option<Box<KfpStep>>,
    /// Whether what it gave is used again when it would run with the same once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// How the metrics of its tracked runs are compared when a run is done again.
    #[serde(default, skip_serializing_if = "MetricsSpec::is_default")]
    pub metrics: MetricsSpec,
}

/// Whether what a step gave is used again when it would run with the same once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cache {
    /// Whether it is.
    pub enabled: bool,
    /// How old it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A command that a worker runs.
    Command(Command),
    /// A notebook that a worker runs: its path in the step's directory, among the pipeline's files or the step's inputs.
    Notebook(String),
    /// Steps of its own: it has ended when they have.
    #[cfg_attr(feature = "openapi", schema(no_recursion))]
    Steps(BTreeMap<String, StepSpec>),
    /// People: it waits until they agree.
    Approval(Box<ApprovalSpec>),
    /// A run of another pipeline of the workspace, with this step's params. It ends as that run does.
    Pipeline(SubPipeline),
}

/// Another pipeline that a step runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubPipeline {
    /// Its name.
    pub name: String,
    /// Which version of its file; the one that was stored last when none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
}

/// What must have become of the steps that a step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TriggerRule {
    /// All have succeeded. When one has not, the step is skipped.
    #[default]
    AllSuccess,
    /// All have ended, whatever became of them.
    AllDone,
}

impl TriggerRule {
    /// All rules.
    pub const ALL: [Self; 2] = [Self::AllSuccess, Self::AllDone];

    /// The name in a file and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllSuccess => "all_success",
            Self::AllDone => "all_done",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.as_str() == text)
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One instance of a step for every entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MapSpec {
    /// The param that holds the entry.
    pub item: String,
    /// The list.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub over: ListRef,
}

/// Where a list comes from: `params.NAME`, or an output of another step that is a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ListRef {
    /// A param that is a list.
    Param(String),
    /// A value that another step gives on.
    Output(OutputRef),
}

impl FromStr for ListRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some(("params", name)) if super::is_name(name) => Ok(Self::Param(name.to_owned())),
            _ => text
                .parse()
                .map(Self::Output)
                .map_err(|_| "a list is named as params.NAME or step.output, such as list.regions"),
        }
    }
}

impl fmt::Display for ListRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(name) => write!(f, "params.{name}"),
            Self::Output(output) => output.fmt(f),
        }
    }
}

impl TryFrom<String> for ListRef {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ListRef> for String {
    fn from(list: ListRef) -> Self {
        list.to_string()
    }
}

/// Where a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExecutorKind {
    /// As a process of the worker's machine.
    Process,
    /// In a container of the worker's Docker engine.
    Docker,
    /// As a Job of a Kubernetes cluster.
    Kubernetes,
}

impl ExecutorKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Process, Self::Docker, Self::Kubernetes];

    /// The name in a file and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What of its machine a step may use.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Resources {
    /// Cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Whole GPUs.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpu: u32,
}

impl Resources {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Which steps go first when there are more than workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After all others.
    Low,
    /// As most.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// All priorities.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// The name in a file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The number in the database: higher goes first.
    #[must_use]
    pub fn rank(self) -> i16 {
        match self {
            Self::Low => -1,
            Self::Normal => 0,
            Self::High => 1,
        }
    }

    fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for it
fn is_false(value: &bool) -> bool {
    !value
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for it
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// The most instances that a matrix or a map makes of a step.
pub const MAX_INSTANCES: usize = 10_000;

/// The output of a step with a notebook that is the executed notebook.
pub const NOTEBOOK_OUTPUT: &str = "notebook";

/// The pool of a step that names none.
pub(super) const DEFAULT_POOL: &str = "default";

fn default_pool() -> String {
    DEFAULT_POOL.to_owned()
}

fn is_default_pool(pool: &str) -> bool {
    pool == DEFAULT_POOL
}

/// What a step runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum Command {
    /// A script for `sh -ec`.
    Shell(String),
    /// A program and its arguments.
    Program(Vec<String>),
}

/// How often a step is tried again after a failure, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Retries {
    /// Tries after the first.
    pub count: u32,
    /// The wait after the first failure.
    pub backoff_seconds: u64,
    /// How much longer every further wait is.
    #[serde(default = "default_factor", skip_serializing_if = "is_default_factor")]
    pub factor: f64,
    /// The longest wait.
    #[serde(default = "default_max", skip_serializing_if = "is_default_max")]
    pub max_seconds: u64,
    /// Up to which share of a wait is taken away by chance, so that steps that failed together do not come back together.
    #[serde(default = "default_jitter", skip_serializing_if = "is_default_jitter")]
    pub jitter: f64,
}

fn default_factor() -> f64 {
    Retries::default().factor
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp)] // serde asks for it; as it was written
fn is_default_factor(factor: &f64) -> bool {
    *factor == default_factor()
}

fn default_max() -> u64 {
    Retries::default().max_seconds
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for it
fn is_default_max(seconds: &u64) -> bool {
    *seconds == default_max()
}

fn default_jitter() -> f64 {
    Retries::default().jitter
}

#[allow(clippy::trivially_copy_pass_by_ref, clippy::float_cmp)] // serde asks for it; as it was written
fn is_default_jitter(jitter: &f64) -> bool {
    *jitter == default_jitter()
}

impl Retries {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self { count: 0, backoff_seconds: 10, factor: 2.0, max_seconds: 15 * 60, jitter: 0.25 }
    }
}

impl PipelineSpec {
    /// What names this version of the pipeline, code in `files` included: SHA-256 of the canonical JSON.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Every key is a text and every number finite, so there is a JSON form.
        Digest::of_json(self).unwrap_or_else(|_| unreachable!("a spec has a JSON form"))
    }

    /// The step at this place: names from the outside to the inside.
    #[must_use]
    pub fn step(&self, place: &[impl AsRef<str>]) -> Option<&StepSpec> {
        self.steps_to(place).last().copied()
    }

    /// The steps that lead to this place, from the outside to the inside, with the one there as the last. Empty when there
    /// is none.
    #[must_use]
    pub fn steps_to(&self, place: &[impl AsRef<str>]) -> Vec<&StepSpec> {
        let mut found = Vec::with_capacity(place.len());
        let mut steps = Some(&self.steps);
        for name in place {
            let Some(step) = steps.and_then(|steps| steps.get(name.as_ref())) else { return Vec::new() };
            found.push(step);
            steps = step.steps();
        }
        found
    }

    /// The step that this name means in the step at this place, which is called `name` in its run: the one beside it, or beside
    /// one of the steps around it. Answers with its place and its name in the run.
    #[must_use]
    pub fn seen_from(&self, place: &[impl AsRef<str>], name: &str, step: &str) -> Option<(Vec<String>, String)> {
        let parts: Vec<&str> = name.split('/').collect();
        (0..place.len()).rev().find_map(|depth| {
            let around = &place[..depth];
            let beside = if depth == 0 { Some(&self.steps) } else { self.step(around).and_then(StepSpec::steps) };
            beside.filter(|steps| steps.contains_key(step))?;
            let place = around.iter().map(AsRef::as_ref).chain([step]).map(str::to_owned).collect();
            let name = parts.get(..depth)?.iter().copied().chain([step]).collect::<Vec<_>>().join("/");
            Some((place, name))
        })
    }

    /// Every step with its name, each before those inside of it, in the order of their names.
    fn every_step(&self) -> Vec<(&str, &StepSpec)> {
        let mut left: Vec<(&String, &StepSpec)> = self.steps.iter().rev().collect();
        let mut found = Vec::new();
        while let Some((name, step)) = left.pop() {
            found.push((name.as_str(), step));
            left.extend(step.steps().into_iter().flatten().rev());
        }
        found
    }

    /// Every limit that a step names, with that step's name; those inside of others as well.
    pub fn limits(&self) -> impl Iterator<Item = (&str, &str)> {
        self.every_step()
            .into_iter()
            .flat_map(|(name, step)| step.limits.iter().map(move |limit| (name, limit.as_str())))
    }

    /// The secrets that this step gets: name of a variable to name of a secret. A variable of its own goes before a secret of
    /// the pipeline.
    #[must_use]
    pub fn secrets_of(&self, step: &StepSpec) -> BTreeMap<String, String> {
        let mut secrets = self.secrets.clone();
        secrets.retain(|variable, _| !step.env.contains_key(variable));
        secrets.extend(step.secrets.iter().map(|(variable, name)| (variable.clone(), name.clone())));
        secrets
    }

    /// Every secret that it names, with who does: `Step "train"`, or the pipeline itself.
    #[must_use]
    pub fn all_secrets(&self) -> Vec<(String, &str)> {
        let own = self.secrets.values().map(|name| ("The pipeline".to_owned(), name.as_str()));
        let of_steps = self.every_step().into_iter().flat_map(|(name, step)| {
            step.secrets.values().map(move |secret| (format!("Step \"{name}\""), secret.as_str()))
        });
        own.chain(of_steps).collect()
    }

    /// Every other pipeline that its steps run, those inside of others as well, with the step's name.
    #[must_use]
    pub fn sub_pipelines(&self) -> Vec<(&str, &SubPipeline)> {
        self.every_step().into_iter().filter_map(|(name, step)| Some((name, step.pipeline()?))).collect()
    }

    /// Every team that an approval asks.
    #[must_use]
    pub fn teams(&self) -> BTreeSet<&str> {
        let asks = self.every_step().into_iter().filter_map(|(_, step)| step.approval());
        asks.flat_map(|asks| &asks.rules).flat_map(|rule| &rule.eligible.teams).map(String::as_str).collect()
    }

    /// Every version of a dataset or model that a step takes, with that step's name and the input's; those inside of others
    /// as well.
    #[must_use]
    pub fn version_inputs(&self) -> Vec<(&str, &str, VersionInput<'_>)> {
        self.every_step()
            .into_iter()
            .flat_map(|(name, step)| {
                let inputs = step.inputs.iter();
                inputs.filter_map(move |(input, spec)| Some((name, input.as_str(), spec.version()?)))
            })
            .collect()
    }

    /// Where this step says that it runs; none where its pool decides.
    #[must_use]
    pub fn executor_of(&self, step: &StepSpec) -> Option<ExecutorKind> {
        step.executor.or(self.executor)
    }

    /// Whether what this step gave is used again, and how old it may be; none when it is not.
    #[must_use]
    pub fn cache_of(&self, step: &StepSpec) -> Option<Cache> {
        step.cache.or(self.cache).filter(|cache| cache.enabled)
    }

    /// The image of this step, when it runs in a container.
    #[must_use]
    pub fn image_of<'a>(&'a self, step: &'a StepSpec) -> Option<&'a str> {
        step.image.as_deref().or(self.image.as_deref())
    }
}

impl StepSpec {
    /// The steps that it has of its own.
    #[must_use]
    pub fn steps(&self) -> Option<&BTreeMap<String, Self>> {
        match &self.work {
            Work::Steps(steps) => Some(steps),
            Work::Command(_) | Work::Notebook(_) | Work::Approval(_) | Work::Pipeline(_) => None,
        }
    }

    /// Where the notebook that it runs lies in its directory, and where the executed one is written, when it runs one.
    #[must_use]
    pub fn notebook(&self) -> Option<(&str, &str)> {
        match &self.work {
            Work::Notebook(path) => Some((path, self.outputs.get(NOTEBOOK_OUTPUT)?.path()?)),
            _ => None,
        }
    }

    /// The other pipeline that it runs.
    #[must_use]
    pub fn pipeline(&self) -> Option<&SubPipeline> {
        match &self.work {
            Work::Pipeline(other) => Some(other),
            _ => None,
        }
    }

    /// Whom it asks.
    #[must_use]
    pub fn approval(&self) -> Option<&ApprovalSpec> {
        match &self.work {
            Work::Approval(asks) => Some(asks),
            _ => None,
        }
    }

    /// Whether a matrix or a map makes many of it.
    #[must_use]
    pub fn is_many(&self) -> bool {
        !self.matrix.is_empty() || self.map.is_some()
    }

    /// Names of the params that a matrix or a map sets.
    pub fn item_names(&self) -> impl Iterator<Item = &str> {
        self.matrix.keys().chain(self.map.iter().map(|map| &map.item)).map(String::as_str)
    }

    /// The values of each instance that the matrix makes, the last name changing fastest.
    #[must_use]
    pub fn combinations(&self) -> Vec<BTreeMap<String, ParamValue>> {
        self.matrix.iter().fold(vec![BTreeMap::new()], |known, (name, values)| {
            let with = |before: &BTreeMap<String, ParamValue>, value: &ParamValue| {
                let mut after = before.clone();
                after.insert(name.clone(), value.clone());
                after
            };
            known.iter().flat_map(|before| values.iter().map(move |value| with(before, value))).collect()
        })
    }

    /// The outputs of steps that it takes or asks for, its own steps' among them; some may be of steps inside of it.
    fn references(&self) -> impl Iterator<Item = &OutputRef> {
        let over = self.map.as_ref().and_then(|map| match &map.over {
            ListRef::Output(output) => Some(output),
            ListRef::Param(_) => None,
        });
        self.inputs.values().filter_map(InputSpec::output).chain(over)
    }

    /// The steps around it that must have ended before it begins: those that it needs, those whose outputs it takes, and
    /// those whose outputs steps inside of it take.
    #[must_use]
    pub fn all_needs(&self) -> BTreeSet<&str> {
        let mut needs: BTreeSet<&str> = self.needs.iter().map(String::as_str).collect();
        needs.extend(self.references().map(|output| output.step.as_str()));
        if let Some(inner) = self.steps() {
            let from_within = inner.values().flat_map(Self::all_needs);
            needs.extend(from_within.filter(|name| !inner.contains_key(*name)));
        }
        needs
    }
}

/// How many steps these are, with those inside of them.
pub(super) fn count(steps: &BTreeMap<String, StepSpec>) -> usize {
    steps.values().map(|step| 1 + step.steps().map_or(0, count)).sum()
}
