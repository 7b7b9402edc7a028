//! What steps gave, by what they were run with.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{PipelineId, StepId, WorkspaceId},
    pipeline_run::{CacheKey, StepCache},
    step::StepOutput,
};
use sqlx::{FromRow, PgConnection, types::Json};

/// What a step gave that was run with the same.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The step.
    pub step_id: StepId,
    /// The number of its run.
    pub run: i64,
    /// Its name.
    pub step: String,
    /// What it gave.
    pub outputs: Vec<StepOutput>,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// What a step gave that was run with the same.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut PgConnection, workspace: WorkspaceId, key: &Digest) -> Result<Option<Kept>> {
    #[derive(FromRow)]
    struct Row {
        step_id: StepId,
        run: i64,
        step: String,
        outputs: Json<Vec<StepOutput>>,
        created_at: DateTime<Utc>,
    }
    let row: Option<Row> = sqlx::query_as(
        "select s.id as step_id, r.number as run, s.name as step, s.outputs, c.created_at
         from step_cache c
         join steps s on s.id = c.step_id
         join pipeline_runs r on r.id = s.run_id
         where c.workspace_id = $1 and c.key = $2",
    )
    .bind(workspace)
    .bind(key)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Kept {
        step_id: row.step_id,
        run: row.run,
        step: row.step,
        outputs: row.outputs.0,
        created_at: row.created_at,
    }))
}

/// What the step of this name of a pipeline was run with the last time that it was kept.
///
/// # Errors
/// When the statement fails.
pub async fn last(conn: &mut PgConnection, pipeline: PipelineId, name: &str) -> Result<Option<CacheKey>> {
    let parts: Option<Json<CacheKey>> = sqlx::query_scalar(
        "select parts from step_cache where pipeline_id = $1 and name = $2 order by created_at desc limit 1",
    )
    .bind(pipeline)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(parts.map(|parts| parts.0))
}

/// Notes how it went, and what the step is run with.
///
/// # Errors
/// When the statement fails.
pub async fn note(
    conn: &mut PgConnection,
    step: StepId,
    cache: &StepCache,
    key: Option<(&Digest, &CacheKey)>,
) -> Result<()> {
    sqlx::query("update steps set cache = $2, cache_key = $3, cache_parts = $4 where id = $1")
        .bind(step)
        .bind(Json(cache))
        .bind(key.map(|(digest, _)| digest))
        .bind(key.map(|(_, key)| Json(key)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps what a step gives that ends now, if it was noted what it was run with; of two with the same, the later.
///
/// # Errors
/// When the statement fails.
pub async fn keep(conn: &mut PgConnection, step: StepId) -> Result<()> {
    sqlx::query(
        "insert into step_cache (workspace_id, key, step_id, pipeline_id, name, parts)
         select s.workspace_id, s.cache_key, s.id, r.pipeline_id, s.name, s.cache_parts
         from steps s
         join pipeline_runs r on r.id = s.run_id
         where s.id = $1 and s.cache_key is not null and s.cache ->> 'outcome' = 'miss'
         on conflict (workspace_id, key) do update
         set step_id = excluded.step_id, pipeline_id = excluded.pipeline_id, name = excluded.name,
             parts = excluded.parts, created_at = excluded.created_at",
    )
    .bind(step)
    .execute(conn)
    .await?;
    Ok(())
}
