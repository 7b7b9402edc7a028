//! What webhooks are told of promotions: each move, each vote, each step of an override. These are ours, and no MLflow client
//! is shown them.

use crate::promotion::{Promotion, PromotionState};
use serde_json::{Map, Value, json};

/// Something that happens to a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PromotionEvent {
    /// It was written down; nobody is asked yet.
    Drafted,
    /// It was asked for.
    Requested,
    /// Its gates run again.
    GatesRestarted,
    /// Something outside is asked by one of its gates, and told where to answer.
    GateRequested,
    /// Its gates passed, or are overridden: people are asked.
    GatesPassed,
    /// A gate failed or could not tell.
    Blocked,
    /// Somebody approved it.
    Approved,
    /// Somebody asked for changes.
    ChangesRequested,
    /// Everybody asked has approved it.
    Agreed,
    /// It waits for its time.
    Scheduled,
    /// Its version is being loaded.
    Deploying,
    /// Its version is being tried.
    Verifying,
    /// Its version serves.
    Live,
    /// Somebody said no.
    Rejected,
    /// It expires soon.
    Expiring,
    /// It stood for too long.
    Expired,
    /// It was taken back.
    Withdrawn,
    /// What was agreed on no longer holds.
    Invalidated,
    /// Another version went live.
    Superseded,
    /// The deployment did not work.
    Aborted,
    /// It was live, and was rolled back.
    RolledBack,
    /// Somebody asked for gates or a freeze to be set aside.
    OverrideOpened,
    /// Somebody else confirmed that.
    OverrideConfirmed,
    /// Somebody said whether that was right.
    OverrideReviewed,
    /// Nobody has said so in time.
    OverrideReviewOverdue,
}

impl PromotionEvent {
    /// All of them, in the order in which they may happen.
    pub const ALL: [Self; 25] = [
        Self::Drafted,
        Self::Requested,
        Self::GatesRestarted,
        Self::GateRequested,
        Self::GatesPassed,
        Self::Blocked,
        Self::Approved,
        Self::ChangesRequested,
        Self::Agreed,
        Self::Scheduled,
        Self::Deploying,
        Self::Verifying,
        Self::Live,
        Self::Rejected,
        Self::Expiring,
        Self::Expired,
        Self::Withdrawn,
        Self::Invalidated,
        Self::Superseded,
        Self::Aborted,
        Self::RolledBack,
        Self::OverrideOpened,
        Self::OverrideConfirmed,
        Self::OverrideReviewed,
        Self::OverrideReviewOverdue,
    ];

