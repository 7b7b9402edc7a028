//! Push hooks, and what forges told them of.

use crate::{
    Error, Result,
    secret_key::{HookSecret, Kept, Sealed},
};
use chrono::{DateTime, Utc};
use domain::{
    id::{PipelineId, PipelineRunId, PushHookId, WorkspaceId},
    push_hook::{Delivery, Outcome, PushField, PushHook},
};
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeMap;

#[derive(FromRow)]
struct Row {
    id: PushHookId,
    workspace_id: WorkspaceId,
    name: String,
    pipeline_id: PipelineId,
    pipeline: String,
    forge: String,
    branches: Vec<String>,
    paths: Vec<String>,
    params: Json<Map<String, Value>>,
    from_push: Json<BTreeMap<String, PushField>>,
    enabled: bool,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl TryFrom<Row> for PushHook {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            pipeline_id: row.pipeline_id,
            pipeline: row.pipeline,
            forge: row.forge.parse().map_err(|_| Error::unknown("forge", &row.forge))?,
            branches: row.branches,
            paths: row.paths,
            params: row.params.0,
            from_push: row.from_push.0,
            enabled: row.enabled,
            created_at: row.created_at,
            created_by: row.created_by,
        })
    }
}

/// A hook with the name of its pipeline, without its secret; `$rest` goes on after the join.
macro_rules! select_hooks {
    ($rest:literal) => {
        concat!(
            "select h.id, h.workspace_id, h.name, h.pipeline_id, p.name as pipeline, h.forge, h.branches, h.paths, h.params,
                 h.from_push, h.enabled, h.created_at, h.created_by
             from push_hooks h
             join pipelines p on p.id = h.pipeline_id
             ",
            $rest
        )
    };
}

/// Adds a hook with its secret.
///
/// # Errors
/// [`Error::Duplicate`] of `push_hooks_workspace_id_name_key` when another has the name.
pub async fn insert(conn: &mut PgConnection, hook: &PushHook, secret: &Sealed) -> Result<()> {
    sqlx::query(
        "insert into push_hooks (id, workspace_id, pipeline_id, name, forge, secret, branches, paths, params, from_push,
             enabled, created_at, created_by, key_id, sealed)
         values ($1, $2, $3, $4, $5, '', $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(hook.id)
    .bind(hook.workspace_id)
    .bind(hook.pipeline_id)
    .bind(&hook.name)
    .bind(hook.forge.as_str())
    .bind(&hook.branches)
    .bind(&hook.paths)
    .bind(Json(&hook.params))
    .bind(Json(&hook.from_push))
    .bind(hook.enabled)
    .bind(hook.created_at)
    .bind(&hook.created_by)
    .bind(&secret.key_id)
    .bind(&secret.bytes)
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes a hook to what is given. Its secret stays.
///
/// # Errors
/// As [`insert`].
pub async fn update(conn: &mut PgConnection, hook: &PushHook) -> Result<()> {
    sqlx::query(
        "update push_hooks
         set pipeline_id = $2, name = $3, forge = $4, branches = $5, paths = $6, params = $7, from_push = $8, enabled = $9
         where id = $1",
    )
    .bind(hook.id)
    .bind(hook.pipeline_id)
    .bind(&hook.name)
    .bind(hook.forge.as_str())
    .bind(&hook.branches)
    .bind(&hook.paths)
    .bind(Json(&hook.params))
    .bind(Json(&hook.from_push))
    .bind(hook.enabled)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a hook with its secret and what it was told of. The runs that it started stay.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: PushHookId) -> Result<()> {
    sqlx::query("delete from push_hooks where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// Up to `limit` hooks of a workspace, by name, those of one pipeline when given; those with a name after `after`, when
/// given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    pipeline: Option<PipelineId>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<PushHook>> {
    let rows: Vec<Row> = sqlx::query_as(select_hooks!(
        "where h.workspace_id = $1
             and ($2::uuid is null or h.pipeline_id = $2)
             and ($3::text is null or h.name > $3)
         order by h.name
         limit $4"
    ))
    .bind(workspace)
    .bind(pipeline)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(PushHook::try_from).collect()
}

/// The hook of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<PushHook>> {
    let row: Option<Row> = sqlx::query_as(select_hooks!("where h.workspace_id = $1 and h.name = $2"))
        .bind(workspace)
        .bind(name)
        .fetch_optional(conn)
        .await?;
    row.map(PushHook::try_from).transpose()
}

/// The hook of this name, which nobody else changes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<PushHook>> {
    let row: Option<Row> =
        sqlx::query_as(select_hooks!("where h.workspace_id = $1 and h.name = $2 for no key update of h"))
            .bind(workspace)
            .bind(name)
            .fetch_optional(conn)
            .await?;
    row.map(PushHook::try_from).transpose()
}

/// The hook of this id, in any workspace, with its secret.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, id: PushHookId) -> Result<Option<(PushHook, Kept)>> {
    let row: Option<Row> = sqlx::query_as(select_hooks!("where h.id = $1")).bind(id).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(None) };
    let kept: Option<Kept> = sqlx::query_as("select secret, key_id, sealed from push_hooks where id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    kept.map(|kept| Ok((row.try_into()?, kept))).transpose()
}

