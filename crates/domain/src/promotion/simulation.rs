//! What a policy that is only drafted would have said of promotions that are past: from what their gates found and people
//! decided then. What was not measured then is not known, and said so.

use super::{
    Promotion,
    decision::{Decision, DecisionVerdict, standing},
    electorate::Electorate,
    gate::{Gate, Verdict, better_than_champion, metric_threshold},
    state::PromotionState,
};
use crate::policy::{GateSpec, PolicySet, gate_implies};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is kept of a promotion.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The promotion.
    pub promotion: &'a Promotion,
    /// Its gates with what they found.
    pub gates: &'a [Gate],
    /// All decisions on it, oldest first.
    pub decisions: &'a [Decision],
    /// Who had a part in it, and who may decide: members, teams and delegations as they are now.
    pub electorate: &'a Electorate,
}

/// What a draft would have decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Simulated {
    /// What was found and decided then would have been enough.
    WouldPass,
    /// It would not have been.
    WouldBlock,
    /// Something was not evaluated then, or nobody was asked.
    CannotTell,
}

/// A gate of the draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedGate {
    /// What it asks, in one line.
    pub gate: String,
    /// What it would have found; none when that is not known.
    pub verdict: Option<Verdict>,
    /// From what that is told.
    pub basis: Basis,
}

/// From what it is told what a gate would have found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The same gate was evaluated then.
    Found,
    /// The number that was measured then, held against the draft's limit.
    Computed,
    /// A stricter gate passed, or a laxer one failed.
    Implied,
    /// Nothing was measured then that tells.
    NotKnown,
}

/// A rule of the draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedRule {
    /// Its name.
    pub rule: String,
    /// How many people it asks for.
    pub approvals: u8,
    /// Those whose approval would have counted.
    pub votes: Vec<String>,
}

/// What a draft would have decided on one promotion, beside what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SimulatedPromotion {
    /// Its number.
    pub number: i64,
    /// `churn v7 → production`.
    pub title: String,
    /// What happened: where it stands.
    pub state: PromotionState,
    /// Why it stands there.
    pub state_reason: String,
    /// What the draft would have decided.
    pub outcome: Simulated,
    /// Why, each the end of a sentence; empty when it would have passed.
    pub reasons: Vec<String>,
    /// The draft's gates.
    pub gates: Vec<SimulatedGate>,
    /// The draft's rules.
    pub rules: Vec<SimulatedRule>,
}

/// What a draft would have decided on the last promotions that it would hold for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicySimulation {
    /// The draft's name.
    pub policy: String,
    /// How many would have passed.
    pub would_pass: usize,
    /// How many would not have.
    pub would_block: usize,
    /// Of how many that cannot be told.
    pub cannot_tell: usize,
    /// How many of the workspace's last promotions were looked at to find those.
    pub looked_at: usize,
    /// Each of them, newest first.
    pub promotions: Vec<SimulatedPromotion>,
}

impl PolicySimulation {
    /// Counts.
    #[must_use]
    pub fn new(policy: &str, looked_at: usize, promotions: Vec<SimulatedPromotion>) -> Self {
        let count = |outcome| promotions.iter().filter(|one| one.outcome == outcome).count();
        Self {
            policy: policy.to_owned(),
            would_pass: count(Simulated::WouldPass),
            would_block: count(Simulated::WouldBlock),
            cannot_tell: count(Simulated::CannotTell),
            looked_at,
            promotions,
        }
    }
}

