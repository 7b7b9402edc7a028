//! Promotion: a request to bring a version into an environment, the evidence of its gates, the decisions of people, and
//! the one table of legal moves between its states.

use crate::{
    digest::Digest,
    environment::{Better, GateSpec, Policy},
    id::{DecisionId, EnvironmentId, ModelVersionId, PromotionId, UserId, WorkspaceId},
    model::Signature,
    user::User,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a promotion stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromotionState {
    /// Its gates are being evaluated.
    GatesRunning,
    /// A gate failed or could not tell. The gates may be run again.
    Blocked,
    /// Its gates passed; people are asked.
    AwaitingApproval,
    /// Everybody asked has agreed.
    Approved,
    /// Its version is being brought into the environment.
    Deploying,
    /// Its version serves.
    Live,
    /// Somebody said no.
    Rejected,
    /// The requester took it back.
    Withdrawn,
    /// What was approved is no longer what would be deployed.
    Invalidated,
    /// A newer promotion of the same model went live first.
    Superseded,
    /// The deployment did not work.
    Failed,
    /// It was live, and was rolled back.
    RolledBack,
}

impl PromotionState {
    /// All states.
    pub const ALL: [Self; 12] = [
        Self::GatesRunning,
        Self::Blocked,
        Self::AwaitingApproval,
        Self::Approved,
        Self::Deploying,
        Self::Live,
        Self::Rejected,
        Self::Withdrawn,
        Self::Invalidated,
        Self::Superseded,
        Self::Failed,
        Self::RolledBack,
    ];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GatesRunning => "gates_running",
            Self::Blocked => "blocked",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Deploying => "deploying",
            Self::Live => "live",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Invalidated => "invalidated",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether anything can still happen to it before it is live.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::GatesRunning | Self::Blocked | Self::AwaitingApproval | Self::Approved | Self::Deploying)
    }

    /// Where it may go from here: the whole table of legal moves.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        use PromotionState as S;
        match self {
            S::GatesRunning => &[S::Blocked, S::AwaitingApproval, S::Withdrawn, S::Invalidated, S::Superseded],
            S::Blocked => &[S::GatesRunning, S::Withdrawn, S::Invalidated, S::Superseded],
            S::AwaitingApproval => {
                &[S::GatesRunning, S::Approved, S::Rejected, S::Withdrawn, S::Invalidated, S::Superseded]
            }
            S::Approved => &[S::Deploying, S::Withdrawn, S::Invalidated, S::Superseded],
            S::Deploying => &[S::Live, S::Failed, S::Invalidated],
            S::Live => &[S::Superseded, S::RolledBack],
            S::Rejected | S::Withdrawn | S::Invalidated | S::Superseded | S::Failed | S::RolledBack => &[],
        }
    }
}

/// What a gate found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not evaluated yet.
    Pending,
    /// The condition holds.
    Pass,
    /// The condition does not hold.
    Fail,
    /// It cannot be told: something is missing or not a number. Never a pass.
    Inconclusive,
}

impl Verdict {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Pass, Self::Fail, Self::Inconclusive].into_iter().find(|verdict| verdict.as_str() == text)
    }
}

/// What a gate measured, and against what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The measured value with its unit, for people.
    pub measured: String,
    /// What it was held against, for people.
    pub limit: String,
    /// Why, in one sentence.
    pub reason: String,
    /// The numbers behind it.
    pub evidence: serde_json::Value,
}

impl Finding {
    /// A finding that could not be made.
    pub fn inconclusive(limit: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            verdict: Verdict::Inconclusive,
            measured: "–".to_owned(),
            limit: limit.into(),
            reason: reason.into(),
            evidence: serde_json::Value::Null,
        }
    }
}

/// Whether a metric reaches its threshold.
#[must_use]
pub fn metric_threshold(metric: &str, better: Better, threshold: f64, value: Option<f64>) -> Finding {
    let limit = match better {
        Better::Higher => format!("≥ {threshold}"),
        Better::Lower => format!("≤ {threshold}"),
    };
    let Some(value) = value else {
        return Finding::inconclusive(limit, format!("The version's run has no metric \"{metric}\"; log it, or change the policy."));
    };
    if value.is_nan() {
        return Finding::inconclusive(limit, format!("\"{metric}\" is not a number."));
    }
    let pass = better.gain(value, threshold) >= 0.0;
    Finding {
        verdict: if pass { Verdict::Pass } else { Verdict::Fail },
        measured: number(value),
        limit,
        reason: if pass { "The threshold is reached.".to_owned() } else { "The threshold is not reached.".to_owned() },
        evidence: serde_json::json!({ "metric": metric, "value": value, "threshold": threshold }),
    }
}

