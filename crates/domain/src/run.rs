//! Runs: what a training logged. Written through MLflow's clients, read everywhere.

use crate::{
    error::Error,
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
    /// All of them, in the order of MLflow's numbers, which begin at one.
    pub const ALL: [Self; 5] = [Self::Running, Self::Scheduled, Self::Finished, Self::Failed, Self::Killed];

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
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether nothing more is expected of the run.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
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
/// What is kept of a model that an older client logged, out of its MLmodel file as JSON; in the order of MLflow's fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunModel {
    /// The run, as the client says.
    pub run_id: serde_json::Value,
    /// Which folder of the run.
    pub artifact_path: serde_json::Value,
    /// When it was made, as the client says.
    pub utc_time_created: serde_json::Value,
    /// What the client calls it.
    #[serde(default)]
    pub model_uuid: serde_json::Value,
    /// What can load it.
    pub flavors: serde_json::Value,
}

impl RunModel {
    /// Reads the file, which has more than is kept.
    ///
    /// # Errors
    /// When it lacks what every model has.
    pub fn read(model: &serde_json::Value) -> Result<Self, Error> {
        let given = |name: &str| model.get(name).filter(|value| !value.is_null()).cloned();
        let missing: Vec<&str> = ["artifact_path", "flavors", "utc_time_created", "run_id"]
            .into_iter()
            .filter(|name| given(name).is_none())
            .collect();
        if !missing.is_empty() {
            let message = format!("Model json is missing mandatory fields: {}", missing.join(", "));
            return Err(Error::invalid_field("model_json", message));
        }
        let field = |name: &str| given(name).unwrap_or_default();
        let mut flavors = field("flavors");
        for flavor in flavors.as_object_mut().into_iter().flat_map(|flavors| flavors.values_mut()) {
            if let Some(flavor) = flavor.as_object_mut() {
                flavor.remove("config");
            }
        }
        Ok(Self {
            run_id: field("run_id"),
            artifact_path: field("artifact_path"),
            utc_time_created: field("utc_time_created"),
            model_uuid: field("model_uuid"),
            flavors,
        })
    }
}
