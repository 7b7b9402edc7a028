//! Deployments: what serves, what did, and going back. Bringing an approved version into an environment is a step of
//! its promotion, in `promotion::advance`.

use crate::{
    Ctx, Event, Result, Services, boxed, commit,
    environment::{self, is_name},
    model::remove_alias,
    now,
    promotion::{self, checked_comment, supersede},
    webhook::tell_webhooks,
};
use domain::{
    Error, ErrorKind, Page,
    audit::{Actor, Object, ObjectKind},
    deployment::{Deployment, DeploymentState, Endpoint},
    id::DeploymentId,
    page,
    policy::{Action, PolicySet},
    promotion::PromotionState,
    prose,
    webhook::Happening,
};
pub use store::deployment::Filter as DeploymentFilter;
use store::{PgConnection, promotion::Candidate};

/// Going back to the version that was live before.
#[derive(Debug, Clone)]
pub struct NewRollback {
    /// The environment's name.
    pub environment: String,
    /// The model's name.
    pub model: String,
    /// The number of the deployment to be left, as the person saw it: another one that serves by now is not left, so that
    /// a request that is sent twice goes back once.
    pub deployment: i64,
    /// Why.
    pub comment: String,
}

impl Services {
    /// Deployments of the workspace, newest first.
    ///
    /// # Errors
    /// `Invalid` for a page token that is not of this list.
    #[boxed]
    pub async fn deployments(
        &self,
        ctx: &Ctx,
        filter: &DeploymentFilter,
        page_token: Option<&str>,
        limit: usize,
    ) -> Result<Page<Deployment>> {
        let before: Option<i64> = page_token.map(page::decode).transpose()?;
        let limit = limit.clamp(1, page::MAX_PAGE);
        if !filter.model.iter().chain(&filter.environment).all(|name| is_name(name)) {
            return Ok(Page { items: Vec::new(), next_page_token: None });
        }
        let mut conn = self.conn().await?;
        let rows = store::deployment::list(&mut conn, &ctx.sight(), filter, before, limit as i64 + 1).await?;
        Ok(Page::cut(rows, limit, |deployment| deployment.number))
    }

