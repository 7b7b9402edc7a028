//! What policies are asked about, and what a policy for it can ask.

use super::{Distinct, PolicyDocument, Rule};
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// What is done with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyAction))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is asked for, decided on, and brought into the environment.
    Promote,
    /// It is brought into the environment: a part of promoting.
    Deploy,
    /// Its share of the traffic changes: a part of promoting, which gives it all.
    ShiftTraffic,
    /// What served before it comes back.
    RollBack,
    /// It stops serving, and nothing takes its place.
    Retire,
    /// The policy itself changes.
    ChangePolicy,
    /// It is deployed although a freeze forbids it.
    OverrideFreeze,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 7] = [
        Self::Promote,
        Self::Deploy,
        Self::ShiftTraffic,
        Self::RollBack,
        Self::Retire,
        Self::ChangePolicy,
        Self::OverrideFreeze,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Deploy => "deploy",
            Self::ShiftTraffic => "shift_traffic",
            Self::RollBack => "roll_back",
            Self::Retire => "retire",
            Self::ChangePolicy => "change_policy",
            Self::OverrideFreeze => "override_freeze",
        }
    }
}

impl Action {
    /// Whether policies for this action hold when `whole` is done. Promoting deploys by itself, and gives the version the
    /// traffic, so that policies for these hold for it too.
    #[must_use]
    pub fn is_part_of(self, whole: Self) -> bool {
        self == whole || (whole == Self::Promote && matches!(self, Self::Deploy | Self::ShiftTraffic))
    }
}

impl PolicyDocument {
    /// Refuses what none of its actions asks for, so that nobody trusts in it.
    pub(super) fn validate_actions(&self) -> Result<(), Error> {
        let actions = &self.scope.actions;
        let promotes = self.scope.is_of_promoting();
        for (field, gates) in [("gates", &self.gates), ("advisory", &self.advisory)] {
            if !promotes && !gates.is_empty() {
                let message = "Gates run for promotions: name promote among scope.actions, or leave them away.";
                return Err(Error::invalid_field(field, message));
            }
        }
        for (at, rule) in self.rules.iter().enumerate() {
            for action in [Action::RollBack, Action::OverrideFreeze] {
                if actions.contains(&action) && !only_names(rule) {
                    let message = format!(
                        "Rule \"{}\": a rule for {} only names who may, with one approval. Write what promoting asks for as \
                         a policy of its own.",
                        rule.name,
                        action.as_str()
                    );
                    return Err(Error::invalid_field(format!("rules/{at}"), message));
                }
            }
            let of_a_version = |distinct: &Distinct| {
                matches!(distinct, Distinct::Trainer | Distinct::CodeAuthor | Distinct::Evaluator)
            };
            if actions.contains(&Action::ChangePolicy) && rule.distinct_from.iter().any(of_a_version) {
                let message = format!(
                    "Rule \"{}\": nobody trains, writes or evaluates a policy. For change_policy name requester or other rules.",
                    rule.name
                );
                return Err(Error::invalid_field(format!("rules/{at}/distinct_from"), message));
            }
        }
        Ok(())
    }
}

/// Whether a rule says nothing but who may, and that they say why.
fn only_names(rule: &Rule) -> bool {
    rule.approvals == 1
        && rule.distinct_from.iter().all(|distinct| *distinct == Distinct::Requester)
        && rule.checklist.is_empty()
        && rule.inputs.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_asks_only_for_what_its_actions_can_give() {
        for (file, wrong) in [
            ("scope: {actions: [retire]}\ngates: [{kind: golden_row}]\n", Some("Gates run for promotions")),
            ("scope: {actions: [deploy]}\ngates: [{kind: golden_row}]\n", None),
            ("scope: {actions: [roll_back]}\nrules: [{name: a, eligible: {roles: [operator]}}]\n", None),
            (
                "scope: {actions: [roll_back]}\nrules: [{name: a, eligible: {roles: [operator]}, approvals: 2}]\n",
                Some("only names who may"),
            ),
            (
                "scope: {actions: [change_policy]}\nrules: [{name: a, eligible: {roles: [admin]}, distinct_from: [trainer]}]\n",
                Some("nobody trains"),
            ),
            ("scope: {actions: [change_policy]}\nrules: [{name: a, eligible: {roles: [admin]}, approvals: 2}]\n", None),
        ] {
            let said = PolicyDocument::parse(file).err().map(|errors| errors.0[0].message.clone());
            let fits = match (&said, wrong) {
                (Some(said), Some(wrong)) => said.contains(wrong),
                (said, wrong) => said.is_none() && wrong.is_none(),
            };
            assert!(fits, "{file}: {said:?}");
        }
    }

    #[test]
    fn what_is_part_of_promoting_holds_for_it() {
        let parts: Vec<&str> = Action::ALL
            .iter()
            .filter(|action| action.is_part_of(Action::Promote))
            .map(|action| action.as_str())
            .collect();
        assert_eq!(parts, ["promote", "deploy", "shift_traffic"]);
        assert!(!Action::Promote.is_part_of(Action::Deploy));
    }
}
