//! Who runs steps, what holds them up, and the limits of a workspace.

use crate::{Ctx, Event, Result, Services, boxed, commit, step::settle};
use chrono::Utc;
use domain::{
    Digest, Error, ErrorKind,
    audit::{Object, ObjectKind},
    gpu::GpuSlot,
    id::StepId,
    pipeline::{ExecutorKind, is_name},
    worker::{Limit, MAX_SLOTS, Pool, QueuedStep, SILENT_AFTER, Worker, waits_for},
};
use serde_json::{Value, json};
use std::time::Duration;
use store::{PgConnection, step::limit};

pub use store::worker::Beat;

/// How many steps that run, and that wait, are shown.
const QUEUE: i64 = 100;
/// The most limits of a workspace.
const MOST: usize = 500;

/// How the workers and the queue stand.
#[derive(Debug, Clone)]
pub struct Queue {
    /// All workers.
    pub workers: Vec<Worker>,
    /// The pools.
    pub pools: Vec<Pool>,
    /// The graphics processors that workers hand out, and who has them.
    pub gpus: Vec<GpuSlot>,
    /// The limits of the workspace.
    pub limits: Vec<Limit>,
    /// The limits that steps of the workspace wait for: its own, those of pools, and those of instances.
    pub blocking: Vec<Limit>,
    /// Steps of the workspace that run, those that began first first; up to a hundred.
    pub running: Vec<QueuedStep>,
    /// Steps that could run, those that have waited longest first; up to a hundred.
    pub ready: Vec<QueuedStep>,
}

pub(crate) fn silent() -> Duration {
    SILENT_AFTER.to_std().unwrap_or_default()
}

