//! Runs of pipelines. What their steps do is in [`crate::step`], whose turn it is in [`turn`].

pub mod turn;

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{PipelineId, PipelineRunId, PipelineVersionId, UserId, WorkspaceId},
    pipeline::{ExecutorKind, ParamValue},
    pipeline_run::{Code, PipelineRun, PipelineRunState, PipelineRunSummary, RunCause, Verdict},
};
use sqlx::{FromRow, PgConnection, QueryBuilder, types::Json};
use std::collections::BTreeMap;

/// A run to be stored. It begins as queued.
#[derive(Debug)]
pub struct NewPipelineRun<'a> {
    /// The run.
    pub id: PipelineRunId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// What it runs.
    pub version_id: PipelineVersionId,
    /// Its number in the workspace.
    pub number: i64,
    /// The value of every param.
    pub params: &'a BTreeMap<String, ParamValue>,
    /// What started it.
    pub cause: RunCause,
    /// Which one, by its id.
    pub cause_id: Option<&'a str>,
    /// What that is called.
    pub cause_name: Option<&'a str>,
    /// The time that it is for.
    pub cause_at: Option<DateTime<Utc>>,
    /// How many runs led to it.
    pub depth: i32,
    /// The run that it is again, and in part took over.
    pub rerun_of: Option<PipelineRunId>,
    /// Whether its steps may use what steps gave before.
    pub use_cache: bool,
    /// The code that it is started from.
    pub code: Option<&'a Code>,
    /// The run that it does again.
    pub reproduces: Option<PipelineRunId>,
    /// Where steps of its pools run that do not say so.
    pub executors: &'a BTreeMap<String, ExecutorKind>,
    /// Who started it, when a member did.
    pub started_by: Option<UserId>,
    /// The person behind the step that started it, when one did.
    pub on_behalf_of: Option<UserId>,
    /// The name of who or what started it.
    pub started_by_name: &'a str,
    /// Of two runs with the same key in a workspace there is only one.
    pub idempotency_key: Option<&'a str>,
}

#[derive(FromRow)]
struct Row {
    id: PipelineRunId,
    workspace_id: WorkspaceId,
    pipeline_id: PipelineId,
    pipeline_name: String,
    version_id: PipelineVersionId,
    version_number: i32,
    digest: Digest,
    number: i64,
    state: String,
    params: Json<BTreeMap<String, ParamValue>>,
    cause: String,
    cause_id: Option<String>,
    cause_name: Option<String>,
    cause_at: Option<DateTime<Utc>>,
    depth: i32,
    held_at: Option<DateTime<Utc>>,
    started_by: Option<UserId>,
    started_by_name: String,
    use_cache: bool,
    code: Option<Json<Code>>,
    reproduces: Option<i64>,
    verdict: Option<Json<Verdict>>,
    cancel_requested_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for PipelineRun {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            pipeline_id: row.pipeline_id,
            pipeline_name: row.pipeline_name,
            version_id: row.version_id,
            version_number: row.version_number,
            digest: row.digest,
            number: row.number,
            state: PipelineRunState::parse(&row.state).ok_or_else(|| Error::unknown("run state", &row.state))?,
            params: row.params.0,
            cause: RunCause::parse(&row.cause).ok_or_else(|| Error::unknown("run cause", &row.cause))?,
            cause_id: row.cause_id,
            cause_name: row.cause_name,
            cause_at: row.cause_at,
            depth: row.depth,
            held_at: row.held_at,
            started_by: row.started_by,
            started_by_name: row.started_by_name,
            use_cache: row.use_cache,
            code: row.code.map(|code| code.0),
            reproduces: row.reproduces,
            verdict: row.verdict.map(|verdict| verdict.0),
            cancel_requested_at: row.cancel_requested_at,
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
        })
    }
}

