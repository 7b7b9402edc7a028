//! Who may decide on a promotion, for which rules, and whether the rules are satisfied.
//!
//! Everything here is a function of the policies, the people, the lineage of the version and the decisions, so that it
//! can be asked again whenever somebody votes and again in the transaction that deploys.

use super::decision::{Decision, DecisionVerdict};
use crate::{
    id::UserId,
    policy::{Distinct, PolicySet, Rule},
    user::Member,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Who had a part in what is to be promoted. None where it is not known: a rule that asks for somebody distinct then
/// counts nobody, because nobody can be shown to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Who asked, and who started the pipeline run that did.
    pub requesters: BTreeSet<UserId>,
    /// Who started the run that trained the version.
    pub trainers: Option<BTreeSet<UserId>>,
    /// Who wrote the commit that the run names. People that are no members are not here, and nobody is barred for them.
    pub code_authors: Option<BTreeSet<UserId>>,
    /// Who made the evaluation that gates read; with none of its own, whoever trained.
    pub evaluators: Option<BTreeSet<UserId>>,
}

/// Somebody who may count.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The member.
    pub member: Member,
    /// Names of their teams.
    pub teams: BTreeSet<String>,
}

/// A delegation that is in force and covers the promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StandIn {
    /// Who is away.
    pub from: UserId,
    /// Who stands in.
    pub to: UserId,
}

/// Everything that decides who counts.
#[derive(Debug, Clone, Default)]
pub struct Electorate {
    /// Members of the workspace.
    pub people: Vec<Person>,
    /// Who stands in for whom.
    pub stand_ins: Vec<StandIn>,
    /// Who had a part in it.
    pub lineage: Lineage,
}

/// Why somebody does not count for a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bar {
    /// It is no person.
    Service,
    /// The rule does not name them.
    NotEligible,
    /// They requested it, or started the pipeline run that did.
    Requester,
    /// They started the training run.
    Trainer,
    /// They wrote the commit.
    CodeAuthor,
    /// They made the evaluation.
    Evaluator,
    /// It is not known who that is, so nobody can be shown to be somebody else.
    Unknown(Distinct),
    /// They count for another rule that this one must have other people than.
    OtherRule(String),
}

impl Bar {
    /// Said of them, to others; a sentence.
    #[must_use]
    pub fn of_them(&self) -> String {
        match self {
            Self::Service => "A service account never counts as a person who decides.".to_owned(),
            Self::NotEligible => "Is not among those whom the rule names.".to_owned(),
            Self::Requester => "Requested this promotion, or started the pipeline run that did.".to_owned(),
            Self::Trainer => "Started the run that trained this version.".to_owned(),
            Self::CodeAuthor => "Wrote the commit that this version was trained from.".to_owned(),
            Self::Evaluator => "Made the evaluation that the gates read.".to_owned(),
            Self::Unknown(who) => format!("{} The rule asks for somebody else, so nobody counts.", unknown(who)),
            Self::OtherRule(rule) => format!("Counts for rule \"{rule}\", which must have other people."),
        }
    }

    /// Said to them, to end a sentence.
    #[must_use]
    pub fn to_them(&self) -> String {
        match self {
            Self::Service => "a service account never counts as a person who decides".to_owned(),
            Self::NotEligible => "no rule names you".to_owned(),
            Self::Requester => "you requested it, or started the pipeline run that did".to_owned(),
            Self::Trainer => "you started the run that trained this version".to_owned(),
            Self::CodeAuthor => "you wrote the commit that this version was trained from".to_owned(),
            Self::Evaluator => "you made the evaluation that the gates read".to_owned(),
            Self::Unknown(who) => unknown(who).trim_end_matches('.').to_owned(),
            Self::OtherRule(rule) => format!("you count for rule \"{rule}\", which must have other people"),
        }
    }
}

fn unknown(who: &Distinct) -> &'static str {
    match who {
        Distinct::Trainer => "It is not known who trained this version, because it names no run of this workspace.",
        Distinct::CodeAuthor => {
            "It is not known who wrote the code: the run names no commit, or the commit has no author here."
        }
        Distinct::Evaluator => "It is not known who evaluated this version.",
        Distinct::Requester | Distinct::Rule(_) => "It is not known who that is.",
    }
}

/// A place in a rule: the person whose eligibility counts. Whoever stands in for somebody fills that person's place.
type Seat = UserId;

/// Somebody's vote that counts for a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Vote {
    /// Who voted.
    pub user_id: UserId,
    /// Their name then.
    pub user_name: String,
    /// Whom they stood in for.
    pub acting_for: Option<UserId>,
}