impl Services {
    /// Notes that a worker lives.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn worker_beats(&self, beat: &Beat<'_>) -> Result<()> {
        Ok(store::worker::beat(&mut *self.conn().await?, beat).await?)
    }

    /// Keeps what a worker says of itself. Answers with the digest of it.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn worker_facts(&self, content: &Value) -> Result<Digest> {
        let digest = Digest::of_json(content).map_err(|_| Error::internal())?;
        store::worker::add_facts(&mut *self.conn().await?, &digest, content).await?;
        Ok(digest)
    }

    /// Forgets a worker that has stopped.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn worker_stops(&self, name: &str) -> Result<()> {
        Ok(store::worker::forget(&mut *self.conn().await?, name).await?)
    }

    /// How the workers and the queue stand.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn queue(&self, ctx: &Ctx) -> Result<Queue> {
        let mut conn = self.conn().await?;
        let workers = store::worker::list(&mut conn).await?;
        let gpus = store::gpu::list(&mut conn, ctx.workspace_id(), silent()).await?;
        let mut ready = store::worker::queue(&mut conn, ctx.workspace_id(), false, QUEUE).await?;
        let now = Utc::now();
        for step in &mut ready {
            step.waits_for = Some(waits_for(step, &workers, &gpus, now));
        }
        Ok(Queue {
            pools: store::worker::pools(&mut conn, silent()).await?,
            limits: limit::list(&mut conn, ctx.workspace_id()).await?,
            blocking: limit::blocking(&mut conn, ctx.workspace_id()).await?,
            running: store::worker::queue(&mut conn, ctx.workspace_id(), true, QUEUE).await?,
            workers,
            gpus,
            ready,
        })
    }

    /// Why a step of the workspace that could run does not, to follow "It waits ". None when it runs, or cannot yet.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn step_waits_for(&self, ctx: &Ctx, step: StepId) -> Result<Option<String>> {
        let mut conn = self.conn().await?;
        let Some(queued) = store::worker::queued(&mut conn, step).await? else { return Ok(None) };
        let workers = store::worker::list(&mut conn).await?;
        let gpus = store::gpu::list(&mut conn, ctx.workspace_id(), silent()).await?;
        Ok(Some(waits_for(&queued, &workers, &gpus, Utc::now())))
    }

    /// The limits of the workspace, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    #[boxed]
    pub async fn step_limits(&self, ctx: &Ctx) -> Result<Vec<Limit>> {
        Ok(limit::list(&mut *self.conn().await?, ctx.workspace_id()).await?)
    }

    /// Says how many of the steps that name this limit may run at once. Steps that run already go on.
    ///
    /// # Errors
    /// `Invalid` for a name that is none or a number out of bounds, `Conflict` when there are too many.
    #[boxed]
    pub async fn set_step_limit(&self, ctx: &Ctx, name: &str, slots: i32) -> Result<Limit> {
        if !is_name(name) {
            let rule = "A limit's name is 1 to 63 lower-case letters, digits, \"-\" or \"_\", beginning with a letter or digit.";
            return Err(Error::invalid_field("name", rule));
        }
        number_of_slots(slots)?;
        let mut tx = self.begin().await?;
        let known = limit::list(&mut tx, ctx.workspace_id()).await?;
        let before = known.iter().find(|limit| limit.name == name);
        if before.is_none() && known.len() >= MOST {
            return Err(Error::conflict(format!("A workspace has at most {MOST} limits.")));
        }
        let is_news = before.is_none_or(|limit| limit.slots != slots);
        let key = limit::tag_key(ctx.workspace_id(), name);
        limit::set(&mut tx, &key, "tag", Some(ctx.workspace_id()), name, slots).await?;
        unblock(&mut tx, key).await?;
        if is_news {
            let details = json!({ "limit": name, "slots": slots, "before": before.map(|limit| limit.slots) });
            let summary = format!("let {slots} steps with the limit {name} run at once");
            tell(&mut tx, ctx, "limit.set", summary, details).await?;
        }
        let limits = limit::list(&mut tx, ctx.workspace_id()).await?;
        commit(tx).await?;
        limits.into_iter().find(|limit| limit.name == name).ok_or_else(Error::internal)
    }

    /// Takes a limit away: steps that wait for it run, and runs of pipelines that name it cannot be started any more.
    ///
    /// # Errors
    /// `NotFound`.
    #[boxed]
    pub async fn delete_step_limit(&self, ctx: &Ctx, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let key = limit::tag_key(ctx.workspace_id(), name);
        if !limit::delete(&mut tx, &key).await? {
            return Err(Error::not_found("limit", name));
        }
        unblock(&mut tx, key).await?;
        let summary = format!("took the limit {name} away");
        tell(&mut tx, ctx, "limit.deleted", summary, json!({ "limit": name })).await?;
        commit(tx).await
    }

    /// How many steps of a pool may run at once, in all workspaces. Of those that do, the workspace's own are named.
    ///
    /// # Errors
    /// `Invalid` for a name that is none, `NotFound` when the pool has no limit.
    #[boxed]
    pub async fn pool_limit(&self, ctx: &Ctx, pool: &str) -> Result<Limit> {
        pool_name(pool)?;
        let mut conn = self.conn().await?;
        limit::find(&mut conn, ctx.workspace_id(), &limit::pool_key(pool)).await?.ok_or_else(|| unlimited(pool))
    }

    /// Says how many steps of a pool may run at once, in all workspaces. Steps that run already go on.
    ///
    /// # Errors
    /// `Invalid` for a name that is none or a number out of bounds, `Conflict` when there are too many, `Forbidden` for whoever
    /// is not an administrator of every workspace.
    #[boxed]
    pub async fn set_pool_limit(&self, ctx: &Ctx, pool: &str, slots: i32) -> Result<Limit> {
        pool_name(pool)?;
        number_of_slots(slots)?;
        let mut tx = self.begin().await?;
        may_manage_pools(&mut tx, ctx).await?;
        let key = limit::pool_key(pool);
        let before = limit::find(&mut tx, ctx.workspace_id(), &key).await?;
        if before.is_none() && limit::count(&mut tx, "pool").await? >= MOST as i64 {
            return Err(Error::conflict(format!("At most {MOST} pools have limits.")));
        }
        limit::set(&mut tx, &key, "pool", None, pool, slots).await?;
        unblock(&mut tx, key.clone()).await?;
        let before = before.map(|limit| limit.slots);
        if before != Some(slots) {
            let summary = format!("let {slots} steps of the pool {pool} run at once, in all workspaces");
            let details = json!({ "pool": pool, "slots": slots, "before": before });
            tell(&mut tx, ctx, "pool_limit.set", summary, details).await?;
        }
        let limit = limit::find(&mut tx, ctx.workspace_id(), &key).await?.ok_or_else(Error::internal)?;
        commit(tx).await?;
        Ok(limit)
    }

    /// Takes the limit of a pool away: as many of its steps run as its workers take.
    ///
    /// # Errors
    /// `Invalid` for a name that is none, `NotFound` when the pool has no limit.
    #[boxed]
    pub async fn delete_pool_limit(&self, ctx: &Ctx, pool: &str) -> Result<()> {
        pool_name(pool)?;
        let mut tx = self.begin().await?;
        may_manage_pools(&mut tx, ctx).await?;
        let key = limit::pool_key(pool);
        if !limit::delete(&mut tx, &key).await? {
            return Err(unlimited(pool));
        }
        unblock(&mut tx, key).await?;
        let summary = format!("took the limit of the pool {pool} away");
        tell(&mut tx, ctx, "pool_limit.deleted", summary, json!({ "pool": pool })).await?;
        commit(tx).await
    }

    /// Says where the steps of a pool run that do not say so, nor does their pipeline. Steps that there are already stay
    /// where they are.
    ///
    /// # Errors
    /// `Invalid` for a name that is none.
    #[boxed]
    pub async fn set_pool_executor(&self, ctx: &Ctx, pool: &str, executor: ExecutorKind) -> Result<()> {
        pool_name(pool)?;
        let mut tx = self.begin().await?;
        may_manage_pools(&mut tx, ctx).await?;
        let before = store::worker::pool_executors(&mut tx).await?.remove(pool);
        if before == Some(executor) {
            return Ok(());
        }
        store::worker::set_pool_executor(&mut tx, pool, executor).await?;
        let summary = format!("had steps of the pool {pool} run by {}, in all workspaces", executor.as_str());
        let details = json!({ "pool": pool, "executor": executor, "before": before });
        tell(&mut tx, ctx, "pool_executor.set", summary, details).await?;
        commit(tx).await
    }

    /// Takes that back: they run as processes.
    ///
    /// # Errors
    /// `Invalid` for a name that is none, `NotFound` when the pool has no executor of its own.
    #[boxed]
    pub async fn delete_pool_executor(&self, ctx: &Ctx, pool: &str) -> Result<()> {
        pool_name(pool)?;
        let mut tx = self.begin().await?;
        may_manage_pools(&mut tx, ctx).await?;
        if !store::worker::delete_pool_executor(&mut tx, pool).await? {
            let message = format!("The pool \"{pool}\" has no executor of its own: its steps run as processes.");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let summary = format!("took the executor of the pool {pool} away");
        tell(&mut tx, ctx, "pool_executor.deleted", summary, json!({ "pool": pool })).await?;
        commit(tx).await
    }
}

