//! What tries used while they ran.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::StepAttemptId,
    step::{GpuUse, StepSample},
};
use sqlx::{FromRow, PgConnection, types::Json};

/// Adds a piece. One that is there already stays as it is.
///
/// # Errors
/// When the statement fails.
pub async fn add(conn: &mut PgConnection, attempt: StepAttemptId, sample: &StepSample) -> Result<()> {
    sqlx::query(
        "insert into step_samples
             (attempt_id, at, seconds, cpu_mean, cpu_max, memory_mean, memory_max, read_bytes, written_bytes, gpus)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict do nothing",
    )
    .bind(attempt)
    .bind(sample.at)
    .bind(sample.seconds)
    .bind(sample.cpu_mean)
    .bind(sample.cpu_max)
    .bind(sample.memory_mean)
    .bind(sample.memory_max)
    .bind(sample.read_bytes)
    .bind(sample.written_bytes)
    .bind(Json(&sample.gpus))
    .execute(conn)
    .await?;
    Ok(())
}

/// All pieces of a try, first to last.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<Vec<StepSample>> {
    #[derive(FromRow)]
    struct Row {
        at: DateTime<Utc>,
        seconds: f32,
        cpu_mean: f32,
        cpu_max: f32,
        memory_mean: i64,
        memory_max: i64,
        read_bytes: i64,
        written_bytes: i64,
        gpus: Json<Vec<GpuUse>>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select at, seconds, cpu_mean, cpu_max, memory_mean, memory_max, read_bytes, written_bytes, gpus
         from step_samples
         where attempt_id = $1
         order by at",
    )
    .bind(attempt)
    .fetch_all(conn)
    .await?;
    let sample = |row: Row| StepSample {
        at: row.at,
        seconds: row.seconds,
        cpu_mean: row.cpu_mean,
        cpu_max: row.cpu_max,
        memory_mean: row.memory_mean,
        memory_max: row.memory_max,
        read_bytes: row.read_bytes,
        written_bytes: row.written_bytes,
        gpus: row.gpus.0,
    };
    Ok(rows.into_iter().map(sample).collect())
}
