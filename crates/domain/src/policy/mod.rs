//! Policies: what a version needs to enter an environment. A policy has a name and immutable revisions; its document says
//! where it holds, which gates run, which people agree and how long that counts.
//!
//! Several policies may hold for the same promotion. Their gates and rules are kept side by side, never merged: a version
//! enters when every gate passes and every rule is satisfied, so no policy makes another one weaker.

mod action;
mod gate;
mod rule;
mod scope;
mod stricter;
#[cfg(not(target_arch = "wasm32"))]
mod yaml;

pub use crate::problem::FileErrors;
pub use action::Action;
pub use gate::{Bound, DEFAULT_TOLERANCE, GateSpec};
pub use rule::{Distinct, Eligible, InputKind, InputSpec, Rule};
pub use scope::{RISK_TAG, Scope, Target};
pub(crate) use stricter::gate_implies;
pub use stricter::stricter;
#[cfg(not(target_arch = "wasm32"))]
pub use yaml::MAX_FILE_BYTES;

use crate::{
    digest::Digest,
    duration::Span,
    environment::PRODUCTION,
    error::Error,
    id::{PolicyId, WorkspaceId},
    wording::check_nul,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The most gates of a policy, advisory ones included.
pub const MAX_GATES: usize = 50;
/// The most rules of a policy.
pub const MAX_RULES: usize = 20;

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

    /// The sign of a bound: at least, or at most.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Higher => "≥",
            Self::Lower => "≤",
        }
    }
}

/// How a version moves along the order of the environments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PolicyOrder))]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// It must serve, or have served, in the protected environment before this one.
    #[default]
    Follow,
    /// It may skip those before.
    Skip,
}

/// What happens when a client moves an alias, or a stage, that an environment protects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AliasMoves {
    /// It is refused, with the address where to ask for the promotion.
    #[default]
    Refuse,
    /// It is refused as well, but the attempt asks for the promotion by itself.
    Request,
}

/// What a version needs to enter the environments that it holds for. Immutable: a change is a new revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "Written")]
pub struct PolicyDocument {
    /// What it is for, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where it holds.
    #[serde(skip_serializing_if = "Scope::is_everywhere")]
    pub scope: Scope,
    /// How a version moves along the environments.
    pub order: Order,
    /// Automatic conditions; all must pass.
    pub gates: Vec<GateSpec>,
    /// Conditions that run dry: they are measured and shown, and decide nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advisory: Vec<GateSpec>,
    /// People; every rule must be satisfied. None: nobody is asked.
    pub rules: Vec<Rule>,
    /// How long a request stands before it expires.
    pub expires_after: Span,
    /// How old what a gate found may be when the version is deployed; for ever when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_ttl: Option<Span>,
    /// Whether whoever decides gives the password again.
    #[serde(skip_serializing_if = "is_false")]
    pub reauthenticate: bool,
    /// How long after a version was live it can be gone back to without a new approval.
    pub rollback_within: Span,
    /// What happens to clients that move a protected alias.
    pub alias_moves: AliasMoves,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_false(value: &bool) -> bool {
    !value
}

/// How long a request stands when its policies do not say.
pub const DEFAULT_EXPIRY: Span = Span::of_days(30);
/// How long one can go back when the policies do not say.
pub const DEFAULT_ROLLBACK: Span = Span::of_days(90);

/// A document as people write it: everything has a default, and `rule: {approvals: 2}` is short for one rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    description: String,
    #[serde(default)]
    scope: Scope,
    order: Option<Order>,
    #[serde(default)]
    gates: Vec<GateSpec>,
    #[serde(default)]
    advisory: Vec<GateSpec>,
    #[serde(default)]
    rules: Vec<Rule>,
    rule: Option<Short>,
    #[serde(default = "default_expiry")]
    expires_after: Span,
    evidence_ttl: Option<Span>,
    #[serde(default)]
    reauthenticate: bool,
    #[serde(default = "default_rollback")]
    rollback_within: Span,
    #[serde(default)]
    alias_moves: AliasMoves,
}