/// A limit is another, or is there no more: those that wait for it have their turn.
async fn unblock(conn: &mut PgConnection, key: String) -> Result<()> {
    let pools = limit::unblock(conn, &[key]).await?;
    settle::wake(conn, &pools).await
}

/// Writes to the workspace's history.
async fn tell(conn: &mut PgConnection, ctx: &Ctx, action: &'static str, summary: String, details: Value) -> Result<()> {
    let object = Object::new(ObjectKind::Workspace, ctx.workspace_id(), &ctx.workspace.name);
    Event::new(action, object, summary).details(details).write(conn, ctx).await
}

/// Pools are of all workspaces: who is an administrator of some of them must not decide for the others.
async fn may_manage_pools(conn: &mut PgConnection, ctx: &Ctx) -> Result<()> {
    let is_admin = match ctx.user() {
        Some(user) => store::workspace::is_admin_of_all(conn, user.id).await?,
        None => true,
    };
    if is_admin {
        return Ok(());
    }
    let message =
        "Pools are of all workspaces: only who is an administrator of each of them may say how they run steps.";
    Err(Error::new(ErrorKind::Forbidden, message))
}

fn pool_name(pool: &str) -> Result<()> {
    if is_name(pool) {
        return Ok(());
    }
    let rule = "A pool's name is 1 to 63 lower-case letters, digits, \"-\" or \"_\", beginning with a letter or digit.";
    Err(Error::invalid_field("pool", rule))
}

fn number_of_slots(slots: i32) -> Result<()> {
    match slots {
        0..=MAX_SLOTS => Ok(()),
        _ => Err(Error::invalid_field("slots", format!("From 0 to {MAX_SLOTS} steps may run at once."))),
    }
}

fn unlimited(pool: &str) -> Error {
    let message = format!("The pool \"{pool}\" has no limit: as many of its steps run as its workers take.");
    Error::new(ErrorKind::NotFound, message)
}
