//! Steps of a pipeline run, and every try of them.

use crate::{
    id::{RunId, StepAttemptId, StepId},
    pipeline_run::{AttemptOutcome, StepState},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A step of a pipeline run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Step {
    /// The step.
    pub id: StepId,
    /// Its name in the pipeline's file.
    pub name: String,
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
    /// The number of the run that it was carried over from, outputs and all; it did not run in this one.
    pub carried_from: Option<i64>,
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