fn default_expiry() -> Span {
    DEFAULT_EXPIRY
}

fn default_rollback() -> Span {
    DEFAULT_ROLLBACK
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Short {
    approvals: u8,
}

impl TryFrom<Written> for PolicyDocument {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let (mut rules, mut order) = (written.rules, written.order.unwrap_or_default());
        if let Some(Short { approvals }) = written.rule {
            if !rules.is_empty() {
                return Err("give either rules, or the short rule: {approvals: …}, not both");
            }
            rules.extend((approvals > 0).then(|| Rule::of_approvers(approvals)));
            order = written.order.unwrap_or(Order::Skip);
        }
        Ok(Self {
            description: written.description,
            scope: written.scope,
            order,
            gates: written.gates,
            advisory: written.advisory,
            rules,
            expires_after: written.expires_after,
            evidence_ttl: written.evidence_ttl,
            reauthenticate: written.reauthenticate,
            rollback_within: written.rollback_within,
            alias_moves: written.alias_moves,
        })
    }
}

impl Default for PolicyDocument {
    /// It holds everywhere, and asks for nothing.
    fn default() -> Self {
        Self {
            description: String::new(),
            scope: Scope::default(),
            order: Order::default(),
            gates: Vec::new(),
            advisory: Vec::new(),
            rules: Vec::new(),
            expires_after: DEFAULT_EXPIRY,
            evidence_ttl: None,
            reauthenticate: false,
            rollback_within: DEFAULT_ROLLBACK,
            alias_moves: AliasMoves::default(),
        }
    }
}

impl PolicyDocument {
    /// What a new environment of this name asks for, until somebody says otherwise.
    #[must_use]
    pub fn initial(environment: &str) -> Self {
        let golden = GateSpec::GoldenRow { tolerance: DEFAULT_TOLERANCE };
        let base = Self { scope: Scope::of_environment(environment), order: Order::Skip, ..Self::default() };
        if environment == PRODUCTION {
            let metric = || "accuracy".to_owned();
            Self {
                gates: vec![
                    GateSpec::MetricThreshold { metric: metric(), better: Better::Higher, threshold: 0.7 },
                    GateSpec::BetterThanChampion {
                        metric: metric(),
                        better: Better::Higher,
                        min_gain: 0.0,
                        confidence: None,
                    },
                    golden,
                ],
                rules: vec![Rule::of_approvers(1)],
                ..base
            }
        } else {
            Self { gates: vec![golden], ..base }
        }
    }

    /// Which way is better, for the metrics that a gate names.
    #[must_use]
    pub fn better(&self) -> BTreeMap<String, Better> {
        self.gates.iter().chain(&self.advisory).filter_map(GateSpec::metric).collect()
    }

    /// The teams that its rules name.
    #[must_use]
    pub fn teams(&self) -> BTreeSet<&str> {
        self.rules.iter().flat_map(|rule| &rule.eligible.teams).map(String::as_str).collect()
    }

