//! Notebooks that tries run.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{StepAttemptId, WorkspaceId},
    notebook::{NotebookProgress, StepNotebook},
};
use sqlx::{FromRow, PgConnection, types::Json};

/// Notes that a try runs this notebook. One that is noted already stays as it is.
///
/// # Errors
/// When the statement fails.
pub async fn begin(conn: &mut PgConnection, attempt: StepAttemptId, path: &str, source: Option<&Digest>) -> Result<()> {
    sqlx::query(
        "insert into step_notebooks (attempt_id, path, progress, source)
         values ($1, $2, $3, $4)
         on conflict do nothing",
    )
    .bind(attempt)
    .bind(path)
    .bind(Json(NotebookProgress::default()))
    .bind(source)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes how far a notebook has come while its try runs, and what there is of it: compressed, and how many bytes it has.
///
/// # Errors
/// When the statement fails.
pub async fn note(
    conn: &mut PgConnection,
    attempt: StepAttemptId,
    progress: &NotebookProgress,
    live: Option<(&[u8], i64)>,
) -> Result<()> {
    sqlx::query(
        "update step_notebooks n
         set progress = $2, live = coalesce($3, n.live), size = coalesce($4, n.size), updated_at = clock_timestamp()
         from step_attempts a
         where n.attempt_id = $1 and a.id = n.attempt_id and a.outcome = 'running'",
    )
    .bind(attempt)
    .bind(Json(progress))
    .bind(live.map(|(bytes, _)| bytes))
    .bind(live.map(|(_, size)| size))
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the executed notebook of a try that has come to its end, which is not recorded yet.
///
/// # Errors
/// When the statement fails.
pub async fn keep(
    conn: &mut PgConnection,
    attempt: StepAttemptId,
    progress: &NotebookProgress,
    executed: Option<(&Digest, i64)>,
) -> Result<()> {
    sqlx::query(
        "update step_notebooks n
         set progress = $2, executed = $3, size = coalesce($4, n.size),
             live = case when $3 is null then n.live end, updated_at = clock_timestamp()
         from step_attempts a
         where n.attempt_id = $1 and a.id = n.attempt_id and a.outcome = 'running'",
    )
    .bind(attempt)
    .bind(Json(progress))
    .bind(executed.map(|(digest, _)| digest))
    .bind(executed.map(|(_, size)| size))
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    path: String,
    progress: Json<NotebookProgress>,
    source: Option<Digest>,
    executed: Option<Digest>,
    size: Option<i64>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for StepNotebook {
    fn from(row: Row) -> Self {
        Self {
            path: row.path,
            progress: row.progress.0,
            source: row.source,
            executed: row.executed,
            size: row.size,
            updated_at: row.updated_at,
        }
    }
}

/// The notebook of a try, if it runs one.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<Option<StepNotebook>> {
    let row: Option<Row> = sqlx::query_as(
        "select path, progress, source, executed, size, updated_at
         from step_notebooks
         where attempt_id = $1",
    )
    .bind(attempt)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(StepNotebook::from))
}

/// The notebook that was executed to this content, in any run of the workspace: the last one.
///
/// # Errors
/// When the statement fails.
pub async fn executed(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    content: &Digest,
) -> Result<Option<StepNotebook>> {
    let row: Option<Row> = sqlx::query_as(
        "select n.path, n.progress, n.source, n.executed, n.size, n.updated_at
         from step_notebooks n
         join step_attempts a on a.id = n.attempt_id
         join steps s on s.id = a.step_id
         where n.executed = $1 and s.workspace_id = $2
         order by n.updated_at desc
         limit 1",
    )
    .bind(content)
    .bind(workspace)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(StepNotebook::from))
}

/// What there is of a notebook that is no blob: compressed.
///
/// # Errors
/// When the statement fails.
pub async fn live(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<Option<Vec<u8>>> {
    let live = sqlx::query_scalar("select live from step_notebooks where attempt_id = $1")
        .bind(attempt)
        .fetch_optional(conn)
        .await?;
    Ok(live.flatten())
}
