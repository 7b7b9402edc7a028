//! What a person gives when they decide, and whether it counts: the same for promotions, for change requests and for steps
//! that ask.

use crate::{Result, Services, now, promotion::checked_comment};
use domain::{
    Digest, Error,
    id::{DecisionId, UserId},
    policy::{PolicySet, Rule},
    promotion::{Bar, Decision, DecisionVerdict, Electorate, RuleStanding, key, standing},
    user::{Password, User},
};
use std::collections::{BTreeMap, BTreeSet};

/// A verdict to be given.
#[derive(Debug, Clone)]
pub struct NewDecision {
    /// Yes, no, or not like this.
    pub verdict: DecisionVerdict,
    /// Why; a no, and a request for changes, need one.
    pub comment: String,
    /// The digest of the subject that the person looked at.
    pub subject_digest: Digest,
    /// The rules that a yes counts for, each `policy/rule`; all that the person has a place in when none are named.
    pub rules: Vec<String>,
    /// What the rules ask for, by rule and name.
    pub inputs: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    /// What the person confirms, by rule.
    pub checked: BTreeMap<String, Vec<String>>,
    /// The person's password, where a policy asks for it again.
    pub password: Option<Password>,
}

/// What a yes counts for: rules, and by rule whom the person stands in for, if anybody.
type Counted = (Vec<String>, Option<BTreeMap<String, UserId>>);

impl NewDecision {
    /// The comment, which what is no yes must have.
    pub(crate) fn reason(&self) -> Result<String> {
        let comment = checked_comment(&self.comment)?;
        if self.verdict != DecisionVerdict::Approve && comment.is_empty() {
            return Err(Error::invalid_field("comment", "Say why, so that the requester knows what to do."));
        }
        Ok(comment)
    }

    /// The decision that it becomes, with what the rules asked for that it counts for.
    fn into_decision(
        self,
        user: &User,
        comment: String,
        (rules, acting_for): Counted,
        reauthenticated: bool,
    ) -> Decision {
        let asked = |key: &String| rules.contains(key);
        Decision {
            id: DecisionId::new(),
            user_id: user.id,
            user_name: user.name.clone(),
            verdict: self.verdict,
            comment,
            subject_digest: self.subject_digest,
            acting_for,
            inputs: self.inputs.into_iter().filter(|(key, _)| asked(key)).collect(),
            checked: self.checked.into_iter().filter(|(key, _)| asked(key)).collect(),
            rules,
            reauthenticated,
            at: now(),
        }
    }
}

impl Services {
    /// Whether somebody gave their password with a decision. It takes a while, so it comes before anything is locked.
    ///
    /// # Errors
    /// `Invalid` for a wrong one.
    pub(crate) async fn is_reauthenticated(&self, user: UserId, password: Option<Password>) -> Result<bool> {
        let Some(password) = password else { return Ok(false) };
        match self.is_password_of(user, password).await? {
            true => Ok(true),
            false => Err(Error::invalid_field("password", "That is not your password. Your comment is kept.")),
        }
    }
}

/// What history says of a decision.
pub(crate) fn details(decision: &Decision) -> Result<serde_json::Value> {
    let digest = decision.digest().map_err(|error| {
        tracing::error!(%error, "a decision has no canonical form");
        Error::internal()
    })?;
    Ok(serde_json::json!({
        "subject_digest": decision.subject_digest,
        "decision_digest": digest,
        "comment": decision.comment,
        "rules": decision.rules,
        "acting_for": decision.acting_for,
    }))
}

/// How the votes on a change request or a step stand: who asks whom, and what was decided so far.
pub(crate) struct Standing {
    pub(crate) policies: PolicySet,
    pub(crate) electorate: Electorate,
    /// All decisions, oldest first.
    pub(crate) decisions: Vec<Decision>,
}

impl Standing {
    /// What people vote on.
    pub(crate) fn ballot(&self) -> Ballot<'_> {
        Ballot { policies: &self.policies, electorate: &self.electorate, decisions: &self.decisions }
    }

    /// How each rule stands, by the decisions on the subject of this digest.
    pub(crate) fn rules(&self, digest: &Digest) -> Vec<RuleStanding> {
        self.electorate.standings(&self.policies, &standing(&self.decisions, digest))
    }

    /// Whether everybody agreed to that subject whom the rules ask.
    pub(crate) fn is_agreed(&self, digest: &Digest) -> bool {
        let last = standing(&self.decisions, digest);
        self.electorate.satisfied(&self.electorate.standings(&self.policies, &last), &last)
    }
}

/// What is voted on: who asks whom, and what was decided so far.
#[derive(Clone, Copy)]
pub(crate) struct Ballot<'a> {
    pub(crate) policies: &'a PolicySet,
    pub(crate) electorate: &'a Electorate,
    /// All decisions, oldest first.
    pub(crate) decisions: &'a [Decision],
}

