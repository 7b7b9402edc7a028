//! Schedules, and what came of their fires.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    id::{PipelineId, PipelineRunId, ScheduleId, WorkspaceId},
    schedule::{Fire, FireOutcome, Schedule},
};
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};

#[derive(FromRow)]
struct Row {
    id: ScheduleId,
    workspace_id: WorkspaceId,
    name: String,
    pipeline_id: PipelineId,
    pipeline: String,
    expression: String,
    timezone: String,
    params: Json<Map<String, Value>>,
    param: Option<String>,
    param_format: String,
    catch_up: String,
    catch_up_limit: i32,
    jitter_s: i32,
    enabled: bool,
    next_fire: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl TryFrom<Row> for Schedule {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            pipeline_id: row.pipeline_id,
            pipeline: row.pipeline,
            expression: row.expression,
            timezone: row.timezone,
            params: row.params.0,
            param: row.param,
            param_format: row
                .param_format
                .parse()
                .map_err(|_| Error::unknown("format of a date", &row.param_format))?,
            catch_up: row.catch_up.parse().map_err(|_| Error::unknown("rule of a schedule", &row.catch_up))?,
            catch_up_limit: row.catch_up_limit,
            jitter_s: row.jitter_s,
            enabled: row.enabled,
            next_fire: row.next_fire,
            created_at: row.created_at,
            created_by: row.created_by,
        })
    }
}

/// A schedule with the name of its pipeline; `$rest` goes on after the join.
macro_rules! select_schedules {
    ($rest:literal) => {
        concat!(
            "select s.id, s.workspace_id, s.name, s.pipeline_id, p.name as pipeline, s.expression, s.timezone, s.params,
                 s.param, s.param_format, s.catch_up, s.catch_up_limit, s.jitter_s, s.enabled, s.next_fire, s.created_at, s.created_by
             from schedules s
             join pipelines p on p.id = s.pipeline_id
             ",
            $rest
        )
    };
}

/// Adds a schedule, whose next fire is to be seen to at this time.
///
/// # Errors
/// [`Error::Duplicate`] of `schedules_workspace_id_name_key` when another has the name.
pub async fn insert(conn: &mut PgConnection, schedule: &Schedule, next_at: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query(
        "insert into schedules (id, workspace_id, pipeline_id, name, expression, timezone, params, catch_up,
             catch_up_limit, jitter_s, enabled, next_fire, next_at, created_at, created_by, param, param_format)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(schedule.id)
    .bind(schedule.workspace_id)
    .bind(schedule.pipeline_id)
    .bind(&schedule.name)
    .bind(&schedule.expression)
    .bind(&schedule.timezone)
    .bind(Json(&schedule.params))
    .bind(schedule.catch_up.as_str())
    .bind(schedule.catch_up_limit)
    .bind(schedule.jitter_s)
    .bind(schedule.enabled)
    .bind(schedule.next_fire)
    .bind(next_at)
    .bind(schedule.created_at)
    .bind(&schedule.created_by)
    .bind(&schedule.param)
    .bind(schedule.param_format.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes a schedule to what is given.
///
/// # Errors
/// As [`insert`].
pub async fn update(conn: &mut PgConnection, schedule: &Schedule, next_at: Option<DateTime<Utc>>) -> Result<()> {
    sqlx::query(
        "update schedules
         set pipeline_id = $2, name = $3, expression = $4, timezone = $5, params = $6, catch_up = $7,
             catch_up_limit = $8, jitter_s = $9, enabled = $10, next_fire = $11, next_at = $12, param = $13,
             param_format = $14
         where id = $1",
    )
    .bind(schedule.id)
    .bind(schedule.pipeline_id)
    .bind(&schedule.name)
    .bind(&schedule.expression)
    .bind(&schedule.timezone)
    .bind(Json(&schedule.params))
    .bind(schedule.catch_up.as_str())
    .bind(schedule.catch_up_limit)
    .bind(schedule.jitter_s)
    .bind(schedule.enabled)
    .bind(schedule.next_fire)
    .bind(next_at)
    .bind(&schedule.param)
    .bind(schedule.param_format.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a schedule and what came of its fires. The runs that it started stay.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: ScheduleId) -> Result<()> {
    sqlx::query("delete from schedules where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// How many schedules a workspace has.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from schedules where workspace_id = $1")
        .bind(workspace)
        .fetch_one(conn)
        .await?)
}

/// Which schedules a list shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Of this pipeline.
    pub pipeline: Option<PipelineId>,
    /// Those that fire, or those that are paused.
    pub enabled: Option<bool>,
}

/// Up to `limit` schedules of a workspace, by name; those with a name after `after`, when given.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    filter: Filter,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Schedule>> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(select_schedules!("where s.workspace_id = "));
    query.push_bind(workspace);
    if let Some(pipeline) = filter.pipeline {
        query.push(" and s.pipeline_id = ").push_bind(pipeline);
    }
    if let Some(enabled) = filter.enabled {
        query.push(" and s.enabled = ").push_bind(enabled);
    }
    if let Some(after) = after {
        query.push(" and s.name > ").push_bind(after);
    }
    query.push(" order by s.name limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Schedule::try_from).collect()
}

/// The schedule of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Schedule>> {
    let row: Option<Row> = sqlx::query_as(select_schedules!("where s.workspace_id = $1 and s.name = $2"))
        .bind(workspace)
        .bind(name)
        .fetch_optional(conn)
        .await?;
    row.map(Schedule::try_from).transpose()
}

