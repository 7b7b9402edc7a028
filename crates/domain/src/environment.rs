//! Environments, and the policy that says what a version needs to enter one.

use crate::{
    digest::Digest,
    error::Error,
    id::{EnvironmentId, PolicyId, WorkspaceId},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where versions serve: staging, production. Its name is also the alias that it protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    /// The environment.
    pub id: EnvironmentId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace. The alias of this name moves only by a promotion.
    pub name: String,
    /// Its place in the order of promotion, from 1.
    pub position: i32,
}

/// The environment that unqualified inference requests go to.
pub const PRODUCTION: &str = "production";

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better: accuracy, F1.
    #[default]
    Higher,
    /// Less is better: loss, latency.
    Lower,
}

impl Better {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Higher => "higher is better",
            Self::Lower => "lower is better",
        }
    }

    /// By how much `value` is better than `than`, in the metric's unit; negative when worse.
    #[must_use]
    pub fn gain(self, value: f64, than: f64) -> f64 {
        match self {
            Self::Higher => value - than,
            Self::Lower => than - value,
        }
    }
}

/// One automatic condition of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum GateSpec {
    /// A metric of the version's run reaches a threshold.
    MetricThreshold {
        /// The metric's key.
        metric: String,
        /// Which way is better; the threshold is a least or a greatest value accordingly.
        #[serde(default)]
        better: Better,
        /// The value to reach.
        threshold: f64,
    },
    /// A metric of the version's run is better than the same metric of the champion's run. Passes when the environment
    /// has no champion yet.
    BetterThanChampion {
        /// The metric's key.
        metric: String,
        /// Which way is better.
        #[serde(default)]
        better: Better,
        /// By how much it must be better, at least. 0: no worse.
        #[serde(default)]
        min_gain: f64,
    },
    /// The model answers its golden rows in the engine that will serve it.
    GoldenRow {
        /// How far an answer may be from the recorded one, absolute.
        #[serde(default = "default_tolerance")]
        tolerance: f64,
    },
}

fn default_tolerance() -> f64 {
    1e-4
}

impl GateSpec {
    /// One line for people.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::MetricThreshold { metric, better: Better::Higher, threshold } => {
                format!("{metric} at least {threshold}")
            }
            Self::MetricThreshold { metric, better: Better::Lower, threshold } => {
                format!("{metric} at most {threshold}")
            }
            Self::BetterThanChampion { metric, min_gain, .. } if *min_gain > 0.0 => {
                format!("Beats the champion on {metric} by {min_gain}")
            }
            Self::BetterThanChampion { metric, .. } => format!("No worse than the champion on {metric}"),
            Self::GoldenRow { .. } => "Answers its golden rows in the serving engine".to_owned(),
        }
    }

    /// The name of the sort.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MetricThreshold { .. } => "metric_threshold",
            Self::BetterThanChampion { .. } => "better_than_champion",
            Self::GoldenRow { .. } => "golden_row",
        }
    }
}

/// Who must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ApprovalRule {
    /// How many different people with the approver role, none of them the requester. 0: nobody is asked.
    pub approvals: u8,
}

/// What a version needs to enter an environment. Immutable: a change is a new version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    /// Automatic conditions; all must pass.
    pub gates: Vec<GateSpec>,
    /// People.
    pub rule: ApprovalRule,
}

impl PolicyDocument {
    /// What a new workspace's environment of this name asks for, until an admin says otherwise.
    #[must_use]
    pub fn initial(environment: &str) -> Self {
        let golden = GateSpec::GoldenRow { tolerance: default_tolerance() };
        if environment == PRODUCTION {
            let metric = || "accuracy".to_owned();
            Self {
                gates: vec![
                    GateSpec::MetricThreshold { metric: metric(), better: Better::Higher, threshold: 0.7 },
                    GateSpec::BetterThanChampion { metric: metric(), better: Better::Higher, min_gain: 0.0 },
                    golden,
                ],
                rule: ApprovalRule { approvals: 1 },
            }
        } else {
            Self { gates: vec![golden], rule: ApprovalRule { approvals: 0 } }
        }
    }