    /// Checks the values that the types allow and sense does not.
    ///
    /// # Errors
    /// Names the field by its path: `gates/0/threshold`.
    pub fn validate(&self) -> Result<(), Error> {
        if self.description.chars().count() > 2000 {
            return Err(Error::invalid_field("description", "A description has at most 2,000 characters."));
        }
        check_nul(&self.description, "description")?;
        if self.gates.len() + self.advisory.len() > MAX_GATES {
            return Err(Error::invalid_field("gates", format!("A policy has at most {MAX_GATES} gates.")));
        }
        if self.rules.len() > MAX_RULES {
            return Err(Error::invalid_field("rules", format!("A policy has at most {MAX_RULES} rules.")));
        }
        self.scope.validate()?;
        self.validate_actions()?;
        for (list, gates) in [("gates", &self.gates), ("advisory", &self.advisory)] {
            for (at, gate) in gates.iter().enumerate() {
                gate.validate().map_err(|(field, what)| {
                    let path = if field.is_empty() { format!("{list}/{at}") } else { format!("{list}/{at}/{field}") };
                    Error::invalid_field(path, format!("Gate {}: {what}", at + 1))
                })?;
            }
        }
        // An answer from outside names what it answers.
        let mut asked = BTreeSet::new();
        for (list, gates) in [("gates", &self.gates), ("advisory", &self.advisory)] {
            for (at, gate) in gates.iter().enumerate() {
                if let GateSpec::External { name, .. } = gate
                    && !asked.insert(name)
                {
                    return Err(Error::invalid_field(
                        format!("{list}/{at}/name"),
                        format!("Two external gates are called \"{name}\"; each has a name of its own."),
                    ));
                }
            }
        }
        let mut names = BTreeSet::new();
        for (at, rule) in self.rules.iter().enumerate() {
            rule.validate(&format!("rules/{at}"), &self.rules)?;
            if !names.insert(&rule.name) {
                return Err(Error::invalid_field(
                    format!("rules/{at}/name"),
                    format!("Two rules are called \"{}\"; each has a name of its own.", rule.name),
                ));
            }
        }
        for (field, span) in [("expires_after", self.expires_after), ("rollback_within", self.rollback_within)] {
            if span > Span::of_days(366) {
                return Err(Error::invalid_field(field, "At most 366 days."));
            }
        }
        if self.expires_after < Span::of_seconds(60) {
            return Err(Error::invalid_field("expires_after", "A request stands for at least a minute."));
        }
        if self.evidence_ttl.is_some_and(|ttl| ttl < Span::of_seconds(60) || ttl > Span::of_days(366)) {
            return Err(Error::invalid_field("evidence_ttl", "From a minute to 366 days."));
        }
        // However it came, it can be edited as a file.
        #[cfg(not(target_arch = "wasm32"))]
        if self.to_yaml().len() > MAX_FILE_BYTES {
            let text = format!("A policy has at most {} KiB, written as YAML.", MAX_FILE_BYTES / 1024);
            return Err(Error::invalid(text));
        }
        Ok(())
    }
}

/// One revision of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Policy {
    /// This revision.
    pub id: PolicyId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// The policy's name, unique in the workspace.
    pub name: String,
    /// 1, 2, 3 …
    pub revision: i32,
    /// What it asks for.
    pub document: PolicyDocument,
    /// The file as its author wrote it, when it came as YAML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether it holds no more: its last revision says so.
    pub retired: bool,
    /// Of the document's canonical JSON.
    pub digest: Digest,
    /// When it came into force.
    pub created_at: DateTime<Utc>,
    /// Who wrote it.
    pub created_by: String,
}

impl Policy {
    /// `production, revision 3`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}, revision {}", self.name, self.revision)
    }

    /// What a subject says of it.
    #[must_use]
    pub fn pin(&self) -> PolicyPin {
        PolicyPin { name: self.name.clone(), revision: self.revision, digest: self.digest.clone() }
    }
}

/// A revision of a policy, as a subject names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyPin {
    /// The policy's name.
    pub name: String,
    /// Which revision.
    pub revision: i32,
    /// Of its document.
    pub digest: Digest,
}

/// The policies that hold for one promotion, in order of name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct PolicySet(Vec<Policy>);

impl PolicySet {
    /// Those of `policies` that hold for the target.
    #[must_use]
    pub fn of(policies: impl IntoIterator<Item = Policy>, target: &Target<'_>) -> Self {
        let holds = |policy: &Policy| !policy.retired && policy.document.scope.holds_for(target);
        Self::pinned(policies.into_iter().filter(holds))
    }

    /// Exactly these.
    #[must_use]
    pub fn pinned(policies: impl IntoIterator<Item = Policy>) -> Self {
        let mut all: Vec<Policy> = policies.into_iter().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Self(all)
    }

