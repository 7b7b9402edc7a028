//! Steps of a pipeline run, and every try of them.

use crate::{
    id::{RunId, StepAttemptId, StepId},
    pipeline::ParamValue,
    pipeline_run::{AttemptOutcome, StepState},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The limit that it waits for, while it could run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
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
}

impl StepKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Command, Self::Steps, Self::Many];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Steps => "steps",
            Self::Many => "many",
        }
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

/// A file or folder that a step gave on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepOutput {
    /// Its name in the pipeline's file.
    pub name: String,
    /// Its path in the step's directory.
    pub path: String,
    /// Whether it is a folder.
    #[serde(default)]
    pub is_folder: bool,
    /// Of its content: of the blob for a file, of the manifest for a folder.
    pub digest: crate::Digest,
    /// Bytes; of all its files, for a folder.
    pub size: i64,
    /// What it says, for a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub value: Option<serde_json::Value>,
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
}
