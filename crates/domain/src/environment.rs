//! Environments, and the policy that says what a version needs to enter one.

use crate::{
    digest::Digest,
    error::Error,
    id::{EnvironmentId, PolicyId, WorkspaceId},
    names::AliasName,
    permission::{Role, UnknownName},
    wording::is_word,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

/// Where versions serve: staging, production. Its name is also the alias that it protects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Environment {
    /// The environment.
    pub id: EnvironmentId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name, unique in the workspace and never another.
    pub name: String,
    /// How much depends on it.
    pub tier: Tier,
    /// Its place in the order of promotion, from 1.
    pub position: i32,
    /// Whether the alias of its name moves only by a promotion.
    pub protected: bool,
    /// How long an approved version waits before it is deployed, in seconds.
    pub wait_timer_s: i32,
    /// The roles that see it and what is in it; everybody when none is given. Admins always do.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<Role>>))]
    pub visible_to: Option<BTreeSet<Role>>,
    /// When it was archived. Nothing is brought there from then on; its history stays.
    pub archived_at: Option<DateTime<Utc>>,
}

/// How much depends on an environment. Rules and freezes may name it instead of environments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Customers depend on it.
    Production,
    /// What goes to production next.
    Staging,
    /// For tests.
    Testing,
    /// For whoever develops.
    Development,
    /// Anything else.
    #[default]
    Other,
}

impl Tier {
    /// All of them, the one that most depends on first.
    pub const ALL: [Self; 5] = [Self::Production, Self::Staging, Self::Testing, Self::Development, Self::Other];

    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Testing => "testing",
            Self::Development => "development",
            Self::Other => "other",
        }
    }

    /// The name to show.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Production => "Production",
            Self::Staging => "Staging",
            Self::Testing => "Testing",
            Self::Development => "Development",
            Self::Other => "Other",
        }
    }

    /// The tier of an environment of this name, when nobody says another.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name).unwrap_or_default()
    }
}

impl FromStr for Tier {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| UnknownName::new(text, Self::ALL.map(Self::as_str)))
    }
}

/// What somebody sees of a workspace: everything, but of its environments those that one of their roles may, and what is in
/// them. The database has the same rule in `may_see_environment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    workspace: WorkspaceId,
    roles: Option<BTreeSet<Role>>,
}

impl Sight {
    /// All of a workspace: for Slipway itself.
    #[must_use]
    pub fn all(workspace: WorkspaceId) -> Self {
        Self { workspace, roles: None }
    }

    /// What somebody with these roles sees of a workspace.
    #[must_use]
    pub fn of(workspace: WorkspaceId, roles: BTreeSet<Role>) -> Self {
        Self { workspace, roles: Some(roles) }
    }

    /// The workspace.
    #[must_use]
    pub fn workspace(&self) -> WorkspaceId {
        self.workspace
    }

    /// The names of the roles; none for whoever sees everything.
    #[must_use]
    pub fn roles(&self) -> Option<Vec<&'static str>> {
        self.roles.as_ref().map(|roles| roles.iter().map(|role| role.as_str()).collect())
    }

    /// Whether an environment that these roles see is seen.
    #[must_use]
    pub fn sees(&self, visible_to: Option<&BTreeSet<Role>>) -> bool {
        let (Some(roles), Some(visible_to)) = (&self.roles, visible_to) else { return true };
        roles.contains(&Role::Admin) || !roles.is_disjoint(visible_to)
    }
}

/// The most characters of a name.
pub const MAX_NAME: usize = 63;
/// What addresses have in the place of an environment's name.
const RESERVED: [&str; 2] = ["new", "order"];
/// The most seconds between an approval and the deployment: 30 days.
pub const MAX_WAIT_S: i32 = 30 * 24 * 60 * 60;
/// The most environments of a workspace that are not archived.
pub const MAX_ENVIRONMENTS: usize = 50;

/// Refuses what is no environment's name: it stands in addresses, and is an alias of each model that serves there.
///
/// # Errors
/// When it is empty, longer than 63 characters, holds anything but lower-case letters, digits, underscores and hyphens,
/// begins or ends with one of the last two, or is a name that no alias may have or that addresses
/// have in its place.
pub fn check_name(name: &str) -> Result<(), Error> {
    if is_word(name, MAX_NAME) && AliasName::parse(name).is_ok() && !RESERVED.contains(&name) {
        return Ok(());
    }
    Err(Error::invalid_field(
        "name",
        format!(
            "An environment's name has 1 to {MAX_NAME} lower-case letters, digits, underscores and hyphens, and starts \
             and ends with a letter or digit, such as pre-production. It is an alias too, so neither \"latest\" nor a \
             version like \"v1\"; \"new\" and \"order\" are taken."
        ),
    ))
}

/// Refuses a time to wait that is none.
///
/// # Errors
/// When it is negative or longer than 30 days.
pub fn check_wait(seconds: i32) -> Result<(), Error> {
    if (0..=MAX_WAIT_S).contains(&seconds) {
        return Ok(());
    }
    Err(Error::invalid_field("wait_timer_s", format!("Give 0 to {MAX_WAIT_S} seconds, which are 30 days.")))
}

/// Refuses to hide an environment from everybody.
///
/// # Errors
/// When roles are given and there is none.
pub fn check_visible_to(roles: Option<&BTreeSet<Role>>) -> Result<(), Error> {
    if roles.is_some_and(BTreeSet::is_empty) {
        return Err(Error::invalid_field(
            "visible_to",
            "Choose at least one role that sees it, or let everybody see it.",
        ));
    }
    Ok(())
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
    fn a_name_stands_in_addresses_and_is_an_alias() {
        for name in ["production", "pre-production", "eu_1", "a"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in
            ["", "Production", "a b", "-a", "latest", "v1", "new", "order", "eu.1", "a\0", "a/b", &"x".repeat(64)]
        {
            assert_eq!(check_name(name).unwrap_err().field.as_deref(), Some("name"), "{name:?}");
        }
    }

    #[test]
    fn a_tier_is_read_from_its_name_and_guessed_from_the_environments() {
        for tier in Tier::ALL {
            assert_eq!(tier.as_str().parse(), Ok(tier));
            assert_eq!(Tier::of_name(tier.as_str()), tier);
        }
        assert_eq!(Tier::of_name("canary"), Tier::Other);
        assert!("prod".parse::<Tier>().is_err());
    }

    #[test]
    fn who_sees_an_environment_has_one_of_its_roles_or_is_an_admin() {
        let workspace = WorkspaceId::new();
        let of = |roles: &[Role]| Sight::of(workspace, roles.iter().copied().collect());
        let operators = BTreeSet::from([Role::Operator]);
        assert!(of(&[Role::Viewer]).sees(None));
        assert!(of(&[Role::Viewer, Role::Operator]).sees(Some(&operators)));
        assert!(of(&[Role::Admin]).sees(Some(&operators)));
        assert!(Sight::all(workspace).sees(Some(&operators)));
        assert!(!of(&[Role::Viewer, Role::Approver]).sees(Some(&operators)));
        assert!(!of(&[]).sees(Some(&operators)));
    }

    #[test]
    fn waiting_and_hiding_have_bounds() {
        assert!(check_wait(0).is_ok() && check_wait(MAX_WAIT_S).is_ok());
        assert!(check_wait(-1).is_err() && check_wait(MAX_WAIT_S + 1).is_err());
        assert!(check_visible_to(None).is_ok() && check_visible_to(Some(&BTreeSet::new())).is_err());
    }

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
