//! What people decide. Who may, and what it counts for, is in `electorate`.

use crate::{
    digest::Digest,
    id::{DecisionId, UserId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A person's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DecisionVerdict {
    /// Yes.
    Approve,
    /// No; the promotion ends.
    Reject,
    /// Not like this: nothing goes on until whoever said so approves, or what is asked for changes.
    RequestChanges,
}

impl DecisionVerdict {
    /// All verdicts.
    pub const ALL: [Self; 3] = [Self::Approve, Self::Reject, Self::RequestChanges];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::RequestChanges => "request_changes",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text)
    }

    /// As a verb of the past, to end the sentence "You have …".
    #[must_use]
    pub fn past(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Reject => "rejected",
            Self::RequestChanges => "requested changes to",
        }
    }
}

/// What a person decided, on exactly what. Never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// The decision.
    pub id: DecisionId,
    /// Who.
    pub user_id: UserId,
    /// Their name then.
    pub user_name: String,
    /// Yes, no, or not like this.
    pub verdict: DecisionVerdict,
    /// Why.
    pub comment: String,
    /// The digest of the subject that they saw.
    pub subject_digest: Digest,
    /// What it counts for: `policy/rule`, each. Empty for what is no yes.
    pub rules: Vec<String>,
    /// Whom they stood in for, by rule; none when they count by themselves for all of them.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<BTreeMap<String, String>>))]
    pub acting_for: Option<BTreeMap<String, UserId>>,
    /// What they gave, by rule and name.
    pub inputs: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    /// What they confirmed, by rule.
    pub checked: BTreeMap<String, Vec<String>>,
    /// Whether they gave their password for it.
    pub reauthenticated: bool,
    /// When.
    pub at: DateTime<Utc>,
}

impl Decision {
    /// Whom they stood in for in this rule, `policy/rule`; none when they count by themselves.
    #[must_use]
    pub fn acting_for(&self, rule: &str) -> Option<UserId> {
        self.acting_for.as_ref()?.get(rule).copied()
    }

    /// SHA-256 of its canonical JSON, by which the history knows it.
    ///
    /// # Errors
    /// Never for a value that came from JSON.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Digest::of_json(self)
    }
}

/// The last decision of each person on this digest, in the order in which they were made.
#[must_use]
pub fn standing<'a>(decisions: &'a [Decision], digest: &Digest) -> Vec<&'a Decision> {
    let mut last: BTreeMap<UserId, usize> = BTreeMap::new();
    for (at, decision) in decisions.iter().enumerate().filter(|(_, decision)| decision.subject_digest == *digest) {
        last.insert(decision.user_id, at);
    }
    let mut places: Vec<usize> = last.into_values().collect();
    places.sort_unstable();
    places.into_iter().map(|at| &decisions[at]).collect()
}
