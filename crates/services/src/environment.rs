//! Environments, and the policies that say what a version needs to enter them.

use crate::{Ctx, Event, Result, Services, boxed, commit, now};
use domain::{
    Error,
    audit::{Object, ObjectKind},
    environment::{
        Environment, EnvironmentDetail, EnvironmentOverview, MAX_ENVIRONMENTS, PRODUCTION, Tier, check_name,
        check_visible_to, check_wait,
    },
    id::EnvironmentId,
    permission::Role,
    policy::{Policy, PolicyDocument, Scope},
};
use std::collections::BTreeSet;

/// An environment to be made.
#[derive(Debug, Clone)]
pub struct NewEnvironment {
    /// Its name.
    pub name: String,
    /// How much depends on it; by its name when nothing is said.
    pub tier: Option<Tier>,
    /// Its place in the order, from 1; the last when nothing is said.
    pub position: Option<i32>,
    /// Whether the alias of its name moves only by a promotion.
    pub protected: bool,
    /// How long an approved version waits, in seconds.
    pub wait_timer_s: i32,
    /// The roles that see it; everybody when none is given.
    pub visible_to: Option<BTreeSet<Role>>,
}

/// What of an environment is to be another.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentChange {
    /// How much depends on it.
    pub tier: Option<Tier>,
    /// Its place in the order, from 1.
    pub position: Option<i32>,
    /// Whether the alias of its name moves only by a promotion.
    pub protected: Option<bool>,
    /// How long an approved version waits, in seconds.
    pub wait_timer_s: Option<i32>,
    /// The roles that see it; everybody when none is given.
    pub visible_to: Option<Option<BTreeSet<Role>>>,
}