/// A run with the names of its pipeline and version; `$rest` goes on after the joins.
macro_rules! select_runs {
    ($($more:literal)?, $rest:literal) => {
        concat!(
            "select r.id, r.workspace_id, r.pipeline_id, p.name as pipeline_name, r.version_id, v.number as version_number,
                 v.digest, r.number, r.state, r.params, r.cause, r.cause_id, r.cause_name, r.cause_at, r.depth, r.held_at,
                 r.started_by, r.started_by_name, r.use_cache, r.code, r.verdict,
                 (select b.number from pipeline_runs b where b.id = r.reproduces) as reproduces,
                 r.cancel_requested_at, r.created_at, r.started_at, r.ended_at",
            $($more,)?
            "
             from pipeline_runs r
             join pipelines p on p.id = r.pipeline_id
             join pipeline_versions v on v.id = r.version_id
             ",
            $rest
        )
    };
}

/// Adds a run.
///
/// # Errors
/// [`Error::Duplicate`] of `pipeline_runs_idempotency` when the key was used.
pub async fn insert(conn: &mut PgConnection, run: &NewPipelineRun<'_>) -> Result<()> {
    sqlx::query(
        "insert into pipeline_runs (id, workspace_id, pipeline_id, version_id, number, state, params, cause, cause_id,
             started_by, on_behalf_of, started_by_name, idempotency_key, cause_name, cause_at, depth, rerun_of, use_cache,
             code, reproduces, executors)
         values ($1, $2, $3, $4, $5, 'queued', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
    )
    .bind(run.id)
    .bind(run.workspace_id)
    .bind(run.pipeline_id)
    .bind(run.version_id)
    .bind(run.number)
    .bind(Json(run.params))
    .bind(run.cause.as_str())
    .bind(run.cause_id)
    .bind(run.started_by)
    .bind(run.on_behalf_of)
    .bind(run.started_by_name)
    .bind(run.idempotency_key)
    .bind(run.cause_name)
    .bind(run.cause_at)
    .bind(run.depth)
    .bind(run.rerun_of)
    .bind(run.use_cache)
    .bind(run.code.map(Json))
    .bind(run.reproduces)
    .bind(Json(run.executors))
    .execute(conn)
    .await?;
    Ok(())
}

/// Where steps of a run's pools run that do not say so, by the names of the pools; none is a process.
///
/// # Errors
/// When the statement fails, and without such a run.
pub async fn executors(conn: &mut PgConnection, run: PipelineRunId) -> Result<BTreeMap<String, ExecutorKind>> {
    let found: Json<_> =
        sqlx::query_scalar("select executors from pipeline_runs where id = $1").bind(run).fetch_one(conn).await?;
    Ok(found.0)
}

/// The run of this number.
///
/// # Errors
/// When the statement fails.
pub async fn by_number(conn: &mut PgConnection, workspace: WorkspaceId, number: i64) -> Result<Option<PipelineRun>> {
    let row: Option<Row> = sqlx::query_as(select_runs!(, "where r.workspace_id = $1 and r.number = $2"))
        .bind(workspace)
        .bind(number)
        .fetch_optional(conn)
        .await?;
    row.map(PipelineRun::try_from).transpose()
}

/// The runs of these ids, in no order.
///
/// # Errors
/// When the statement fails.
pub async fn by_ids(conn: &mut PgConnection, ids: &[PipelineRunId]) -> Result<Vec<PipelineRun>> {
    let rows: Vec<Row> = sqlx::query_as(select_runs!(, "where r.id = any($1)"))
        .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(PipelineRun::try_from).collect()
}

/// The run that was started with this key.
///
/// # Errors
/// When the statement fails.
pub async fn by_idempotency_key(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    key: &str,
) -> Result<Option<PipelineRun>> {
    let row: Option<Row> = sqlx::query_as(select_runs!(, "where r.workspace_id = $1 and r.idempotency_key = $2"))
        .bind(workspace)
        .bind(key)
        .fetch_optional(conn)
        .await?;
    row.map(PipelineRun::try_from).transpose()
}

/// The run, locked until the transaction ends. Whatever moves steps of a run or the run itself does so under this lock,
/// one after the other; only claiming a step goes without.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, id: PipelineRunId) -> Result<Option<PipelineRun>> {
    let row: Option<Row> =
        sqlx::query_as(select_runs!(, "where r.id = $1 for no key update of r")).bind(id).fetch_optional(conn).await?;
    row.map(PipelineRun::try_from).transpose()
}

