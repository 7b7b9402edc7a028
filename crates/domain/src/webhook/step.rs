//! What webhooks are told of steps of pipelines that ask people. These are ours, and no MLflow client is shown them.

use crate::step_approval::{ApprovalState, StepApproval};
use serde_json::{Value, json};

/// Something that happens to a step that asks people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepEvent {
    /// People are asked.
    Asked,
    /// Everybody asked agreed.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
}

impl StepEvent {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Asked, Self::Approved, Self::Rejected, Self::Expired];

    /// Its name among the events of webhooks.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "step_approval.asked",
            Self::Approved => "step_approval.approved",
            Self::Rejected => "step_approval.rejected",
            Self::Expired => "step_approval.expired",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Asked => "A step of a pipeline asks for approval",
            Self::Approved => "A step of a pipeline is approved",
            Self::Rejected => "A step of a pipeline is rejected",
            Self::Expired => "The approval of a step of a pipeline expires",
        }
    }

    /// What is told when an approval has come to stand so.
    #[must_use]
    pub fn of(state: ApprovalState) -> Option<Self> {
        match state {
            ApprovalState::AwaitingApproval => Some(Self::Asked),
            ApprovalState::Approved => Some(Self::Approved),
            ApprovalState::Rejected => Some(Self::Rejected),
            ApprovalState::Expired => Some(Self::Expired),
            ApprovalState::Cancelled => None,
        }
    }

    /// What a delivery says. Its address is a path until it is sent.
    #[must_use]
    pub fn data(approval: &StepApproval, path: &str) -> Value {
        json!({
            "run": approval.run,
            "pipeline": approval.pipeline,
            "step": approval.step,
            "title": approval.title(),
            "description": approval.description,
            "state": approval.state,
            "reason": approval.state_reason,
            "subject_digest": approval.digest,
            "requester": approval.requester,
            "expires_at": approval.expires_at,
            "url": path,
        })
    }

    /// What is said when a webhook is tried, though nothing happened.
    #[must_use]
    pub fn example(self) -> Value {
        let state = ApprovalState::ALL.into_iter().find(|state| Self::of(*state) == Some(self));
        json!({
            "run": 1, "pipeline": "example", "step": "release", "title": "release of example #1",
            "description": "An example approval", "state": state, "reason": "", "subject_digest": null,
            "requester": "Example requester", "expires_at": "2030-01-01T00:00:00Z",
            "url": "/pipeline-runs/1?step=release",
        })
    }
}
