//! How a promotion stands at one moment: read in the transaction that acts on it, under the locks of whoever calls.

use super::{
    gates::Known,
    people::People,
    present::{Present, in_force},
    skips,
};
use crate::{Result, ballot::Ballot};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    environment::Environment,
    freeze,
    policy::{Action, PolicySet, stricter},
    promotion::{
        Attempt, Decision, Electorate, Facts, Gate, GatesStand, Override, OverrideKind, Promotion, RuleStanding,
        Verdict, standing, together,
    },
    prose::minute,
};
use store::PgConnection;

/// How a promotion stands.
pub(super) struct Standing {
    /// What its state depends on.
    pub(super) facts: Facts,
    /// What it is about; none when that is no more.
    pub(super) present: Option<Box<Present>>,
    /// The policies that it is held against.
    pub(super) policies: PolicySet,
    /// Who may decide.
    pub(super) electorate: Electorate,
    /// How each rule stands.
    pub(super) rules: Vec<RuleStanding>,
    /// All decisions, oldest first.
    pub(super) decisions: Vec<Decision>,
    /// Why it no longer holds, or what it waits for; to end a sentence. Empty when there is nothing to say.
    pub(super) words: String,
}

impl Standing {
    /// What people vote on.
    pub(super) fn ballot(&self) -> Ballot<'_> {
        Ballot { policies: &self.policies, electorate: &self.electorate, decisions: &self.decisions }
    }

    /// Counts a decision that was made since.
    pub(super) fn count(&mut self, decision: Decision) {
        let digest = decision.subject_digest.clone();
        self.decisions.push(decision);
        let last = standing(&self.decisions, &digest);
        self.rules = self.electorate.standings(&self.policies, &last);
        self.facts.satisfied = self.electorate.satisfied(&self.rules, &last);
    }
}

/// Reads how a promotion stands.
pub(super) async fn stand(conn: &mut PgConnection, promotion: &Promotion) -> Result<Standing> {
    let policies = store::policy::of_promotion(conn, promotion.id).await?;
    let gates = store::promotion::gates(conn, promotion.id).await?;
    let decisions = store::promotion::decisions(conn, promotion.id).await?;
    let mut overrides = store::promotion::overrides(conn, promotion.id).await?;
    let environment = store::environment::by_id(conn, promotion.environment_id).await?;
    let now = store::clock(conn).await?;
    let people = People::read(conn, promotion.workspace_id).await?;
    let electorate = people.electorate(conn, promotion).await?;
    // What two people set aside holds while both are here.
    let both = |one: &Override| {
        one.confirmed_by.is_none_or(|id| electorate.is_member(id)) && electorate.is_member(one.opened_by)
    };
    overrides.retain(both);

    let mut facts = Facts {
        expired: promotion.expires_at <= now && promotion.state.may_expire(),
        exists: false,
        holds: false,
        gates: GatesStand::Pending,
        satisfied: false,
        due: false,
        attempt: Attempt::Not,
    };
    let present = match Present::read(conn, promotion).await? {
        Ok(present) => Box::new(present),
        Err(sentence) => {
            return Ok(Standing {
                facts,
                present: None,
                policies,
                electorate,
                rules: Vec::new(),
                decisions,
                words: sentence.trim_end_matches('.').to_owned(),
            });
        }
    };
    facts.exists = true;
    let last = promotion.subject_digest.as_ref().map(|digest| standing(&decisions, digest)).unwrap_or_default();
    let rules = electorate.standings(&policies, &last);
    facts.satisfied = electorate.satisfied(&rules, &last);
    facts.gates = gates_stand(&gates, &overrides, promotion);

    let mut words = present.differences(promotion, &policies, &Known::before(&gates))?;
    if words.is_none()
        && let Some(environment) = &environment
    {
        let now_in_force = in_force(conn, environment, &present.candidate, Action::Promote).await?;
        let more = stricter(&policies, &now_in_force);
        if !more.is_empty() {
            words = Some(format!("the policies became stricter: {}", more.join(", ")));
        }
    }
    if words.is_none()
        && let Some(environment) = &environment
        && !policies.may_skip()
    {
        words = skips(conn, environment, &present.candidate).await?.map(|why| why.trim_end_matches('.').to_owned());
    }
    if words.is_none() {
        words = too_old(&policies, &gates, now);
    }
    facts.holds = words.is_none();
    if facts.holds && facts.gates != GatesStand::Passed {
        words = Some(red(&gates));
    }
    if facts.holds && promotion.state.is_agreed() && !facts.satisfied {
        words = Some(lapsed(&rules));
    }
    if facts.holds && words.is_none() {
        let wait = waits_for(conn, promotion, environment.as_ref(), &overrides, now).await?;
        facts.due = wait.is_none();
        words = wait;
    }
    Ok(Standing {
        facts,
        present: Some(present),
        policies,
        electorate,
        rules,
        decisions,
        words: words.unwrap_or_default(),
    })
}

