//! Backfills, and the run of each of their dates.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    backfill::{Backfill, BackfillRun, BackfillState, Progress, Range},
    id::{BackfillId, PipelineId, PipelineRunId, WorkspaceId},
    pipeline_run::PipelineRunState,
};
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, types::Json};
use std::time::Duration;

#[derive(FromRow)]
struct Row {
    id: BackfillId,
    workspace_id: WorkspaceId,
    number: i64,
    pipeline_id: PipelineId,
    pipeline: String,
    range: Json<Range>,
    param: String,
    param_format: String,
    params: Json<Map<String, Value>>,
    at_once: i32,
    state: String,
    total: i64,
    waiting: i64,
    open: i64,
    succeeded: i64,
    failed: i64,
    refused: i64,
    created_at: DateTime<Utc>,
    created_by: String,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Backfill {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            number: row.number,
            pipeline_id: row.pipeline_id,
            pipeline: row.pipeline,
            range: row.range.0,
            param: row.param,
            param_format: row.param_format.parse().map_err(|_| Error::unknown("form of a date", &row.param_format))?,
            params: row.params.0,
            at_once: row.at_once,
            state: BackfillState::parse(&row.state).ok_or_else(|| Error::unknown("state of a backfill", &row.state))?,
            progress: Progress {
                total: row.total,
                waiting: row.waiting,
                open: row.open,
                succeeded: row.succeeded,
                failed: row.failed,
                refused: row.refused,
            },
            created_at: row.created_at,
            created_by: row.created_by,
            ended_at: row.ended_at,
        })
    }
}

/// A backfill with the name of its pipeline and how its runs stand; `$rest` goes on after the joins.
macro_rules! select_backfills {
    ($rest:literal) => {
        concat!(
            "select b.id, b.workspace_id, b.number, b.pipeline_id, p.name as pipeline, b.range, b.param, b.param_format,
                 b.params, b.at_once, b.state, b.created_at, b.created_by, b.ended_at, n.total, n.waiting, n.open,
                 n.succeeded, n.failed, n.refused
             from backfills b
             join pipelines p on p.id = b.pipeline_id
             cross join lateral (
                 select count(*) as total,
                     count(*) filter (where x.run_id is null and x.refused is null) as waiting,
                     count(*) filter (where r.state in ('queued', 'running', 'cancelling')) as open,
                     count(*) filter (where r.state = 'succeeded') as succeeded,
                     count(*) filter (where r.state in ('failed', 'cancelled')) as failed,
                     count(*) filter (where x.refused is not null) as refused
                 from backfill_runs x
                 left join pipeline_runs r on r.id = x.run_id
                 where x.backfill_id = b.id) n
             ",
            $rest
        )
    };
}