impl Services {
    /// The environments that whoever asks sees, in the order of promotion, with what is in force and goes on there.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn environments(&self, ctx: &Ctx) -> Result<Vec<EnvironmentOverview>> {
        self.overviews(ctx, false).await
    }

    /// Those that are archived.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn archived_environments(&self, ctx: &Ctx) -> Result<Vec<EnvironmentOverview>> {
        self.overviews(ctx, true).await
    }

    async fn overviews(&self, ctx: &Ctx, archived: bool) -> Result<Vec<EnvironmentOverview>> {
        let mut conn = self.conn().await?;
        let policies = store::policy::latest(&mut conn, ctx.workspace_id()).await?;
        let mut all = store::environment::overview(&mut conn, &ctx.sight(), archived).await?;
        for overview in &mut all {
            let (name, tier) = (&overview.environment.name, overview.environment.tier.as_str());
            // What a version needs: not who changes policies or goes back.
            let holds = |policy: &&Policy| {
                let scope = &policy.document.scope;
                !policy.retired && scope.is_of_promoting() && scope.reaches(name, tier)
            };
            overview.policies = policies.iter().filter(holds).cloned().collect();
        }
        Ok(all)
    }

    /// An environment, archived or not, with the policy in force and all that were.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn environment(&self, ctx: &Ctx, name: &str) -> Result<EnvironmentDetail> {
        let mut conn = self.conn().await?;
        let environment = found(&mut conn, ctx, name).await?;
        let revisions = store::policy::revisions(&mut conn, ctx.workspace_id(), &environment.name).await?;
        let policy = revisions.first().cloned().ok_or_else(|| {
            tracing::error!(environment = %environment.id, "an environment has no policy");
            Error::internal()
        })?;
        let (name, tier) = (&environment.name, environment.tier.as_str());
        let holds =
            |policy: &Policy| !policy.retired && policy.name != *name && policy.document.scope.reaches(name, tier);
        let all = store::policy::latest(&mut conn, ctx.workspace_id()).await?;
        Ok(EnvironmentDetail { others: all.into_iter().filter(holds).collect(), environment, policy, revisions })
    }

    /// Makes an environment, with the policy that one of its tier begins with. Those from its position on move one further.
    ///
    /// # Errors
    /// `Invalid` for a name, wait or roles that are none, `AlreadyExists` when the name is taken, also by an archived one,
    /// `Conflict` when there are as many as there may be.
    #[boxed]
    pub async fn create_environment(&self, ctx: &Ctx, new: NewEnvironment) -> Result<EnvironmentDetail> {
        check_name(&new.name)?;
        check_wait(new.wait_timer_s)?;
        check_visible_to(new.visible_to.as_ref())?;
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let mut order = store::environment::list(&mut tx, ctx.workspace_id()).await?;
        if order.len() >= MAX_ENVIRONMENTS {
            return Err(Error::conflict(format!(
                "A workspace has at most {MAX_ENVIRONMENTS} environments; archive one."
            )));
        }
        let environment = Environment {
            id: EnvironmentId::new(),
            workspace_id: ctx.workspace_id(),
            tier: new.tier.unwrap_or_else(|| Tier::of_name(&new.name)),
            name: new.name,
            position: 0,
            protected: new.protected,
            wait_timer_s: new.wait_timer_s,
            visible_to: new.visible_to,
            archived_at: None,
        };
        store::environment::insert(&mut tx, &environment).await.map_err(|error| match error {
            error if error.is_duplicate_of("environments_workspace_id_name_key") => Error::already_exists(format!(
                "There is an environment {} already; one that is archived keeps its name, and can be restored.",
                environment.name
            ))
            .in_field("name"),
            error => error.into(),
        })?;
        // Its own policy begins with it: that must not take the place of one that somebody wrote.
        let taken = store::policy::last(&mut tx, ctx.workspace_id(), &environment.name).await?;
        if taken.is_some_and(|policy| !policy.retired) {
            let message =
                format!("There is a policy {} in force. Choose another name, or retire it first.", environment.name);
            return Err(Error::already_exists(message).in_field("name"));
        }
        let like = if environment.tier == Tier::Production { PRODUCTION } else { environment.name.as_str() };
        let scope = Scope::of_environment(&environment.name);
        let document = PolicyDocument { scope, ..PolicyDocument::initial(like) };
        crate::policy::begin(&mut tx, ctx, &environment.name, document).await?;
        let at = place(new.position, order.len());
        order.insert(at, environment.clone());
        put_in_order(&mut tx, order).await?;
        let name = environment.name.clone();
        let event = Event::new("environment.created", object(&environment), format!("made the environment {name}"));
        event.details(facts(&environment)).write(&mut tx, ctx).await?;
        announce(&mut tx, &environment).await?;
        commit(tx).await?;
        self.environment(ctx, &name).await
    }

    /// Changes an environment. Its name stays: it is an alias of each model that serves there.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` as when it is made; `Conflict` when it is archived, and when a policy would hold there no longer
    /// by its tier, where changing policies takes approval.
    #[boxed]
    pub async fn change_environment(&self, ctx: &Ctx, name: &str, change: EnvironmentChange) -> Result<Environment> {
        change.wait_timer_s.map_or(Ok(()), check_wait)?;
        check_visible_to(change.visible_to.as_ref().and_then(Option::as_ref))?;
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = locked(&mut tx, ctx, name).await?;
        if before.archived_at.is_some() {
            return Err(Error::conflict(format!("{name} is archived. Restore it before you change it.")));
        }
        let mut after = Environment {
            tier: change.tier.unwrap_or(before.tier),
            protected: change.protected.unwrap_or(before.protected),
            wait_timer_s: change.wait_timer_s.unwrap_or(before.wait_timer_s),
            visible_to: change.visible_to.unwrap_or_else(|| before.visible_to.clone()),
            ..before.clone()
        };
        crate::policy::refuse_unguarded(&mut tx, &before, &after).await?;
        store::environment::update(&mut tx, &after).await?;
        if let Some(position) = change.position {
            let mut order = store::environment::list(&mut tx, ctx.workspace_id()).await?;
            order.retain(|one| one.id != after.id);
            let at = place(Some(position), order.len());
            order.insert(at, after);
            after = put_in_order(&mut tx, order).await?.swap_remove(at);
        }
        if after == before {
            return Ok(before);
        }
        let event = Event::new("environment.changed", object(&after), format!("changed the environment {name}"));
        event
            .details(serde_json::json!({ "before": facts(&before), "after": facts(&after) }))
            .write(&mut tx, ctx)
            .await?;
        announce(&mut tx, &after).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Puts the environments in this order.
    ///
    /// # Errors
    /// `Invalid` unless it names each environment that is not archived once.
    #[boxed]
    pub async fn reorder_environments(&self, ctx: &Ctx, names: &[String]) -> Result<Vec<EnvironmentOverview>> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let mut left = store::environment::list(&mut tx, ctx.workspace_id()).await?;
        let before: Vec<String> = left.iter().map(|one| one.name.clone()).collect();
        let mut order = Vec::new();
        for name in names {
            let at = left.iter().position(|one| one.name == *name);
            order.push(left.remove(at.ok_or_else(|| not_an_order(&before))?));
        }
        if !left.is_empty() {
            return Err(not_an_order(&before));
        }
        if before != names {
            let order = put_in_order(&mut tx, order).await?;
            let workspace = Object::new(ObjectKind::Workspace, ctx.workspace_id(), &ctx.workspace.name);
            let summary = format!("put the environments in the order {}", names.join(", "));
            let event = order
                .iter()
                .fold(Event::new("workspace.environments_reordered", workspace, summary), |event, environment| {
                    event.related(object(environment))
                });
            event.details(serde_json::json!({ "before": before, "after": names })).write(&mut tx, ctx).await?;
            for environment in &order {
                announce(&mut tx, environment).await?;
            }
            commit(tx).await?;
        }
        self.environments(ctx).await
    }

    /// Archives an environment in which nothing serves and nothing is on its way. It is in no list then, and nothing can
    /// be brought there; its history stays. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when something serves there or is on its way.
    #[boxed]
    pub async fn archive_environment(&self, ctx: &Ctx, name: &str) -> Result<Environment> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = locked(&mut tx, ctx, name).await?;
        if before.archived_at.is_some() {
            return Ok(before);
        }
        let (serving, open) = store::environment::occupants(&mut tx, before.id).await?;
        if serving > 0 || open > 0 {
            return Err(Error::conflict(format!(
                "{name} cannot be archived: {serving} versions serve there or are deployed, and {open} promotions are on \
                 their way. Roll back or withdraw them first.",
            )));
        }
        let after = Environment { archived_at: Some(now()), ..before };
        store::environment::update(&mut tx, &after).await?;
        let order = store::environment::list(&mut tx, ctx.workspace_id()).await?;
        put_in_order(&mut tx, order).await?;
        let event = Event::new("environment.archived", object(&after), format!("archived the environment {name}"));
        event.write(&mut tx, ctx).await?;
        announce(&mut tx, &after).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Brings an archived environment back, as the last in the order. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when there are as many as there may be.
    #[boxed]
    pub async fn restore_environment(&self, ctx: &Ctx, name: &str) -> Result<Environment> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = locked(&mut tx, ctx, name).await?;
        if before.archived_at.is_none() {
            return Ok(before);
        }
        let mut order = store::environment::list(&mut tx, ctx.workspace_id()).await?;
        if order.len() >= MAX_ENVIRONMENTS {
            return Err(Error::conflict(format!(
                "A workspace has at most {MAX_ENVIRONMENTS} environments; archive one."
            )));
        }
        let after = Environment { archived_at: None, ..before };
        store::environment::update(&mut tx, &after).await?;
        order.push(after);
        let at = order.len() - 1;
        let after = put_in_order(&mut tx, order).await?.swap_remove(at);
        let event = Event::new("environment.restored", object(&after), format!("restored the environment {name}"));
        event.write(&mut tx, ctx).await?;
        announce(&mut tx, &after).await?;
        commit(tx).await?;
        Ok(after)
    }
}

