//! Deciding: a person's verdict on exactly what they saw.

use super::{
    advance::apply,
    announce, checked_comment, event, locked, no_promotion,
    present::unexpected,
    standing::{Standing, stand},
};
use crate::{Ctx, Result, Services, boxed, commit, now};
use domain::{
    Digest, Error,
    id::{DecisionId, UserId},
    permission::Permission,
    policy::Rule,
    promotion::{
        Bar, Decision, DecisionVerdict, Promotion, PromotionState, RuleStanding, advance, key,
        standing as last_decisions,
    },
    prose::sentence,
    user::Password,
};
use std::collections::{BTreeMap, BTreeSet};
use store::PgConnection;

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

impl Services {
    /// Decides on a promotion. Tells whether the decision is new: the same request sent again gives the same decision.
    ///
    /// The digest that the person saw is held against the tables, not against what was stored when the gates ran; when
    /// it is another one, nothing is decided, and the promotion ends where it no longer holds.
    ///
    /// # Errors
    /// `Forbidden` when they may not decide on this one; `Conflict` when they decided otherwise before, when what they
    /// saw has changed, or when nothing is to be decided; `Invalid` when a rule asks for more than was given.
    #[boxed]
    pub async fn decide_promotion(&self, ctx: &Ctx, number: i64, new: NewDecision) -> Result<(Decision, bool)> {
        ctx.require(Permission::DecidePromotion)?;
        let comment = checked_comment(&new.comment)?;
        if new.verdict != DecisionVerdict::Approve && comment.is_empty() {
            return Err(Error::invalid_field("comment", "Say why, so that the requester knows what to do."));
        }
        let Some(user) = ctx.user() else { return Err(Error::forbidden("Only people decide on promotions.")) };
        // It takes a while, so it comes before anything is locked.
        let reauthenticated = match new.password.clone() {
            Some(password) => {
                let right = self.is_password_of(user.id, password).await?;
                if !right {
                    return Err(Error::invalid_field("password", "That is not your password. Your comment is kept."));
                }
                true
            }
            None => false,
        };
        let mut tx = self.begin().await?;
        let found = store::promotion::by_number(&mut tx, &ctx.sight(), number).await?;
        let found = found.ok_or_else(|| no_promotion(number))?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        store::environment::hold(&mut tx, found.environment_id).await?;
        let mut promotion = locked(&mut tx, ctx, number).await?;

        // People as they are now, not as they were when the request came in.
        let standing = stand(&mut tx, &promotion).await?;
        if let Some(bar) = barred(&standing, user.id) {
            let why = bar.to_them();
            return Err(Error::forbidden(format!("You may not decide on promotion #{number}: {why}.")));
        }
        let theirs = |one: &&Decision| one.user_id == user.id && one.subject_digest == new.subject_digest;
        if let Some(earlier) = standing.decisions.iter().rev().find(theirs).cloned() {
            if (earlier.verdict, &earlier.comment) == (new.verdict, &comment) {
                return Ok((earlier, false));
            }
            if earlier.verdict != DecisionVerdict::RequestChanges || new.verdict == DecisionVerdict::RequestChanges {
                return Err(Error::conflict(format!(
                    "You have {} exactly this already; a decision is not changed afterwards.",
                    earlier.verdict.past()
                )));
            }
        }
        if promotion.state != PromotionState::AwaitingApproval {
            return Err(undecidable(&promotion));
        }
        if standing.facts.expired || !standing.facts.holds || !standing.facts.exists {
            let words = standing.words.clone();
            let Some(to) = advance(promotion.state, &standing.facts) else { return Err(Error::internal()) };
            apply(&mut tx, &mut promotion, to, standing).await?;
            commit(tx).await?;
            return Err(Error::conflict(match to {
                PromotionState::Expired => format!("Promotion #{number} expired. {}", promotion.state_reason),
                _ => format!("What you saw has changed: {words}. Promotion #{number} ends; it can be requested again."),
            }));
        }
        if promotion.subject_digest.as_ref() != Some(&new.subject_digest) {
            return Err(Error::conflict(format!(
                "What you saw has changed since. {}Look at promotion #{number} again.",
                spaced(&promotion.state_reason)
            )));
        }
        if standing.policies.reauthenticate() && !reauthenticated {
            return Err(Error::invalid_field("password", "The policy asks for your password with each decision."));
        }
        let (rules, acting_for) = match new.verdict {
            DecisionVerdict::Approve => counted(&standing, user.id, &new, &comment)?,
            _ => Counted::default(),
        };
        let asked = |key: &String| rules.contains(key);
        let decision = Decision {
            id: DecisionId::new(),
            user_id: user.id,
            user_name: user.name.clone(),
            verdict: new.verdict,
            comment,
            subject_digest: new.subject_digest,
            acting_for,
            inputs: new.inputs.into_iter().filter(|(key, _)| asked(key)).collect(),
            checked: new.checked.into_iter().filter(|(key, _)| asked(key)).collect(),
            rules,
            reauthenticated,
            at: now(),
        };
        store::promotion::insert_decision(&mut tx, promotion.id, &decision).await?;
        self.after_decision(&mut tx, ctx, &mut promotion, standing, &decision).await?;
        commit(tx).await?;
        Ok((decision, true))
    }