impl Ballot<'_> {
    /// Why somebody may not decide at all; none when they have a place in some rule. Where no rule asks anybody, nobody
    /// decides.
    pub(crate) fn barred(&self, user: UserId) -> Option<Bar> {
        let mut bars = Vec::new();
        for (_, rule) in self.policies.rules() {
            match self.electorate.seat(user, rule) {
                Ok(_) => return None,
                Err(bar) => bars.push(bar),
            }
        }
        // What somebody did says more than what no rule says of them.
        let said = bars.iter().position(|bar| *bar != Bar::NotEligible).unwrap_or(0);
        Some(if bars.is_empty() { Bar::NotEligible } else { bars.swap_remove(said) })
    }

    /// The decision that somebody gave before when this is the same one again.
    ///
    /// # Errors
    /// `Conflict` when they decided otherwise on the same subject, unless that was a request for changes.
    pub(crate) fn repeated(&self, user: UserId, new: &NewDecision, comment: &str) -> Result<Option<Decision>> {
        let theirs = |one: &&Decision| one.user_id == user && one.subject_digest == new.subject_digest;
        let Some(earlier) = self.decisions.iter().rev().find(theirs) else { return Ok(None) };
        if (earlier.verdict, earlier.comment.as_str()) == (new.verdict, comment) {
            return Ok(Some(earlier.clone()));
        }
        if earlier.verdict != DecisionVerdict::RequestChanges || new.verdict == DecisionVerdict::RequestChanges {
            return Err(Error::conflict(format!(
                "You have {} exactly this already; a decision is not changed afterwards.",
                earlier.verdict.past()
            )));
        }
        Ok(None)
    }

    /// The decision that somebody gives, with what it counts for.
    ///
    /// # Errors
    /// As [`Ballot::counted`]; `Invalid` without the password where a policy asks for it again.
    pub(crate) fn cast(
        &self,
        user: &User,
        new: NewDecision,
        comment: String,
        reauthenticated: bool,
    ) -> Result<Decision> {
        if self.policies.reauthenticate() && !reauthenticated {
            return Err(Error::invalid_field("password", "The policy asks for your password with each decision."));
        }
        let counted = match new.verdict {
            DecisionVerdict::Approve => self.counted(user.id, &new, &comment)?,
            _ => Counted::default(),
        };
        let mut decision = new.into_decision(user, comment, counted, reauthenticated);
        self.keep_what_was_asked(&mut decision);
        Ok(decision)
    }

    /// Drops what no rule asked for: it would stand in the history for ever.
    fn keep_what_was_asked(&self, decision: &mut Decision) {
        for (policy, rule) in self.policies.rules() {
            let key = key(&policy.name, &rule.name);
            if let Some(inputs) = decision.inputs.get_mut(&key) {
                inputs.retain(|name, _| rule.inputs.iter().any(|input| input.name == *name));
            }
            if let Some(ticks) = decision.checked.get_mut(&key) {
                ticks.retain(|item| rule.checklist.contains(item));
            }
        }
        decision.inputs.retain(|_, inputs| !inputs.is_empty());
        decision.checked.retain(|_, ticks| !ticks.is_empty());
    }

    /// What a yes counts for, when all that the rules ask for was given. A yes that would not count is refused, so that it
    /// can still be given when it would.
    fn counted(&self, user: UserId, new: &NewDecision, comment: &str) -> Result<Counted> {
        let mut others = standing(self.decisions, &new.subject_digest);
        others.retain(|decision| decision.user_id != user);
        let rules = self.electorate.standings(self.policies, &others);
        let keys: BTreeSet<String> = match new.rules.is_empty() {
            true => self.electorate.rules_of(user, self.policies, &others).into_iter().collect(),
            false => new.rules.iter().cloned().collect(),
        };
        let mut acting_for = BTreeMap::new();
        let mut chosen: Vec<&RuleStanding> = Vec::new();
        for wanted in &keys {
            let Some(rule) = rules.iter().find(|rule| rule.key() == *wanted) else {
                let names: Vec<String> = rules.iter().map(RuleStanding::key).collect();
                let shown: String = wanted.chars().take(100).collect();
                let message = format!("There is no rule \"{shown}\" here. There is: {}.", names.join(", "));
                return Err(Error::invalid_field("rules", message));
            };
            let seat = self.electorate.place(user, rule, &rules, &others).map_err(|bar| {
                Error::forbidden(format!("You do not count for rule \"{}\": {}.", rule.rule.name, bar.to_them()))
            })?;
            if seat != user {
                acting_for.insert(wanted.clone(), seat);
            }
            if let Some(other) = chosen.iter().find(|other| rule.excludes(other)) {
                let (one, other) = (&other.rule.name, &rule.rule.name);
                let message = format!("\"{one}\" and \"{other}\" must have different people; name one of them.");
                return Err(Error::invalid_field("rules", message));
            }
            complete(rule, new, comment)?;
            chosen.push(rule);
        }
        Ok((keys.into_iter().collect(), (!acting_for.is_empty()).then_some(acting_for)))
    }
}

/// Checks that a yes comes with all that a rule asks for.
fn complete(standing: &RuleStanding, new: &NewDecision, comment: &str) -> Result<()> {
    let rule: &Rule = &standing.rule;
    let key = key(&standing.policy, &rule.name);
    if rule.justification && comment.is_empty() {
        return Err(Error::invalid_field("comment", format!("Rule \"{}\" asks for a reason.", rule.name)));
    }
    let checked = new.checked.get(&key).map(Vec::as_slice).unwrap_or_default();
    if let Some(item) = rule.checklist.iter().find(|item| !checked.contains(item)) {
        return Err(Error::invalid_field(
            "checked",
            format!("Confirm \"{item}\", which rule \"{}\" asks for.", rule.name),
        ));
    }
    let given = new.inputs.get(&key);
    for input in &rule.inputs {
        let value = given.and_then(|given| given.get(&input.name));
        input.check(value).map_err(|message| Error::invalid_field("inputs", message))?;
    }
    Ok(())
}
