//! Pipelines as they were stored and what they did: versions and runs.

use crate::{
    Digest,
    id::{PipelineId, PipelineRunId, PipelineVersionId, UserId, WorkspaceId},
    pipeline::PipelineSpec,
    pipeline_run::PipelineRunState,
    step::Step,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pipeline {
    /// The pipeline.
    pub id: PipelineId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace.
    pub name: String,
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// The number of its newest version.
    pub latest_version: i32,
    /// Its last run.
    pub last_run: Option<PipelineRun>,
    /// The states of its last runs, newest first, up to twelve.
    pub recent: Vec<PipelineRunState>,
}

/// One immutable version of a pipeline's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineVersion {
    /// The version.
    pub id: PipelineVersionId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: String,
    /// 1, 2, 3 …
    pub number: i32,
    /// Of the file's meaning: comments and order of keys do not change it.
    pub digest: Digest,
    /// The file as it was given.
    pub source: String,
    /// What it means.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub spec: PipelineSpec,
    /// Who stored it, by name.
    pub created_by: String,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// Somebody in the browser.
    Person,
    /// A token.
    Api,
    /// A trigger, because an alert opened.
    Trigger,
}

impl RunCause {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Api => "api",
            Self::Trigger => "trigger",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Person, Self::Api, Self::Trigger].into_iter().find(|cause| cause.as_str() == text)
    }
}

/// One execution of a pipeline version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineRun {
    /// The run.
    pub id: PipelineRunId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// `#512`: its number in the workspace.
    pub number: i64,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: String,
    /// The number of the version that runs.
    pub version: i32,
    /// The digest of that version.
    pub digest: Digest,
    /// Where it stands.
    pub state: PipelineRunState,
    /// Parameters by name, defaults included.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// What started it.
    pub cause: RunCause,
    /// The alert, for a trigger.
    pub cause_id: Option<String>,
    /// Who started it.
    pub started_by: Option<UserId>,
    /// Their name then.
    pub started_by_name: String,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its first step began.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last step ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How many steps it has.
    pub steps_total: i64,
    /// How many of them have ended.
    pub steps_ended: i64,
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineRunDetail {
    /// The run.
    pub run: PipelineRun,
    /// Its steps, in the order of the file.
    pub steps: Vec<Step>,
}

/// A line of a step's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// 1, 2, 3 …
    pub number: i64,
    /// When it was read, in milliseconds since 1970.
    pub at_ms: i64,
    /// Which stream.
    pub stream: LogStream,
    /// The line, without its end.
    pub text: String,
}

/// Where a line of a log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// The command's standard output.
    Out,
    /// The command's standard error.
    Err,
    /// Slipway: what it did around the command.
    Sys,
}
