//! Deciding: a person's verdict on exactly what they saw.

use super::{
    announce, candidate_of, checked_comment, event, locked, move_to, no_promotion,
    present::{Present, Standing, standing},
    run_gates_again, write_as_system,
};
use crate::{Ctx, Result, Services, boxed, commit, now};
use domain::{
    Digest, Error,
    id::DecisionId,
    permission::Permission,
    promotion::{Decision, DecisionVerdict, Promotion, PromotionState, barred, count_approvals, eligible},
    user::Member,
};
use store::{PgConnection, wake::Wake};

/// A verdict to be given.
#[derive(Debug, Clone)]
pub struct NewDecision {
    /// Yes or no.
    pub verdict: DecisionVerdict,
    /// Why; a no needs one.
    pub comment: String,
    /// The digest of the subject that the person looked at.
    pub subject_digest: Digest,
}

impl Services {
    /// Decides on a promotion. Tells whether the decision is new: the same request sent again gives the same decision.
    ///
    /// The digest that the person saw is held against the tables, not against what was stored when the gates ran; when
    /// it is another one, nothing is decided, and the gates run again where they have to.
    ///
    /// # Errors
    /// `Forbidden` when they may not decide on this one; `Conflict` when they decided otherwise before, when what they
    /// saw has changed, or when nothing is to be decided.
    #[boxed]
    pub async fn decide_promotion(&self, ctx: &Ctx, number: i64, new: NewDecision) -> Result<(Decision, bool)> {
        ctx.require(Permission::DecidePromotion)?;
        let comment = checked_comment(&new.comment)?;
        if new.verdict == DecisionVerdict::Reject && comment.is_empty() {
            return Err(Error::invalid_field(
                "comment",
                "Say why you reject it, so that the requester knows what to do.",
            ));
        }
        let Some(user) = ctx.user() else { return Err(Error::forbidden("Only people decide on promotions.")) };
        let mut tx = self.begin().await?;
        let found = store::promotion::by_number(&mut tx, ctx.workspace_id(), number).await?;
        store::environment::hold(&mut tx, found.ok_or_else(|| no_promotion(number))?.environment_id).await?;
        let mut promotion = locked(&mut tx, ctx, number).await?;

        // As they are now, not as they were when the request came in.
        let members = store::workspace::members(&mut tx, ctx.workspace_id()).await?;
        let is_approver = members.iter().any(|m| m.user.id == user.id && m.may(Permission::DecidePromotion));
        if let Some(bar) = barred(user, is_approver, &promotion) {
            let why = bar.to_them();
            return Err(Error::forbidden(format!("You may not decide on promotion #{number}: {why}.")));
        }
        if let Some(earlier) =
            store::promotion::decision_of(&mut tx, promotion.id, user.id, &new.subject_digest).await?
        {
            if (earlier.verdict, &earlier.comment) == (new.verdict, &comment) {
                return Ok((earlier, false));
            }
            return Err(Error::conflict(format!(
                "You have {} exactly this already; a decision is not changed afterwards.",
                earlier.verdict.past()
            )));
        }
        if promotion.state != PromotionState::AwaitingApproval {
            return Err(undecidable(&promotion));
        }
        let present = match standing(&mut tx, &promotion).await? {
            Standing::Same(present) => present,
            changed => {
                let words = fall_away(&mut tx, &mut promotion, changed).await?;
                commit(tx).await?;
                return Err(Error::conflict(format!(
                    "What you saw has changed: {words}. Look at promotion #{number} again."
                )));
            }
        };
        if promotion.subject_digest.as_ref() != Some(&new.subject_digest) {
            return Err(Error::conflict(format!(
                "What you saw has changed since. {}Look at promotion #{number} again.",
                spaced(&promotion.state_reason)
            )));
        }
        let decision = Decision {
            id: DecisionId::new(),
            user_id: user.id,
            user_name: user.name.clone(),
            verdict: new.verdict,
            comment,
            subject_digest: new.subject_digest,
            at: now(),
        };
        store::promotion::insert_decision(&mut tx, promotion.id, &decision).await?;
        let (action, approvals) = match new.verdict {
            DecisionVerdict::Reject => {
                let reason = format!("{} said no: {}", user.name, decision.comment);
                move_to(&mut tx, &mut promotion, PromotionState::Rejected, reason).await?;
                ("promotion.rejected", None)
            }
            DecisionVerdict::Approve => {
                let approvals = settle(&mut tx, &mut promotion, &present, &members).await?;
                ("promotion.approved", Some(approvals))
            }
        };
        event(action, &promotion, &present.candidate, format!("{} {}", new.verdict.past(), promotion.title()))
            .details(serde_json::json!({
                "subject_digest": decision.subject_digest,
                "comment": decision.comment,
                // So that another decision in its place is found: see docs/audit.md.
                "decision_digest": digest_of(&decision)?,
                "approvals": approvals,
                "needed": present.policy.document.rule.approvals,
                "state": promotion.state,
            }))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok((decision, true))
    }
}

