//! The triggers that wait for the alerts of monitors, and what they did for each.

use crate::{Result, environment::push_seen};
use chrono::{DateTime, Utc};
use domain::{
    environment::Sight,
    id::{AlertId, MonitorId, PipelineId, PipelineRunId, TriggerId, WorkspaceId},
    monitor::{Firing, Trigger},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};

#[derive(FromRow)]
struct Row {
    id: TriggerId,
    monitor_id: MonitorId,
    model: String,
    environment: String,
    pipeline_id: PipelineId,
    pipeline: String,
    params: Json<serde_json::Map<String, serde_json::Value>>,
    enabled: bool,
    cool_down_s: i32,
}

impl From<Row> for Trigger {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            monitor_id: row.monitor_id,
            model: row.model,
            environment: row.environment,
            pipeline_id: row.pipeline_id,
            pipeline: row.pipeline,
            params: row.params.0,
            enabled: row.enabled,
            cool_down_s: row.cool_down_s,
        }
    }
}

fn selected() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "select t.id, t.monitor_id, o.name as model, e.name as environment, t.pipeline_id, p.name as pipeline,
             t.params, t.enabled, t.cool_down_s
         from triggers t
         join monitors m on m.id = t.monitor_id
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         join pipelines p on p.id = t.pipeline_id",
    )
}

/// The triggers of a workspace, or of one monitor of it, by pipeline.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, sight: &Sight, monitor: Option<MonitorId>) -> Result<Vec<Trigger>> {
    let mut query = selected();
    push_seen(&mut query, "t", sight);
    if let Some(monitor) = monitor {
        query.push(" and t.monitor_id = ").push_bind(monitor);
    }
    query.push(" order by p.name, o.name, e.position");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(Trigger::from).collect())
}

/// The triggers that held back for an alert and have not started anything for it, by pipeline.
///
/// # Errors
/// When the statement fails.
pub async fn held_back(conn: &mut PgConnection, alert: AlertId) -> Result<Vec<Trigger>> {
    let mut query = selected();
    query.push(" join firings f on f.trigger_id = t.id and f.pipeline_run_id is null where f.alert_id = ");
    query.push_bind(alert).push(" order by p.name");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(Trigger::from).collect())
}

/// Makes a trigger, or changes the one of this monitor and pipeline. Answers with its id and whether it is new.
///
/// # Errors
/// When the statement fails.
pub async fn set(conn: &mut PgConnection, workspace: WorkspaceId, trigger: &Trigger) -> Result<(TriggerId, bool)> {
    let set = sqlx::query_as(
        "insert into triggers (id, workspace_id, monitor_id, pipeline_id, params, enabled, cool_down_s)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (monitor_id, pipeline_id) do update
         set params = excluded.params, enabled = excluded.enabled, cool_down_s = excluded.cool_down_s
         returning id, xmax = 0",
    )
    .bind(trigger.id)
    .bind(workspace)
    .bind(trigger.monitor_id)
    .bind(trigger.pipeline_id)
    .bind(Json(&trigger.params))
    .bind(trigger.enabled)
    .bind(trigger.cool_down_s)
    .fetch_one(conn)
    .await?;
    Ok(set)
}

/// Takes the firing of a trigger for an alert, until the transaction ends. Tells whether it is still to be had: a trigger
/// starts something once for an alert.
///
/// # Errors
/// When the statement fails.
pub async fn take_firing(conn: &mut PgConnection, trigger: TriggerId, alert: AlertId) -> Result<bool> {
    let taken = sqlx::query(
        "insert into firings (trigger_id, alert_id)
         values ($1, $2)
         on conflict (trigger_id, alert_id) do update
         set alert_id = excluded.alert_id
         where firings.pipeline_run_id is null",
    )
    .bind(trigger)
    .bind(alert)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Whether a trigger started something so short a time ago that it rests. Locks the trigger until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn rests(conn: &mut PgConnection, trigger: TriggerId) -> Result<bool> {
    sqlx::query("select id from triggers where id = $1 for no key update").bind(trigger).execute(&mut *conn).await?;
    // The clock is read under the lock.
    let rests = sqlx::query_scalar(
        "select exists (
             select
             from firings f
             join triggers t on t.id = f.trigger_id
             where f.trigger_id = $1
               and f.pipeline_run_id is not null
               and f.at > clock_timestamp() - make_interval(secs => t.cool_down_s)
         )",
    )
    .bind(trigger)
    .fetch_one(conn)
    .await?;
    Ok(rests)
}

/// Notes what a firing did: the run that it started, or why it holds back. Tells whether that is news.
///
/// # Errors
/// When the statement fails.
pub async fn end_firing(
    conn: &mut PgConnection,
    trigger: TriggerId,
    alert: AlertId,
    outcome: std::result::Result<PipelineRunId, &str>,
) -> Result<bool> {
    let ended = sqlx::query(
        "update firings
         set at = clock_timestamp(), pipeline_run_id = $3, held_back = $4
         where trigger_id = $1
           and alert_id = $2
           and pipeline_run_id is null
           and (pipeline_run_id is distinct from $3 or held_back is distinct from $4)",
    )
    .bind(trigger)
    .bind(alert)
    .bind(outcome.ok())
    .bind(outcome.err())
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() == 1)
}

/// What triggers did for an alert.
///
/// # Errors
/// When the statement fails.
pub async fn firings(conn: &mut PgConnection, alert: AlertId) -> Result<Vec<Firing>> {
    #[derive(FromRow)]
    struct FiringRow {
        at: DateTime<Utc>,
        alert_id: AlertId,
        pipeline_run_id: Option<PipelineRunId>,
        pipeline_run_number: Option<i64>,
        held_back: Option<String>,
    }
    let rows: Vec<FiringRow> = sqlx::query_as(
        "select f.at, f.alert_id, f.pipeline_run_id, r.number as pipeline_run_number, f.held_back
         from firings f
         left join pipeline_runs r on r.id = f.pipeline_run_id
         where f.alert_id = $1
         order by f.at",
    )
    .bind(alert)
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Firing {
            at: row.at,
            alert_id: row.alert_id,
            pipeline_run_id: row.pipeline_run_id,
            pipeline_run_number: row.pipeline_run_number,
            held_back: row.held_back,
        })
        .collect())
}