/// Runs that did this one again, the last first.
///
/// # Errors
/// When the statement fails.
pub async fn reproductions(conn: &mut PgConnection, id: PipelineRunId, limit: i64) -> Result<Vec<PipelineRun>> {
    let rows: Vec<Row> = sqlx::query_as(select_runs!(, "where r.reproduces = $1 order by r.number desc limit $2"))
        .bind(id)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(PipelineRun::try_from).collect()
}

/// Notes what came of doing another run again. False when that is noted already.
///
/// # Errors
/// When the statement fails.
pub async fn set_verdict(conn: &mut PgConnection, id: PipelineRunId, verdict: &Verdict) -> Result<bool> {
    let set = sqlx::query("update pipeline_runs set verdict = $2 where id = $1 and verdict is null")
        .bind(id)
        .bind(Json(verdict))
        .execute(conn)
        .await?;
    Ok(set.rows_affected() == 1)
}

/// Which runs a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Of this pipeline.
    pub pipeline: Option<PipelineId>,
    /// In this state.
    pub state: Option<PipelineRunState>,
    /// Started by this.
    pub cause: Option<RunCause>,
    /// Started by somebody with this in the name.
    pub by: Option<&'a str>,
    /// With this in the names of the pipeline and of what started it, in the values of the params or in its number.
    pub text: Option<&'a str>,
    /// Asked for at this moment or later.
    pub from: Option<DateTime<Utc>>,
    /// Asked for before this moment.
    pub to: Option<DateTime<Utc>>,
}

/// Up to `limit` runs of a workspace, newest first; those with a number below `before`, when given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    filter: Filter<'_>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<PipelineRunSummary>> {
    #[derive(FromRow)]
    struct Listed {
        #[sqlx(flatten)]
        run: Row,
        steps_total: i32,
        steps_ended: i32,
    }
    let mut query = QueryBuilder::new(select_runs!(", r.steps_total, r.steps_ended", "where r.workspace_id = "));
    query.push_bind(workspace);
    if let Some(pipeline) = filter.pipeline {
        query.push(" and r.pipeline_id = ").push_bind(pipeline);
    }
    if let Some(state) = filter.state {
        query.push(" and r.state = ").push_bind(state.as_str());
    }
    if let Some(cause) = filter.cause {
        query.push(" and r.cause = ").push_bind(cause.as_str());
    }
    if let Some(by) = filter.by {
        query.push(" and r.started_by_name ilike ").push_bind(containing(by));
    }
    if let Some(text) = filter.text {
        let pattern = containing(text);
        query.push(" and (p.name ilike ").push_bind(pattern.clone());
        query.push(" or r.started_by_name ilike ").push_bind(pattern.clone());
        query.push(" or r.cause_name ilike ").push_bind(pattern.clone());
        query.push(" or '#' || r.number = ").push_bind(text.to_owned());
        query.push(" or r.number::text = ").push_bind(text.to_owned());
        query
            .push(" or exists (select from jsonb_each_text(r.params) as param where param.value ilike ")
            .push_bind(pattern.clone())
            .push(" or param.key || '=' || param.value ilike ")
            .push_bind(pattern)
            .push("))");
    }
    if let Some(from) = filter.from {
        query.push(" and r.created_at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" and r.created_at < ").push_bind(to);
    }
    if let Some(before) = before {
        query.push(" and r.number < ").push_bind(before);
    }
    query.push(" order by r.number desc limit ").push_bind(limit);
    let rows: Vec<Listed> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| {
            Ok(PipelineRunSummary {
                run: row.run.try_into()?,
                steps_total: row.steps_total.into(),
                steps_ended: row.steps_ended.into(),
            })
        })
        .collect()
}

/// A pattern of `like` for texts that have this one in them.
fn containing(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
}