/// What somebody may do for a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Candidacy {
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub name: String,
    /// Why they do not count; none when they do.
    pub barred: Option<String>,
    /// Whom they stand in for, where they count by that alone.
    pub acting_for: Option<String>,
    /// What they decided on the present subject.
    pub decision: Option<DecisionVerdict>,
}

/// How a rule stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RuleStanding {
    /// The policy's name.
    pub policy: String,
    /// The rule.
    pub rule: Rule,
    /// The votes that count.
    pub votes: Vec<Vote>,
    /// Whether they are enough.
    pub met: bool,
    /// Everybody the rule names, and everybody who stands in for one of them: who counts, who does not and why.
    pub people: Vec<Candidacy>,
}

impl RuleStanding {
    /// `production/risk`: how a decision names it.
    #[must_use]
    pub fn key(&self) -> String {
        key(&self.policy, &self.rule.name)
    }

    /// How many more votes it takes.
    #[must_use]
    pub fn missing(&self) -> usize {
        usize::from(self.rule.approvals).saturating_sub(self.votes.len())
    }
}

/// How a decision names a rule.
#[must_use]
pub fn key(policy: &str, rule: &str) -> String {
    format!("{policy}/{rule}")
}

impl Electorate {
    fn person(&self, id: UserId) -> Option<&Person> {
        self.people.iter().find(|person| person.member.user.id == id)
    }

    /// Why somebody does not fill a place of a rule by themselves; none when they do.
    #[must_use]
    pub fn bar(&self, person: &Person, rule: &Rule) -> Option<Bar> {
        if let Some(bar) = self.distinct_bar(person, rule) {
            return Some(bar);
        }
        let eligible = &rule.eligible;
        let named = eligible.users.contains(&person.member.user.email)
            || !eligible.teams.is_disjoint(&person.teams)
            || !eligible.roles.is_disjoint(&person.member.roles);
        (!named).then_some(Bar::NotEligible)
    }

    /// Why somebody is kept from a rule whoever they stand in for.
    fn distinct_bar(&self, person: &Person, rule: &Rule) -> Option<Bar> {
        let (user, lineage) = (&person.member.user, &self.lineage);
        if user.is_service {
            return Some(Bar::Service);
        }
        let held = |known: &Option<BTreeSet<UserId>>, distinct: &Distinct, bar: Bar| match known {
            None => Some(Bar::Unknown(distinct.clone())),
            Some(people) => people.contains(&user.id).then_some(bar),
        };
        rule.distinct_from.iter().find_map(|distinct| match distinct {
            Distinct::Requester => lineage.requesters.contains(&user.id).then_some(Bar::Requester),
            Distinct::Trainer => held(&lineage.trainers, distinct, Bar::Trainer),
            Distinct::CodeAuthor => held(&lineage.code_authors, distinct, Bar::CodeAuthor),
            Distinct::Evaluator => held(&lineage.evaluators, distinct, Bar::Evaluator),
            Distinct::Rule(_) => None,
        })
    }

    /// The place that somebody may fill in a rule, their own before those they stand in for; or why there is none.
    ///
    /// Nobody stands in for somebody who could not vote, and a requester stands in for nobody: otherwise a delegation
    /// would be a way round the rule.
    pub fn seat(&self, id: UserId, rule: &Rule) -> Result<Seat, Bar> {
        let person = self.person(id).ok_or(Bar::NotEligible)?;
        let bar = match self.bar(person, rule) {
            None => return Ok(id),
            Some(bar) => bar,
        };
        if bar != Bar::NotEligible || self.lineage.requesters.contains(&id) {
            return Err(bar);
        }
        let mut seats = self.stand_ins.iter().filter(|stand_in| stand_in.to == id).map(|stand_in| stand_in.from);
        seats.find(|from| self.person(*from).is_some_and(|away| self.bar(away, rule).is_none())).ok_or(Bar::NotEligible)
    }

    /// The rules that a yes of this person counts for when they do not say: in the order of the policies those in which
    /// they have a place, but of two that must have different people only the first that still needs somebody.
    #[must_use]
    pub fn rules_of(&self, id: UserId, policies: &PolicySet, decisions: &[&Decision]) -> Vec<String> {
        let standings = self.standings(policies, decisions);
        let mut open: Vec<&RuleStanding> =
            standings.iter().filter(|standing| self.seat(id, &standing.rule).is_ok()).collect();
        open.sort_by_key(|standing| standing.met);
        let mut chosen: Vec<&RuleStanding> = Vec::new();
        for standing in open {
            if !chosen.iter().any(|other| exclusive(standing, other)) {
                chosen.push(standing);
            }
        }
        let mut keys: Vec<String> = chosen.into_iter().map(RuleStanding::key).collect();
        keys.sort_unstable();
        keys
    }

