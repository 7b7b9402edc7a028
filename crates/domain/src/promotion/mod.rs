//! Promotion: a request to bring a version into an environment, the evidence of its gates, the decisions of people, and
//! the one table of legal moves between its states.

mod decision;
mod gate;
pub mod golden;
mod golden_rows;
mod state;
mod subject;

pub use decision::{Decision, DecisionVerdict, Eligibility, approvals, barred, count_approvals, eligible};
pub use gate::{Finding, Gate, Verdict, better_than_champion, metric_threshold};
pub use golden_rows::{GoldenRows, MAX_SHOWN_BYTES};
pub use state::{PromotionState, after_gates};
pub use subject::{Evidence, Subject};

use crate::{
    digest::Digest,
    environment::{Better, Policy},
    id::{EnvironmentId, ModelVersionId, PromotionId, UserId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A request to bring a version into an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Promotion {
    /// The promotion.
    pub id: PromotionId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// `#87`: its number in the workspace.
    pub number: i64,
    /// The version to promote.
    pub model_version_id: ModelVersionId,
    /// Its model's name.
    pub model: String,
    /// Its number.
    pub version: i32,
    /// Where to.
    pub environment_id: EnvironmentId,
    /// The environment's name.
    pub environment: String,
    /// Where it stands.
    pub state: PromotionState,
    /// Why it stands there, when that needs a word.
    pub state_reason: String,
    /// Who asked.
    pub requested_by: Option<UserId>,
    /// The person who started the pipeline run that asked, when one did. They may not decide either.
    pub on_behalf_of: Option<UserId>,
    /// Their name then.
    pub requester: String,
    /// Why.
    pub comment: String,
    /// What people agree to; none until the gates have run.
    pub subject: Option<Subject>,
    /// The subject's digest.
    pub subject_digest: Option<Digest>,
    /// When it was requested.
    pub created_at: DateTime<Utc>,
    /// When its state last changed.
    pub updated_at: DateTime<Utc>,
}

impl Promotion {
    /// `churn v7 → production`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} v{} → {}", self.model, self.version, self.environment)
    }

    /// `churn v7`.
    #[must_use]
    pub fn version_title(&self) -> String {
        format!("{} v{}", self.model, self.version)
    }
}

/// A promotion with everything an approver looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromotionDetail {
    /// The promotion.
    pub promotion: Promotion,
    /// Its gates, in the policy's order.
    pub gates: Vec<Gate>,
    /// Decisions, oldest first. Those on another digest than the present one no longer count.
    pub decisions: Vec<Decision>,
    /// The policy it is held against.
    pub policy: Policy,
    /// Approvals on the present digest, by people who may decide now.
    pub approvals: u8,
    /// Who may decide, and who may not and why.
    pub eligible: Vec<Eligibility>,
    /// The number of the version that it would replace, or at its end was to replace; none when there is none.
    pub champion: Option<i32>,
    /// Metrics of the version's run beside the champion's.
    pub metrics: Vec<MetricComparison>,
}

/// A metric of a candidate beside the champion's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetricComparison {
    /// Which metric.
    pub key: String,
    /// The candidate's value.
    pub candidate: Option<f64>,
    /// The champion's value.
    pub champion: Option<f64>,
    /// Which way is better, when a gate of the policy says so.
    pub better: Option<Better>,
}