/// What the gates that decide say together.
fn gates_stand(gates: &[Gate], overrides: &[Override], promotion: &Promotion) -> GatesStand {
    let overridden = is_overridden(OverrideKind::Gates, overrides, promotion);
    together(gates.iter().filter(|gate| !gate.advisory).map(Gate::verdict), overridden)
}

/// Whether two people set this aside for what the promotion is about now.
fn is_overridden(kind: OverrideKind, overrides: &[Override], promotion: &Promotion) -> bool {
    let digest = promotion.subject_digest.as_ref();
    digest.is_some_and(|digest| overrides.iter().any(|one| one.holds(kind, digest)))
}

/// Whether evidence is older than the policies let it be.
fn too_old(policies: &PolicySet, gates: &[Gate], now: DateTime<Utc>) -> Option<String> {
    let ttl = policies.evidence_ttl()?;
    let oldest = gates.iter().filter(|gate| !gate.advisory).filter_map(|gate| gate.evaluated_at).min()?;
    (oldest + ttl.delta() <= now).then(|| format!("what its gates found is older than {ttl}"))
}

/// The gates that did not pass, in words.
pub(super) fn red(gates: &[Gate]) -> String {
    let those = |verdict: Verdict| {
        let titles = gates.iter().filter(|gate| !gate.advisory && gate.verdict() == verdict).map(|g| g.spec.title());
        titles.collect::<Vec<_>>().join(", ")
    };
    let (failed, unknown) = (those(Verdict::Fail), those(Verdict::Inconclusive));
    match (failed.is_empty(), unknown.is_empty()) {
        (false, true) => format!("failed: {failed}"),
        (true, _) => format!("cannot be told: {unknown}"),
        (false, false) => format!("failed: {failed}; cannot be told: {unknown}"),
    }
}

/// The rules that were met and are no more, in words.
fn lapsed(rules: &[RuleStanding]) -> String {
    let short: Vec<String> = rules
        .iter()
        .filter(|rule| !rule.met)
        .map(|rule| {
            format!(
                "of {} approvals for \"{}\" only {} still count",
                rule.rule.approvals,
                rule.rule.name,
                rule.votes.len()
            )
        })
        .collect();
    match short.is_empty() {
        true => "a request for changes stands".to_owned(),
        false => short.join(", "),
    }
}

/// What an approved promotion waits for, to end a sentence; none when it is due.
async fn waits_for(
    conn: &mut PgConnection,
    promotion: &Promotion,
    environment: Option<&Environment>,
    overrides: &[Override],
    now: DateTime<Utc>,
) -> Result<Option<String>> {
    let Some(environment) = environment else { return Ok(None) };
    if environment.archived_at.is_some() {
        return Ok(Some(format!("waits for {}, which is archived", environment.name)));
    }
    let approved = promotion.approved_at.unwrap_or(now);
    let timer = approved + TimeDelta::seconds(environment.wait_timer_s.into());
    if timer > now {
        return Ok(Some(format!("waits until {}, as {} asks for", minute(timer), environment.name)));
    }
    let overridden = is_overridden(OverrideKind::Freeze, overrides, promotion);
    let freezes = store::freeze::in_force(conn, promotion.workspace_id).await?;
    let is_under_way = promotion.state.is_under_way();
    Ok(match freeze::standing(&freezes, &environment.name, environment.tier, &promotion.model, now) {
        freeze::Standing::Open { .. } => None,
        freeze::Standing::Closed { may_finish: true, .. } if is_under_way => None,
        freeze::Standing::Closed { may_override: true, .. } if overridden => None,
        freeze::Standing::Closed { because, opens_at, .. } => {
            let names: Vec<&str> = because.iter().map(|one| one.name.as_str()).collect();
            let until = opens_at.map_or_else(String::new, |opens| format!(", until {}", minute(opens)));
            Some(match is_under_way {
                true => format!("{} began, and lets nothing finish", names.join(", ")),
                false => format!("waits for {}{until}", names.join(", ")),
            })
        }
    })
}