    /// Each of them.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.0
    }

    /// What a subject says of them.
    #[must_use]
    pub fn pins(&self) -> Vec<PolicyPin> {
        self.0.iter().map(Policy::pin).collect()
    }

    /// Every gate that must pass, with its policy.
    pub fn gates(&self) -> impl Iterator<Item = (&Policy, &GateSpec)> {
        self.0.iter().flat_map(|policy| policy.document.gates.iter().map(move |gate| (policy, gate)))
    }

    /// Every gate that runs dry, with its policy.
    pub fn advisory(&self) -> impl Iterator<Item = (&Policy, &GateSpec)> {
        self.0.iter().flat_map(|policy| policy.document.advisory.iter().map(move |gate| (policy, gate)))
    }

    /// Every rule, with its policy.
    pub fn rules(&self) -> impl Iterator<Item = (&Policy, &Rule)> {
        self.0.iter().flat_map(|policy| policy.document.rules.iter().map(move |rule| (policy, rule)))
    }

    /// Whether any of them asks people.
    #[must_use]
    pub fn asks_anybody(&self) -> bool {
        self.rules().next().is_some()
    }

    /// How long a request stands: as long as the policy with the least patience says.
    #[must_use]
    pub fn expires_after(&self) -> Span {
        self.0.iter().map(|policy| policy.document.expires_after).min().unwrap_or(DEFAULT_EXPIRY)
    }

    /// How old evidence may be: the least of what they say.
    #[must_use]
    pub fn evidence_ttl(&self) -> Option<Span> {
        self.0.iter().filter_map(|policy| policy.document.evidence_ttl).min()
    }

    /// Whether any of them asks for the password again.
    #[must_use]
    pub fn reauthenticate(&self) -> bool {
        self.0.iter().any(|policy| policy.document.reauthenticate)
    }

    /// How long one can go back without a new approval: the least of what they say.
    #[must_use]
    pub fn rollback_within(&self) -> Span {
        self.0.iter().map(|policy| policy.document.rollback_within).min().unwrap_or(DEFAULT_ROLLBACK)
    }

    /// Whether a version may skip environments: only when all of them let it.
    #[must_use]
    pub fn may_skip(&self) -> bool {
        self.0.iter().all(|policy| policy.document.order == Order::Skip)
    }

    /// Whether moving a protected alias asks for the promotion: when any of them says so.
    #[must_use]
    pub fn alias_moves(&self) -> AliasMoves {
        let asks = self.0.iter().any(|policy| policy.document.alias_moves == AliasMoves::Request);
        if asks { AliasMoves::Request } else { AliasMoves::Refuse }
    }

    /// Which way is better, for the metrics that a gate of theirs names.
    #[must_use]
    pub fn better(&self) -> BTreeMap<String, Better> {
        self.0.iter().flat_map(|policy| policy.document.better()).collect()
    }
}

