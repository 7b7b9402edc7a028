//! Runs of a pipeline: the states of a run, of its steps and of their tries, and the rules that move them.
//!
//! Everything here is a pure function of what it is given. Who holds a step, and until when, is the store's business.

mod retry;
mod state;

pub use retry::{AfterAttempt, MAX_LOSSES, after_attempt, retry_delay};
pub use state::{AttemptOutcome, Due, IllegalMove, PipelineRunState, StepCounts, StepState};

use crate::{
    Digest,
    id::{PipelineId, PipelineRunId, PipelineVersionId, UserId, WorkspaceId},
    pipeline::ParamValue,
    step::Step,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One execution of a pipeline version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineRun {
    /// The run.
    pub id: PipelineRunId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline_name: String,
    /// Which version of the pipeline's file it runs.
    pub version_id: PipelineVersionId,
    /// The number of that version: 1, 2, 3 …
    pub version_number: i32,
    /// The digest of that version.
    pub digest: Digest,
    /// Its number in the workspace, for people.
    pub number: i64,
    /// Where it stands.
    pub state: PipelineRunState,
    /// The value of every param.
    pub params: BTreeMap<String, ParamValue>,
    /// What started it.
    pub cause: RunCause,
    /// The alert, for a trigger.
    pub cause_id: Option<String>,
    /// Who started it, when a member did.
    pub started_by: Option<UserId>,
    /// The name of who or what started it.
    pub started_by_name: String,
    /// When somebody asked to cancel it.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its first step began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
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

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineRunSummary {
    /// The run.
    pub run: PipelineRun,
    /// How many commands it has, as far as is known yet.
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
    /// How many commands it has, as far as is known yet: a map makes more when it begins.
    pub steps_total: i64,
    /// How many of them have ended.
    pub steps_ended: i64,
    /// Its steps at the top, each after those that it needs. Those inside of them are a list of their own.
    pub steps: Vec<Step>,
}
