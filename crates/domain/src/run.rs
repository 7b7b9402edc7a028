//! Runs: what a training logged. Written through MLflow's clients, read everywhere.

use crate::{
    experiment::LifecycleStage,
    id::{ExperimentId, LoggedModelId, PipelineRunId, RunId, UserId, WorkspaceId},
    series::Point,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a run stands, in MLflow's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum RunStatus {
    Running,
    Scheduled,
    Finished,
    Failed,
    Killed,
}

impl RunStatus {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// Reads the name, in upper case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Scheduled, Self::Finished, Self::Failed, Self::Killed]
            .into_iter()
            .find(|status| status.as_str() == text)
    }
}

/// One logged value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Metric {
    /// Which metric.
    pub key: String,
    /// The value; not a number is allowed and kept.
    pub value: f64,
    /// When the client says it was measured, in milliseconds since 1970.
    pub timestamp: i64,
    /// Which step of the training.
    pub step: i64,
}

/// A run without what was logged to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunInfo {
    /// The run.
    pub id: RunId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its experiment.
    pub experiment_id: ExperimentId,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// In use or put away.
    pub lifecycle_stage: LifecycleStage,
    /// Started, as the client says, in milliseconds since 1970.
    pub start_time: i64,
    /// Ended, as the client says.
    pub end_time: Option<i64>,
    /// Who logged it: the credential's owner.
    pub user_id: Option<UserId>,
    /// The name the client gave as its user.
    pub user_name: String,
}

/// A data set that a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatasetInput {
    /// Its name.
    pub name: String,
    /// The digest that the client computed.
    pub digest: String,
    /// What kind of place it came from.
    pub source_type: String,
    /// Where it came from. Never opened by the server.
    pub source: String,
    /// Its columns, as the client wrote them.
    pub schema: Option<String>,
    /// Its size and the like, as the client wrote it.
    pub profile: Option<String>,
    /// Tags of this use of the data set, such as `mlflow.data.context`.
    pub tags: BTreeMap<String, String>,
}

/// A logged model that a run read or wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModelLink {
    /// The model.
    pub model_id: LoggedModelId,
    /// The step at which it was written; 0 for a model that was read.
    pub step: i64,
}

/// A run with the latest of all that was logged to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// The run itself.
    pub info: RunInfo,
    /// The latest value of each metric: of the greatest step, then time, then value.
    pub metrics: Vec<Metric>,
    /// Parameters by key.
    pub params: BTreeMap<String, String>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
    /// What it read.
    pub datasets: Vec<DatasetInput>,
    /// Logged models that it read.
    pub model_inputs: Vec<ModelLink>,
    /// Logged models that it wrote.
    pub model_outputs: Vec<ModelLink>,
}

impl Run {
    /// The latest value of a metric.
    #[must_use]
    pub fn metric(&self, key: &str) -> Option<f64> {
        self.metrics.iter().find(|metric| metric.key == key).map(|metric| metric.value)
    }
}

/// What made a run and what it made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunLineage {
    /// The pipeline run whose step logged it: id, pipeline's name, number.
    pub pipeline_run: Option<(PipelineRunId, String, i64)>,
    /// Registered versions made from it: model name, version.
    pub versions: Vec<(String, i32)>,
}

/// A run in a table: what it is, and the values of the columns that are shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunRow {
    /// The run.
    pub info: RunInfo,
    /// The latest value of each shown metric that it has.
    pub metrics: BTreeMap<String, f64>,
    /// Each shown parameter that it has.
    pub params: BTreeMap<String, String>,
    /// The data sets that it read, by name.
    pub datasets: Vec<String>,
    /// Registered versions made from it: model name, version.
    pub versions: Vec<(String, i32)>,
}

/// A page of an experiment's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunTable {
    /// The runs, in order.
    pub rows: Vec<RunRow>,
    /// The metrics that are shown, in order.
    pub metric_keys: Vec<String>,
    /// The parameters that are shown, in order.
    pub param_keys: Vec<String>,
    /// How many active runs the experiment has.
    pub total: i64,
    /// How many of them the filter leaves.
    pub filtered: i64,
    /// Ask with this for the runs after these; absent on the last page.
    pub next_page_token: Option<String>,
}

/// The points of one metric of a run, thinned for a chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricSeries {
    /// Which metric.
    pub key: String,
    /// How many points were logged.
    pub total: i64,
    /// Points by step and time: the first, the last, and the least and the greatest of each stretch between.
    pub points: Vec<Point>,
}

/// A curve of one of several runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunSeries {
    /// Whose.
    pub run_id: RunId,
    /// The metric and its points.
    #[serde(flatten)]
    pub series: MetricSeries,
}

/// A file or folder among the artifacts of a run or logged model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ArtifactEntry {
    /// The path below the artifact root, with `/`.
    pub path: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes, for a file.
    pub size: Option<i64>,
}