    /// Which way is better, for the metrics that a gate names.
    #[must_use]
    pub fn better(&self) -> BTreeMap<String, Better> {
        let named = self.gates.iter().filter_map(|gate| match gate {
            GateSpec::MetricThreshold { metric, better, .. } | GateSpec::BetterThanChampion { metric, better, .. } => {
                Some((metric.clone(), *better))
            }
            GateSpec::GoldenRow { .. } => None,
        });
        named.collect()
    }

    /// Checks the values that the types allow and sense does not.
    ///
    /// # Errors
    /// When a number is not finite or negative where it may not be, a metric has no name, or there are too many gates.
    pub fn validate(&self) -> Result<(), Error> {
        if self.gates.len() > 50 {
            return Err(Error::invalid_field("gates", "A policy has at most 50 gates."));
        }
        for (at, gate) in self.gates.iter().enumerate() {
            let wrong = |what: &str| Error::invalid_field(format!("gates/{at}"), format!("Gate {}: {what}", at + 1));
            match gate {
                GateSpec::MetricThreshold { metric, .. } | GateSpec::BetterThanChampion { metric, .. }
                    if metric.trim().is_empty() || metric.len() > 250 || metric.chars().any(char::is_control) =>
                {
                    return Err(wrong("name the metric, in at most 250 visible characters."));
                }
                GateSpec::MetricThreshold { threshold: number, .. } if !number.is_finite() => {
                    return Err(wrong("the threshold is not a finite number."));
                }
                GateSpec::BetterThanChampion { min_gain: number, .. } | GateSpec::GoldenRow { tolerance: number }
                    if !number.is_finite() || *number < 0.0 =>
                {
                    return Err(wrong("a gain or tolerance is a finite number, 0 or more."));
                }
                _ => {}
            }
        }
        if self.rule.approvals > 20 {
            return Err(Error::invalid_field("rule/approvals", "A rule asks for at most 20 approvals."));
        }
        Ok(())
    }
}

/// One version of an environment's policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    /// This version.
    pub id: PolicyId,
    /// Its environment.
    pub environment_id: EnvironmentId,
    /// 1, 2, 3 …
    pub revision: i32,
    /// What it asks for.
    pub document: PolicyDocument,
    /// Of the document's canonical JSON.
    pub digest: Digest,
    /// When it came into force.
    pub created_at: DateTime<Utc>,
    /// Who wrote it.
    pub created_by: String,
}

/// An environment with what is in force and what goes on there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentOverview {
    /// The environment.
    pub environment: Environment,
    /// The policy in force.
    pub policy: Policy,
    /// How many models serve there.
    pub live_models: i64,
    /// How many promotions are on their way there.
    pub open_promotions: i64,
}

/// An environment with the history of its policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnvironmentDetail {
    /// The environment.
    pub environment: Environment,
    /// The policy in force.
    pub policy: Policy,
    /// Every revision of the policy, the one in force first.
    pub revisions: Vec<Policy>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_policies_are_valid() {
        for name in ["staging", PRODUCTION] {
            assert_eq!(PolicyDocument::initial(name).validate(), Ok(()));
        }
    }

    #[test]
    fn a_gate_with_an_unknown_field_is_refused() {
        let text = r#"{"gates":[{"kind":"golden_row","tolerence":1}],"rule":{"approvals":1}}"#;
        assert!(serde_json::from_str::<PolicyDocument>(text).is_err());
    }

    #[test]
    fn a_negative_tolerance_is_refused() {
        let policy = PolicyDocument {
            gates: vec![GateSpec::GoldenRow { tolerance: -1.0 }],
            rule: ApprovalRule { approvals: 1 },
        };
        assert_eq!(policy.validate().unwrap_err().field.as_deref(), Some("gates/0"));
    }

    #[test]
    fn lower_is_better_turns_the_gain_round() {
        assert!(Better::Lower.gain(1.0, 2.0) > 0.0);
        assert!(Better::Higher.gain(1.0, 2.0) < 0.0);
    }
}
