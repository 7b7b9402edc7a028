//! Experiments: named groups of runs.

use crate::{
    id::{ExperimentId, WorkspaceId},
    policy::Better,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tag that is what people wrote about an experiment or a run, in Markdown.
pub const NOTE_TAG: &str = "mlflow.note.content";

/// Whether an object is in use or was put away. What was put away can be read and brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LifecycleStage {
    /// In use.
    Active,
    /// Put away; writes are refused.
    Deleted,
}

impl LifecycleStage {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Deleted].into_iter().find(|stage| stage.as_str() == text)
    }
}

/// Which lifecycle stages a search looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewType {
    /// What is in use.
    #[default]
    #[serde(rename = "ACTIVE_ONLY")]
    ActiveOnly,
    /// What was put away.
    #[serde(rename = "DELETED_ONLY")]
    DeletedOnly,
    /// Both.
    #[serde(rename = "ALL")]
    All,
}

/// A named group of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Experiment {
    /// The experiment.
    pub id: ExperimentId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace, also among deleted ones.
    pub name: String,
    /// Whether this is the experiment `0` of its workspace.
    pub is_default: bool,
    /// In use or put away.
    pub lifecycle_stage: LifecycleStage,
    /// Made, in milliseconds since 1970.
    pub creation_time: i64,
    /// Last changed, in milliseconds since 1970.
    pub last_update_time: i64,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
}

/// An experiment in a list, with what its runs come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExperimentSummary {
    /// The experiment.
    pub experiment: Experiment,
    /// How many active runs it has.
    pub runs: i64,
    /// How many of them are running.
    pub running: i64,
    /// When its last run started, in milliseconds since 1970.
    pub last_run_at: Option<i64>,
}

/// What the runs of an experiment are held against: the version in production that came from one of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Champion {
    /// Its model's name.
    pub model: String,
    /// Its number.
    pub version: i32,
    /// The metrics of its run.
    pub metrics: BTreeMap<String, f64>,
    /// Which way is better, for the metrics that a gate of production names.
    pub better: BTreeMap<String, Better>,
}