/// The digest of everything that is kept of a decision.
fn digest_of(decision: &Decision) -> Result<Digest> {
    Digest::of_json(decision).map_err(|error| {
        tracing::error!(%error, "a decision has no JSON form");
        Error::internal()
    })
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
fn spaced(sentence: &str) -> String {
    if sentence.is_empty() { String::new() } else { format!("{sentence} ") }
}

/// Lets what was agreed on fall away, because it is no longer what there is. Says why, to end a sentence.
pub(super) async fn fall_away(tx: &mut PgConnection, promotion: &mut Promotion, standing: Standing) -> Result<String> {
    match standing {
        Standing::Same(_) => Ok(String::new()),
        Standing::Changed(present, words) => {
            let summary = format!("ran the gates of {} again: {words}", promotion.title());
            let before = promotion.subject_digest.clone();
            let reason = format!("Asked again: {words}.");
            run_gates_again(tx, promotion, &present.policy, reason).await?;
            let event = event("promotion.gates_restarted", promotion, &present.candidate, summary)
                .details(serde_json::json!({ "subject_digest": before, "because": words }));
            write_as_system(event, tx, promotion).await?;
            Ok(words)
        }
        Standing::Gone(sentence) => {
            invalidate(tx, promotion, sentence.clone()).await?;
            Ok(sentence.trim_end_matches('.').to_owned())
        }
    }
}

/// Ends a promotion whose version is no more.
pub(super) async fn invalidate(tx: &mut PgConnection, promotion: &mut Promotion, sentence: String) -> Result<()> {
    let summary = format!("ended {}: {}", promotion.title(), sentence.trim_end_matches('.'));
    move_to(tx, promotion, PromotionState::Invalidated, sentence).await?;
    let candidate = candidate_of(tx, promotion).await?;
    write_as_system(event("promotion.invalidated", promotion, &candidate, summary), tx, promotion).await
}

/// Approvals that count now: of the present subject, by members who may decide now.
pub(super) async fn approvals(tx: &mut PgConnection, promotion: &Promotion, members: &[Member]) -> Result<u8> {
    let Some(digest) = &promotion.subject_digest else { return Ok(0) };
    let decisions = store::promotion::decisions(tx, promotion.id).await?;
    Ok(count_approvals(&decisions, digest, &eligible(members, promotion)))
}

/// Approves a promotion that awaits approval, when enough people have; wakes whoever deploys it. Tells how many have.
pub(super) async fn settle(
    tx: &mut PgConnection,
    promotion: &mut Promotion,
    present: &Present,
    members: &[Member],
) -> Result<u8> {
    let approvals = approvals(tx, promotion, members).await?;
    if approvals >= present.policy.document.rule.approvals {
        move_to(tx, promotion, PromotionState::Approved, String::new()).await?;
        store::wake::push(tx, &Wake::Promotion { id: promotion.id }).await?;
    } else {
        announce(tx, promotion).await?;
    }
    Ok(approvals)
}