/// Whether a metric is better than the champion's by at least `min_gain`. `champion` is none when there is none, and
/// its value none when its run lacks the metric.
#[must_use]
pub fn better_than_champion(
    metric: &str,
    better: Better,
    min_gain: f64,
    value: Option<f64>,
    champion: Option<(&str, Option<f64>)>,
) -> Finding {
    let Some((title, champion_value)) = champion else {
        return Finding {
            verdict: Verdict::Pass,
            measured: value.map_or_else(|| "–".to_owned(), number),
            limit: "no champion yet".to_owned(),
            reason: "Nothing serves in this environment yet, so there is nothing to beat.".to_owned(),
            evidence: serde_json::json!({ "metric": metric, "value": value.filter(|v| v.is_finite()), "champion": null }),
        };
    };
    let limit = if min_gain > 0.0 { format!("gain ≥ {min_gain} on {title}") } else { format!("no worse than {title}") };
    let (Some(value), Some(theirs)) = (value, champion_value) else {
        let who = if value.is_none() { "The version's run" } else { "The champion's run" };
        return Finding::inconclusive(limit, format!("{who} has no metric \"{metric}\", so the two cannot be compared."));
    };
    let gain = better.gain(value, theirs);
    if gain.is_nan() {
        return Finding::inconclusive(limit, format!("\"{metric}\" is not a number for one of the two."));
    }
    let pass = gain >= min_gain;
    Finding {
        verdict: if pass { Verdict::Pass } else { Verdict::Fail },
        measured: format!("{} ({}{})", number(value), if value >= theirs { "+" } else { "−" }, number((value - theirs).abs())),
        limit,
        reason: if pass { format!("{title} has {}.", number(theirs)) } else { format!("{title} is better, with {}.", number(theirs)) },
        evidence: serde_json::json!({ "metric": metric, "value": value, "champion": title, "champion_value": theirs, "gain": gain }),
    }
}

/// A number with at most four places, for people.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

/// One gate of a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gate {
    /// Its place in the policy, from 0.
    pub position: i32,
    /// What it asks.
    pub spec: GateSpec,
    /// What it found; none while it is pending.
    pub finding: Option<Finding>,
    /// When it was evaluated.
    pub evaluated_at: Option<DateTime<Utc>>,
}

impl Gate {
    /// What it found so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.finding.as_ref().map_or(Verdict::Pending, |finding| finding.verdict)
    }
}

/// Exactly what people agree to. Its digest names it: when any part changes, so does the digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Subject {
    /// The model's name.
    pub model: String,
    /// The version's number.
    pub version: i32,
    /// The digest of the version's files.
    pub model_digest: Option<Digest>,
    /// What it takes and gives.
    pub signature: Option<Signature>,
    /// Where to.
    pub environment: String,
    /// Name and digest of each data set that the version's run read, in order of name.
    pub datasets: Vec<(String, String)>,
    /// The commit of the code, when the run names one.
    pub code: Option<String>,
    /// The digest of the policy in force.
    pub policy_digest: Digest,
    /// The digest of the gates' findings.
    pub evidence_digest: Digest,
    /// The version that serves now and would be replaced.
    pub champion: Option<String>,
}

impl Subject {
    /// SHA-256 of the canonical JSON.
    ///
    /// # Errors
    /// Never for a value that came from JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }
}

/// A person's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DecisionVerdict {
    /// Yes.
    Approve,
    /// No; the promotion ends.
    Reject,
}

impl DecisionVerdict {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Approve, Self::Reject].into_iter().find(|verdict| verdict.as_str() == text)
    }
}

/// What a person decided, on exactly what. Never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// The decision.
    pub id: DecisionId,
    /// Who.
    pub user_id: UserId,
    /// Their name then.
    pub user_name: String,
    /// Yes or no.
    pub verdict: DecisionVerdict,
    /// Why.
    pub comment: String,
    /// The digest of the subject that they saw.
    pub subject_digest: Digest,
    /// When.
    pub at: DateTime<Utc>,
}

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
}

/// Whether somebody may decide on a promotion, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Eligibility {
    /// Who.
    pub user: User,
    /// None when they may; else the reason why not.
    pub barred: Option<String>,
    /// What they decided on the present subject.
    pub decision: Option<DecisionVerdict>,
}