    /// One deployment.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn deployment(&self, ctx: &Ctx, number: i64) -> Result<Deployment> {
        store::deployment::by_number(&mut *self.conn().await?, &ctx.sight(), number)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("No deployment #{number} in this workspace.")))
    }

    /// What serves, with the traffic of the last day: by environment, then by model.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn endpoints(&self, ctx: &Ctx) -> Result<Vec<Endpoint>> {
        Ok(store::deployment::endpoints(&mut *self.conn().await?, &ctx.sight()).await?)
    }

    /// Brings back the version that was live before the one that is, at once: it passed its gates and was approved when
    /// it came, so nobody is asked again. Going back twice goes back two versions.
    ///
    /// # Errors
    /// `NotFound` when nothing serves; `Conflict` when there is nothing to go back to, when that cannot serve any more,
    /// or when something else serves than the person saw; `Forbidden` to those whom no rule for going back names, where
    /// there are such rules.
    #[boxed]
    pub async fn rollback(&self, ctx: &Ctx, new: NewRollback) -> Result<Deployment> {
        let comment = checked_comment(&new.comment)?;
        let environment = &new.environment;
        let seen = {
            let mut conn = self.conn().await?;
            let here = environment::named(&mut conn, ctx, environment).await?;
            let live = match is_name(&new.model) {
                true => store::deployment::live_by_name(&mut conn, here.id, &new.model).await?,
                false => None,
            };
            live.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("No version of \"{}\" serves in {environment}.", new.model))
            })?
        };
        if new.deployment != seen.number {
            return Err(moved_on(new.deployment, &seen));
        }
        // Loading takes a while: it is tried before anything is locked.
        self.check_can_return(&seen).await?;

        let mut tx = self.begin().await?;
        store::policy::hold(&mut tx, ctx.workspace_id()).await?;
        store::environment::lock(&mut tx, seen.environment_id).await?;
        store::model::lock(&mut tx, seen.model_id).await?;
        let live = store::deployment::live(&mut tx, seen.environment_id, seen.model_id).await?;
        let live = live.filter(|live| live.id == seen.id).ok_or_else(|| overtaken(&seen))?;
        check_may_go_back(&mut tx, ctx, &live, &comment).await?;
        // Its version may have been deleted since it was tried; from here on it cannot.
        let target = can_return(&mut tx, &live).await?;
        let deployment = Deployment {
            id: DeploymentId::new(),
            number: store::counter::next(&mut tx, ctx.workspace_id(), "deployment").await?,
            rollback_of: Some(live.id),
            state: DeploymentState::Deploying,
            state_reason: String::new(),
            created_by: ctx.actor().name().to_owned(),
            created_at: now(),
            live_at: None,
            retired_at: None,
            ..target
        };
        store::deployment::insert(&mut tx, &deployment).await?;
        move_to(&mut tx, &live, DeploymentState::Retired, "").await?;
        make_live(&mut tx, &deployment, ctx.actor().name()).await?;
        let summary = format!("rolled {environment} back from {} to {}", title(&live), title(&deployment));
        event("deployment.rolled_back", &deployment, summary)
            .related(Object::new(ObjectKind::Deployment, live.id, format!("#{}", live.number)))
            .related(Object::new(ObjectKind::ModelVersion, live.model_version_id, title(&live)))
            .details(serde_json::json!({
                "comment": comment, "from": live.version, "to": deployment.version, "digest": deployment.digest,
            }))
            .write(&mut tx, ctx)
            .await?;
        if let Some(id) = live.promotion_id {
            let left = store::promotion::lock(&mut tx, id).await?;
            if let Some(mut left) = left.filter(|left| left.state == PromotionState::Live) {
                promotion::end_rolled_back(&mut tx, ctx, &mut left, &deployment, comment).await?;
            }
        }
        promotion::meet_new_champion(&mut tx, &deployment).await?;
        commit(tx).await?;
        self.endpoints.changed();
        metrics::counter!("slipway_deployments_total", "result" => "rolled_back").increment(1);
        self.deployment(ctx, deployment.number).await
    }

    /// Refuses when there is nothing to go back to, or when it is known not to serve any more. Without an engine here
    /// nothing is known: that must not stand in the way.
    async fn check_can_return(&self, live: &Deployment) -> Result<()> {
        let (target, files) = {
            let mut conn = self.conn().await?;
            let target = can_return(&mut conn, live).await?;
            let files = store::model_version::files(&mut conn, target.model_version_id).await?;
            (target, files)
        };
        match self.refusal(&files).await? {
            Some(why) => Err(Error::conflict(format!(
                "{} was live before, but cannot be loaded any more: {why} Promote another version instead.",
                title(&target)
            ))),
            None => Ok(()),
        }
    }
}

/// What was live before this deployment, when it can be gone back to: its version is there, and is what it was.
async fn can_return(conn: &mut PgConnection, live: &Deployment) -> Result<Deployment> {
    let target = store::deployment::previous(conn, live).await?.ok_or_else(|| nothing_before(live))?;
    let candidate = store::promotion::candidate(conn, target.model_version_id).await?;
    let stands = |candidate: &Candidate| !candidate.is_deleted && candidate.digest.as_ref() == Some(&target.digest);
    if !candidate.as_ref().is_some_and(stands) {
        return Err(Error::conflict(format!(
            "{} was live before, but is deleted or no longer what it was. Promote another version instead.",
            title(&target)
        )));
    }
    let environment = store::environment::by_id(conn, live.environment_id).await?;
    if let (Some(candidate), Some(environment)) = (&candidate, &environment) {
        let promote = promotion::in_force(conn, environment, candidate, Action::Promote).await?;
        let roll_back = promotion::in_force(conn, environment, candidate, Action::RollBack).await?;
        let both = promote.policies().iter().chain(roll_back.policies()).cloned();
        let window = PolicySet::pinned(both).rollback_within();
        let since = target.retired_at.unwrap_or(target.created_at);
        if since + window.delta() < store::clock(conn).await? {
            return Err(Error::conflict(format!(
                "{} was last live on {}, longer ago than the {window} in which the policies let it come back without a new \
                 approval. Request its promotion instead.",
                title(&target),
                prose::day(since)
            )));
        }
    }
    Ok(target)
}

