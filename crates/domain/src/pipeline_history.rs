//! What lists and pages show of pipelines: summaries, a run with its steps, lines of a log.

use crate::{
    pipeline::Pipeline,
    pipeline_run::{PipelineRun, PipelineRunState},
    step::Step,
};
use serde::{Deserialize, Serialize};

/// A pipeline in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineSummary {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The number of its newest version.
    pub latest_version: i32,
    /// Its last run.
    pub last_run: Option<PipelineRun>,
    /// The states of its last runs, newest first, up to twelve.
    pub recent: Vec<PipelineRunState>,
}

/// A run in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PipelineRunSummary {
    /// The run.
    pub run: PipelineRun,
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