/// Why somebody may not decide on a promotion; none when they may.
#[must_use]
pub fn barred(user: &User, is_approver: bool, requested_by: Option<UserId>) -> Option<String> {
    if user.is_service {
        Some("A service account never counts as a person who decides.".to_owned())
    } else if requested_by == Some(user.id) {
        Some("Requested this promotion.".to_owned())
    } else if !is_approver {
        Some("Is not an approver in this workspace.".to_owned())
    } else {
        None
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
    /// Approvals on the present digest.
    pub approvals: u8,
    /// Who may decide, and who may not and why.
    pub eligible: Vec<Eligibility>,
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

/// What the gates together say about where the promotion goes.
#[must_use]
pub fn after_gates(verdicts: impl IntoIterator<Item = Verdict>) -> PromotionState {
    let mut state = PromotionState::AwaitingApproval;
    for verdict in verdicts {
        match verdict {
            Verdict::Pending => return PromotionState::GatesRunning,
            Verdict::Pass => {}
            Verdict::Fail | Verdict::Inconclusive => state = PromotionState::Blocked,
        }
    }
    state
}

/// Different people who approved this digest, without the requester.
#[must_use]
pub fn count_approvals(decisions: &[Decision], digest: &Digest, requested_by: Option<UserId>) -> u8 {
    let people: std::collections::BTreeSet<_> = decisions
        .iter()
        .filter(|d| d.verdict == DecisionVerdict::Approve && &d.subject_digest == digest && Some(d.user_id) != requested_by)
        .map(|d| d.user_id)
        .collect();
    u8::try_from(people.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn missing_and_nan_metrics_never_pass() {
        for value in [None, Some(f64::NAN)] {
            assert_eq!(metric_threshold("accuracy", Better::Higher, 0.5, value).verdict, Verdict::Inconclusive);
            let champion = Some(("churn v1", Some(0.5)));
            assert_eq!(better_than_champion("accuracy", Better::Higher, 0.0, value, champion).verdict, Verdict::Inconclusive);
        }
        let unknown = Some(("churn v1", None));
        assert_eq!(better_than_champion("a", Better::Higher, 0.0, Some(1.0), unknown).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_lower_loss_beats_the_champion() {
        let champion = Some(("churn v1", Some(0.5)));
        assert_eq!(better_than_champion("loss", Better::Lower, 0.0, Some(0.4), champion).verdict, Verdict::Pass);
        assert_eq!(better_than_champion("loss", Better::Lower, 0.2, Some(0.4), champion).verdict, Verdict::Fail);
    }

    #[test]
    fn the_first_version_has_nothing_to_beat() {
        assert_eq!(better_than_champion("a", Better::Higher, 0.1, Some(0.1), None).verdict, Verdict::Pass);
    }

    #[test]
    fn a_number_is_short_and_has_a_true_minus() {
        assert_eq!(number(0.912_345_6), "0.9123");
        assert_eq!(number(-2.0), "−2");
        assert_eq!(number(100.0), "100");
    }

    #[test]
    fn the_requester_and_one_person_twice_count_once_at_most() {
        let (requester, approver) = (UserId::new(), UserId::new());
        let digest = Digest::blake3([1; 32]);
        let decision = |user_id, subject_digest: &Digest| Decision {
            id: DecisionId::new(),
            user_id,
            user_name: String::new(),
            verdict: DecisionVerdict::Approve,
            comment: String::new(),
            subject_digest: subject_digest.clone(),
            at: DateTime::UNIX_EPOCH,
        };
        let decisions = [
            decision(requester, &digest),
            decision(approver, &digest),
            decision(approver, &digest),
            decision(UserId::new(), &Digest::blake3([2; 32])),
        ];
        assert_eq!(count_approvals(&decisions, &digest, Some(requester)), 1);
    }

    proptest! {
        /// However events come, nothing is live that did not pass its gates, was approved and was deployed.
        #[test]
        fn live_is_reached_only_through_every_station(moves in proptest::collection::vec(0_usize..12, 0..40)) {
            let mut path = vec![PromotionState::GatesRunning];
            for to in moves {
                let (from, to) = (path[path.len() - 1], PromotionState::ALL[to]);
                if from.next().contains(&to) {
                    path.push(to);
                }
            }
            if let Some(live) = path.iter().position(|state| *state == PromotionState::Live) {
                prop_assert_eq!(&path[live - 3..live],
                    &[PromotionState::AwaitingApproval, PromotionState::Approved, PromotionState::Deploying]);
            }
        }
    }
}