/// Adds a backfill with its dates.
///
/// # Errors
/// When a statement fails.
pub async fn insert(conn: &mut PgConnection, backfill: &Backfill, dates: &[DateTime<Utc>]) -> Result<()> {
    sqlx::query(
        "insert into backfills (id, workspace_id, number, pipeline_id, range, param, param_format, params, at_once, state,
             created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(backfill.id)
    .bind(backfill.workspace_id)
    .bind(backfill.number)
    .bind(backfill.pipeline_id)
    .bind(Json(&backfill.range))
    .bind(&backfill.param)
    .bind(backfill.param_format.as_str())
    .bind(Json(&backfill.params))
    .bind(backfill.at_once)
    .bind(backfill.state.as_str())
    .bind(backfill.created_at)
    .bind(&backfill.created_by)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "insert into backfill_runs (backfill_id, date) select $1, date from unnest($2::timestamptz[]) as new (date)",
    )
    .bind(backfill.id)
    .bind(dates)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` backfills of a workspace, newest first, those of one pipeline when given; those with a number below
/// `before`, when given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    pipeline: Option<PipelineId>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Backfill>> {
    let rows: Vec<Row> = sqlx::query_as(select_backfills!(
        "where b.workspace_id = $1
             and ($2::uuid is null or b.pipeline_id = $2)
             and ($3::bigint is null or b.number < $3)
         order by b.number desc
         limit $4"
    ))
    .bind(workspace)
    .bind(pipeline)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Backfill::try_from).collect()
}

/// The backfill of this number.
///
/// # Errors
/// When the statement fails.
pub async fn by_number(conn: &mut PgConnection, workspace: WorkspaceId, number: i64) -> Result<Option<Backfill>> {
    let row: Option<Row> = sqlx::query_as(select_backfills!("where b.workspace_id = $1 and b.number = $2"))
        .bind(workspace)
        .bind(number)
        .fetch_optional(conn)
        .await?;
    row.map(Backfill::try_from).transpose()
}

/// Locks a backfill until the transaction ends: nobody else starts its runs or cancels it. Answers with how it stands.
///
/// # Errors
/// When a statement fails.
pub async fn lock(conn: &mut PgConnection, id: BackfillId) -> Result<Option<Backfill>> {
    sqlx::query("select id from backfills where id = $1 for no key update").bind(id).execute(&mut *conn).await?;
    let row: Option<Row> = sqlx::query_as(select_backfills!("where b.id = $1")).bind(id).fetch_optional(conn).await?;
    row.map(Backfill::try_from).transpose()
}

/// Takes a backfill that has something to do, until the transaction ends: a run to start and a place for it, or nothing
/// more. One that somebody else has is passed over.
///
/// # Errors
/// When the statement fails.
pub async fn take(conn: &mut PgConnection) -> Result<Option<BackfillId>> {
    let id = sqlx::query_scalar(
        "select b.id
         from backfills b
         cross join lateral (
             select count(*) filter (where x.run_id is null and x.refused is null) as waiting,
                 count(*) filter (where r.state in ('queued', 'running', 'cancelling')) as open
             from backfill_runs x
             left join pipeline_runs r on r.id = x.run_id
             where x.backfill_id = b.id) n
         where b.state = 'running'
             and b.next_at <= clock_timestamp()
             and (n.waiting > 0 and n.open < b.at_once or n.waiting = 0 and n.open = 0)
         order by b.next_at
         limit 1
         for no key update of b skip locked",
    )
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// Up to `limit` dates that have no run yet, earliest first.
///
/// # Errors
/// When the statement fails.
pub async fn waiting(conn: &mut PgConnection, id: BackfillId, limit: i64) -> Result<Vec<DateTime<Utc>>> {
    let dates = sqlx::query_scalar(
        "select date
         from backfill_runs
         where backfill_id = $1 and run_id is null and refused is null
         order by date
         limit $2",
    )
    .bind(id)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(dates)
}

/// Notes the run of a date, or why there is none.
///
/// # Errors
/// When the statement fails.
pub async fn set_run(
    conn: &mut PgConnection,
    id: BackfillId,
    date: DateTime<Utc>,
    run: std::result::Result<PipelineRunId, &str>,
) -> Result<()> {
    sqlx::query("update backfill_runs set run_id = $3, refused = $4 where backfill_id = $1 and date = $2")
        .bind(id)
        .bind(date)
        .bind(run.ok())
        .bind(run.err())
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes where a backfill stands now.
///
/// # Errors
/// When the statement fails.
pub async fn set_state(conn: &mut PgConnection, id: BackfillId, state: BackfillState) -> Result<()> {
    sqlx::query("update backfills set state = $2, ended_at = clock_timestamp() where id = $1")
        .bind(id)
        .bind(state.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// Leaves a backfill alone for so long.
///
/// # Errors
/// When the statement fails.
pub async fn put_off(conn: &mut PgConnection, id: BackfillId, by: Duration) -> Result<()> {
    sqlx::query("update backfills set next_at = clock_timestamp() + make_interval(secs => $2) where id = $1")
        .bind(id)
        .bind(by.as_secs_f64())
        .execute(conn)
        .await?;
    Ok(())
}

/// The numbers of the open runs of a backfill.
///
/// # Errors
/// When the statement fails.
pub async fn open_runs(conn: &mut PgConnection, id: BackfillId) -> Result<Vec<i64>> {
    let numbers = sqlx::query_scalar(
        "select r.number
         from backfill_runs x
         join pipeline_runs r on r.id = x.run_id
         where x.backfill_id = $1 and r.state in ('queued', 'running', 'cancelling')
         order by r.number",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    Ok(numbers)
}

/// Up to `limit` dates of a backfill, earliest first; those after a date, when given.
///
/// # Errors
/// When the statement fails.
pub async fn runs(
    conn: &mut PgConnection,
    id: BackfillId,
    after: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<BackfillRun>> {
    #[derive(FromRow)]
    struct RunRow {
        date: DateTime<Utc>,
        run_number: Option<i64>,
        run_state: Option<String>,
        refused: Option<String>,
    }
    let rows: Vec<RunRow> = sqlx::query_as(
        "select x.date, r.number as run_number, r.state as run_state, x.refused
         from backfill_runs x
         left join pipeline_runs r on r.id = x.run_id
         where x.backfill_id = $1 and ($2::timestamptz is null or x.date > $2)
         order by x.date
         limit $3",
    )
    .bind(id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let run = |row: RunRow| BackfillRun {
        date: row.date,
        run_number: row.run_number,
        run_state: row.run_state.as_deref().and_then(PipelineRunState::parse),
        refused: row.refused,
    };
    Ok(rows.into_iter().map(run).collect())
}
