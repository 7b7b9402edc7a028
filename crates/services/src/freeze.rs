//! Freezes: when nothing is deployed, or only then. Whether one closes now is asked in `promotion`, of
//! [`domain::freeze::standing`].

use crate::{Ctx, Event, Result, Services, boxed, commit, environment, now};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Error,
    audit::{Object, ObjectKind},
    freeze::{self, Freeze, FreezeKind, MAX_FREEZES, Schedule, Selector, Standing, Window},
    id::FreezeId,
};
use std::collections::BTreeSet;
use store::PgConnection;

/// A freeze to be made.
#[derive(Debug, Clone)]
pub struct NewFreeze {
    /// Its name.
    pub name: String,
    /// What its windows mean.
    pub kind: FreezeKind,
    /// When they are.
    pub schedule: Schedule,
    /// What it is about.
    pub selector: Selector,
    /// Whether somebody who breaks the glass may deploy in spite of it.
    pub manual_override: bool,
    /// Whether a deployment that began before may finish.
    pub overrun: bool,
    /// Why.
    pub reason: String,
}

/// What of a freeze is to be another.
#[derive(Debug, Clone, Default)]
pub struct FreezeChange {
    /// Its name.
    pub name: Option<String>,
    /// When its windows are.
    pub schedule: Option<Schedule>,
    /// What it is about.
    pub selector: Option<Selector>,
    /// Whether somebody who breaks the glass may deploy in spite of it.
    pub manual_override: Option<bool>,
    /// Whether a deployment that began before may finish.
    pub overrun: Option<bool>,
    /// Why.
    pub reason: Option<String>,
    /// The mark of the freeze that the author looked at; when it has another by now, nothing changes.
    pub instead_of: Option<String>,
}

impl Services {
    /// The freezes, newest first: those that nobody ended, or all. Environments that whoever asks does not see are not
    /// named, nor freezes of those alone.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn freezes(&self, ctx: &Ctx, ended: bool) -> Result<Vec<Freeze>> {
        let mut conn = self.conn().await?;
        let freezes = store::freeze::list(&mut conn, ctx.workspace_id(), ended).await?;
        let hidden = hidden(&mut conn, ctx).await?;
        Ok(freezes.into_iter().filter_map(|freeze| seen(freeze, &hidden)).collect())
    }

    /// One freeze.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn freeze(&self, ctx: &Ctx, id: FreezeId) -> Result<Freeze> {
        let mut conn = self.conn().await?;
        let found = store::freeze::by_id(&mut conn, ctx.workspace_id(), id).await?;
        let hidden = hidden(&mut conn, ctx).await?;
        found.and_then(|freeze| seen(freeze, &hidden)).ok_or_else(|| Error::not_found("freeze", id))
    }

    /// Makes a freeze, in force at once.
    ///
    /// # Errors
    /// `Invalid` for a name, schedule or selector that is none, also one of an environment that is not there; `Conflict`
    /// when there are as many as there may be.
    #[boxed]
    pub async fn create_freeze(&self, ctx: &Ctx, new: NewFreeze) -> Result<Freeze> {
        let freeze = Freeze {
            id: FreezeId::new(),
            workspace_id: ctx.workspace_id(),
            name: new.name.trim().to_owned(),
            kind: new.kind,
            schedule: new.schedule,
            selector: new.selector,
            manual_override: new.manual_override,
            overrun: new.overrun,
            reason: new.reason.trim().to_owned(),
            created_at: now(),
            created_by: ctx.actor().name().to_owned(),
            ended_at: None,
        };
        check(&freeze)?;
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        check_environments(&mut tx, ctx, &freeze.selector, &BTreeSet::new()).await?;
        if store::freeze::in_force(&mut tx, ctx.workspace_id()).await?.len() >= MAX_FREEZES {
            return Err(Error::conflict(format!("A workspace has at most {MAX_FREEZES} freezes; end or delete one.")));
        }
        store::freeze::insert(&mut tx, &freeze).await?;
        self.tell(&mut tx, ctx, "freeze.created", &freeze, format!("made the freeze {}", freeze.name)).await?;
        commit(tx).await?;
        Ok(freeze)
    }

    /// Changes a freeze; what its windows mean stays. It is as if it had always been so.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` as when it is made; `Conflict` when somebody ended it, or changed it since it was looked at.
    #[boxed]
    pub async fn change_freeze(&self, ctx: &Ctx, id: FreezeId, change: FreezeChange) -> Result<Freeze> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = locked(&mut tx, ctx, id).await?;
        if before.ended_at.is_some() {
            return Err(Error::conflict(format!("{} has ended. Make another freeze.", before.name)));
        }
        if change.instead_of.is_some_and(|seen| seen != before.mark()) {
            let text = format!(
                "Somebody else changed {} meanwhile. What is typed is kept: look at what stands now.",
                before.name
            );
            return Err(Error::conflict(text));
        }
        let after = Freeze {
            name: change.name.map_or_else(|| before.name.clone(), |name| name.trim().to_owned()),
            schedule: change.schedule.unwrap_or_else(|| before.schedule.clone()),
            selector: change.selector.unwrap_or_else(|| before.selector.clone()),
            manual_override: change.manual_override.unwrap_or(before.manual_override),
            overrun: change.overrun.unwrap_or(before.overrun),
            reason: change.reason.map_or_else(|| before.reason.clone(), |reason| reason.trim().to_owned()),
            ..before.clone()
        };
        check(&after)?;
        check_environments(&mut tx, ctx, &after.selector, &before.selector.environments).await?;
        if after == before {
            return Ok(before);
        }
        store::freeze::update(&mut tx, &after).await?;
        self.tell(&mut tx, ctx, "freeze.changed", &after, format!("changed the freeze {}", after.name)).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Ends a freeze now. It means nothing from then on, and stays to be looked at. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn end_freeze(&self, ctx: &Ctx, id: FreezeId) -> Result<Freeze> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let before = locked(&mut tx, ctx, id).await?;
        if before.ended_at.is_some() {
            return Ok(before);
        }
        let after = Freeze { ended_at: Some(now()), ..before };
        store::freeze::update(&mut tx, &after).await?;
        self.tell(&mut tx, ctx, "freeze.ended", &after, format!("ended the freeze {}", after.name)).await?;
        commit(tx).await?;
        Ok(after)
    }

    /// Deletes a freeze. The history keeps what it was.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_freeze(&self, ctx: &Ctx, id: FreezeId) -> Result<()> {
        let mut tx = self.begin().await?;
        store::workspace::lock(&mut tx, ctx.workspace_id()).await?;
        let freeze = locked(&mut tx, ctx, id).await?;
        store::freeze::delete(&mut tx, id).await?;
        self.tell(&mut tx, ctx, "freeze.deleted", &freeze, format!("deleted the freeze {}", freeze.name)).await?;
        commit(tx).await
    }

    /// Whether a model may be deployed to an environment now.
    ///
    /// # Errors
    /// `NotFound` without such an environment. The model need not be there yet.
    #[boxed]
    pub async fn freeze_standing(&self, ctx: &Ctx, environment: &str, model: &str) -> Result<Standing> {
        let mut conn = self.conn().await?;
        let environment = environment::named(&mut conn, ctx, environment).await?;
        let freezes = store::freeze::in_force(&mut conn, ctx.workspace_id()).await?;
        Ok(freeze::standing(&freezes, &environment.name, environment.tier, model, Utc::now()))
    }

    /// The windows that are open at some moment in the next days, of freezes that whoever asks sees.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn freeze_windows(&self, ctx: &Ctx, from: DateTime<Utc>, days: i64) -> Result<Vec<Window>> {
        let to = from.checked_add_signed(TimeDelta::days(days.clamp(1, 366))).unwrap_or(from);
        Ok(freeze::ahead(&self.freezes(ctx, false).await?, from, to))
    }

    /// Writes what happened to a freeze, on the timelines of the environments that it names too, and tells open pages.
    async fn tell(
        &self,
        tx: &mut PgConnection,
        ctx: &Ctx,
        action: &'static str,
        freeze: &Freeze,
        summary: String,
    ) -> Result<()> {
        let mut event = Event::new(action, Object::new(ObjectKind::Freeze, freeze.id, &freeze.name), summary);
        for environment in store::environment::list(tx, ctx.workspace_id()).await? {
            if freeze.selector.environments.contains(&environment.name) {
                event = event.related(Object::new(ObjectKind::Environment, environment.id, environment.name));
            }
        }
        let details = serde_json::json!({
            "kind": freeze.kind,
            "schedule": freeze.schedule,
            "selector": freeze.selector,
            "manual_override": freeze.manual_override,
            "overrun": freeze.overrun,
            "reason": freeze.reason,
        });
        event.details(details).write(tx, ctx).await?;
        Ok(store::event::notify(tx, &format!("freezes:{}", ctx.workspace_id())).await?)
    }
}

