//! Tracked runs of steps, and the one of each pipeline run that they are nested under.

use crate::Result;
use domain::{
    id::{PipelineRunId, RunId, StepAttemptId, TokenId},
    run::RunStatus,
};
use sqlx::{FromRow, PgConnection};

/// The try that a token is of.
#[derive(Debug, Clone, FromRow)]
pub struct OfToken {
    /// The try.
    pub attempt_id: StepAttemptId,
    /// Its step's name.
    pub step: String,
    /// Its run.
    pub pipeline_run_id: PipelineRunId,
    /// The run's number.
    pub number: i64,
    /// The pipeline's name.
    pub pipeline: String,
    /// The tracked run that the run's are nested under.
    pub parent: Option<RunId>,
}

/// The try that a token is of, if it is of one.
///
/// # Errors
/// When the statement fails.
pub async fn of_token(conn: &mut PgConnection, token: TokenId) -> Result<Option<OfToken>> {
    let found = sqlx::query_as(
        "select a.id as attempt_id, s.name as step, r.id as pipeline_run_id, r.number, p.name as pipeline,
             t.run_id as parent
         from step_attempts a
         join steps s on s.id = a.step_id
         join pipeline_runs r on r.id = s.run_id
         join pipelines p on p.id = r.pipeline_id
         left join pipeline_run_parents t on t.pipeline_run_id = r.id
         where a.token_id = $1",
    )
    .bind(token)
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

/// The tracked run that those of a pipeline run's steps are nested under.
///
/// # Errors
/// When the statement fails.
pub async fn parent(conn: &mut PgConnection, run: PipelineRunId) -> Result<Option<RunId>> {
    let parent = sqlx::query_scalar("select run_id from pipeline_run_parents where pipeline_run_id = $1")
        .bind(run)
        .fetch_optional(conn)
        .await?;
    Ok(parent)
}

/// Makes a tracked run the one that those of a pipeline run's steps are nested under. False when there is one already.
///
/// # Errors
/// When the statement fails.
pub async fn set_parent(conn: &mut PgConnection, run: PipelineRunId, parent: RunId) -> Result<bool> {
    let set = sqlx::query(
        "insert into pipeline_run_parents (pipeline_run_id, run_id) values ($1, $2) on conflict do nothing",
    )
    .bind(run)
    .bind(parent)
    .execute(conn)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// Ends the tracked run that those of a pipeline run's steps are nested under, if there is one.
///
/// # Errors
/// When the statement fails.
pub async fn end_parent(conn: &mut PgConnection, run: PipelineRunId, status: RunStatus, end_time: i64) -> Result<()> {
    sqlx::query(
        "update runs r
         set status = $2, end_time = $3, version = r.version + 1
         from pipeline_run_parents t
         where t.pipeline_run_id = $1 and r.id = t.run_id and r.status in ('RUNNING', 'SCHEDULED')",
    )
    .bind(run)
    .bind(status.as_str())
    .bind(end_time)
    .execute(conn)
    .await?;
    Ok(())
}

/// The tracked run that a try logged to first.
///
/// # Errors
/// When the statement fails.
pub async fn first(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<Option<RunId>> {
    let run = sqlx::query_scalar(
        "select id from runs where step_attempt_id = $1 and lifecycle_stage = 'active' order by key limit 1",
    )
    .bind(attempt)
    .fetch_optional(conn)
    .await?;
    Ok(run)
}