    /// How every rule stands with the last decision of each person.
    #[must_use]
    pub fn standings(&self, policies: &PolicySet, decisions: &[&Decision]) -> Vec<RuleStanding> {
        let mut all: Vec<RuleStanding> = Vec::new();
        for (policy, rule) in policies.rules() {
            let mut standing = RuleStanding {
                policy: policy.name.clone(),
                rule: rule.clone(),
                votes: Vec::new(),
                met: false,
                people: Vec::new(),
            };
            let key = standing.key();
            let mut filled: BTreeSet<Seat> = BTreeSet::new();
            for decision in decisions.iter().filter(|decision| decision.verdict == DecisionVerdict::Approve) {
                if !decision.rules.contains(&key) {
                    continue;
                }
                let Ok(seat) = self.seat(decision.user_id, rule) else { continue };
                // Neither who voted nor whose place it was may count for a rule that must have other people.
                let elsewhere = all.iter().filter(|other| exclusive(&standing, other)).any(|other| {
                    other.votes.iter().any(|vote| {
                        let theirs = [Some(vote.user_id), vote.acting_for];
                        theirs.contains(&Some(decision.user_id)) || theirs.contains(&Some(seat))
                    })
                });
                if elsewhere || !filled.insert(seat) {
                    continue;
                }
                standing.votes.push(Vote {
                    user_id: decision.user_id,
                    user_name: decision.user_name.clone(),
                    acting_for: (seat != decision.user_id).then_some(seat),
                });
            }
            standing.met = standing.votes.len() >= usize::from(rule.approvals);
            all.push(standing);
        }
        for at in 0..all.len() {
            let people = self.candidacies(&all[at], &all, decisions);
            all[at].people = people;
        }
        all
    }

    /// Whether every rule is met, and no request for changes stands of somebody who may decide.
    #[must_use]
    pub fn satisfied(&self, standings: &[RuleStanding], decisions: &[&Decision]) -> bool {
        let may_decide = |id: UserId| standings.iter().any(|standing| self.seat(id, &standing.rule).is_ok());
        standings.iter().all(|standing| standing.met)
            && !decisions.iter().any(|one| one.verdict == DecisionVerdict::RequestChanges && may_decide(one.user_id))
    }

    fn candidacies(&self, standing: &RuleStanding, all: &[RuleStanding], decisions: &[&Decision]) -> Vec<Candidacy> {
        let rule = &standing.rule;
        let decided: BTreeMap<UserId, DecisionVerdict> =
            decisions.iter().map(|decision| (decision.user_id, decision.verdict)).collect();
        let mut people = Vec::new();
        for person in &self.people {
            let user = &person.member.user;
            let named = rule.eligible.users.contains(&user.email)
                || !rule.eligible.teams.is_disjoint(&person.teams)
                || !rule.eligible.roles.is_disjoint(&person.member.roles);
            let seat = self.seat(user.id, rule);
            if !named && seat.is_err() {
                continue;
            }
            let elsewhere = all.iter().filter(|other| exclusive(standing, other)).find(|other| {
                other.votes.iter().any(|vote| vote.user_id == user.id || vote.acting_for == Some(user.id))
            });
            let barred = match (&seat, elsewhere) {
                (Err(bar), _) => Some(bar.of_them()),
                (Ok(_), Some(other)) => Some(Bar::OtherRule(other.rule.name.clone()).of_them()),
                (Ok(_), None) => None,
            };
            let acting_for = seat.ok().filter(|seat| *seat != user.id).and_then(|seat| self.person(seat));
            people.push(Candidacy {
                user_id: user.id,
                name: user.name.clone(),
                barred,
                acting_for: acting_for.map(|away| away.member.user.name.clone()),
                decision: decided.get(&user.id).copied(),
            });
        }
        people
    }
}

/// Whether two rules must have different people. It is enough that one of them says so.
fn exclusive(one: &RuleStanding, other: &RuleStanding) -> bool {
    one.policy == other.policy
        && one.rule.name != other.rule.name
        && (one.rule.distinct_rules().any(|name| name == other.rule.name)
            || other.rule.distinct_rules().any(|name| name == one.rule.name))
}

#[cfg(test)]
#[path = "electorate_tests.rs"]
mod tests;
