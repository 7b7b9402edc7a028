//! Approvals in pipelines: a step that waits until the people whom its rules name agree. The rules are those of policies.

use crate::{
    digest::Digest,
    duration::Span,
    id::{PolicyId, StepId, UserId, WorkspaceId},
    pipeline::ParamValue,
    policy::{DEFAULT_EXPIRY, Distinct, Policy, PolicyDocument, PolicySet, Rule},
    step::OutputVersion,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How decisions name the rules of an approval: `approval/risk`.
pub const POLICY_NAME: &str = "approval";

/// What an approval asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalSpec {
    /// People; every rule must be satisfied. Never none.
    pub rules: Vec<Rule>,
    /// How long it stands before it expires.
    #[serde(default = "default_expiry", skip_serializing_if = "is_default_expiry")]
    pub expires_after: Span,
    /// Whether whoever decides gives the password again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reauthenticate: bool,
}

fn default_expiry() -> Span {
    DEFAULT_EXPIRY
}

fn is_default_expiry(span: &Span) -> bool {
    *span == DEFAULT_EXPIRY
}

impl ApprovalSpec {
    /// What a document asks for, as far as it asks people.
    ///
    /// # Errors
    /// A sentence, when it asks nobody, or for somebody other than whom only a version of a model has.
    pub fn of(document: PolicyDocument) -> Result<Self, String> {
        let PolicyDocument { rules, expires_after, reauthenticate, .. } = document;
        if rules.is_empty() {
            return Err("An approval asks somebody: give it rules, or so many approvals.".to_owned());
        }
        for rule in &rules {
            let of_versions = |distinct: &&Distinct| !matches!(distinct, Distinct::Requester | Distinct::Rule(_));
            if let Some(distinct) = rule.distinct_from.iter().find(of_versions) {
                return Err(format!(
                    "Rule \"{}\": \"{distinct}\" says nothing of a step; its people can be others than the requester, who \
                     started the run, and than those of another rule (rule:NAME).",
                    rule.name
                ));
            }
        }
        Ok(Self { rules, expires_after, reauthenticate })
    }

    /// The same as the one policy that is asked about it.
    #[must_use]
    pub fn policies(&self, workspace: WorkspaceId, at: DateTime<Utc>) -> PolicySet {
        let document = PolicyDocument {
            rules: self.rules.clone(),
            expires_after: self.expires_after,
            reauthenticate: self.reauthenticate,
            ..PolicyDocument::default()
        };
        let digest = Digest::of_json(&document).unwrap_or_else(|_| unreachable!("a document has a JSON form"));
        PolicySet::pinned([Policy {
            id: PolicyId::new(),
            workspace_id: workspace,
            name: POLICY_NAME.to_owned(),
            revision: 1,
            document,
            source: None,
            digest,
            retired: false,
            created_at: at,
            created_by: String::new(),
        }])
    }
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// People are asked.
    AwaitingApproval,
    /// Everybody asked agreed: the step has succeeded.
    Approved,
    /// Somebody said no: the step has failed.
    Rejected,
    /// It stood for too long: the step has failed.
    Expired,
    /// The run was cancelled.
    Cancelled,
}

impl ApprovalState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::AwaitingApproval, Self::Approved, Self::Rejected, Self::Expired, Self::Cancelled];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The name for people, to end the sentence "It …".
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaits approval",
            Self::Approved => "was approved",
            Self::Rejected => "was rejected",
            Self::Expired => "expired",
            Self::Cancelled => "was cancelled",
        }
    }

    /// Whether it can still be decided on. From there it ends in any of the others, and from those it goes nowhere.
    #[must_use]
    pub fn is_open(self) -> bool {
        self == Self::AwaitingApproval
    }
}

/// What people are shown that decide: an output of another step, a version of a dataset or model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalInput {
    /// Which: `evaluate.accuracy`, `dataset wine-rows@latest`.
    pub from: String,
    /// What it says, when it is a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub value: Option<serde_json::Value>,
    /// Of its content; none when it was not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Which version it is, of a dataset or model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<OutputVersion>,
}

/// A step that waits for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepApproval {
    /// The step.
    pub step_id: StepId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// The run's number.
    pub run: i64,
    /// The run's pipeline.
    pub pipeline: String,
    /// The step's name in the run.
    pub step: String,
    /// What it is for.
    pub description: String,
    /// What it asks for.
    pub asks: ApprovalSpec,
    /// The params of the run.
    pub params: BTreeMap<String, ParamValue>,
    /// What it takes from other steps, by name.
    pub inputs: BTreeMap<String, ApprovalInput>,
    /// What people agree to. A decision names the digest that its author saw.
    pub digest: Digest,
    /// Where it stands.
    pub state: ApprovalState,
    /// Why it stands there; empty when there is nothing to say.
    pub state_reason: String,
    /// Who started the run; none when that is no user.
    pub requested_by: Option<UserId>,
    /// The person behind a pipeline's step that started it.
    pub on_behalf_of: Option<UserId>,
    /// Their name then.
    pub requester: String,
    /// When people were asked.
    pub created_at: DateTime<Utc>,
    /// Until when it stands.
    pub expires_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl StepApproval {
    /// `release of train #12`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} of {} #{}", self.step, self.pipeline, self.run)
    }
}

/// What people agree to when they agree to a step: what the run is made of so far, and who is asked.
#[derive(Debug, Serialize)]
pub struct ApprovalSubject<'a> {
    /// The run's number.
    pub run: i64,
    /// The version of the file, by digest.
    pub version: &'a Digest,
    /// The step's name in the run.
    pub step: &'a str,
    /// All params that it sees.
    pub params: &'a BTreeMap<String, ParamValue>,
    /// What it takes.
    pub inputs: &'a BTreeMap<String, ApprovalInput>,
    /// Who is asked for what.
    pub asks: &'a ApprovalSpec,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_states_name_is_read_again_and_only_one_is_open() {
        for state in ApprovalState::ALL {
            assert_eq!(ApprovalState::parse(state.as_str()), Some(state));
        }
        assert_eq!(ApprovalState::ALL.iter().filter(|state| state.is_open()).count(), 1);
    }

    #[test]
    fn an_approval_asks_somebody_and_of_nothing_that_only_versions_have() {
        let of = |rules: serde_json::Value| {
            ApprovalSpec::of(serde_json::from_value(serde_json::json!({ "rules": rules })).unwrap())
        };
        assert!(of(serde_json::json!([])).unwrap_err().contains("asks somebody"));
        let rule = |distinct: &str| serde_json::json!([{ "name": "risk", "eligible": { "roles": ["approver"] }, "distinct_from": [distinct] }]);
        assert!(of(rule("trainer")).unwrap_err().contains("\"trainer\" says nothing of a step"));
        assert_eq!(of(rule("requester")).unwrap().rules.len(), 1);
    }
}