fn check(freeze: &Freeze) -> Result<()> {
    freeze::check_name(&freeze.name)?;
    freeze::check_reason(&freeze.reason)?;
    freeze::check_selector(&freeze.selector)?;
    freeze.schedule.check()
}

/// Refuses environments that are not there: a freeze of a name that nothing has would protect nothing. Those that it named
/// before may be archived since.
async fn check_environments(
    tx: &mut PgConnection,
    ctx: &Ctx,
    selector: &Selector,
    before: &BTreeSet<String>,
) -> Result<()> {
    let there = store::environment::list(tx, ctx.workspace_id()).await?;
    let is_there = |name: &String| before.contains(name) || there.iter().any(|one| one.name == *name);
    match selector.environments.iter().find(|name| !is_there(name)) {
        Some(missing) => {
            let shown: String = missing.chars().filter(|c| !c.is_control()).take(64).collect();
            let text = format!("There is no environment \"{shown}\" in this workspace.");
            Err(Error::invalid_field("selector/environments", text))
        }
        None => Ok(()),
    }
}

async fn locked(tx: &mut PgConnection, ctx: &Ctx, id: FreezeId) -> Result<Freeze> {
    store::freeze::lock(tx, ctx.workspace_id(), id).await?.ok_or_else(|| Error::not_found("freeze", id))
}

/// The names of the environments that whoever asks does not see.
pub(crate) async fn hidden(conn: &mut PgConnection, ctx: &Ctx) -> Result<BTreeSet<String>> {
    let hidden = store::environment::hidden(conn, &ctx.sight()).await?;
    Ok(hidden.into_iter().map(|(_, name)| name).collect())
}

/// A freeze as somebody sees it, who does not see these environments.
fn seen(mut freeze: Freeze, hidden: &BTreeSet<String>) -> Option<Freeze> {
    let named = !freeze.selector.environments.is_empty();
    freeze.selector.environments.retain(|name| !hidden.contains(name));
    let is_left = !freeze.selector.environments.is_empty() || !freeze.selector.tiers.is_empty();
    (!named || is_left).then_some(freeze)
}
