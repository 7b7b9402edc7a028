//! Deciding: a person's verdict on exactly what they saw.

use super::{
    advance::apply,
    announce, event, locked, no_promotion,
    standing::{Standing, stand},
};
use crate::{Ctx, NewDecision, Result, Services, ballot::details, boxed, commit};
use domain::{
    Error,
    permission::Permission,
    promotion::{Decision, DecisionVerdict, Promotion, PromotionState, advance},
    prose::sentence,
};
use store::{PgConnection, promotion::On};

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
        let comment = new.reason()?;
        let Some(user) = ctx.user() else { return Err(Error::forbidden("Only people decide on promotions.")) };
        let reauthenticated = self.is_reauthenticated(user.id, new.password.clone()).await?;
        let mut tx = self.begin().await?;
        let found = store::promotion::by_number(&mut tx, &ctx.sight(), number).await?;
        let found = found.ok_or_else(|| no_promotion(number))?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        store::environment::hold(&mut tx, found.environment_id).await?;
        let mut promotion = locked(&mut tx, ctx, number).await?;

        // People as they are now, not as they were when the request came in.
        let standing = stand(&mut tx, &promotion).await?;
        if let Some(bar) = standing.ballot().barred(user.id) {
            let why = bar.to_them();
            return Err(Error::forbidden(format!("You may not decide on promotion #{number}: {why}.")));
        }
        if let Some(earlier) = standing.ballot().repeated(user.id, &new, &comment)? {
            return Ok((earlier, false));
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
        let decision = standing.ballot().cast(user, new, comment, reauthenticated)?;
        store::promotion::insert_decision(&mut tx, On::Promotion(promotion.id), &decision).await?;
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
        event(action, promotion, &candidate, summary).details(details(decision)?).write(tx, ctx).await?;
        // Under the locks nothing else has changed since.
        standing.count(decision.clone());
        match advance(promotion.state, &standing.facts) {
            Some(to @ PromotionState::Approved) => apply(tx, promotion, to, standing).await,
            _ => announce(tx, promotion).await,
        }
    }
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