/// The environment of this name, archived or not, when whoever asks sees it.
async fn found(conn: &mut store::PgConnection, ctx: &Ctx, name: &str) -> Result<Environment> {
    let found = match is_name(name) {
        true => store::environment::by_name(conn, &ctx.sight(), name).await?,
        false => None,
    };
    found.ok_or_else(|| Error::not_found("environment", name))
}

/// The environment of this name, which something is to be done in.
pub(crate) async fn named(conn: &mut store::PgConnection, ctx: &Ctx, name: &str) -> Result<Environment> {
    let environment = found(conn, ctx, name).await?;
    if environment.archived_at.is_some() {
        return Err(Error::conflict(format!("{name} is archived. Restore it before anything is brought there.")));
    }
    Ok(environment)
}

/// The same, held as it is until the transaction ends: it is not archived before that. Taken before any promotion is
/// locked.
pub(crate) async fn held(tx: &mut store::PgConnection, ctx: &Ctx, name: &str) -> Result<Environment> {
    let environment = named(tx, ctx, name).await?;
    store::environment::hold(tx, environment.id).await?;
    named(tx, ctx, name).await
}

/// The same, locked in order to change it.
async fn locked(tx: &mut store::PgConnection, ctx: &Ctx, name: &str) -> Result<Environment> {
    let environment = found(tx, ctx, name).await?;
    store::environment::lock(tx, environment.id).await?;
    found(tx, ctx, name).await
}