    /// Its name among the events of webhooks.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drafted => "promotion.drafted",
            Self::Requested => "promotion.requested",
            Self::GatesRestarted => "promotion.gates_restarted",
            Self::GateRequested => "promotion.gate_requested",
            Self::GatesPassed => "promotion.gates_passed",
            Self::Blocked => "promotion.blocked",
            Self::Approved => "promotion.approved",
            Self::ChangesRequested => "promotion.changes_requested",
            Self::Agreed => "promotion.agreed",
            Self::Scheduled => "promotion.scheduled",
            Self::Deploying => "promotion.deploying",
            Self::Verifying => "promotion.verifying",
            Self::Live => "promotion.live",
            Self::Rejected => "promotion.rejected",
            Self::Expiring => "promotion.expiring",
            Self::Expired => "promotion.expired",
            Self::Withdrawn => "promotion.withdrawn",
            Self::Invalidated => "promotion.invalidated",
            Self::Superseded => "promotion.superseded",
            Self::Aborted => "promotion.aborted",
            Self::RolledBack => "promotion.rolled_back",
            Self::OverrideOpened => "promotion.override_opened",
            Self::OverrideConfirmed => "promotion.override_confirmed",
            Self::OverrideReviewed => "promotion.override_reviewed",
            Self::OverrideReviewOverdue => "promotion.override_review_overdue",
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Drafted => "A promotion is drafted",
            Self::Requested => "A promotion is requested",
            Self::GatesRestarted => "The gates of a promotion run again",
            Self::GateRequested => "An external gate asks for an answer",
            Self::GatesPassed => "The gates of a promotion passed; people are asked",
            Self::Blocked => "A promotion is blocked by its gates",
            Self::Approved => "Somebody approves a promotion",
            Self::ChangesRequested => "Somebody requests changes to a promotion",
            Self::Agreed => "Everybody asked has approved a promotion",
            Self::Scheduled => "A promotion waits for its time",
            Self::Deploying => "The version of a promotion is being loaded",
            Self::Verifying => "The version of a promotion is being verified",
            Self::Live => "A promotion is live",
            Self::Rejected => "A promotion is rejected",
            Self::Expiring => "A promotion expires soon",
            Self::Expired => "A promotion expires",
            Self::Withdrawn => "A promotion is withdrawn",
            Self::Invalidated => "A promotion is invalidated",
            Self::Superseded => "A promotion is superseded",
            Self::Aborted => "The deployment of a promotion is given up",
            Self::RolledBack => "A promotion is rolled back",
            Self::OverrideOpened => "Somebody asks to override gates or a freeze",
            Self::OverrideConfirmed => "An override is confirmed",
            Self::OverrideReviewed => "An override is reviewed",
            Self::OverrideReviewOverdue => "The review of an override is overdue",
        }
    }

    /// What is told of a move.
    #[must_use]
    pub fn of_move(from: PromotionState, to: PromotionState) -> Option<Self> {
        use PromotionState as S;
        Some(match to {
            S::Draft => return None,
            // It is told of as requested.
            S::GatesRunning if from == S::Draft => return None,
            S::GatesRunning => Self::GatesRestarted,
            S::Blocked => Self::Blocked,
            S::AwaitingApproval => Self::GatesPassed,
            S::Approved => Self::Agreed,
            S::Scheduled => Self::Scheduled,
            S::Deploying => Self::Deploying,
            S::Verifying => Self::Verifying,
            S::Live => Self::Live,
            S::Rejected => Self::Rejected,
            S::Expired => Self::Expired,
            S::Withdrawn => Self::Withdrawn,
            S::Invalidated => Self::Invalidated,
            S::Superseded => Self::Superseded,
            S::Aborted => Self::Aborted,
            S::RolledBack => Self::RolledBack,
        })
    }

    /// What is told of a line of history that goes with no move.
    #[must_use]
    pub fn of_history(action: &str) -> Option<Self> {
        let event = Self::ALL.into_iter().find(|event| event.as_str() == action)?;
        matches!(
            event,
            Self::Drafted
                | Self::Requested
                | Self::Approved
                | Self::ChangesRequested
                | Self::Expiring
                | Self::OverrideOpened
                | Self::OverrideConfirmed
                | Self::OverrideReviewed
                | Self::OverrideReviewOverdue
        )
        .then_some(event)
    }

    /// What a delivery says: how the promotion stands, and `more` by name. Its address is a path until it is sent; see
    /// [`completed`].
    #[must_use]
    pub fn data(promotion: &Promotion, path: &str, more: Value) -> Value {
        let mut data = json!({
            "number": promotion.number,
            "title": promotion.title(),
            "state": promotion.state,
            "reason": promotion.state_reason,
            "model": promotion.model,
            "version": promotion.version.to_string(),
            "environment": promotion.environment,
            "subject_digest": promotion.subject_digest,
            "requester": promotion.requester,
            "comment": promotion.comment,
            "expires_at": promotion.expires_at,
            "url": path,
        });
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        data
    }

    /// What is said when a webhook is tried, though nothing happened.
    #[must_use]
    pub fn example(self) -> Value {
        let state = PromotionState::ALL
            .into_iter()
            .find(|to| Self::of_move(PromotionState::Blocked, *to) == Some(self))
            .unwrap_or(PromotionState::AwaitingApproval);
        json!({
            "number": 1, "title": "example_model v1 → production", "state": state, "reason": "", "model": "example_model",
            "version": "1", "environment": "production", "subject_digest": null, "requester": "Example requester",
            "comment": "An example promotion", "expires_at": "2030-01-01T00:00:00Z", "url": "/promotions/1",
        })
    }
}

