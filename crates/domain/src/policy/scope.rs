//! Where a policy holds.

use super::Action;
use crate::{error::Error, glob::matches_star};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The tag of a model that says how much harm it can do: `high`, `limited` …
pub const RISK_TAG: &str = "risk_tier";

/// Where a policy holds: for what fits every list that is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyScope))]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Models by name; `*` stands for any characters.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub models: BTreeSet<String>,
    /// Tags that the model has, with their values; `*` as in names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Values of the model's tag `risk_tier`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub risk_tiers: BTreeSet<String>,
    /// Environments by name; `*` as in names.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub environments: BTreeSet<String>,
    /// Tiers of environments: `production`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub tiers: BTreeSet<String>,
    /// What is done. Without this field: promote.
    #[serde(skip_serializing_if = "is_promote")]
    pub actions: BTreeSet<Action>,
}

fn is_promote(actions: &BTreeSet<Action>) -> bool {
    *actions == BTreeSet::from([Action::Promote])
}

impl Default for Scope {
    fn default() -> Self {
        Self {
            models: BTreeSet::new(),
            tags: BTreeMap::new(),
            risk_tiers: BTreeSet::new(),
            environments: BTreeSet::new(),
            tiers: BTreeSet::new(),
            actions: BTreeSet::from([Action::Promote]),
        }
    }
}

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The model's tags.
    pub tags: &'a BTreeMap<String, String>,
    /// The environment's name.
    pub environment: &'a str,
    /// The environment's tier.
    pub tier: &'a str,
    /// What is done.
    pub action: Action,
}

impl Scope {
    /// One environment, every model.
    #[must_use]
    pub fn of_environment(name: &str) -> Self {
        Self { environments: BTreeSet::from([name.to_owned()]), ..Self::default() }
    }

    /// Whether it names nothing but promoting.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it holds for the target.
    #[must_use]
    pub fn holds_for(&self, target: &Target<'_>) -> bool {
        self.actions.iter().any(|action| action.is_part_of(target.action))
            && self.concerns(target.model, target.tags)
            && self.reaches(target.environment, target.tier)
    }

    /// Whether it holds for a model in some environment, whatever is done.
    #[must_use]
    pub fn concerns(&self, model: &str, tags: &BTreeMap<String, String>) -> bool {
        let risk = tags.get(RISK_TAG);
        (self.models.is_empty() || self.models.iter().any(|name| matches_star(name, model)))
            && (self.risk_tiers.is_empty() || risk.is_some_and(|risk| self.risk_tiers.contains(risk)))
            && self.tags.iter().all(|(key, wanted)| tags.get(key).is_some_and(|value| matches_star(wanted, value)))
    }

    /// Whether it holds when a version is promoted, or only for other actions.
    #[must_use]
    pub fn is_of_promoting(&self) -> bool {
        self.actions.iter().any(|action| action.is_part_of(Action::Promote))
    }

    /// Whether it holds in an environment for some model, whatever is done.
    #[must_use]
    pub fn reaches(&self, environment: &str, tier: &str) -> bool {
        (self.environments.is_empty() || self.environments.iter().any(|name| matches_star(name, environment)))
            && (self.tiers.is_empty() || self.tiers.contains(tier))
    }

    /// Whether anything that this scope holds for may be what another one holds for, in one of these environments (name and
    /// tier). It may say yes too often for names with `*` on both sides, tags and risk tiers, and never no too often.
    #[must_use]
    pub fn meets(&self, other: &Self, environments: &[(String, String)]) -> bool {
        let fits = |one: &str, two: &str| matches_star(one, two) || matches_star(two, one);
        let stars = |one: &str, two: &str| one.contains('*') && two.contains('*');
        let models = || self.models.iter().any(|one| other.models.iter().any(|two| fits(one, two) || stars(one, two)));
        let tags =
            |(key, one): (&String, &String)| other.tags.get(key).is_none_or(|two| fits(one, two) || stars(one, two));
        environments.iter().any(|(name, tier)| self.reaches(name, tier) && other.reaches(name, tier))
            && (self.models.is_empty() || other.models.is_empty() || models())
            && (self.risk_tiers.is_empty()
                || other.risk_tiers.is_empty()
                || !self.risk_tiers.is_disjoint(&other.risk_tiers))
            && self.tags.iter().all(tags)
    }

