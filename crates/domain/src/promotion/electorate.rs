//! Who may decide on a promotion, for which rules, and whether the rules are satisfied.
//!
//! Everything here is a function of the policies, the people, the lineage of the version and the decisions, so that it
//! can be asked again whenever somebody votes and again in the transaction that deploys.

use super::decision::{Decision, DecisionVerdict};
use crate::{
    id::UserId,
    permission::Permission,
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
    /// Who made what gates read: the run's metrics, and evidence that was uploaded.
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
    /// They have no role that lets them decide, whatever a rule says of them.
    MayNotDecide,
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
    /// The vote of whom they stand in for, of this name, counts already: here, or for a rule that must have other people.
    Filled(String),
}

impl Bar {
    /// Said of them, to others; a sentence.
    #[must_use]
    pub fn of_them(&self) -> String {
        match self {
            Self::Service => "A service account never counts as a person who decides.".to_owned(),
            Self::MayNotDecide => "Has no role that lets them decide; an approver may.".to_owned(),
            Self::NotEligible => "Is not among those whom the rule names.".to_owned(),
            Self::Requester => "Requested this, or started the pipeline run that did.".to_owned(),
            Self::Trainer => "Started the run that trained this version.".to_owned(),
            Self::CodeAuthor => "Wrote the commit that this version was trained from.".to_owned(),
            Self::Evaluator => "Made the evaluation that the gates read.".to_owned(),
            Self::Unknown(who) => format!("{} The rule asks for somebody else, so nobody counts.", unknown(who)),
            Self::OtherRule(rule) => format!("Counts for rule \"{rule}\", which must have other people."),
            Self::Filled(away) => format!("Stands in for {away}, whose vote counts already."),
        }
    }