/// What happens to these is told with addresses.
const ENTITIES: [&str; 2] = ["promotion", "step_approval"];
/// The fields of what is told of a promotion that are addresses.
const ADDRESSES: [&str; 2] = ["url", "answer_url"];

/// The body as it is sent: addresses begin with the server's, which only who sends it knows. What is neither told of a
/// promotion or a step nor to a chat stays as it is, byte for byte.
#[must_use]
pub fn completed(body: &str, base: &str) -> Option<String> {
    if let Some(finished) = super::chat::finished(body, base) {
        return Some(finished);
    }
    let is_ours = ENTITIES.iter().any(|entity| body.starts_with(&format!("{{\"entity\":\"{entity}\",")));
    if base.is_empty() || !is_ours {
        return None;
    }
    let mut value: Map<String, Value> = serde_json::from_str(body).ok()?;
    let data = value.get_mut("data").and_then(Value::as_object_mut)?;
    for name in ADDRESSES {
        if let Some(Value::String(address)) = data.get_mut(name)
            && address.starts_with('/')
        {
            address.insert_str(0, base);
        }
    }
    serde_json::to_string(&value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::{Announced, WebhookEvent};
    use chrono::DateTime;

    #[test]
    fn every_move_but_into_the_gates_the_first_time_is_told_of() {
        for from in PromotionState::ALL {
            for to in from.next() {
                let told = PromotionEvent::of_move(from, *to);
                assert_eq!(told.is_none(), from == PromotionState::Draft && *to == PromotionState::GatesRunning);
            }
        }
    }

    #[test]
    fn a_move_is_told_of_once_and_so_is_what_goes_with_none() {
        use PromotionEvent as E;
        for twice in ["promotion.rejected", "promotion.gates_passed", "promotion.agreed", "promotion.gates_restarted"] {
            assert_eq!(E::of_history(twice), None, "{twice}");
        }
        for (action, event) in [
            ("promotion.drafted", E::Drafted),
            ("promotion.requested", E::Requested),
            ("promotion.approved", E::Approved),
            ("promotion.changes_requested", E::ChangesRequested),
            ("promotion.expiring", E::Expiring),
            ("promotion.override_review_overdue", E::OverrideReviewOverdue),
        ] {
            assert_eq!(E::of_history(action), Some(event));
        }
        assert_eq!(E::of_history("promotion.evidence_uploaded"), None);
        assert_eq!(E::of_history("model.created"), None);
    }

    #[test]
    fn addresses_are_completed_and_nothing_that_people_wrote() {
        let data = json!({ "url": "/w/lab/promotions/7", "comment": "\"url\":\"/w/lab/promotions/7\"" });
        let event = WebhookEvent::Promotion(PromotionEvent::Live);
        let body = serde_json::to_string(&Announced::new(event, DateTime::UNIX_EPOCH, &data, "lab")).unwrap();
        let sent: Value = serde_json::from_str(&completed(&body, "https://slipway.example").unwrap()).unwrap();
        assert_eq!(sent["data"]["url"], "https://slipway.example/w/lab/promotions/7");
        assert_eq!(sent["data"]["comment"], data["comment"]);
        assert_eq!((&sent["entity"], &sent["action"]), (&json!("promotion"), &json!("live")));
        assert_eq!(completed(&body, ""), None);
        let other = Announced::new(WebhookEvent::ModelVersionCreated, DateTime::UNIX_EPOCH, &data, "lab");
        assert_eq!(completed(&serde_json::to_string(&other).unwrap(), "https://slipway.example"), None);
    }
}