/// What `draft`, a set of one policy, would have decided.
///
/// A yes of then counts for every rule of the draft that its author has a place in, though the rule had another name, or
/// was not there: what they would have said of it nobody knows better. Overrides are no part of it.
#[must_use]
pub fn simulate(draft: &PolicySet, past: &Past<'_>) -> SimulatedPromotion {
    let Past { promotion, electorate, .. } = *past;
    let gates: Vec<SimulatedGate> = draft.gates().map(|(_, spec)| gate(spec, past.gates)).collect();
    let (mut blocks, mut unknown) = (Vec::new(), Vec::new());
    for one in &gates {
        match one.verdict {
            Some(Verdict::Pass) => {}
            Some(Verdict::Inconclusive) => blocks.push(format!("\"{}\" could not be told", one.gate)),
            Some(_) => blocks.push(format!("\"{}\" failed", one.gate)),
            None => unknown.push(format!("\"{}\" was not evaluated then", one.gate)),
        }
    }

    let last = promotion.subject_digest.as_ref().map(|digest| standing(past.decisions, digest)).unwrap_or_default();
    let mut cast: Vec<Decision> = Vec::new();
    for decision in last {
        let mut counted = decision.clone();
        if decision.verdict == DecisionVerdict::Approve {
            let before: Vec<&Decision> = cast.iter().collect();
            counted.rules = electorate.rules_of(decision.user_id, draft, &before);
        }
        cast.push(counted);
    }
    let cast: Vec<&Decision> = cast.iter().collect();
    let standings = electorate.standings(draft, &cast);
    let may_decide = |decision: &Decision| {
        standings.iter().any(|standing| electorate.seat(decision.user_id, &standing.rule).is_ok())
    };
    for decision in cast.iter().filter(|decision| may_decide(decision)) {
        match decision.verdict {
            DecisionVerdict::Approve => {}
            DecisionVerdict::Reject => blocks.push(format!("{} said no", decision.user_name)),
            DecisionVerdict::RequestChanges => blocks.push(format!("{} requested changes", decision.user_name)),
        }
    }
    let asked =
        promotion.approved_at.is_some() || !cast.is_empty() || promotion.state == PromotionState::AwaitingApproval;
    // A no ended it: who might have agreed was asked no longer.
    let ended = cast.iter().any(|decision| decision.verdict == DecisionVerdict::Reject && may_decide(decision));
    for standing in standings.iter().filter(|standing| !standing.met && !ended) {
        let name = &standing.rule.name;
        if asked {
            blocks.push(format!(
                "rule \"{name}\" has {} of {} approvals",
                standing.votes.len(),
                standing.rule.approvals
            ));
        } else {
            unknown.push(format!("nobody was asked then, whom rule \"{name}\" asks"));
        }
    }
    let rules = standings
        .into_iter()
        .map(|standing| SimulatedRule {
            rule: standing.rule.name,
            approvals: standing.rule.approvals,
            votes: standing.votes.into_iter().map(|vote| vote.user_name).collect(),
        })
        .collect();
    let (outcome, reasons) = match (blocks.is_empty(), unknown.is_empty()) {
        (false, _) => (Simulated::WouldBlock, blocks),
        (true, false) => (Simulated::CannotTell, unknown),
        (true, true) => (Simulated::WouldPass, Vec::new()),
    };
    SimulatedPromotion {
        number: promotion.number,
        title: promotion.title(),
        state: promotion.state,
        state_reason: promotion.state_reason.clone(),
        outcome,
        reasons,
        gates,
        rules,
    }
}

/// What a gate would have found, from what those of then did.
fn gate(spec: &GateSpec, then: &[Gate]) -> SimulatedGate {
    let known = then.iter().filter(|gate| gate.verdict() != Verdict::Pending);
    let same = known.clone().find(|gate| gate.spec == *spec).map(|gate| (gate.verdict(), Basis::Found));
    let (verdict, basis) = same
        .or_else(|| known.clone().find_map(|gate| computed(spec, gate)).map(|verdict| (verdict, Basis::Computed)))
        .or_else(|| known.clone().find_map(|gate| told(spec, gate)).map(|verdict| (verdict, Basis::Implied)))
        .unzip();
    SimulatedGate { gate: spec.title(), verdict, basis: basis.unwrap_or(Basis::NotKnown) }
}

/// What another gate's verdict says of this one.
fn told(spec: &GateSpec, then: &Gate) -> Option<Verdict> {
    match then.verdict() {
        Verdict::Pass if gate_implies(&then.spec, spec) => Some(Verdict::Pass),
        Verdict::Fail if gate_implies(spec, &then.spec) => Some(Verdict::Fail),
        _ => None,
    }
}

/// What a gate finds in the numbers that another one noted.
fn computed(spec: &GateSpec, then: &Gate) -> Option<Verdict> {
    let evidence = &then.finding.as_ref()?.evidence;
    let number = |name: &str| evidence.get(name).and_then(Value::as_f64);
    let about = |metric: &str| evidence.get("metric").and_then(Value::as_str) == Some(metric);
    match (spec, &then.spec) {
        (
            GateSpec::MetricThreshold { metric, better, threshold },
            GateSpec::MetricThreshold { .. } | GateSpec::BetterThanChampion { confidence: None, .. },
        ) if about(metric) => Some(metric_threshold(metric, *better, *threshold, Some(number("value")?)).verdict),
        // It was not there, or no number: no threshold makes that better.
        (GateSpec::MetricThreshold { metric, .. }, GateSpec::MetricThreshold { metric: theirs, .. })
            if metric == theirs && then.verdict() == Verdict::Inconclusive =>
        {
            Some(Verdict::Inconclusive)
        }
        (
            GateSpec::BetterThanChampion { metric, better, min_gain, confidence: None },
            GateSpec::BetterThanChampion { confidence: None, .. },
        ) if about(metric) => {
            let champion = match evidence.get("champion")? {
                Value::String(title) => Some((title.as_str(), Some(number("champion_value")?))),
                _ => None,
            };
            Some(better_than_champion(metric, *better, *min_gain, number("value"), champion).verdict)
        }
        (GateSpec::GoldenRow { tolerance }, GateSpec::GoldenRow { .. }) => {
            let pass = number("largest_difference")? <= *tolerance;
            Some(if pass { Verdict::Pass } else { Verdict::Fail })
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "simulation_tests.rs"]
mod tests;