fn nothing_before(live: &Deployment) -> Error {
    Error::conflict(format!(
        "There is nothing to go back to: no version of \"{}\" that still stands was live in {} before v{}.",
        live.model, live.environment, live.version
    ))
}

/// Another deployment serves than the one that was to be left.
fn moved_on(left: i64, live: &Deployment) -> Error {
    Error::conflict(format!(
        "Deployment #{left} does not serve \"{}\" in {}; #{} does, with v{}. Look again before you roll back.",
        live.model, live.environment, live.number, live.version
    ))
}

/// Something took the place of what was to be left at the same moment.
fn overtaken(left: &Deployment) -> Error {
    Error::conflict(format!(
        "Deployment #{} does not serve \"{}\" in {} any more. Look again before you roll back.",
        left.number, left.model, left.environment
    ))
}

/// `churn v7`.
pub(crate) fn title(deployment: &Deployment) -> String {
    format!("{} v{}", deployment.model, deployment.version)
}

/// An event of a deployment, on the timelines of its version, model, environment and promotion too.
pub(crate) fn event(action: &'static str, deployment: &Deployment, summary: String) -> Event {
    let name = |number: i64| format!("#{number}");
    let object = Object::new(ObjectKind::Deployment, deployment.id, name(deployment.number));
    let event = Event::new(action, object, summary)
        .related(Object::new(ObjectKind::ModelVersion, deployment.model_version_id, title(deployment)))
        .related(Object::new(ObjectKind::Model, deployment.model_id, &deployment.model))
        .related(Object::new(ObjectKind::Environment, deployment.environment_id, &deployment.environment));
    match (deployment.promotion_id, deployment.promotion_number) {
        (Some(id), Some(number)) => event.related(Object::new(ObjectKind::Promotion, id, name(number))),
        _ => event,
    }
}

/// Tells open pages, and every process that serves.
pub(crate) async fn announce(tx: &mut PgConnection, deployment: &Deployment) -> Result<()> {
    Ok(store::event::notify(tx, &format!("deployments:{}", deployment.workspace_id)).await?)
}

/// Moves a deployment, when the table of moves allows it and it still stands where it stood.
async fn move_to(tx: &mut PgConnection, deployment: &Deployment, to: DeploymentState, reason: &str) -> Result<()> {
    let from = deployment.state;
    if !from.next().contains(&to) || !store::deployment::set_state(tx, deployment.id, from, to, reason).await? {
        tracing::error!(deployment = %deployment.id, ?from, ?to, "an illegal move");
        return Err(Error::internal());
    }
    Ok(())
}

/// Makes a deployment answer, under the locks of its environment and model and with nothing else live: its row, the alias of the
/// environment's name, what its traffic is compared with, and the monitor that watches it from now on.
pub(crate) async fn make_live(tx: &mut PgConnection, deployment: &Deployment, by: &str) -> Result<()> {
    move_to(tx, deployment, DeploymentState::Live, "").await?;
    store::deployment::fix_reference(tx, deployment.id).await?;
    let (model, version) = (deployment.model_id, Some(deployment.model_version_id));
    if store::model::move_alias(tx, model, &deployment.environment, version, by).await?
        && let Some(model) = store::model::by_name(tx, deployment.workspace_id, &deployment.model).await?
    {
        let moved = Happening::AliasSet { alias: &deployment.environment, version: deployment.version };
        tell_webhooks(tx, &model, &moved).await?;
    }
    store::monitor::ensure(tx, deployment.workspace_id, deployment.environment_id, deployment.model_id).await?;
    announce(tx, deployment).await
}

