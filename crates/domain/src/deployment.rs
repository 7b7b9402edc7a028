//! Deployments: versions that serve in environments, and what is known of their traffic.

use crate::{
    digest::Digest,
    id::{DeploymentId, EnvironmentId, ModelId, ModelVersionId, PredictionId, PromotionId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    /// Being loaded and tried.
    Deploying,
    /// Answers requests.
    Live,
    /// Another version answers now.
    Retired,
    /// It could not be loaded, or did not answer.
    Failed,
}

impl DeploymentState {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deploying => "deploying",
            Self::Live => "live",
            Self::Retired => "retired",
            Self::Failed => "failed",
        }
    }

    /// All states.
    pub const ALL: [Self; 4] = [Self::Deploying, Self::Live, Self::Retired, Self::Failed];

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Where it may go from here: the whole table of legal moves. What has ended stays ended; a version that comes back
    /// is another deployment.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Deploying => &[Self::Live, Self::Failed],
            Self::Live => &[Self::Retired],
            Self::Retired | Self::Failed => &[],
        }
    }
}

/// A version brought into an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deployment {
    /// The deployment.
    pub id: DeploymentId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// `#12`: its number in the workspace.
    pub number: i64,
    /// In which environment.
    pub environment_id: EnvironmentId,
    /// The environment's name.
    pub environment: String,
    /// Of which model.
    pub model_id: ModelId,
    /// The model's name.
    pub model: String,
    /// Which version.
    pub model_version_id: ModelVersionId,
    /// The version's number.
    pub version: i32,
    /// The digest of the files that serve.
    pub digest: Digest,
    /// The promotion that allowed it.
    pub promotion_id: Option<PromotionId>,
    /// That promotion's number.
    pub promotion_number: Option<i64>,
    /// The deployment that this one rolled back, when it is a rollback.
    pub rollback_of: Option<DeploymentId>,
    /// Where it stands.
    pub state: DeploymentState,
    /// Why it failed, when it did.
    pub state_reason: String,
    /// Who caused it, by name.
    pub created_by: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When it began to answer.
    pub live_at: Option<DateTime<Utc>>,
    /// When another version took over.
    pub retired_at: Option<DateTime<Utc>>,
}

/// Requests over a span of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Traffic {
    /// How many requests.
    pub requests: i64,
    /// How many of them were not answered with a prediction, whoever's fault that was: every status but 200.
    pub errors: i64,
    /// Median latency in milliseconds of those that were answered; a refusal is quick and says nothing of the model.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds of those that were answered.
    pub p99_ms: Option<f64>,
    /// Requests per equal slice of the span, oldest first.
    pub series: Vec<i64>,
}

/// What serves of one model in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Endpoint {
    /// The deployment that answers.
    pub deployment: Deployment,
    /// The version to go back to: live before this one.
    pub previous: Option<i32>,
    /// The last 24 hours.
    pub traffic: Traffic,
    /// Share of drifted features in the last check; none when there was none or it could not tell.
    pub drift_share: Option<f64>,
    /// Whether the last check found drift.
    pub drifted: Option<bool>,
}

/// One answered request, as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Prediction {
    /// The prediction; also in the answer's `x-prediction-id` header.
    pub id: PredictionId,
    /// The id that the client gave its request.
    pub request_id: Option<String>,
    /// The deployment that answered.
    pub deployment_id: DeploymentId,
    /// The version's number.
    pub version: i32,
    /// When.
    pub at: DateTime<Utc>,
    /// The HTTP status of the answer.
    pub status: i16,
    /// How long the answer took, in microseconds.
    pub latency_us: i32,
    /// How many rows it had.
    pub rows: i32,
    /// Each input by name: a list with one value for each row.
    pub features: serde_json::Value,
    /// Each output by name: a list with one value for each row.
    pub output: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_deploying_becomes_live_and_what_has_ended_stays_ended() {
        for from in DeploymentState::ALL {
            let leads_to_live = from.next().contains(&DeploymentState::Live);
            assert_eq!(leads_to_live, from == DeploymentState::Deploying, "{from:?}");
            let has_ended = matches!(from, DeploymentState::Retired | DeploymentState::Failed);
            assert_eq!(from.next().is_empty(), has_ended, "{from:?}");
            assert_eq!(DeploymentState::parse(from.as_str()), Some(from));
        }
    }
}
