//! Promotions: asking for one, taking it back, running its gates again, and everything that is shown of it. Deciding is
//! in `decide`, and what goes on by itself in `advance`.
//!
//! Whoever changes anything about a promotion locks in one order: the workspace's policies, its environment, the promotion,
//! then others by id. [`standing`] reads under those locks all that its state depends on.

mod advance;
mod decide;
mod evidence;
mod expiry;
mod gates;
mod looking_back;
mod mailing;
mod outside;
mod overriding;
pub(crate) mod people;
mod present;
mod read;
mod replay;
mod standing;
mod trial;

pub use advance::Sweep;
pub(crate) use advance::{meet_new_champion, meet_new_policies, supersede};
pub use evidence::NewEvidence;
pub(crate) use mailing::{mail_mentioned, mail_of_event};
pub use outside::NewAnswer;
pub use overriding::NewOverride;
pub(crate) use present::in_force;
pub use store::promotion::Filter as PromotionFilter;

use crate::{
    Ctx, Event, Result, Services, boxed, commit,
    environment::{self, is_name},
    now,
    step::account,
    webhook::tell_of_promotion,
};
use domain::{
    Error,
    audit::{Actor, Object, ObjectKind},
    deployment::Deployment,
    environment::Environment,
    id::{PromotionId, WorkspaceId},
    permission::{Permission, Role},
    policy::{Action, PolicySet},
    promotion::{Promotion, PromotionState},
    webhook::PromotionEvent,
};
use store::{PgConnection, promotion::Candidate, wake::Wake};

/// The most characters of a comment.
const MAX_COMMENT: usize = 10_000;

/// A version to be promoted.
#[derive(Debug, Clone)]
pub struct NewPromotion {
    /// The model's name.
    pub model: String,
    /// The version's number.
    pub version: i32,
    /// Where to, by name.
    pub environment: String,
    /// Why.
    pub comment: String,
    /// Whether it is only written down for now: its gates do not run until it is submitted.
    pub draft: bool,
    /// The number of a promotion that has ended and that this one asks again for.
    pub again: Option<i64>,
}