    /// `production · churn*, risk high`; `everywhere` when it says nothing.
    #[must_use]
    pub fn words(&self) -> String {
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        if !self.environments.is_empty() {
            parts.push(list(&self.environments));
        }
        if !self.tiers.is_empty() {
            parts.push(format!("tier {}", list(&self.tiers)));
        }
        if !self.models.is_empty() {
            parts.push(format!("models {}", list(&self.models)));
        }
        if !self.risk_tiers.is_empty() {
            parts.push(format!("risk {}", list(&self.risk_tiers)));
        }
        if !self.tags.is_empty() {
            parts.push(self.tags.iter().map(|(k, v)| format!("{k} = {v}")).collect::<Vec<_>>().join(", "));
        }
        if parts.is_empty() { "everywhere".to_owned() } else { parts.join(" · ") }
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let lists = [
            ("models", &self.models),
            ("risk_tiers", &self.risk_tiers),
            ("environments", &self.environments),
            ("tiers", &self.tiers),
        ];
        for (field, names) in lists {
            let fits =
                |name: &String| !name.trim().is_empty() && name.len() <= 250 && !name.chars().any(char::is_control);
            if names.len() > 100 || !names.iter().all(fits) {
                let message = "At most 100 names of at most 250 visible characters.";
                return Err(Error::invalid_field(format!("scope/{field}"), message));
            }
        }
        if self.tags.len() > 20 {
            return Err(Error::invalid_field("scope/tags", "At most 20 tags."));
        }
        // A NUL is no character of any text here; in a pattern it would stand for any other.
        let fits = |text: &String, least: usize| (least..=250).contains(&text.len()) && !text.contains('\0');
        if !self.tags.iter().all(|(key, value)| fits(key, 1) && fits(value, 0)) {
            let message = "A tag's name has 1 to 250 characters, and its value at most as many.";
            return Err(Error::invalid_field("scope/tags", message));
        }
        if self.actions.is_empty() {
            return Err(Error::invalid_field("scope/actions", "Name at least one action, or leave the field out."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scope_holds_where_every_list_fits() {
        let tags =
            BTreeMap::from([("risk_tier".to_owned(), "high".to_owned()), ("domain".to_owned(), "credit".to_owned())]);
        let target = Target {
            model: "churn-emea",
            tags: &tags,
            environment: "production",
            tier: "production",
            action: Action::Promote,
        };
        for (scope, holds) in [
            (json!({}), true),
            (json!({"models": ["churn-*"]}), true),
            (json!({"models": ["churn"]}), false),
            (json!({"models": ["other", "*emea"]}), true),
            (json!({"models": ["churn?emea"]}), false),
            (json!({"risk_tiers": ["high", "limited"]}), true),
            (json!({"risk_tiers": ["limited"]}), false),
            (json!({"tags": {"domain": "credit"}}), true),
            (json!({"tags": {"domain": "*"}}), true),
            (json!({"tags": {"owner": "*"}}), false),
            (json!({"environments": ["prod*"]}), true),
            (json!({"environments": ["staging"]}), false),
            (json!({"tiers": ["production"]}), true),
            (json!({"tiers": ["testing"]}), false),
            (json!({"actions": ["roll_back"]}), false),
            (json!({"actions": ["roll_back", "promote"]}), true),
            (json!({"models": ["churn-*"], "environments": ["staging"]}), false),
        ] {
            let scope: Scope = serde_json::from_value(scope).unwrap();
            assert_eq!(scope.holds_for(&target), holds, "{scope:?}");
        }
    }

    #[test]
    fn tags_are_names_and_values() {
        for (tags, fits) in [
            (json!({"owner": ""}), true),
            (json!({"owner": "a\n*"}), true),
            (json!({"": "x"}), false),
            (json!({"owner": "a\u{0}b"}), false),
            (json!({"owner": "x".repeat(251)}), false),
        ] {
            let scope: Scope = serde_json::from_value(json!({ "tags": tags })).unwrap();
            assert_eq!(scope.validate().is_ok(), fits, "{tags}");
        }
    }

    #[test]
    fn a_model_without_a_risk_tier_is_in_no_scope_that_asks_for_one() {
        let scope: Scope = serde_json::from_value(json!({"risk_tiers": ["high"]})).unwrap();
        let target =
            Target { model: "m", tags: &BTreeMap::new(), environment: "e", tier: "t", action: Action::Promote };
        assert!(!scope.holds_for(&target));
    }
}
