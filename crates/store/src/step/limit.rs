//! How many steps may run at once: of a pool, of those that name a limit of their workspace, of the instances of one step.
//!
//! A place is held with the fence of the step that has it. Taking and giving back happen under the lock of the limit's row, so
//! that no place is given away twice, and none stays free while somebody waits for it.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::{StepId, WorkspaceId},
    worker::Limit,
};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// The key of a workspace's limit of this name.
#[must_use]
pub fn tag_key(workspace: WorkspaceId, name: &str) -> String {
    format!("tag:{workspace}:{name}")
}

/// The key of the limit of a pool.
#[must_use]
pub fn pool_key(pool: &str) -> String {
    format!("pool:{pool}")
}

/// The key of the limit of the instances of a step.
#[must_use]
pub fn map_key(step: StepId) -> String {
    format!("map:{step}")
}

/// What a step waits for that takes only a version of a dataset that passed its checks: no limit, and there as long as
/// these are under way.
#[must_use]
pub fn check_key(workspace: WorkspaceId, version: &str) -> String {
    format!("check:{workspace}:{version}")
}

/// Sets how many may run at once.
///
/// # Errors
/// When the statement fails.
pub async fn set(
    conn: &mut PgConnection,
    key: &str,
    kind: &str,
    workspace: Option<WorkspaceId>,
    name: &str,
    slots: i32,
) -> Result<()> {
    sqlx::query(
        "insert into limits (key, kind, workspace_id, name, slots)
         values ($1, $2, $3, $4, $5)
         on conflict (key) do update set slots = excluded.slots",
    )
    .bind(key)
    .bind(kind)
    .bind(workspace)
    .bind(name)
    .bind(slots)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes a limit away. Answers whether it was there.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, key: &str) -> Result<bool> {
    let deleted = sqlx::query("delete from limits where key = $1").bind(key).execute(conn).await?;
    Ok(deleted.rows_affected() == 1)
}

/// The limits of a workspace, by name.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Limit>> {
    let rows: Vec<(String, i32, i64, i64, DateTime<Utc>)> = sqlx::query_as(
        "select l.name, l.slots,
             (select count(*) from limit_holds h where h.key = l.key),
             (select count(*) from steps s where s.state = 'ready' and s.blocked_by = l.key),
             l.created_at
         from limits l
         where l.kind = 'tag' and l.workspace_id = $1
         order by l.name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    let limit = |(name, slots, held, waiting, created_at)| Limit { name, slots, held, waiting, created_at };
    Ok(rows.into_iter().map(limit).collect())
}

/// Which of these limits there are.
///
/// # Errors
/// When the statement fails.
pub async fn known(conn: &mut PgConnection, keys: &[String]) -> Result<BTreeSet<String>> {
    let keys: Vec<String> =
        sqlx::query_scalar("select key from limits where key = any($1)").bind(keys).fetch_all(conn).await?;
    Ok(keys.into_iter().collect())
}

/// The first of these limits that has no place left, and those that have one; their rows are locked.
///
/// # Errors
/// When the statement fails.
pub(super) async fn full(conn: &mut PgConnection, keys: &[String]) -> Result<(Option<String>, Vec<String>)> {
    let locked: Vec<(String, i32)> =
        sqlx::query_as("select key, slots from limits where key = any($1) order by key for update")
            .bind(keys)
            .fetch_all(&mut *conn)
            .await?;
    let held: Vec<(String, i64)> =
        sqlx::query_as("select key, count(*) from limit_holds where key = any($1) group by key")
            .bind(keys)
            .fetch_all(conn)
            .await?;
    let held_of = |key: &str| held.iter().find(|(known, _)| known == key).map_or(0, |(_, held)| *held);
    let (free, full): (Vec<_>, Vec<_>) = locked.into_iter().partition(|(key, slots)| held_of(key) < i64::from(*slots));
    Ok((full.into_iter().next().map(|(key, _)| key), free.into_iter().map(|(key, _)| key).collect()))
}

/// Takes places. Their limits are locked and have some.
///
/// # Errors
/// When the statement fails.
pub(super) async fn take(conn: &mut PgConnection, keys: &[String], step: StepId, fence: i64) -> Result<()> {
    sqlx::query(
        "insert into limit_holds (key, fence, step_id) select key, $2, $3 from unnest($1::text[]) as wanted (key)",
    )
    .bind(keys)
    .bind(fence)
    .bind(step)
    .execute(conn)
    .await?;
    Ok(())
}

/// The step waits for this limit.
///
/// # Errors
/// When the statement fails.
pub(super) async fn block(conn: &mut PgConnection, step: StepId, key: &str) -> Result<()> {
    sqlx::query("update steps set blocked_by = $2 where id = $1").bind(step).bind(key).execute(conn).await?;
    Ok(())
}

/// Gives back what is held with this fence, and lets as many that wait for it try as there are places. Answers with the
/// pools of these.
///
/// # Errors
/// When a statement fails.
pub async fn give_back(conn: &mut PgConnection, fence: i64) -> Result<BTreeSet<String>> {
    let mut keys: Vec<String> =
        sqlx::query_scalar("select key from limit_holds where fence = $1").bind(fence).fetch_all(&mut *conn).await?;
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    keys.sort_unstable();
    sqlx::query("select from limits where key = any($1) order by key for update")
        .bind(&keys)
        .execute(&mut *conn)
        .await?;
    sqlx::query("delete from limit_holds where fence = $1").bind(fence).execute(&mut *conn).await?;
    unblock(conn, &keys).await
}

/// Lets as many steps that wait for these limits try as there are places; of a limit that is there no more, all. Answers with
/// the pools of these.
///
/// # Errors
/// When the statement fails.
pub async fn unblock(conn: &mut PgConnection, keys: &[String]) -> Result<BTreeSet<String>> {
    let pools: Vec<String> = sqlx::query_scalar(
        "update steps s
         set blocked_by = null
         from unnest($1::text[]) as freed (key)
         left join limits l on l.key = freed.key,
             lateral (
              select b.id
              from steps b
              where b.state = 'ready' and b.blocked_by = freed.key
              order by b.priority desc, b.next_at
              limit case
                  when l.key is not null
                      then greatest(0, l.slots - (select count(*) from limit_holds h where h.key = freed.key))
              end
              for update skip locked) as first
         where s.id = first.id
         returning s.pool",
    )
    .bind(keys)
    .fetch_all(conn)
    .await?;
    Ok(pools.into_iter().collect())
}

/// Limits that steps wait for although they have places, or are there no more; and checks that have ended.
///
/// # Errors
/// When the statement fails.
pub async fn idle(conn: &mut PgConnection) -> Result<Vec<String>> {
    let keys = sqlx::query_scalar(
        "with recursive wanted as (
             (select blocked_by as key
              from steps
              where state = 'ready' and blocked_by is not null
              order by blocked_by
              limit 1)
             union all
             select (
                 select blocked_by
                 from steps
                 where state = 'ready' and blocked_by > wanted.key
                 order by blocked_by
                 limit 1)
             from wanted
             where wanted.key is not null
         )
         select w.key
         from wanted w
         left join limits l on l.key = w.key
         where w.key is not null
             and (l.key is null or l.slots > (select count(*) from limit_holds h where h.key = w.key))
             and not exists (
                 select
                 from dataset_profiles p
                 join dataset_versions v on v.id = p.version_id
                 join versioned_datasets d on d.id = v.dataset_id
                 where p.state = 'waiting' and w.key = 'check:' || d.workspace_id || ':' || d.name || '@' || v.number)",
    )
    .fetch_all(conn)
    .await?;
    Ok(keys)
}