/// The schedule of this name, which nobody else changes or fires until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Schedule>> {
    let row: Option<Row> =
        sqlx::query_as(select_schedules!("where s.workspace_id = $1 and s.name = $2 for no key update of s"))
            .bind(workspace)
            .bind(name)
            .fetch_optional(conn)
            .await?;
    row.map(Schedule::try_from).transpose()
}

/// Takes a schedule that is due, until the transaction ends, with the time by the database's clock. One that somebody else
/// has is passed over.
///
/// # Errors
/// When the statement fails.
pub async fn take_due(conn: &mut PgConnection) -> Result<Option<(Schedule, DateTime<Utc>)>> {
    let row: Option<Row> = sqlx::query_as(select_schedules!(
        "where s.enabled and s.next_at <= clock_timestamp()
         order by s.next_at
         limit 1
         for no key update of s skip locked"
    ))
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    // Read when the schedule is held, so that it is later than whatever its last holder saw.
    let now = sqlx::query_scalar("select clock_timestamp()").fetch_one(conn).await?;
    Ok(Some((row.try_into()?, now)))
}

/// In how many seconds the next schedule is due; less than 0 when one is. None when there is none.
///
/// # Errors
/// When the statement fails.
pub async fn due_in(conn: &mut PgConnection) -> Result<Option<f64>> {
    let seconds = sqlx::query_scalar(
        "select extract(epoch from min(next_at) - clock_timestamp())::float8
         from schedules
         where enabled",
    )
    .fetch_one(conn)
    .await?;
    Ok(seconds)
}

/// Notes when a schedule is to be seen to next.
///
/// # Errors
/// When the statement fails.
pub async fn set_next(
    conn: &mut PgConnection,
    id: ScheduleId,
    next_fire: Option<DateTime<Utc>>,
    next_at: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query("update schedules set next_fire = $2, next_at = $3 where id = $1")
        .bind(id)
        .bind(next_fire)
        .bind(next_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes what came of fires. Tells of how many it is news: one that was noted before stays.
///
/// # Errors
/// When the statement fails.
pub async fn insert_fires(
    conn: &mut PgConnection,
    schedule: ScheduleId,
    times: &[DateTime<Utc>],
    outcome: FireOutcome,
    reason: &str,
) -> Result<u64> {
    let inserted = sqlx::query(
        "insert into schedule_fires (schedule_id, fire_time, outcome, reason)
         select $1, fire_time, $3, $4
         from unnest($2::timestamptz[]) as new (fire_time)
         on conflict (schedule_id, fire_time) do nothing",
    )
    .bind(schedule)
    .bind(times)
    .bind(outcome.as_str())
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected())
}

/// Notes the run that a fire started.
///
/// # Errors
/// When the statement fails.
pub async fn set_fire_run(
    conn: &mut PgConnection,
    schedule: ScheduleId,
    fire_time: DateTime<Utc>,
    run: PipelineRunId,
) -> Result<()> {
    sqlx::query("update schedule_fires set run_id = $3 where schedule_id = $1 and fire_time = $2")
        .bind(schedule)
        .bind(fire_time)
        .bind(run)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that a fire started nothing, and why.
///
/// # Errors
/// When the statement fails.
pub async fn set_fire_refused(
    conn: &mut PgConnection,
    schedule: ScheduleId,
    fire_time: DateTime<Utc>,
    outcome: FireOutcome,
    reason: &str,
) -> Result<()> {
    sqlx::query("update schedule_fires set outcome = $3, reason = $4 where schedule_id = $1 and fire_time = $2")
        .bind(schedule)
        .bind(fire_time)
        .bind(outcome.as_str())
        .bind(reason)
        .execute(conn)
        .await?;
    Ok(())
}

/// Up to `limit` fires of a schedule, latest first; those before a time, when given.
///
/// # Errors
/// When the statement fails.
pub async fn fires(
    conn: &mut PgConnection,
    schedule: ScheduleId,
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<Fire>> {
    #[derive(FromRow)]
    struct FireRow {
        fire_time: DateTime<Utc>,
        at: DateTime<Utc>,
        outcome: String,
        reason: String,
        run_number: Option<i64>,
    }
    let rows: Vec<FireRow> = sqlx::query_as(
        "select f.fire_time, f.at, f.outcome, f.reason, r.number as run_number
         from schedule_fires f
         left join pipeline_runs r on r.id = f.run_id
         where f.schedule_id = $1 and ($2::timestamptz is null or f.fire_time < $2)
         order by f.fire_time desc
         limit $3",
    )
    .bind(schedule)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Fire {
                fire_time: row.fire_time,
                at: row.at,
                outcome: FireOutcome::parse(&row.outcome)
                    .ok_or_else(|| Error::unknown("outcome of a fire", &row.outcome))?,
                reason: row.reason,
                run_number: row.run_number,
            })
        })
        .collect()
}

/// Deletes up to `limit` fires that were seen to before a moment. Answers with how many. A schedule only looks ahead, so
/// none of them happens again.
///
/// # Errors
/// When the statement fails.
pub async fn delete_fires_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let deleted = sqlx::query(
        "delete from schedule_fires
         where (schedule_id, fire_time) in (select schedule_id, fire_time from schedule_fires where at < $1 limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