/// Up to `limit` hooks whose secret is not encrypted with this key, after this id, held until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn under_other_keys(
    conn: &mut PgConnection,
    key: &str,
    after: Option<PushHookId>,
    limit: i64,
) -> Result<Vec<HookSecret<PushHookId>>> {
    Ok(sqlx::query_as(
        "select id, secret, key_id, sealed
         from push_hooks
         where key_id is distinct from $1 and ($2::uuid is null or id > $2)
         order by id
         limit $3
         for no key update",
    )
    .bind(key)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?)
}

/// Keeps what a hook is proved with encrypted, instead of what it was proved with before.
///
/// # Errors
/// When the statement fails.
pub async fn seal(conn: &mut PgConnection, id: PushHookId, secret: &Sealed) -> Result<()> {
    sqlx::query("update push_hooks set secret = '', key_id = $2, sealed = $3 where id = $1")
        .bind(id)
        .bind(&secret.key_id)
        .bind(&secret.bytes)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes a delivery: of the same that comes again or at once, one has it. Tells whether it is news.
///
/// # Errors
/// When the statement fails.
pub async fn take_delivery(conn: &mut PgConnection, hook: PushHookId, delivery: &str) -> Result<bool> {
    let taken = sqlx::query(
        "insert into push_deliveries (hook_id, delivery, outcome, answer)
         values ($1, $2, 'ignored', '')
         on conflict (hook_id, delivery) do nothing",
    )
    .bind(hook)
    .bind(delivery)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// What came of a delivery.
#[derive(Debug)]
pub struct Answered<'a> {
    /// What came of it.
    pub outcome: Outcome,
    /// The answer, in words.
    pub answer: &'a str,
    /// The branch, of a push.
    pub branch: Option<&'a str>,
    /// The commit, of a push.
    pub commit: Option<&'a str>,
    /// The run that it started.
    pub run: Option<PipelineRunId>,
}

/// Notes what came of a delivery that was taken.
///
/// # Errors
/// When the statement fails.
pub async fn answer(conn: &mut PgConnection, hook: PushHookId, delivery: &str, answered: &Answered<'_>) -> Result<()> {
    sqlx::query(
        "update push_deliveries
         set outcome = $3, answer = $4, branch = $5, commit = $6, run_id = $7
         where hook_id = $1 and delivery = $2",
    )
    .bind(hook)
    .bind(delivery)
    .bind(answered.outcome.as_str())
    .bind(answered.answer)
    .bind(answered.branch)
    .bind(answered.commit)
    .bind(answered.run)
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct DeliveryRow {
    delivery: String,
    at: DateTime<Utc>,
    outcome: String,
    answer: String,
    branch: Option<String>,
    commit: Option<String>,
    run_number: Option<i64>,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = Error;

    fn try_from(row: DeliveryRow) -> Result<Self> {
        Ok(Self {
            delivery: row.delivery,
            at: row.at,
            outcome: Outcome::parse(&row.outcome).ok_or_else(|| Error::unknown("outcome of a push", &row.outcome))?,
            answer: row.answer,
            branch: row.branch,
            commit: row.commit,
            run_number: row.run_number,
        })
    }
}

/// A delivery of a hook.
///
/// # Errors
/// When the statement fails.
pub async fn delivery(conn: &mut PgConnection, hook: PushHookId, delivery: &str) -> Result<Option<Delivery>> {
    let row: Option<DeliveryRow> = sqlx::query_as(
        "select d.delivery, d.at, d.outcome, d.answer, d.branch, d.commit, r.number as run_number
         from push_deliveries d
         left join pipeline_runs r on r.id = d.run_id
         where d.hook_id = $1 and d.delivery = $2",
    )
    .bind(hook)
    .bind(delivery)
    .fetch_optional(conn)
    .await?;
    row.map(Delivery::try_from).transpose()
}

/// Up to `limit` deliveries of a hook, latest first; those before a moment, when given.
///
/// # Errors
/// When the statement fails.
pub async fn deliveries(
    conn: &mut PgConnection,
    hook: PushHookId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let rows: Vec<DeliveryRow> = sqlx::query_as(
        "select d.delivery, d.at, d.outcome, d.answer, d.branch, d.commit, r.number as run_number
         from push_deliveries d
         left join pipeline_runs r on r.id = d.run_id
         where d.hook_id = $1 and ($2::timestamptz is null or d.at < $2)
         order by d.at desc
         limit $3",
    )
    .bind(hook)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// Deletes up to `limit` deliveries from before a moment. Answers with how many.
///
/// # Errors
/// When the statement fails.
pub async fn delete_deliveries_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let deleted = sqlx::query(
        "delete from push_deliveries
         where (hook_id, delivery) in (select hook_id, delivery from push_deliveries where at < $1 limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
