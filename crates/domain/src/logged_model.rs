//! Logged models: a model as a run wrote it, before anybody registered it.

use crate::{
    id::{ExperimentId, LoggedModelId, RunId, WorkspaceId},
    run::Metric,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a logged model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoggedModelStatus {
    /// Its files are still being uploaded.
    Pending,
    /// Complete.
    Ready,
    /// The upload failed.
    UploadFailed,
}

impl LoggedModelStatus {
    /// The name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::UploadFailed => "upload_failed",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Ready, Self::UploadFailed].into_iter().find(|status| status.as_str() == text)
    }
}

/// A value of a metric that was logged of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedModelMetric {
    /// The point.
    pub point: Metric,
    /// The run that logged it.
    pub run_id: RunId,
    /// The data set it was measured on, by the name that the client gave; empty when none.
    pub dataset_name: String,
    /// That data set's digest; empty when none.
    pub dataset_digest: String,
}

/// A model as a run wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoggedModel {
    /// The model.
    pub id: LoggedModelId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its experiment.
    pub experiment_id: ExperimentId,
    /// Its name.
    pub name: String,
    /// What the client calls its type.
    pub model_type: String,
    /// The run that wrote it.
    pub source_run_id: Option<RunId>,
    /// How far it is.
    pub status: LoggedModelStatus,
    /// Why it failed, when it did.
    pub status_message: String,
    /// Made, in milliseconds since 1970.
    pub creation_time: i64,
    /// Last changed, in milliseconds since 1970.
    pub last_update_time: i64,
    /// Whether it was put away.
    pub deleted: bool,
    /// Parameters by key.
    pub params: BTreeMap<String, String>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// Every value that was logged of it, by metric, time and step.
    pub metrics: Vec<LoggedModelMetric>,
}
