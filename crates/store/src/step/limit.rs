//! How many steps may run at once: of a pool, of those that name a limit of their workspace, of the instances of one step.
//!
//! A place is held with the fence of the step that has it. Taking and giving back happen under the lock of the limit's row, so
//! that no place is given away twice, and none stays free while somebody waits for it.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::{StepId, WorkspaceId},
    step::StepRef,
    worker::Limit,
};
use sqlx::{FromRow, PgConnection};
use std::collections::{BTreeMap, BTreeSet};

/// How many of the steps that have places of a limit are named.
const HOLDERS: i64 = 5;

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

/// What a step `s` waits for when that is a check, for people: `check of wine@3`; null when it is another thing.
macro_rules! awaited_check {
    () => {
        "'check of ' || substring(s.blocked_by from '^check:[^:]*:(.*)$')"
    };
}
pub(crate) use awaited_check;

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

/// How a limit stands, without who has its places.
#[derive(FromRow)]
struct Row {
    key: String,
    name: String,
    slots: i32,
    held: i64,
    waiting: i64,
    created_at: DateTime<Utc>,
}

macro_rules! limits {
    ($which:literal) => {
        concat!(
            "select l.key, l.name, l.slots, l.created_at,
                 (select count(*) from limit_holds h where h.key = l.key) as held,
                 (select count(*) from steps s where s.state = 'ready' and s.blocked_by = l.key) as waiting
             from limits l ",
            $which
        )
    };
}

/// The limits of a workspace, by name.
///
/// # Errors
/// When a statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Limit>> {
    let rows = sqlx::query_as(limits!("where l.kind = 'tag' and l.workspace_id = $1 order by l.name")).bind(workspace);
    let rows = rows.fetch_all(&mut *conn).await?;
    with_holders(conn, workspace, rows).await
}

/// The limits that steps of a workspace wait for, of whatever kind, by name.
///
/// # Errors
/// When a statement fails.
pub async fn blocking(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Limit>> {
    let rows = sqlx::query_as(limits!(
        "where l.key in (
             select s.blocked_by
             from steps s
             where s.workspace_id = $1 and s.state = 'ready' and s.blocked_by is not null)
         order by l.name, l.key
         limit 1000"
    ))
    .bind(workspace)
    .fetch_all(&mut *conn)
    .await?;
    with_holders(conn, workspace, rows).await
}

/// The limit with this key, as this workspace sees it.
///
/// # Errors
/// When a statement fails.
pub async fn find(conn: &mut PgConnection, workspace: WorkspaceId, key: &str) -> Result<Option<Limit>> {
    let rows = sqlx::query_as(limits!("where l.key = $1")).bind(key).fetch_all(&mut *conn).await?;
    Ok(with_holders(conn, workspace, rows).await?.pop())
}

/// Names up to [`HOLDERS`] steps of the workspace that have places of these limits.
async fn with_holders(conn: &mut PgConnection, workspace: WorkspaceId, rows: Vec<Row>) -> Result<Vec<Limit>> {
    let keys: Vec<&str> = rows.iter().filter(|row| row.held > 0).map(|row| row.key.as_str()).collect();
    let held: Vec<(String, String, i64, String)> = match keys.is_empty() {
        true => Vec::new(),
        false => {
            sqlx::query_as(
                "select w.key, p.name, r.number, held.name
                 from unnest($1::text[]) as w (key),
                     lateral (
                      select s.name, s.run_id, h.fence
                      from limit_holds h
                      join steps s on s.id = h.step_id
                      where h.key = w.key and s.workspace_id = $2
                      order by h.fence
                      limit $3) as held
                 join pipeline_runs r on r.id = held.run_id
                 join pipelines p on p.id = r.pipeline_id
                 order by w.key, held.fence",
            )
            .bind(&keys)
            .bind(workspace)
            .bind(HOLDERS)
            .fetch_all(conn)
            .await?
        }
    };
    let mut holders: BTreeMap<String, Vec<StepRef>> = BTreeMap::new();
    for (key, pipeline, run, step) in held {
        holders.entry(key).or_default().push(StepRef { pipeline, run, step });
    }
    let limit = |row: Row| Limit {
        holders: holders.remove(&row.key).unwrap_or_default(),
        name: row.name,
        slots: row.slots,
        held: row.held,
        waiting: row.waiting,
        created_at: row.created_at,
    };
    Ok(rows.into_iter().map(limit).collect())
}

/// How many limits of this kind there are.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, kind: &str) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from limits where kind = $1").bind(kind).fetch_one(conn).await?)
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
