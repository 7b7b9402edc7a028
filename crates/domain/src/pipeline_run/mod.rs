//! Runs of a pipeline: the states of a run, of its steps and of their tries, and the rules that move them.
//!
//! Everything here is a pure function of what it is given. Who holds a step, and until when, is the store's business.

mod cache;
mod code;
mod concurrency;
mod record;
#[cfg(not(target_arch = "wasm32"))]
mod rerun;
mod retry;
mod state;
mod verdict;

pub use cache::{CacheKey, CacheOutcome, StepCache};
pub use code::{Code, LeftOut, MAX_PATCH};
pub use concurrency::{Admission, Concurrency, ConcurrencyPolicy, MAX_HELD, Turn};
pub use record::{Caveat, Ran, RunOrigin, RunRecord, StepRecord, caveats};
#[cfg(not(target_arch = "wasm32"))]
pub use rerun::RerunFrom;
pub use retry::{AfterAttempt, MAX_LOSSES, after_attempt, retry_delay};
pub use state::{AttemptOutcome, Due, IllegalMove, PipelineRunState, StepCounts, StepState};
pub use verdict::{
    Compared, Difference, Extent, Sameness, Tracked, Verdict, compare_metrics, compare_states, compare_values,
};

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
    /// Which one, by its id: the alert of a trigger, the schedule, the run that it is again.
    pub cause_id: Option<String>,
    /// What that was called then: `nightly`, `#12`.
    pub cause_name: Option<String>,
    /// The time that it is for: of a schedule's fire, or of a backfill's date.
    pub cause_at: Option<DateTime<Utc>>,
    /// How many runs led to it, each by the end of the one before.
    pub depth: i32,
    /// Since when it waits for other runs of its pipeline to end.
    pub held_at: Option<DateTime<Utc>>,
    /// Who started it, when a member did.
    pub started_by: Option<UserId>,
    /// The name of who or what started it.
    pub started_by_name: String,
    /// Whether its steps may use what steps gave before.
    pub use_cache: bool,
    /// The code that it was started from, when that is known.
    pub code: Option<Code>,
    /// The number of the run that it does again from its record, to see whether it comes to the same.
    pub reproduces: Option<i64>,
    /// What came of that, once it has ended.
    pub verdict: Option<Verdict>,
    /// When somebody asked to cancel it.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its first step began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl PipelineRun {
    /// The page of what started it, as a path below the workspace's address. Whatever is called so may have been deleted or
    /// have another name since.
    #[must_use]
    pub fn cause_page(&self) -> Option<String> {
        let name = self.cause_name.as_deref()?;
        let number = || name.rsplit_once('#').map(|(_, number)| number).filter(|number| number.parse::<i64>().is_ok());
        match self.cause {
            RunCause::Person | RunCause::Api => None,
            RunCause::Schedule => Some(format!("schedules/{name}")),
            RunCause::PushHook => Some(format!("push-hooks/{name}")),
            RunCause::Backfill => number().map(|number| format!("backfills/{number}")),
            RunCause::Trigger if name.starts_with("alert #") => number().map(|number| format!("alerts/{number}")),
            RunCause::Trigger | RunCause::Rerun | RunCause::Reproduction | RunCause::Step => {
                number().map(|number| format!("pipeline-runs/{number}"))
            }
        }
    }
}

/// What started a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunCause {
    /// Somebody in the browser.
    Person,
    /// A token.
    #[default]
    Api,
    /// A trigger: an alert opened, another pipeline's run ended, a data set has a new version.
    Trigger,
    /// A schedule, at its time.
    Schedule,
    /// A push that a forge told of.
    PushHook,
    /// A backfill, for one of its dates.
    Backfill,
    /// Somebody who ran another run again, from its failed steps or from one of them.
    Rerun,
    /// A step of another pipeline's run.
    Step,
    /// Somebody who does another run again from its record, to see whether it comes to the same.
    Reproduction,
}

impl RunCause {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Person,
        Self::Api,
        Self::Trigger,
        Self::Schedule,
        Self::PushHook,
        Self::Backfill,
        Self::Rerun,
        Self::Step,
        Self::Reproduction,
    ];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Api => "api",
            Self::Trigger => "trigger",
            Self::Schedule => "schedule",
            Self::PushHook => "push_hook",
            Self::Backfill => "backfill",
            Self::Rerun => "rerun",
            Self::Step => "step",
            Self::Reproduction => "reproduction",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text)
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
    /// The page of what started it, as a path below the workspace's address.
    pub cause_page: Option<String>,
}