/// Reads the name of a policy.
///
/// # Errors
/// When it is empty, too long, or has other characters than letters, digits, dots, hyphens and underscores.
pub fn parse_name(text: &str) -> Result<String, Error> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.chars().count() > 100 || !text.chars().all(fits) {
        return Err(Error::invalid_field(
            "name",
            "A policy's name has 1 to 100 letters, digits, dots, hyphens and underscores.",
        ));
    }
    Ok(text.to_owned())
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
    fn the_short_form_is_one_rule_for_approvers() {
        let short: PolicyDocument = serde_json::from_str(r#"{"gates":[],"rule":{"approvals":2}}"#).unwrap();
        assert_eq!(short.rules, [Rule::of_approvers(2)]);
        assert_eq!(short.order, Order::Skip);
        let nobody: PolicyDocument = serde_json::from_str(r#"{"gates":[],"rule":{"approvals":0}}"#).unwrap();
        assert_eq!(nobody.rules, []);
        let both = r#"{"rule":{"approvals":1},"rules":[{"name":"a","eligible":{"roles":["approver"]},"approvals":1}]}"#;
        assert!(serde_json::from_str::<PolicyDocument>(both).unwrap_err().to_string().contains("either rules"));
    }

    #[test]
    fn what_is_written_is_read_the_same() {
        for document in
            [PolicyDocument::initial(PRODUCTION), PolicyDocument::initial("staging"), PolicyDocument::default()]
        {
            let text = serde_json::to_string(&document).unwrap();
            assert_eq!(serde_json::from_str::<PolicyDocument>(&text).unwrap(), document);
        }
    }

    #[test]
    fn a_gate_with_an_unknown_field_is_refused() {
        let text = r#"{"gates":[{"kind":"golden_row","tolerence":1}],"rule":{"approvals":1}}"#;
        assert!(serde_json::from_str::<PolicyDocument>(text).is_err());
    }

    #[test]
    fn a_negative_tolerance_is_refused() {
        let policy =
            PolicyDocument { gates: vec![GateSpec::GoldenRow { tolerance: -1.0 }], ..PolicyDocument::default() };
        assert_eq!(policy.validate().unwrap_err().field.as_deref(), Some("gates/0/tolerance"));
    }

    #[test]
    fn what_no_file_can_hold_is_no_policy() {
        let nul = PolicyDocument { description: "a\0b".to_owned(), ..PolicyDocument::default() };
        assert_eq!(nul.validate().unwrap_err().field.as_deref(), Some("description"));
        let long =
            |n: usize| GateSpec::Cel { name: n.to_string(), expression: format!("model == \"{}\"", "x".repeat(3980)) };
        let large = PolicyDocument { gates: (0..20).map(long).collect(), ..PolicyDocument::default() };
        assert_eq!(large.validate().unwrap_err().message, "A policy has at most 64 KiB, written as YAML.");
    }

    #[test]
    fn two_external_gates_of_one_name_are_refused() {
        let gate = || GateSpec::External { name: "scan".to_owned(), timeout: Span::of_days(1) };
        let policy = PolicyDocument { gates: vec![gate()], advisory: vec![gate()], ..PolicyDocument::default() };
        assert_eq!(policy.validate().unwrap_err().field.as_deref(), Some("advisory/0/name"));
    }

    #[test]
    fn lower_is_better_turns_the_gain_round() {
        assert!(Better::Lower.gain(1.0, 2.0) > 0.0);
        assert!(Better::Higher.gain(1.0, 2.0) < 0.0);
    }

    #[test]
    fn of_several_policies_each_keeps_its_own_and_the_strictest_span_counts() {
        let policy = |name: &str, document: PolicyDocument| Policy {
            id: PolicyId::new(),
            workspace_id: WorkspaceId::new(),
            name: name.to_owned(),
            revision: 1,
            digest: Digest::of_json(&document).unwrap(),
            document,
            source: None,
            retired: false,
            created_at: DateTime::UNIX_EPOCH,
            created_by: String::new(),
        };
        let loose =
            PolicyDocument { rules: vec![Rule::of_approvers(1)], order: Order::Skip, ..PolicyDocument::default() };
        let strict = PolicyDocument {
            rules: vec![Rule::of_approvers(2)],
            expires_after: Span::of_days(2),
            rollback_within: Span::of_days(1),
            evidence_ttl: Some(Span::of_days(1)),
            ..PolicyDocument::default()
        };
        let set = PolicySet::pinned([policy("b", loose), policy("a", strict)]);
        assert_eq!(set.rules().map(|(_, rule)| rule.approvals).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(set.expires_after(), Span::of_days(2));
        assert_eq!(set.rollback_within(), Span::of_days(1));
        assert_eq!(set.evidence_ttl(), Some(Span::of_days(1)));
        assert!(!set.may_skip());
    }
}
