//! Promotion: a request to bring a version into an environment, the evidence of its gates, the decisions of people, and
//! the one table of legal moves between its states.

mod decision;
mod electorate;
pub mod gate;
pub mod golden;
mod golden_rows;
#[cfg(test)]
mod histories;
mod replay;
mod simulation;
mod state;
mod statistics;
mod subject;

pub use decision::{Decision, DecisionVerdict, standing};
pub use electorate::{Bar, Candidacy, Electorate, Lineage, Person, RuleStanding, StandIn, Vote, key};
pub use gate::{Finding, Gate, Verdict, better_by_rows, better_than_champion, metric_threshold};
pub use golden_rows::{GoldenRows, MAX_SHOWN_BYTES};
pub use replay::{
    AnswerDifference, AnsweredTwice, DecisionBasis, DecisionFlip, FlipRate, FlipSegment, MAX_FLIP_SEGMENTS,
    MAX_REPLAY_EXAMPLES, MAX_REPLAY_ROWS, NotReplayed, PromotionReplay, REPLAY_ROWS, REPLAY_TOLERANCE, Replay,
    ReplayAbout, ReplayExample, ReplayState,
};
pub use simulation::{
    Basis, Past, PolicySimulation, Simulated, SimulatedGate, SimulatedPromotion, SimulatedRule, simulate,
};
pub use state::{Attempt, Facts, GatesStand, PromotionState, advance, together};
pub use statistics::{
    EnvironmentStatistics, PolicyStatistics, PromotionCounts, PromotionStatistics, Rejection, RuleStatistics,
};
pub use subject::{Evidence, ServingConfig, Subject, TrafficPlan};

use crate::{
    digest::Digest,
    id::{EnvironmentId, EvidenceId, ModelVersionId, OverrideId, PromotionId, UserId, WorkspaceId},
    policy::{Better, PolicySet},
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
    /// When it expires, unless it was deployed or ended before.
    pub expires_at: DateTime<Utc>,
    /// When everybody asked had agreed; none while they have not.
    pub approved_at: Option<DateTime<Utc>>,
    /// The promotion that this one asks again for, when it does.
    pub again: Option<i64>,
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
    /// The policies it is held against.
    pub policies: PolicySet,
    /// How each rule stands: who voted, who can still, who cannot and why.
    pub rules: Vec<RuleStanding>,
    /// Gates or a freeze set aside by two people, oldest first.
    pub overrides: Vec<Override>,
    /// What was uploaded, the last of each name.
    pub evidence: Vec<Uploaded>,
    /// The number of the version that it would replace, or at its end was to replace; none when there is none.
    pub champion: Option<i32>,
    /// Metrics of the version's run beside the champion's.
    pub metrics: Vec<MetricComparison>,
}

/// What somebody says of a version besides what its run logged: a report, a check of a data set, an answer from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Uploaded {
    /// The evidence.
    pub id: EvidenceId,
    /// What it is about: `dataset/customers`, `security-scan`. Of several of one name the last counts.
    pub name: String,
    /// What it says.
    pub content: serde_json::Value,
    /// SHA-256 of the content's canonical JSON.
    pub digest: Digest,
    /// Who uploaded it.
    pub uploaded_by: Option<UserId>,
    /// Their name then.
    pub uploader: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What two people set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OverrideKind {
    /// Gates that failed or could not tell.
    Gates,
    /// A freeze, or a change window that is not open.
    Freeze,
}

impl OverrideKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Gates, Self::Freeze];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gates => "gates",
            Self::Freeze => "freeze",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Break-glass: somebody asks for gates or a freeze to be set aside, somebody else confirms it, and a review afterwards
/// says whether that was right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Override {
    /// The override.
    pub id: OverrideId,
    /// The promotion's number.
    pub promotion_number: i64,
    /// What is set aside.
    pub kind: OverrideKind,
    /// Why it cannot wait.
    pub reason: String,
    /// The digest of the subject that it is for: another subject is not overridden.
    pub subject_digest: Digest,
    /// Who asked.
    pub opened_by: UserId,
    /// Their name then.
    pub opener: String,
    /// When.
    pub opened_at: DateTime<Utc>,
    /// Who confirmed it.
    pub confirmed_by: Option<UserId>,
    /// Their name then.
    pub confirmer: Option<String>,
    /// When. From then on it holds, and its review is open.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Until when the review should be closed.
    pub review_due_at: Option<DateTime<Utc>>,
    /// Who closed the review.
    pub reviewer: Option<String>,
    /// What the review found.
    pub review: Option<String>,
    /// When the review was closed.
    pub reviewed_at: Option<DateTime<Utc>>,
}

impl Override {
    /// Whether it holds for this subject.
    #[must_use]
    pub fn holds(&self, kind: OverrideKind, digest: &Digest) -> bool {
        self.kind == kind && self.confirmed_at.is_some() && self.subject_digest == *digest
    }

    /// Whether somebody must still say whether it was right.
    #[must_use]
    pub fn awaits_review(&self) -> bool {
        self.confirmed_at.is_some() && self.reviewed_at.is_none()
    }
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
