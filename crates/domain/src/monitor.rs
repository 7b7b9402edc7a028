//! Monitors watch the traffic of a deployed model; checks are what they find; alerts are what somebody should look at;
//! triggers start a pipeline when an alert opens.

use crate::{
    drift::FeatureDrift,
    id::{AlertId, DeploymentId, EnvironmentId, ModelId, MonitorId, PipelineRunId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is watched of a model in an environment. There from its first deployment on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Monitor {
    /// The monitor.
    pub id: MonitorId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Whose traffic.
    pub model_id: ModelId,
    /// The model's name.
    pub model: String,
    /// In which environment.
    pub environment_id: EnvironmentId,
    /// The environment's name.
    pub environment: String,
    /// How many of the latest rows a check looks at, at most.
    pub window_rows: i32,
    /// With fewer rows than this a check says nothing.
    pub min_rows: i32,
    /// Whether it checks.
    pub enabled: bool,
}

impl Monitor {
    /// How it is set, in a word that a form sends back: whoever changes it says what they saw.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{}-{}-{}", self.window_rows, self.min_rows, if self.enabled { "on" } else { "off" })
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// The traffic looks like the reference.
    Ok,
    /// At least half of the features drifted.
    Drifted,
    /// Too few rows, or no reference that can be compared with.
    Inconclusive,
}

impl CheckState {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Drifted => "drifted",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Drifted, Self::Inconclusive].into_iter().find(|state| state.as_str() == text)
    }
}

/// One look at the traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// When.
    pub at: DateTime<Utc>,
    /// Whose rows.
    pub deployment_id: DeploymentId,
    /// The deployed version's number.
    pub version: i32,
    /// What it found.
    pub state: CheckState,
    /// Why it could not tell, when it could not.
    pub reason: String,
    /// How many rows it looked at.
    pub rows: i64,
    /// Share of features that drifted, 0 to 1.
    pub share: Option<f64>,
    /// Each feature.
    pub features: Vec<FeatureDrift>,
}

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nobody has looked yet.
    Open,
    /// Somebody looks.
    Acknowledged,
    /// Over.
    Resolved,
}

impl AlertState {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Acknowledged, Self::Resolved].into_iter().find(|state| state.as_str() == text)
    }

    /// Where it may go from here.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Open => &[Self::Acknowledged, Self::Resolved],
            Self::Acknowledged => &[Self::Resolved],
            Self::Resolved => &[],
        }
    }
}

/// A finding that somebody should look at. A monitor has at most one that is not resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Alert {
    /// The alert.
    pub id: AlertId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// `#5`: its number in the workspace.
    pub number: i64,
    /// The monitor that found it.
    pub monitor_id: MonitorId,
    /// The model's name.
    pub model: String,
    /// The environment's name.
    pub environment: String,
    /// The version that served then.
    pub version: i32,
    /// Where it stands.
    pub state: AlertState,
    /// One line: `7 of 13 features drifted`.
    pub summary: String,
    /// When it opened.
    pub opened_at: DateTime<Utc>,
    /// When a check last found the same.
    pub last_seen_at: DateTime<Utc>,
    /// When it was over.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Who acknowledged or resolved it, by name.
    pub handled_by: Option<String>,
}

/// One firing of a trigger, or why it has held back until now: while the alert is there, it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Firing {
    /// When.
    pub at: DateTime<Utc>,
    /// The alert.
    pub alert_id: AlertId,
    /// The run that it started; none when it held back.
    pub pipeline_run_id: Option<PipelineRunId>,
    /// That run's number.
    pub pipeline_run_number: Option<i64>,
    /// Why it held back.
    pub held_back: Option<String>,
}
