//! Steps of a pipeline run, and every try of them.

use crate::{
    gpu::Gpu,
    id::{RunId, StepAttemptId, StepId},
    pipeline::{OutputKind, ParamValue},
    pipeline_run::{AttemptOutcome, StepCache, StepState},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// A step of a pipeline run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Step {
    /// The step.
    pub id: StepId,
    /// Its name in the run: that of the file, with the number of the instance and the names of the steps around it, such as
    /// `region.3/train.0`.
    pub name: String,
    /// What it is.
    pub kind: StepKind,
    /// The name of the step that it is inside of, or an instance of.
    pub parent: Option<String>,
    /// What matrices and maps gave to this instance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub items: BTreeMap<String, ParamValue>,
    /// Where it stands.
    pub state: StepState,
    /// Why, when that needs a word: `exit status 1`, `prepare failed`.
    pub reason: String,
    /// The steps it waits for, by name.
    pub needs: Vec<String>,
    /// How many tries began.
    pub attempts: i32,
    /// How many tries it may have when its command fails.
    pub max_attempts: i32,
    /// When its first try began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Files it gave on, once it has succeeded.
    pub outputs: Vec<StepOutput>,
    /// How the steps inside of it stand, when it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<InnerSteps>,
    /// The limit that it waits for, or the check of a version of a dataset, `check of wine@3`; while it could run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// How it went with what steps gave before; none when it does not use that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<StepCache>,
    /// The number of the run that it was carried over from, outputs and all; it did not run in this one.
    pub carried_from: Option<i64>,
    /// The number of the run of another pipeline that it waits for, or waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_run: Option<i64>,
}

/// What a step of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// What a worker runs.
    Command,
    /// Has steps of its own.
    Steps,
    /// Stands for the instances that a matrix or a map makes.
    Many,
    /// Waits until people agree.
    Approval,
    /// Runs another pipeline, and ends as that run does.
    Pipeline,
}

impl StepKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Command, Self::Steps, Self::Many, Self::Approval, Self::Pipeline];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Steps => "steps",
            Self::Many => "many",
            Self::Approval => "approval",
            Self::Pipeline => "pipeline",
        }
    }

    /// Whether it has steps inside of it, and ends with the last of them.
    #[must_use]
    pub fn is_outer(self) -> bool {
        matches!(self, Self::Steps | Self::Many)
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How the steps directly inside of a step stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InnerSteps {
    /// All.
    pub total: i64,
    /// Those that have not ended.
    pub open: i64,
    /// Those that run.
    pub running: i64,
    /// Those that failed.
    pub failed: i64,
}

/// A step of a run, as it is linked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepRef {
    /// The pipeline.
    pub pipeline: String,
    /// The number of the run.
    pub run: i64,
    /// The step's name in the run.
    pub step: String,
}

/// `train-wine #512: fit`
impl fmt::Display for StepRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}: {}", self.pipeline, self.run, self.step)
    }
}

/// A file or folder that a step gave on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepOutput {
    /// Its name in the pipeline's file.
    pub name: String,
    /// Its path in the step's directory.
    pub path: String,
    /// What Slipway knows it as; none for a file or folder as any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<OutputKind>,
    /// Whether it is a folder.
    #[serde(default)]
    pub is_folder: bool,
    /// Of its content: of the blob for a file, of the manifest for a folder.
    pub digest: crate::Digest,
    /// Bytes; of all its files, for a folder.
    pub size: i64,
    /// What it says, for a value or metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub value: Option<serde_json::Value>,
    /// The version that it became, of a dataset or model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<OutputVersion>,
}

/// The version that an output became, or is to become with the end of its step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutputVersion {
    /// Of what.
    pub of: Versioned,
    /// What that is called.
    pub name: String,
    /// The number; 0 until the step has ended.
    pub number: i32,
    /// The digest of the content, of a dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<crate::Digest>,
}

/// The version of a dataset whose check a step waits for, when that is what it waits for.
#[must_use]
pub fn awaited_check(blocked_by: &str) -> Option<&str> {
    // The name of a limit has no spaces.
    blocked_by.strip_prefix("check of ")
}

/// What has versions that steps take and give on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Versioned {
    /// A dataset of the workspace.
    Dataset,
    /// A registered model.
    Model,
}

impl Versioned {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dataset => "dataset",
            Self::Model => "model",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Dataset, Self::Model].into_iter().find(|known| known.as_str() == text)
    }
}

/// What a try took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepInput {
    /// The name that it has for the step.
    pub name: String,
    /// Where it comes from: `prepare.dataset`, `dataset wine-rows@latest`.
    pub from: String,
    /// Of its content; none for a model without files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<crate::Digest>,
    /// Which version it is, of a dataset or model; also when another step gave it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<OutputVersion>,
}

/// One try of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepAttempt {
    /// The try.
    pub id: StepAttemptId,
    /// 1, 2, 3 …
    pub number: i32,
    /// Greater than that of every try that began before, of any step.
    pub fence: i64,
    /// The worker that has it.
    pub worker: String,
    /// How it ended, or that it runs.
    pub outcome: AttemptOutcome,
    /// Why, when that needs a word.
    pub reason: String,
    /// The command's exit status, when it had one.
    pub exit_code: Option<i32>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The tracked run that it logged to, when it logged to one.
    pub run_id: Option<RunId>,
    /// Lines of its log.
    pub log_lines: i64,
    /// What it took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<StepInput>,
    /// Where it ran: `process`, `docker` or `kubernetes`. None when it did not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<String>,
    /// The image that its container was made from, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What kept it from the rest of the machine, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// The most memory that it had at once, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<i64>,
    /// The graphics processors that it had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<Gpu>,
}

/// What a try used for some seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepSample {
    /// When these seconds began.
    pub at: DateTime<Utc>,
    /// How many they are.
    pub seconds: f32,
    /// Processors that it kept busy: 0.5 is half of one.
    pub cpu_mean: f32,
    /// The most within two seconds.
    pub cpu_max: f32,
    /// Resident memory of all its processes, in bytes.
    pub memory_mean: i64,
    /// The most of it that was seen.
    pub memory_max: i64,
    /// Bytes read from disks.
    pub read_bytes: i64,
    /// Bytes written to disks.
    pub written_bytes: i64,
    /// The graphics processors that it has.
    pub gpus: Vec<GpuUse>,
}

/// What a try used of a graphics processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuUse {
    /// Its name for ever: `GPU-8f6d…`.
    pub uuid: String,
    /// The most it was busy: 0 to 1.
    pub busy: f32,
    /// The most of its memory that was in use, in bytes.
    pub memory_bytes: u64,
}
