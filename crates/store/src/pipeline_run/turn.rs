//! Whose turn it is: how many runs of a pipeline may be open at once, which wait, and whose end somebody waits for.

use crate::{Error, Result};
use domain::{
    id::{PipelineId, PipelineRunId, WorkspaceId},
    pipeline_run::Concurrency,
};
use sqlx::PgConnection;

fn concurrency(row: (Option<String>, Option<i32>)) -> Result<Option<Concurrency>> {
    let (Some(policy), Some(limit)) = row else { return Ok(None) };
    let policy = policy.parse().map_err(|_| Error::unknown("concurrency policy", &policy))?;
    Ok(Some(Concurrency { policy, limit }))
}

/// How many runs of a pipeline may be open at once; none when as many as are started.
///
/// # Errors
/// When the statement fails.
pub async fn limit(conn: &mut PgConnection, pipeline: PipelineId) -> Result<Option<Concurrency>> {
    let row: Option<(Option<String>, Option<i32>)> =
        sqlx::query_as("select concurrency_policy, concurrency_limit from pipelines where id = $1")
            .bind(pipeline)
            .fetch_optional(conn)
            .await?;
    row.map_or(Ok(None), concurrency)
}

/// The same, while nobody else starts a run of the pipeline or goes on with those that wait, until the transaction ends.
/// The order of locks is: the pipeline, then its runs. So whoever holds a run does not ask for this.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, pipeline: PipelineId) -> Result<Option<Concurrency>> {
    let row: Option<(Option<String>, Option<i32>)> = sqlx::query_as(
        "select concurrency_policy, concurrency_limit
         from pipelines
         where id = $1
         for no key update",
    )
    .bind(pipeline)
    .fetch_optional(conn)
    .await?;
    row.map_or(Ok(None), concurrency)
}

/// Notes how many may be open at once.
///
/// # Errors
/// When the statement fails.
pub async fn set_limit(conn: &mut PgConnection, pipeline: PipelineId, limit: Option<Concurrency>) -> Result<()> {
    sqlx::query("update pipelines set concurrency_policy = $2, concurrency_limit = $3 where id = $1")
        .bind(pipeline)
        .bind(limit.map(|limit| limit.policy.as_str()))
        .bind(limit.map(|limit| limit.limit))
        .execute(conn)
        .await?;
    Ok(())
}

/// How many open runs of a pipeline have begun or may, and how many wait.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, pipeline: PipelineId) -> Result<(i64, i64)> {
    let counts = sqlx::query_as(
        "select count(*) filter (where held_at is null), count(*) filter (where held_at is not null)
         from pipeline_runs
         where pipeline_id = $1 and state in ('queued', 'running', 'cancelling')",
    )
    .bind(pipeline)
    .fetch_one(conn)
    .await?;
    Ok(counts)
}

/// An open run of a pipeline.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct OpenRun {
    /// The run.
    pub id: PipelineRunId,
    /// Its number.
    pub number: i64,
    /// Whether it waits for others.
    pub held: bool,
    /// Whether it is being cancelled.
    pub cancelling: bool,
}

/// The open runs of a pipeline, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn open(conn: &mut PgConnection, pipeline: PipelineId) -> Result<Vec<OpenRun>> {
    let runs = sqlx::query_as(
        "select id, number, held_at is not null as held, cancel_requested_at is not null as cancelling
         from pipeline_runs
         where pipeline_id = $1 and state in ('queued', 'running', 'cancelling')
         order by number",
    )
    .bind(pipeline)
    .fetch_all(conn)
    .await?;
    Ok(runs)
}

/// Lets a run that was added in this transaction wait: none of its steps is ready.
///
/// # Errors
/// When a statement fails.
pub async fn hold(conn: &mut PgConnection, run: PipelineRunId) -> Result<()> {
    sqlx::query("update pipeline_runs set held_at = clock_timestamp() where id = $1").bind(run).execute(conn).await?;
    Ok(())
}

/// Notes that a run does not wait any more. Its steps are still to be moved.
///
/// # Errors
/// When the statement fails.
pub async fn let_begin(conn: &mut PgConnection, run: PipelineRunId) -> Result<()> {
    sqlx::query("update pipeline_runs set held_at = null where id = $1").bind(run).execute(conn).await?;
    Ok(())
}

/// Notes that a run has ended, when somebody waits for that. Tells whether somebody does.
///
/// # Errors
/// When the statement fails.
pub async fn note_ending(conn: &mut PgConnection, run: PipelineRunId, pipeline: PipelineId) -> Result<bool> {
    let noted = sqlx::query(
        "insert into run_endings (run_id)
         select $1
         where exists (select
                       from pipeline_runs r
                       where r.pipeline_id = $2
                           and r.state in ('queued', 'running', 'cancelling')
                           and r.held_at is not null)
             or exists (select from pipelines p where p.id = $2 and p.concurrency_limit is not null)
             or exists (select from backfill_runs x where x.run_id = $1)
             or exists (select from sub_runs x where x.child_run_id = $1)
             or exists (select from pipeline_runs r where r.id = $1 and r.reproduces is not null)
             or exists (select from triggers t where t.source_pipeline_id = $2 and t.enabled)
         on conflict (run_id) do nothing",
    )
    .bind(run)
    .bind(pipeline)
    .execute(conn)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// An ending that was noted.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
pub struct Ending {
    /// The run.
    pub run_id: PipelineRunId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
}

/// Takes an ending, until the transaction ends. One that somebody else has is passed over.
///
/// # Errors
/// When the statement fails.
pub async fn take_ending(conn: &mut PgConnection) -> Result<Option<Ending>> {
    let ending = sqlx::query_as(
        "select e.run_id, r.pipeline_id, r.workspace_id
         from run_endings e
         join pipeline_runs r on r.id = e.run_id
         order by e.at
         limit 1
         for update of e skip locked",
    )
    .fetch_optional(conn)
    .await?;
    Ok(ending)
}

/// Forgets an ending that was seen to.
///
/// # Errors
/// When the statement fails.
pub async fn forget_ending(conn: &mut PgConnection, run: PipelineRunId) -> Result<()> {
    sqlx::query("delete from run_endings where run_id = $1").bind(run).execute(conn).await?;
    Ok(())
}

/// Pipelines with runs that wait although fewer are open than may be, or that nothing limits any more: nobody was told, or
/// the limit changed.
///
/// # Errors
/// When the statement fails.
pub async fn stuck(conn: &mut PgConnection) -> Result<Vec<(PipelineId, WorkspaceId)>> {
    let stuck = sqlx::query_as(
        "select p.id, p.workspace_id
         from pipelines p
         join (select pipeline_id,
                   count(*) filter (where held_at is null) as begun,
                   count(*) filter (where held_at is not null) as held
               from pipeline_runs
               where state in ('queued', 'running', 'cancelling')
               group by pipeline_id) r on r.pipeline_id = p.id
         where r.held > 0
             and (p.concurrency_limit is null or r.begun < p.concurrency_limit or p.concurrency_policy = 'replace')
         limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(stuck)
}