impl Services {
    /// Asks for a version to be brought into an environment. Its gates begin to run by themselves, unless it is a draft.
    ///
    /// # Errors
    /// `NotFound` for an unknown environment, model or version; `Invalid` when the version cannot be served; `AlreadyExists`
    /// when the same is asked for already; `Conflict` when the version serves there already.
    #[boxed]
    pub async fn request_promotion(&self, ctx: &Ctx, new: NewPromotion) -> Result<Promotion> {
        let comment = checked_comment(&new.comment)?;
        // Before anything is held: loading takes a while.
        if let Some(sentence) = self.known_not_to_serve(ctx, &new).await? {
            return Err(Error::invalid_field("version", sentence));
        }
        let mut tx = self.begin().await?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        let environment = environment::held(&mut tx, ctx, &new.environment).await;
        let environment = environment.map_err(|error| error.in_field("environment"))?;
        let candidate = match is_name(&new.model) {
            true => store::promotion::candidate_by_number(&mut tx, ctx.workspace_id(), &new.model, new.version).await?,
            false => None,
        };
        let candidate = candidate.filter(|candidate| !candidate.is_deleted).ok_or_else(|| {
            Error::not_found("model version", format!("{} v{}", new.model, new.version)).in_field("version")
        })?;
        if let Some(sentence) = present::unfit(&candidate) {
            return Err(Error::invalid_field("version", sentence));
        }
        let title = format!("{} v{}", candidate.model, candidate.version);
        let live = store::deployment::live(&mut tx, environment.id, candidate.model_id).await?;
        if live.is_some_and(|live| live.model_version_id == candidate.id) {
            return Err(Error::conflict(format!("{title} serves in {} already.", environment.name)));
        }
        if let Some(open) = store::promotion::open_of_version(&mut tx, candidate.id, environment.id).await? {
            return Err(asked_already(&open));
        }
        if let Some(former) = new.again {
            let known = store::promotion::by_number(&mut tx, &ctx.sight(), former).await?;
            let fits = known
                .as_ref()
                .is_some_and(|known| (known.model_version_id, known.environment_id) == (candidate.id, environment.id));
            if !fits {
                let message = format!("Promotion #{former} does not ask for {title} in {}.", environment.name);
                return Err(Error::invalid_field("again", message));
            }
        }
        let policies = present::in_force(&mut tx, &environment, &candidate, Action::Promote).await?;
        if !policies.may_skip()
            && let Some(sentence) = skips(&mut tx, &environment, &candidate).await?
        {
            return Err(Error::conflict(sentence).in_field("environment"));
        }
        let now = now();
        let state = if new.draft { PromotionState::Draft } else { PromotionState::GatesRunning };
        let promotion = Promotion {
            id: PromotionId::new(),
            workspace_id: ctx.workspace_id(),
            number: store::counter::next(&mut tx, ctx.workspace_id(), "promotion").await?,
            model_version_id: candidate.id,
            model: candidate.model.clone(),
            version: candidate.version,
            environment_id: environment.id,
            environment: environment.name.clone(),
            state,
            state_reason: String::new(),
            requested_by: ctx.user().map(|user| user.id),
            on_behalf_of: account::person_behind(&mut tx, ctx).await?,
            requester: ctx.actor().name().to_owned(),
            comment,
            subject: None,
            subject_digest: None,
            expires_at: now + policies.expires_after().delta(),
            approved_at: None,
            again: new.again,
            created_at: now,
            updated_at: now,
        };
        match store::promotion::insert(&mut tx, &promotion, candidate.model_id).await {
            Ok(()) => {}
            // Somebody asked for the same at the same moment.
            Err(error) if error.is_duplicate_of("promotions_open") => {
                drop(tx);
                let mut conn = self.conn().await?;
                let open = store::promotion::open_of_version(&mut conn, candidate.id, environment.id).await?;
                return Err(open.map_or_else(
                    || Error::conflict("Somebody asked for the same; try again."),
                    |open| asked_already(&open),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        store::promotion::reset_gates(&mut tx, promotion.id, &policies).await?;
        let (action, summary) = match new.draft {
            true => ("promotion.drafted", format!("drafted {title} for {}", environment.name)),
            false => ("promotion.requested", format!("requested {title} for {}", environment.name)),
        };
        event(action, &promotion, &candidate, summary)
            .details(serde_json::json!({
                "comment": promotion.comment, "policies": policies.pins(), "on_behalf_of": promotion.on_behalf_of,
                "again": promotion.again, "expires_at": promotion.expires_at,
            }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &promotion).await?;
        store::wake::push(&mut tx, &Wake::Promotion { id: promotion.id }).await?;
        commit(tx).await?;
        Ok(promotion)
    }

    /// Why the version that is asked for is known not to serve; none when it can be loaded, or nothing can be told here.
    async fn known_not_to_serve(&self, ctx: &Ctx, new: &NewPromotion) -> Result<Option<String>> {
        let files = {
            let mut conn = self.conn().await?;
            let candidate = match is_name(&new.model) {
                true => {
                    let workspace = ctx.workspace_id();
                    store::promotion::candidate_by_number(&mut conn, workspace, &new.model, new.version).await?
                }
                false => None,
            };
            match candidate.filter(|candidate| present::unfit(candidate).is_none()) {
                Some(candidate) => store::model_version::files(&mut conn, candidate.id).await?,
                // What is wrong with it is told where it is looked up.
                None => return Ok(None),
            }
        };
        let sentence = self.refusal(&files).await?;
        Ok(sentence.map(|why| format!("{} v{} cannot be served: {why}", new.model, new.version)))
    }

    /// Asks for what was drafted: its gates begin to run. Doing it again changes nothing.
    ///
    /// # Errors
    /// `Forbidden` to others than the requester and admins; `Conflict` when it has ended.
    #[boxed]
    pub async fn submit_promotion(&self, ctx: &Ctx, number: i64) -> Result<Promotion> {
        let mut tx = self.begin().await?;
        let found = store::promotion::by_number(&mut tx, &ctx.sight(), number).await?;
        let found = found.ok_or_else(|| no_promotion(number))?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        store::environment::hold(&mut tx, found.environment_id).await?;
        let mut promotion = locked(&mut tx, ctx, number).await?;
        if !may_withdraw(ctx, &promotion) {
            return Err(Error::forbidden(format!(
                "Only {}, who wrote it, or an admin may submit promotion #{number}.",
                promotion.requester
            )));
        }
        if promotion.state != PromotionState::Draft {
            if promotion.state.is_open() || promotion.state == PromotionState::Live {
                return Ok(promotion);
            }
            return Err(Error::conflict(format!(
                "Promotion #{number} cannot be submitted: it {}.",
                promotion.state.describe()
            )));
        }
        run_gates_again(&mut tx, &mut promotion, None, String::new()).await?;
        let candidate = candidate_of(&mut tx, &promotion).await?;
        let summary = format!("requested {} for {}", promotion.version_title(), promotion.environment);
        event("promotion.requested", &promotion, &candidate, summary).write(&mut tx, ctx).await?;
        commit(tx).await?;
        Ok(promotion)
    }

    /// Takes a request back. Doing it again changes nothing.
    ///
    /// # Errors
    /// `Forbidden` to others than the requester and admins; `Conflict` when it has ended or is being deployed.
    #[boxed]
    pub async fn withdraw_promotion(&self, ctx: &Ctx, number: i64) -> Result<Promotion> {
        let mut tx = self.begin().await?;
        let mut promotion = locked(&mut tx, ctx, number).await?;
        if !may_withdraw(ctx, &promotion) {
            return Err(Error::forbidden(format!(
                "Only {}, who requested it, or an admin may withdraw promotion #{number}.",
                promotion.requester
            )));
        }
        if promotion.state == PromotionState::Withdrawn {
            return Ok(promotion);
        }
        if !promotion.state.next().contains(&PromotionState::Withdrawn) {
            return Err(Error::conflict(format!(
                "Promotion #{number} cannot be withdrawn: it {}.",
                promotion.state.describe()
            )));
        }
        move_to(&mut tx, &mut promotion, PromotionState::Withdrawn, String::new()).await?;
        let candidate = candidate_of(&mut tx, &promotion).await?;
        event("promotion.withdrawn", &promotion, &candidate, format!("withdrew {}", promotion.title()))
            .write(&mut tx, ctx)
            .await?;
        commit(tx).await?;
        Ok(promotion)
    }

    /// Runs the gates again: after a gate failed or could not tell, by the policies in force; or to be sure while people are
    /// asked. Then approvals still count when the gates find exactly the same, and else the promotion ends.
    ///
    /// # Errors
    /// `Conflict` when it has ended, or is past that.
    #[boxed]
    pub async fn rerun_gates(&self, ctx: &Ctx, number: i64) -> Result<Promotion> {
        let mut tx = self.begin().await?;
        let found = store::promotion::by_number(&mut tx, &ctx.sight(), number).await?;
        let found = found.ok_or_else(|| no_promotion(number))?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        store::environment::hold(&mut tx, found.environment_id).await?;
        let mut promotion = locked(&mut tx, ctx, number).await?;
        match promotion.state {
            PromotionState::GatesRunning => return Ok(promotion),
            PromotionState::Blocked | PromotionState::AwaitingApproval => {}
            state => {
                return Err(Error::conflict(format!(
                    "The gates of promotion #{number} cannot be run again: it {}.",
                    state.describe()
                )));
            }
        }
        // What people were asked about stays under the policies that they were asked under.
        let asked = promotion.state == PromotionState::AwaitingApproval;
        let policies = match asked {
            true => Some(store::policy::of_promotion(&mut tx, promotion.id).await?),
            false => None,
        };
        run_gates_again(&mut tx, &mut promotion, policies.as_ref(), String::new()).await?;
        let candidate = candidate_of(&mut tx, &promotion).await?;
        event(
            "promotion.gates_restarted",
            &promotion,
            &candidate,
            format!("ran the gates of {} again", promotion.title()),
        )
        .write(&mut tx, ctx)
        .await?;
        commit(tx).await?;
        Ok(promotion)
    }
}

/// Whether whoever asks may take a request back: who made it, and admins.
#[must_use]
pub fn may_withdraw(ctx: &Ctx, promotion: &Promotion) -> bool {
    let is_theirs = ctx.user().is_none_or(|user| promotion.requested_by == Some(user.id));
    ctx.may(Permission::RequestPromotion) && (is_theirs || ctx.roles.contains(&Role::Admin))
}

fn asked_already(open: &Promotion) -> Error {
    Error::already_exists(format!(
        "Promotion #{} asks for {} in {} already: it {}.",
        open.number,
        open.version_title(),
        open.environment,
        open.state.describe()
    ))
}

pub(crate) fn no_promotion(number: i64) -> Error {
    Error::new(domain::ErrorKind::NotFound, format!("No promotion #{number} in this workspace."))
}

/// A comment without white space around it.
pub(crate) fn checked_comment(text: &str) -> Result<String> {
    let text = text.trim();
    if text.chars().count() > MAX_COMMENT {
        return Err(Error::invalid_field("comment", format!("A comment has at most {MAX_COMMENT} characters.")));
    }
    if text.contains('\0') {
        return Err(Error::invalid_field("comment", "A comment has no zero bytes."));
    }
    Ok(text.to_owned())
}

/// The promotion of this number, locked until the transaction ends.
async fn locked(tx: &mut PgConnection, ctx: &Ctx, number: i64) -> Result<Promotion> {
    let found = store::promotion::by_number(tx, &ctx.sight(), number).await?.ok_or_else(|| no_promotion(number))?;
    store::promotion::lock(tx, found.id).await?.ok_or_else(|| no_promotion(number))
}

pub(crate) async fn candidate_of(tx: &mut PgConnection, promotion: &Promotion) -> Result<Candidate> {
    store::promotion::candidate(tx, promotion.model_version_id).await?.ok_or_else(|| {
        tracing::error!(promotion = %promotion.id, "the version of a promotion is missing");
        Error::internal()
    })
}

/// An event of a promotion, on the timelines of its version, its model and its environment too.
pub(crate) fn event(action: &'static str, promotion: &Promotion, candidate: &Candidate, summary: String) -> Event {
    Event::new(action, Object::new(ObjectKind::Promotion, promotion.id, format!("#{}", promotion.number)), summary)
        .related(Object::new(ObjectKind::ModelVersion, candidate.id, promotion.version_title()))
        .related(Object::new(ObjectKind::Model, candidate.model_id, &promotion.model))
        .related(Object::new(ObjectKind::Environment, promotion.environment_id, &promotion.environment))
}

/// Writes an event that nobody in particular caused.
pub(crate) async fn write_as_system(event: Event, tx: &mut PgConnection, promotion: &Promotion) -> Result<()> {
    event.write_as(tx, Some(promotion.workspace_id), Actor::System, None).await
}

/// Tells open pages.
pub(crate) async fn announce(tx: &mut PgConnection, promotion: &Promotion) -> Result<()> {
    store::event::notify(tx, &format!("promotion:{}", promotion.id)).await?;
    store::event::notify(tx, &format!("promotions:{}", promotion.workspace_id)).await?;
    Ok(())
}

/// Moves a promotion that is locked, when the table of moves allows it, and tells open pages.
pub(crate) async fn move_to(
    tx: &mut PgConnection,
    promotion: &mut Promotion,
    to: PromotionState,
    reason: String,
) -> Result<()> {
    let from = promotion.state;
    if !from.next().contains(&to) || !store::promotion::set_state(tx, promotion.id, from, to, &reason).await? {
        tracing::error!(promotion = %promotion.id, ?from, ?to, "an illegal move");
        return Err(Error::internal());
    }
    promotion.state = to;
    promotion.state_reason = reason;
    count(promotion);
    if let Some(told) = PromotionEvent::of_move(from, to) {
        tell_of_promotion(tx, promotion, told, |_| serde_json::json!({ "before": from })).await?;
    }
    mailing::mail_of_move(tx, promotion).await?;
    announce(tx, promotion).await
}

/// Counts how a promotion ended, and how long it took until it was decided on.
fn count(promotion: &Promotion) {
    let environment = promotion.environment.clone();
    if matches!(promotion.state, PromotionState::Approved | PromotionState::Rejected) {
        let seconds = (now() - promotion.created_at).to_std().unwrap_or_default();
        metrics::histogram!("slipway_promotion_decision_seconds", "environment" => environment.clone())
            .record(seconds.as_secs_f64());
    }
    if !promotion.state.is_open() {
        metrics::counter!("slipway_promotions_total", "environment" => environment, "end" => promotion.state.as_str())
            .increment(1);
    }
}

/// Lets the gates of a promotion that is locked run again, held against these policies, or else those in force. What people
/// were asked about is kept, to be held against what is found then.
pub(crate) async fn run_gates_again(
    tx: &mut PgConnection,
    promotion: &mut Promotion,
    policies: Option<&PolicySet>,
    reason: String,
) -> Result<()> {
    let asked = promotion.state == PromotionState::AwaitingApproval;
    if promotion.state == PromotionState::GatesRunning {
        announce(tx, promotion).await?;
    } else {
        move_to(tx, promotion, PromotionState::GatesRunning, reason).await?;
    }
    let in_force = match policies {
        Some(_) => None,
        None => {
            let candidate = candidate_of(tx, promotion).await?;
            let environment = store::environment::by_id(tx, promotion.environment_id).await?;
            let environment = environment.ok_or_else(Error::internal)?;
            Some(present::in_force(tx, &environment, &candidate, Action::Promote).await?)
        }
    };
    if let Some(policies) = policies.or(in_force.as_ref()) {
        store::promotion::reset_gates(tx, promotion.id, policies).await?;
    }
    if !asked {
        store::promotion::set_subject(tx, promotion.id, None).await?;
        promotion.subject = None;
        promotion.subject_digest = None;
    }
    go_on(tx, promotion).await
}

/// Wakes whoever goes on with a promotion.
pub(crate) async fn go_on(tx: &mut PgConnection, promotion: &Promotion) -> Result<()> {
    store::wake::push(tx, &Wake::Promotion { id: promotion.id }).await?;
    Ok(())
}

/// The checks of a version of a dataset have ended: wakes whoever goes on with promotions whose gates waited for some.
pub(crate) async fn dataset_version_checked(tx: &mut PgConnection, workspace: WorkspaceId) -> Result<()> {
    for id in store::promotion::waiting_for_checks(tx, workspace).await? {
        store::wake::push(tx, &Wake::Promotion { id }).await?;
    }
    Ok(())
}

/// Why a version may not enter an environment yet that comes after others; none when it may.
async fn skips(tx: &mut PgConnection, environment: &Environment, candidate: &Candidate) -> Result<Option<String>> {
    let all = store::environment::list(tx, environment.workspace_id).await?;
    let before = all.iter().rfind(|one| one.protected && one.position < environment.position);
    let Some(before) = before else { return Ok(None) };
    if store::deployment::was_live(tx, before.id, candidate.id).await? {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} v{} has not served in {}, which comes before {}. Promote it there first; the policy lets nothing be skipped.",
        candidate.model, candidate.version, before.name, environment.name
    )))
}

/// Ends a promotion whose version was live until it was rolled back.
pub(crate) async fn end_rolled_back(
    tx: &mut PgConnection,
    ctx: &Ctx,
    promotion: &mut Promotion,
    back_to: &Deployment,
    reason: String,
) -> Result<()> {
    move_to(tx, promotion, PromotionState::RolledBack, reason).await?;
    let candidate = candidate_of(tx, promotion).await?;
    let summary = format!("rolled {} back to v{}", promotion.title(), back_to.version);
    event("promotion.rolled_back", promotion, &candidate, summary).write(tx, ctx).await
}

/// Ends a promotion whose version was taken out of its environment, with nothing in its place.
pub(crate) async fn end_retired(tx: &mut PgConnection, ctx: &Ctx, promotion: &mut Promotion) -> Result<()> {
    let reason = format!("{} took it out of {}.", ctx.actor().name(), promotion.environment);
    move_to(tx, promotion, PromotionState::Superseded, reason).await?;
    let candidate = candidate_of(tx, promotion).await?;
    let summary = format!("ended {}: nothing takes its place", promotion.title());
    event("promotion.superseded", promotion, &candidate, summary).write(tx, ctx).await
}