    /// Writes what was decided into the history, and lets happen what follows from it.
    async fn after_decision(
        &self,
        tx: &mut PgConnection,
        ctx: &Ctx,
        promotion: &mut Promotion,
        mut standing: Standing,
        decision: &Decision,
    ) -> Result<()> {
        let candidate = super::candidate_of(tx, promotion).await?;
        let action = match decision.verdict {
            DecisionVerdict::Approve => "promotion.approved",
            DecisionVerdict::Reject => "promotion.rejected",
            DecisionVerdict::RequestChanges => "promotion.changes_requested",
        };
        if decision.verdict == DecisionVerdict::Reject {
            let reason = format!("{} said no: {}", decision.user_name, decision.comment);
            super::move_to(tx, promotion, PromotionState::Rejected, reason).await?;
        }
        let summary = format!("{} {}", decision.verdict.past(), promotion.title());
        event(action, promotion, &candidate, summary)
            .details(serde_json::json!({
                "subject_digest": decision.subject_digest,
                "decision_digest": decision.digest().map_err(unexpected)?,
                "comment": decision.comment,
                "rules": decision.rules,
                "acting_for": decision.acting_for,
            }))
            .write(tx, ctx)
            .await?;
        // Under the locks nothing else has changed since.
        standing.count(decision.clone());
        match advance(promotion.state, &standing.facts) {
            Some(to @ PromotionState::Approved) => apply(tx, promotion, to, standing).await,
            _ => announce(tx, promotion).await,
        }
    }
}

/// Why somebody may not decide at all; none when they have a place in some rule. Where no rule asks anybody, nobody
/// decides.
fn barred(standing: &Standing, user: UserId) -> Option<Bar> {
    let mut bars = Vec::new();
    for (_, rule) in standing.policies.rules() {
        match standing.electorate.seat(user, rule) {
            Ok(_) => return None,
            Err(bar) => bars.push(bar),
        }
    }
    // What somebody did says more than what no rule says of them.
    let said = bars.iter().position(|bar| *bar != Bar::NotEligible).unwrap_or(0);
    Some(if bars.is_empty() { Bar::NotEligible } else { bars.swap_remove(said) })
}

/// What a yes counts for: rules, and by rule whom the person stands in for, if anybody.
type Counted = (Vec<String>, Option<BTreeMap<String, UserId>>);

/// What a yes counts for, when all that the rules ask for was given. A yes that would not count is refused, so that it can
/// still be given when it would.
fn counted(standing: &Standing, user: UserId, new: &NewDecision, comment: &str) -> Result<Counted> {
    let mut others = last_decisions(&standing.decisions, &new.subject_digest);
    others.retain(|decision| decision.user_id != user);
    let electorate = &standing.electorate;
    let rules = electorate.standings(&standing.policies, &others);
    let keys: BTreeSet<String> = match new.rules.is_empty() {
        true => electorate.rules_of(user, &standing.policies, &others).into_iter().collect(),
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
        let seat = electorate.place(user, rule, &rules, &others).map_err(|bar| {
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

/// Why nothing is to be decided.
fn undecidable(promotion: &Promotion) -> Error {
    let number = promotion.number;
    let why = spaced(&promotion.state_reason);
    Error::conflict(if promotion.state == PromotionState::GatesRunning {
        format!("What you saw has changed. {why}Look at promotion #{number} again when its gates have run.")
    } else {
        format!("Promotion #{number} is not to be decided on: it {}. {why}", promotion.state.describe())
            .trim_end()
            .to_owned()
    })
}

/// A sentence with a space behind it; nothing for none.
fn spaced(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{} ", sentence(text)) }
}
