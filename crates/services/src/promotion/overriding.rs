//! Break-glass: gates or a freeze are set aside by two people, loudly, and a review follows.

use super::{announce, candidate_of, checked_comment, event, go_on, locked, no_promotion, present::in_force};
use crate::{Ctx, Result, Services, boxed, commit, now};
use chrono::TimeDelta;
use domain::{
    Error, ErrorKind,
    id::OverrideId,
    permission::Role,
    policy::Action,
    promotion::{Override, OverrideKind, Promotion, PromotionState},
};
use store::PgConnection;

/// How long a review may stay open before it nags.
const REVIEW: TimeDelta = TimeDelta::days(3);
/// How often it nags then.
const NAG: TimeDelta = TimeDelta::days(1);

/// An override to be asked for.
#[derive(Debug, Clone)]
pub struct NewOverride {
    /// What is to be set aside.
    pub kind: OverrideKind,
    /// Why it cannot wait.
    pub reason: String,
}

impl Services {
    /// Asks for gates or a freeze to be set aside. Nothing happens until somebody else confirms it.
    ///
    /// # Errors
    /// `Forbidden` to others than people with the role operator or admin; `Conflict` when there is nothing to set aside,
    /// or the same is asked for already.
    #[boxed]
    pub async fn open_override(&self, ctx: &Ctx, number: i64, new: NewOverride) -> Result<Override> {
        let reason = checked_comment(&new.reason).map_err(|error| error.in_field("reason"))?;
        if reason.chars().count() < 10 {
            return Err(Error::invalid_field(
                "reason",
                "Say in a sentence why this cannot wait; it is reviewed later.",
            ));
        }
        let user = ctx.user().filter(|user| !user.is_service);
        let Some(user) = user.filter(|_| ctx.roles.contains(&Role::Operator) || ctx.roles.contains(&Role::Admin))
        else {
            return Err(Error::forbidden("Only people with the role operator or admin break glass."));
        };
        let mut tx = self.begin().await?;
        let promotion = held(&mut tx, ctx, number).await?;
        let fits = match new.kind {
            OverrideKind::Gates => promotion.state == PromotionState::Blocked,
            OverrideKind::Freeze => {
                matches!(promotion.state, PromotionState::AwaitingApproval)
                    || matches!(promotion.state, PromotionState::Approved | PromotionState::Scheduled)
            }
        };
        let Some(subject_digest) = promotion.subject_digest.clone().filter(|_| fits) else {
            return Err(Error::conflict(match new.kind {
                OverrideKind::Gates => {
                    format!("No gates hold promotion #{number}: it {}.", promotion.state.describe())
                }
                OverrideKind::Freeze => {
                    format!("No freeze holds promotion #{number}: it {}.", promotion.state.describe())
                }
            }));
        };
        let wanted = Override {
            id: OverrideId::new(),
            promotion_number: number,
            kind: new.kind,
            reason,
            subject_digest,
            opened_by: user.id,
            opener: user.name.clone(),
            opened_at: now(),
            confirmed_by: None,
            confirmer: None,
            confirmed_at: None,
            review_due_at: None,
            reviewer: None,
            review: None,
            reviewed_at: None,
        };
        let known = store::promotion::overrides(&mut tx, promotion.id).await?;
        if known.iter().any(|one| one.kind == wanted.kind && one.subject_digest == wanted.subject_digest) {
            return Err(Error::already_exists("This is asked for already; somebody else confirms it."));
        }
        store::promotion::insert_override(&mut tx, ctx.workspace_id(), promotion.id, &wanted).await?;
        let candidate = candidate_of(&mut tx, &promotion).await?;
        let summary =
            format!("asked to override the {} for {}: {}", noun(wanted.kind), promotion.title(), wanted.reason);
        event("promotion.override_opened", &promotion, &candidate, summary)
            .details(serde_json::json!({
                "override": wanted.id, "kind": wanted.kind, "reason": wanted.reason,
                "subject_digest": wanted.subject_digest,
            }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &promotion).await?;
        commit(tx).await?;
        Ok(wanted)
    }

    /// Confirms an override that somebody else asked for: from then on it holds, and its review is open. The same person
    /// confirming again changes nothing.
    ///
    /// # Errors
    /// `Forbidden` to whoever asked for it, requested the promotion, or is not among those who may: whom the policies'
    /// rules for `override_freeze` name, or else approvers and admins; `Conflict` when the subject changed since.
    #[boxed]
    pub async fn confirm_override(&self, ctx: &Ctx, number: i64, id: OverrideId) -> Result<Override> {
        let Some(user) = ctx.user().filter(|user| !user.is_service) else {
            return Err(Error::forbidden("Only people confirm an override."));
        };
        let mut tx = self.begin().await?;
        let promotion = held(&mut tx, ctx, number).await?;
        let found = one(&mut tx, &promotion, id).await?;
        if found.confirmed_at.is_some() {
            return if found.confirmed_by == Some(user.id) {
                Ok(found)
            } else {
                Err(Error::conflict("Somebody confirmed this already."))
            };
        }
        if found.opened_by == user.id {
            return Err(Error::forbidden("You asked for this; somebody else confirms it."));
        }
        if promotion.requested_by == Some(user.id) || promotion.on_behalf_of == Some(user.id) {
            return Err(Error::forbidden("You requested this promotion; somebody else confirms the override."));
        }
        self.check_may_confirm(&mut tx, ctx, &promotion).await?;
        if !promotion.state.may_expire() || promotion.subject_digest.as_ref() != Some(&found.subject_digest) {
            return Err(Error::conflict(format!(
                "What was to be overridden is no more: promotion #{number} {}.",
                promotion.state.describe()
            )));
        }
        let due = store::clock(&mut tx).await? + REVIEW;
        if !store::promotion::set_confirmed(&mut tx, id, (user.id, &user.name), due).await? {
            return Err(Error::conflict("Somebody confirmed this already."));
        }
        let candidate = candidate_of(&mut tx, &promotion).await?;
        let summary = format!("confirmed overriding the {} for {}", noun(found.kind), promotion.title());
        event("promotion.override_confirmed", &promotion, &candidate, summary)
            .details(serde_json::json!({
                "override": id, "kind": found.kind, "opened_by": found.opened_by, "reason": found.reason,
                "subject_digest": found.subject_digest, "review_due_at": due,
            }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &promotion).await?;
        go_on(&mut tx, &promotion).await?;
        let confirmed = one(&mut tx, &promotion, id).await?;
        commit(tx).await?;
        metrics::counter!("slipway_overrides_total", "kind" => found.kind.as_str()).increment(1);
        Ok(confirmed)
    }

    /// Whether whoever asks is among those who may confirm an override.
    async fn check_may_confirm(&self, tx: &mut PgConnection, ctx: &Ctx, promotion: &Promotion) -> Result<()> {
        let candidate = candidate_of(tx, promotion).await?;
        let environment = store::environment::by_id(tx, promotion.environment_id).await?;
        let environment = environment.ok_or_else(Error::internal)?;
        let policies = in_force(tx, &environment, &candidate, Action::OverrideFreeze).await?;
        let Some(user) = ctx.user() else { return Err(Error::forbidden("Only people confirm an override.")) };
        let people = super::people::People::read(tx, promotion.workspace_id).await?;
        let electorate = people.electorate(tx, promotion).await?;
        let may = match policies.asks_anybody() {
            true => policies.rules().all(|(_, rule)| electorate.seat(user.id, rule).is_ok()),
            false => ctx.roles.contains(&Role::Approver) || ctx.roles.contains(&Role::Admin),
        };
        if may {
            return Ok(());
        }
        Err(Error::forbidden("An override is confirmed by an approver or admin, or by whom the policies name for it."))
    }

    /// Closes the review of an override, saying whether it was right.
    ///
    /// # Errors
    /// `Forbidden` to the two who overrode; `Conflict` when there is nothing to review, or somebody has.
    #[boxed]
    pub async fn review_override(&self, ctx: &Ctx, number: i64, id: OverrideId, review: &str) -> Result<Override> {
        let review = checked_comment(review).map_err(|error| error.in_field("review"))?;
        if review.is_empty() {
            return Err(Error::invalid_field("review", "Say what you found."));
        }
        let Some(user) = ctx.user().filter(|user| !user.is_service) else {
            return Err(Error::forbidden("Only people review an override."));
        };
        let mut tx = self.begin().await?;
        let promotion = locked(&mut tx, ctx, number).await?;
        let found = one(&mut tx, &promotion, id).await?;
        if found.opened_by == user.id || found.confirmed_by == Some(user.id) {
            return Err(Error::forbidden("You took part in this override; somebody else reviews it."));
        }
        if promotion.requested_by == Some(user.id) || promotion.on_behalf_of == Some(user.id) {
            return Err(Error::forbidden("You requested this promotion; somebody else reviews the override."));
        }
        if !ctx.roles.contains(&Role::Approver) && !ctx.roles.contains(&Role::Admin) {
            return Err(Error::forbidden("An override is reviewed by an approver or admin."));
        }
        if !store::promotion::set_reviewed(&mut tx, id, (user.id, &user.name), &review).await? {
            return Err(Error::conflict("There is nothing to review here: it was not confirmed, or was reviewed."));
        }
        let candidate = candidate_of(&mut tx, &promotion).await?;
        let summary = format!("reviewed the override of the {} for {}", noun(found.kind), promotion.title());
        event("promotion.override_reviewed", &promotion, &candidate, summary)
            .details(serde_json::json!({ "override": id, "review": review }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &promotion).await?;
        let reviewed = one(&mut tx, &promotion, id).await?;
        commit(tx).await?;
        Ok(reviewed)
    }

    /// The overrides whose review nobody has closed: a banner shows them until somebody does.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn unreviewed_overrides(&self, ctx: &Ctx) -> Result<Vec<Override>> {
        Ok(store::promotion::unreviewed(&mut *self.conn().await?, &ctx.sight()).await?)
    }

    /// Reminds of reviews that are overdue, each once a day. Tells how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn nag_about_reviews(&self) -> Result<usize> {
        let mut tx = self.begin().await?;
        let since = store::clock(&mut tx).await? - NAG;
        let overdue = store::promotion::take_overdue(&mut tx, since, 100).await?;
        for id in &overdue {
            let Some((promotion, found)) = store::promotion::override_by_id(&mut tx, *id).await? else { continue };
            let Some(promotion) = store::promotion::by_id(&mut tx, promotion).await? else { continue };
            let candidate = candidate_of(&mut tx, &promotion).await?;
            let summary = format!(
                "reminded that the override of the {} for {} awaits its review",
                noun(found.kind),
                promotion.title()
            );
            let event = event("promotion.override_review_overdue", &promotion, &candidate, summary)
                .details(serde_json::json!({ "override": id, "due": found.review_due_at }));
            super::write_as_system(event, &mut tx, &promotion).await?;
        }
        commit(tx).await?;
        Ok(overdue.len())
    }
}

fn noun(kind: OverrideKind) -> &'static str {
    match kind {
        OverrideKind::Gates => "gates",
        OverrideKind::Freeze => "freeze",
    }
}

async fn one(tx: &mut PgConnection, promotion: &Promotion, id: OverrideId) -> Result<Override> {
    let all = store::promotion::overrides(tx, promotion.id).await?;
    all.into_iter()
        .find(|one| one.id == id)
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "No such override of this promotion."))
}

/// The promotion, locked, with what is in force held.
async fn held(tx: &mut PgConnection, ctx: &Ctx, number: i64) -> Result<Promotion> {
    let found = store::promotion::by_number(tx, &ctx.sight(), number).await?.ok_or_else(|| no_promotion(number))?;
    store::policy::hold(tx, ctx.workspace_id()).await?;
    store::environment::hold(tx, found.environment_id).await?;
    locked(tx, ctx, number).await
}