/// How many runs of a workspace are open, by state.
///
/// # Errors
/// When the statement fails.
pub async fn count_open(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<(PipelineRunState, i64)>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select state, count(*)
         from pipeline_runs
         where workspace_id = $1 and state in ('queued', 'running', 'cancelling')
         group by state",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(name, count)| {
            let state = PipelineRunState::parse(&name).ok_or_else(|| Error::unknown("run state", &name))?;
            Ok((state, count))
        })
        .collect()
}

/// How many commands a run has, and how many of them have ended.
///
/// # Errors
/// When the statement fails.
pub async fn steps(conn: &mut PgConnection, id: PipelineRunId) -> Result<(i32, i32)> {
    let counts = sqlx::query_as("select steps_total, steps_ended from pipeline_runs where id = $1")
        .bind(id)
        .fetch_one(conn)
        .await?;
    Ok(counts)
}

/// Notes that the run stands like this now.
///
/// # Errors
/// When the statement fails.
pub async fn set_state(conn: &mut PgConnection, id: PipelineRunId, state: PipelineRunState) -> Result<()> {
    sqlx::query(
        "update pipeline_runs
         set state = $2,
             started_at = case when $2 = 'running' then coalesce(started_at, clock_timestamp()) else started_at end,
             ended_at = case when $3 then clock_timestamp() end
         where id = $1",
    )
    .bind(id)
    .bind(state.as_str())
    .bind(state.is_final())
    .execute(conn)
    .await?;
    Ok(())
}

/// Who started a run, and the person behind the step of a pipeline that did.
///
/// # Errors
/// When the statement fails.
pub async fn people(conn: &mut PgConnection, id: PipelineRunId) -> Result<(Option<UserId>, Option<UserId>)> {
    Ok(sqlx::query_as("select started_by, on_behalf_of from pipeline_runs where id = $1")
        .bind(id)
        .fetch_one(conn)
        .await?)
}

/// How many runs led to a run, one by the end of the other.
///
/// # Errors
/// When the statement fails.
pub async fn depth(conn: &mut PgConnection, id: PipelineRunId) -> Result<i32> {
    Ok(sqlx::query_scalar("select depth from pipeline_runs where id = $1").bind(id).fetch_one(conn).await?)
}

/// Notes when somebody first asked to cancel the run.
///
/// # Errors
/// When the statement fails.
pub async fn request_cancel(conn: &mut PgConnection, id: PipelineRunId) -> Result<()> {
    sqlx::query(
        "update pipeline_runs
         set cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
         where id = $1",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` open runs that do not stand as their steps do: nothing is left that could move them on, or a step waits
/// for nothing. Only `this` one, when given.
///
/// # Errors
/// When the statement fails.
pub async fn unsettled(conn: &mut PgConnection, this: Option<PipelineRunId>, limit: i64) -> Result<Vec<PipelineRunId>> {
    let ids = sqlx::query_scalar(
        "select r.id
         from pipeline_runs r
         where r.state in ('queued', 'running', 'cancelling')
             -- One that waits for others of its pipeline has nothing to do.
             and (r.held_at is null or r.state = 'cancelling')
             and ($2::uuid is null or r.id = $2)
             and ((r.top_open, r.finally_open) <> (
                      select count(*) filter (where not s.finally), count(*) filter (where s.finally)
                      from steps s
                      where s.run_id = r.id and s.parent_id is null and s.state in ('waiting', 'ready', 'running'))
                  or not exists (
                      select
                      from steps s
                      where s.run_id = r.id and s.kind not in ('steps', 'many') and s.state in ('ready', 'running'))
                  or exists (
                      select
                      from steps s
                      where s.run_id = r.id
                          and s.state = 'waiting'
                          and s.needs_left <= 0
                          and (not s.finally or r.top_open = 0))
                  or (r.state = 'cancelling'
                      and exists (
                          select
                          from steps s
                          where s.run_id = r.id
                              and not s.finally
                              and (s.state in ('waiting', 'ready') or (s.state = 'running' and s.kind = 'approval')))))
         order by r.id
         limit $1",
    )
    .bind(limit)
    .bind(this)
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