/// The environment that champions are in; none where it is called otherwise.
pub(crate) async fn production(conn: &mut store::PgConnection, ctx: &Ctx) -> Result<Option<Environment>> {
    Ok(store::environment::by_name(conn, &ctx.sight(), PRODUCTION).await?)
}

/// Whether a text can be the name of anything: the database takes no zero bytes, not even to look for them.
pub(crate) fn is_name(text: &str) -> bool {
    !text.contains('\0')
}

fn object(environment: &Environment) -> Object {
    Object::new(ObjectKind::Environment, environment.id, &environment.name)
}

/// What an event of an environment tells.
fn facts(environment: &Environment) -> serde_json::Value {
    serde_json::json!({
        "tier": environment.tier,
        "position": environment.position,
        "protected": environment.protected,
        "wait_timer_s": environment.wait_timer_s,
        "visible_to": environment.visible_to,
    })
}

/// Where in a list of so many others something comes that is to be at this position, from 1; at the end without one.
fn place(position: Option<i32>, others: usize) -> usize {
    let at = position.and_then(|position| usize::try_from(position.saturating_sub(1).max(0)).ok());
    at.map_or(others, |at| at.min(others))
}

/// Numbers environments in their order, and keeps those that changed. Under a lock of the workspace.
async fn put_in_order(tx: &mut store::PgConnection, mut order: Vec<Environment>) -> Result<Vec<Environment>> {
    for (position, environment) in (1..).zip(&mut order) {
        if environment.position != position {
            environment.position = position;
            store::environment::update(tx, environment).await?;
        }
    }
    Ok(order)
}

fn not_an_order(names: &[String]) -> Error {
    let text = format!("Name each environment once, in the order they shall have: now they are {}.", names.join(", "));
    Error::invalid_field("order", text)
}

/// Tells open pages, and every process that answers there.
async fn announce(tx: &mut store::PgConnection, environment: &Environment) -> Result<()> {
    for topic in [
        format!("environment:{}", environment.id),
        format!("environments:{}", environment.workspace_id),
        format!("deployments:{}", environment.workspace_id),
    ] {
        store::event::notify(tx, &topic).await?;
    }
    Ok(())
}