    /// Said to them, to end a sentence.
    #[must_use]
    pub fn to_them(&self) -> String {
        match self {
            Self::Service => "a service account never counts as a person who decides".to_owned(),
            Self::MayNotDecide => "you have no role that lets you decide".to_owned(),
            Self::NotEligible => "no rule names you".to_owned(),
            Self::Requester => "you requested it, or started the pipeline run that did".to_owned(),
            Self::Trainer => "you started the run that trained this version".to_owned(),
            Self::CodeAuthor => "you wrote the commit that this version was trained from".to_owned(),
            Self::Evaluator => "you made the evaluation that the gates read".to_owned(),
            Self::Unknown(who) => unknown(who).trim_end_matches('.').to_owned(),
            Self::OtherRule(rule) => format!("you count for rule \"{rule}\", which must have other people"),
            Self::Filled(away) => format!("you stand in for {away}, whose vote counts already"),
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

/// Somebody who says yes to a rule, and the places of which they may fill one.
type Voter = (UserId, Vec<Seat>);

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

    /// Whether somebody's vote counts for it, or one that was given for them.
    fn counts(&self, id: UserId) -> bool {
        self.votes.iter().any(|vote| vote.user_id == id || vote.acting_for == Some(id))
    }

    /// Whether this rule and another must have different people. It is enough that one of them says so.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        self.policy == other.policy
            && self.rule.name != other.rule.name
            && (self.rule.distinct_rules().any(|name| name == other.rule.name)
                || other.rule.distinct_rules().any(|name| name == self.rule.name))
    }

    /// Whether it still waits for this person: their yes would count, and they have said nothing.
    #[must_use]
    pub fn waits_for(&self, id: UserId) -> bool {
        let me = self.people.iter().find(|person| person.user_id == id);
        !self.met && me.is_some_and(|me| me.barred.is_none() && me.decision.is_none())
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
        self.distinct_bar(person, rule).or_else(|| (!names(rule, person)).then_some(Bar::NotEligible))
    }

    /// Why somebody is kept from a rule whoever they stand in for.
    fn distinct_bar(&self, person: &Person, rule: &Rule) -> Option<Bar> {
        let (user, lineage) = (&person.member.user, &self.lineage);
        if user.is_service {
            return Some(Bar::Service);
        }
        if !person.member.may(Permission::DecidePromotion) {
            return Some(Bar::MayNotDecide);
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

    /// Whether somebody is a member.
    #[must_use]
    pub fn is_member(&self, id: UserId) -> bool {
        self.person(id).is_some()
    }

    /// Whether a rule names somebody who is a person, or whom they stand in for.
    #[must_use]
    pub fn is_named(&self, id: UserId, rule: &Rule) -> bool {
        let named = |id: UserId| self.person(id).is_some_and(|person| names(rule, person));
        let is_person = self.person(id).is_some_and(|person| !person.member.user.is_service);
        is_person && (named(id) || self.stand_ins.iter().any(|one| one.to == id && named(one.from)))
    }

    /// The place that somebody may fill in a rule, their own before those they stand in for; or why there is none.
    ///
    /// Nobody stands in for somebody who could not vote, and a requester stands in for nobody: otherwise a delegation
    /// would be a way round the rule.
    pub fn seat(&self, id: UserId, rule: &Rule) -> Result<Seat, Bar> {
        self.places(id, rule)?.first().copied().ok_or(Bar::NotEligible)
    }

    /// The places of which somebody may fill one: their own alone, or those of the people they stand in for, in the order
    /// of their ids; never none.
    fn places(&self, id: UserId, rule: &Rule) -> Result<Vec<Seat>, Bar> {
        let person = self.person(id).ok_or(Bar::NotEligible)?;
        match self.bar(person, rule) {
            None => return Ok(vec![id]),
            Some(Bar::NotEligible) => {}
            Some(bar) => return Err(bar),
        }
        let theirs = self.stand_ins.iter().filter(|stand_in| stand_in.to == id).map(|stand_in| stand_in.from);
        let votes = |from: &Seat| self.person(*from).is_some_and(|away| self.bar(away, rule).is_none());
        let places: BTreeSet<Seat> = theirs.filter(votes).collect();
        match places.is_empty() {
            true => Err(Bar::NotEligible),
            false if self.lineage.requesters.contains(&id) => Err(Bar::Requester),
            false => Ok(places.into_iter().collect()),
        }
    }

    /// The rules that a yes of this person counts for when they do not say: in the order of the policies those in which
    /// they have a place, but of two that must have different people only the first that still needs somebody. Rules for
    /// which a yes would not count are named only when there are no others.
    #[must_use]
    pub fn rules_of(&self, id: UserId, policies: &PolicySet, decisions: &[&Decision]) -> Vec<String> {
        let others: Vec<&Decision> = decisions.iter().copied().filter(|decision| decision.user_id != id).collect();
        let standings = self.standings(policies, &others);
        let mut open: Vec<&RuleStanding> =
            standings.iter().filter(|standing| self.seat(id, &standing.rule).is_ok()).collect();
        let counts = |standing: &&RuleStanding| self.place(id, standing, &standings, &others).is_ok();
        if open.iter().any(counts) {
            open.retain(counts);
        }
        open.sort_by_key(|standing| standing.met);
        let mut chosen: Vec<&RuleStanding> = Vec::new();
        for standing in open {
            if !chosen.iter().any(|other| standing.excludes(other)) {
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
            let (yes, voters) = self.yes(&standing, &all, decisions);
            let mut votes: Vec<(usize, Seat)> = fill(&voters).into_iter().map(|(seat, at)| (at, seat)).collect();
            votes.sort_unstable();
            let vote = |(at, seat): (usize, Seat)| Vote {
                user_id: yes[at].user_id,
                user_name: yes[at].user_name.clone(),
                acting_for: (seat != yes[at].user_id).then_some(seat),
            };
            standing.votes = votes.into_iter().map(vote).collect();
            standing.met = standing.votes.len() >= usize::from(rule.approvals);
            all.push(standing);
        }
        for at in 0..all.len() {
            let people = self.candidacies(&all[at], &all, decisions);
            all[at].people = people;
        }
        all
    }

    /// What may count for a rule, when `others` stand as they do: the last yes of each person who has a place left.
    fn yes<'a>(
        &self,
        standing: &RuleStanding,
        others: &[RuleStanding],
        decisions: &[&'a Decision],
    ) -> (Vec<&'a Decision>, Vec<Voter>) {
        let key = standing.key();
        let last: BTreeMap<UserId, usize> =
            decisions.iter().enumerate().map(|(at, decision)| (decision.user_id, at)).collect();
        let (mut yes, mut voters) = (Vec::new(), Vec::new());
        for (at, decision) in decisions.iter().enumerate() {
            let is_last = last.get(&decision.user_id) == Some(&at);
            if !is_last || decision.verdict != DecisionVerdict::Approve || !decision.rules.contains(&key) {
                continue;
            }
            let Ok(places) = self.places_left(decision.user_id, standing, others) else { continue };
            // A yes in one's own name does not become somebody else's when one does not count any more.
            if decision.acting_for(&key).is_some() || places == [decision.user_id] {
                yes.push(*decision);
                voters.push((decision.user_id, places));
            }
        }
        (yes, voters)
    }

    /// The places of which somebody may fill one, when neither they nor whose place it is count for a rule that must have
    /// other people.
    fn places_left(&self, id: UserId, standing: &RuleStanding, others: &[RuleStanding]) -> Result<Vec<Seat>, Bar> {
        let mut places = self.places(id, &standing.rule)?;
        let taken = |id: UserId| others.iter().find(|other| standing.excludes(other) && other.counts(id));
        if let Some(other) = taken(id) {
            return Err(Bar::OtherRule(other.rule.name.clone()));
        }
        let first = places.first().copied();
        places.retain(|seat| taken(*seat).is_none());
        if places.is_empty() { Err(self.filled(first)) } else { Ok(places) }
    }

    fn filled(&self, seat: Option<Seat>) -> Bar {
        let away = seat.and_then(|seat| self.person(seat));
        Bar::Filled(away.map_or_else(String::new, |away| away.member.user.name.clone()))
    }

    /// The place that a yes of somebody fills or would fill for a rule, when `decisions` make all rules stand as they do.
    ///
    /// # Errors
    /// With why it does not count.
    pub fn place(
        &self,
        id: UserId,
        standing: &RuleStanding,
        all: &[RuleStanding],
        decisions: &[&Decision],
    ) -> Result<Seat, Bar> {
        let places = self.places_left(id, standing, all)?;
        if let Some(vote) = standing.votes.iter().find(|vote| vote.user_id == id) {
            return Ok(vote.acting_for.unwrap_or(id));
        }
        if places == [id] {
            return Ok(id);
        }
        let key = standing.key();
        let own = decisions.iter().rfind(|decision| decision.user_id == id).filter(|decision| {
            decision.verdict == DecisionVerdict::Approve
                && decision.rules.contains(&key)
                && decision.acting_for(&key).is_none()
        });
        if own.is_some() {
            return Err(Bar::NotEligible);
        }
        // Others who stand in for several may have to move together.
        let (_, mut voters) = self.yes(standing, all, decisions);
        voters.push((id, places.clone()));
        let with = fill(&voters);
        match with.iter().find(|(_, at)| **at == voters.len() - 1) {
            Some((seat, _)) if with.len() > standing.votes.len() => Ok(*seat),
            _ => Err(self.filled(places.first().copied())),
        }
    }

    /// Whether every rule is met, and nobody who may decide says no or asks for changes.
    #[must_use]
    pub fn satisfied(&self, standings: &[RuleStanding], decisions: &[&Decision]) -> bool {
        let may_decide = |id: UserId| standings.iter().any(|standing| self.seat(id, &standing.rule).is_ok());
        standings.iter().all(|standing| standing.met)
            && !decisions.iter().any(|one| one.verdict != DecisionVerdict::Approve && may_decide(one.user_id))
    }

    fn candidacies(&self, standing: &RuleStanding, all: &[RuleStanding], decisions: &[&Decision]) -> Vec<Candidacy> {
        let decided: BTreeMap<UserId, DecisionVerdict> =
            decisions.iter().map(|decision| (decision.user_id, decision.verdict)).collect();
        let mut people = Vec::new();
        for person in &self.people {
            let user = &person.member.user;
            if !names(&standing.rule, person) && self.seat(user.id, &standing.rule).is_err() {
                continue;
            }
            let seat = self.place(user.id, standing, all, decisions);
            let acting_for = seat.as_ref().ok().filter(|seat| **seat != user.id).and_then(|seat| self.person(*seat));
            people.push(Candidacy {
                user_id: user.id,
                name: user.name.clone(),
                acting_for: acting_for.map(|away| away.member.user.name.clone()),
                barred: seat.err().map(|bar| bar.of_them()),
                decision: decided.get(&user.id).copied(),
            });
        }
        people
    }
}

/// Whether a rule names somebody.
fn names(rule: &Rule, person: &Person) -> bool {
    let eligible = &rule.eligible;
    eligible.users.contains(&person.member.user.email)
        || !eligible.teams.is_disjoint(&person.teams)
        || !eligible.roles.is_disjoint(&person.member.roles)
}

/// Who fills which place, by their place in `voters`: each at most one, and as many of them as can. Whoever votes for
/// themselves comes before those who stand in for them, and otherwise whoever voted first.
fn fill(voters: &[Voter]) -> BTreeMap<Seat, usize> {
    let mut filled = BTreeMap::new();
    let (own, others): (Vec<usize>, Vec<usize>) = (0..voters.len()).partition(|at| voters[*at].1 == [voters[*at].0]);
    for at in own.into_iter().chain(others) {
        make_room(at, voters, &mut filled, &mut BTreeSet::new());
    }
    filled
}

/// Gives somebody a place, where others can move to make room: an augmenting path of a bipartite matching (Kuhn, The
/// Hungarian Method for the Assignment Problem, 1955). Nobody who has a place loses it.
fn make_room(at: usize, voters: &[Voter], filled: &mut BTreeMap<Seat, usize>, tried: &mut BTreeSet<Seat>) -> bool {
    for seat in &voters[at].1 {
        if !tried.insert(*seat) {
            continue;
        }
        let holder = filled.get(seat).copied();
        if holder.is_none_or(|holder| make_room(holder, voters, filled, tried)) {
            filled.insert(*seat, at);
            return true;
        }
    }
    false
}

#[cfg(test)]
#[path = "electorate_tests.rs"]
mod tests;