/// Ends what was live, because `by` takes its place; so ends its promotion.
pub(crate) async fn retire(tx: &mut PgConnection, live: &Deployment, by: &str) -> Result<()> {
    move_to(tx, live, DeploymentState::Retired, "").await?;
    let summary = format!("retired {} in {}: {by} takes its place", title(live), live.environment);
    write_as_system(event("deployment.retired", live, summary), tx, live).await?;
    if let Some(id) = live.promotion_id {
        let promotion = store::promotion::lock(tx, id).await?;
        if let Some(mut promotion) = promotion.filter(|promotion| promotion.state == PromotionState::Live) {
            supersede(tx, &mut promotion, by).await?;
        }
    }
    Ok(())
}

/// Takes what serves out of its environment, with nothing in its place, under the locks of its environment and model. The
/// alias of the environment's name goes, and its promotion ends.
pub(crate) async fn take_out(tx: &mut PgConnection, ctx: &Ctx, live: &Deployment, comment: &str) -> Result<()> {
    move_to(tx, live, DeploymentState::Retired, "").await?;
    store::deployment::set_taken_out(tx, live.id).await?;
    if let Some(model) = store::model::by_name(tx, live.workspace_id, &live.model).await? {
        remove_alias(tx, &model, &live.environment, ctx.actor().name()).await?;
    }
    let summary = format!("took {} out of {}", title(live), live.environment);
    event("deployment.taken_out", live, summary)
        .details(serde_json::json!({ "comment": comment, "digest": live.digest }))
        .write(tx, ctx)
        .await?;
    if let Some(id) = live.promotion_id {
        let promotion = store::promotion::lock(tx, id).await?;
        if let Some(mut promotion) = promotion.filter(|promotion| promotion.state == PromotionState::Live) {
            promotion::end_retired(tx, ctx, &mut promotion).await?;
        }
    }
    metrics::counter!("slipway_deployments_total", "result" => "taken_out").increment(1);
    announce(tx, live).await
}

/// Refuses to let somebody go back whom a policy's rule for that does not name, or without the reason that it asks for.
async fn check_may_go_back(tx: &mut PgConnection, ctx: &Ctx, live: &Deployment, comment: &str) -> Result<()> {
    let candidate = store::promotion::candidate(tx, live.model_version_id).await?;
    let environment = store::environment::by_id(tx, live.environment_id).await?;
    let (Some(candidate), Some(environment)) = (candidate, environment) else { return Ok(()) };
    let policies = promotion::in_force(tx, &environment, &candidate, Action::RollBack).await?;
    if !policies.asks_anybody() {
        return Ok(());
    }
    let people = promotion::people::People::read(tx, live.workspace_id).await?;
    let electorate = people.whoever(|one| one.scope.covers(&live.environment, &live.model));
    for (policy, rule) in policies.rules() {
        if !ctx.user().is_some_and(|user| electorate.is_named(user.id, rule)) {
            return Err(Error::forbidden(format!(
                "Only people whom the rule \"{}\" of the policy {} names go back in {}.",
                rule.name, policy.name, live.environment
            )));
        }
        if rule.justification && comment.is_empty() {
            return Err(Error::invalid_field("comment", format!("Rule \"{}\" asks for a reason.", rule.name)));
        }
    }
    Ok(())
}

/// Ends a deployment that did not become live.
pub(crate) async fn fail(tx: &mut PgConnection, deployment: &Deployment, reason: &str) -> Result<()> {
    move_to(tx, deployment, DeploymentState::Failed, reason).await?;
    let summary = format!("could not deploy {} to {}", title(deployment), deployment.environment);
    let event = event("deployment.failed", deployment, summary).details(serde_json::json!({ "reason": reason }));
    write_as_system(event, tx, deployment).await?;
    announce(tx, deployment).await
}

async fn write_as_system(event: Event, tx: &mut PgConnection, deployment: &Deployment) -> Result<()> {
    event.write_as(tx, Some(deployment.workspace_id), Actor::System, None).await
}
