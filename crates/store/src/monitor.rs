//! Monitors, what their checks found, the alerts that opened, and the triggers that wait for them.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    drift::FeatureDrift,
    id::{AlertId, DeploymentId, EnvironmentId, ModelId, MonitorId, PipelineId, PipelineRunId, TriggerId, WorkspaceId},
    monitor::{Alert, AlertState, Check, CheckState, Firing, Monitor, Trigger},
};
use sqlx::{FromRow, PgConnection, types::Json};

#[derive(FromRow)]
struct Row {
    id: MonitorId,
    workspace_id: WorkspaceId,
    model_id: ModelId,
    model: String,
    environment_id: EnvironmentId,
    environment: String,
    window_rows: i32,
    min_rows: i32,
    enabled: bool,
}

impl From<Row> for Monitor {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            model_id: row.model_id,
            model: row.model,
            environment_id: row.environment_id,
            environment: row.environment,
            window_rows: row.window_rows,
            min_rows: row.min_rows,
            enabled: row.enabled,
        }
    }
}

/// Makes the monitor of a model in an environment when there is none.
///
/// # Errors
/// When the statement fails.
pub async fn ensure(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    environment: EnvironmentId,
    model: ModelId,
) -> Result<()> {
    sqlx::query(
        "insert into monitors (id, workspace_id, environment_id, model_id)
         values ($1, $2, $3, $4)
         on conflict (environment_id, model_id) do nothing",
    )
    .bind(MonitorId::new())
    .bind(workspace)
    .bind(environment)
    .bind(model)
    .execute(conn)
    .await?;
    Ok(())
}

/// The monitors of a workspace, by model and environment.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Monitor>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select m.id, m.workspace_id, m.model_id, o.name as model, m.environment_id, e.name as environment,
             m.window_rows, m.min_rows, m.enabled
         from monitors m
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         where m.workspace_id = $1
         order by lower(o.name), e.position",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Monitor::from).collect())
}

/// The monitor of a model in an environment, both by name.
///
/// # Errors
/// When the statement fails.
pub async fn find(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    environment: &str,
    model: &str,
) -> Result<Option<Monitor>> {
    let row: Option<Row> = sqlx::query_as(
        "select m.id, m.workspace_id, m.model_id, o.name as model, m.environment_id, e.name as environment,
             m.window_rows, m.min_rows, m.enabled
         from monitors m
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         where m.workspace_id = $1 and e.name = $2 and o.name = $3 and o.deleted_at is null",
    )
    .bind(workspace)
    .bind(environment)
    .bind(model)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Monitor::from))
}

/// Changes what a monitor looks at.
///
/// # Errors
/// When the statement fails.
pub async fn update(conn: &mut PgConnection, monitor: &Monitor) -> Result<()> {
    sqlx::query("update monitors set window_rows = $2, min_rows = $3, enabled = $4 where id = $1")
        .bind(monitor.id)
        .bind(monitor.window_rows)
        .bind(monitor.min_rows)
        .bind(monitor.enabled)
        .execute(conn)
        .await?;
    Ok(())
}

/// A monitor whose model serves, with what serves.
#[derive(Debug, Clone)]
pub struct Due {
    /// The monitor.
    pub monitor: Monitor,
    /// The slug of its workspace.
    pub workspace: String,
    /// What serves.
    pub deployment: DeploymentId,
    /// When it began to.
    pub live_at: DateTime<Utc>,
}

/// Monitors that are enabled and whose deployment answered something since they last checked.
///
/// # Errors
/// When the statement fails.
pub async fn due(conn: &mut PgConnection) -> Result<Vec<Due>> {
    #[derive(FromRow)]
    struct DueRow {
        #[sqlx(flatten)]
        monitor: Row,
        slug: String,
        deployment_id: DeploymentId,
        live_at: DateTime<Utc>,
    }
    let rows: Vec<DueRow> = sqlx::query_as(
        "select m.id, m.workspace_id, m.model_id, o.name as model, m.environment_id, e.name as environment,
             m.window_rows, m.min_rows, m.enabled, w.slug, d.id as deployment_id, d.live_at
         from monitors m
         join workspaces w on w.id = m.workspace_id
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         join deployments d on d.environment_id = m.environment_id and d.model_id = m.model_id and d.state = 'live'
         where m.enabled
           and exists (
               select from predictions p
               where p.deployment_id = d.id
                 and p.status = 200
                 and p.at > coalesce(m.checked_up_to, '-infinity')
           )",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Due {
            monitor: row.monitor.into(),
            workspace: row.slug,
            deployment: row.deployment_id,
            live_at: row.live_at,
        })
        .collect())
}

/// Takes the traffic of a monitor up to a moment for checked. Tells whether it was not before: of two workers that
/// checked the same, one is told so, and writes what it found.
///
/// # Errors
/// When the statement fails.
pub async fn take(conn: &mut PgConnection, monitor: MonitorId, up_to: DateTime<Utc>) -> Result<bool> {
    let taken = sqlx::query(
        "update monitors
         set checked_up_to = $2
         where id = $1 and coalesce(checked_up_to, '-infinity') < $2",
    )
    .bind(monitor)
    .bind(up_to)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Adds what a check found.
///
/// # Errors
/// When the statement fails.
pub async fn insert_check(conn: &mut PgConnection, monitor: MonitorId, check: &Check) -> Result<()> {
    sqlx::query(
        "insert into checks (monitor_id, deployment_id, at, state, reason, rows, share, features)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(monitor)
    .bind(check.deployment_id)
    .bind(check.at)
    .bind(check.state.as_str())
    .bind(&check.reason)
    .bind(check.rows)
    .bind(check.share)
    .bind(Json(&check.features))
    .execute(conn)
    .await?;
    Ok(())
}

/// The last checks of a monitor, newest first.
///
/// # Errors
/// When the statement fails.
pub async fn checks(conn: &mut PgConnection, monitor: MonitorId, limit: i64) -> Result<Vec<Check>> {
    #[derive(FromRow)]
    struct CheckRow {
        at: DateTime<Utc>,
        deployment_id: DeploymentId,
        version: i32,
        state: String,
        reason: String,
        rows: i64,
        share: Option<f64>,
        features: Json<Vec<FeatureDrift>>,
    }
    let rows: Vec<CheckRow> = sqlx::query_as(
        "select c.at, c.deployment_id, v.version, c.state, c.reason, c.rows, c.share, c.features
         from checks c
         join deployments d on d.id = c.deployment_id
         join model_versions v on v.id = d.model_version_id
         where c.monitor_id = $1
         order by c.id desc
         limit $2",
    )
    .bind(monitor)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Check {
                at: row.at,
                deployment_id: row.deployment_id,
                version: row.version,
                state: CheckState::parse(&row.state).ok_or_else(|| Error::unknown("check state", &row.state))?,
                reason: row.reason,
                rows: row.rows,
                share: row.share,
                features: row.features.0,
            })
        })
        .collect()
}

#[derive(FromRow)]
struct AlertRow {
    id: AlertId,
    workspace_id: WorkspaceId,
    number: i64,
    monitor_id: MonitorId,
    model: String,
    environment: String,
    version: i32,
    state: String,
    summary: String,
    opened_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
    handled_by: Option<String>,
}

impl TryFrom<AlertRow> for Alert {
    type Error = Error;

    fn try_from(row: AlertRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            number: row.number,
            monitor_id: row.monitor_id,
            model: row.model,
            environment: row.environment,
            version: row.version,
            state: AlertState::parse(&row.state).ok_or_else(|| Error::unknown("alert state", &row.state))?,
            summary: row.summary,
            opened_at: row.opened_at,
            last_seen_at: row.last_seen_at,
            resolved_at: row.resolved_at,
            handled_by: row.handled_by,
        })
    }
}

/// Opens an alert of a monitor. None when it has one already that is not resolved; that one was then seen again.
///
/// # Errors
/// When a statement fails.
pub async fn open_alert(
    conn: &mut PgConnection,
    monitor: &Monitor,
    deployment: DeploymentId,
    number: i64,
    summary: &str,
) -> Result<Option<AlertId>> {
    let id = sqlx::query_scalar(
        "insert into alerts (id, workspace_id, number, monitor_id, deployment_id, state, summary)
         values ($1, $2, $3, $4, $5, 'open', $6)
         on conflict (monitor_id) where state <> 'resolved' do nothing
         returning id",
    )
    .bind(AlertId::new())
    .bind(monitor.workspace_id)
    .bind(number)
    .bind(monitor.id)
    .bind(deployment)
    .bind(summary)
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// The alert of a monitor that is not resolved, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn unresolved_alert(conn: &mut PgConnection, monitor: MonitorId) -> Result<Option<(AlertId, i64)>> {
    let found =
        sqlx::query_as("select id, number from alerts where monitor_id = $1 and state <> 'resolved' for update")
            .bind(monitor)
            .fetch_optional(conn)
            .await?;
    Ok(found)
}

/// Notes that a check found the same again.
///
/// # Errors
/// When the statement fails.
pub async fn alert_seen(conn: &mut PgConnection, alert: AlertId, summary: &str) -> Result<()> {
    sqlx::query("update alerts set last_seen_at = now(), summary = $2 where id = $1")
        .bind(alert)
        .bind(summary)
        .execute(conn)
        .await?;
    Ok(())
}

/// Moves an alert from one state to another. Tells whether it was in the first.
///
/// # Errors
/// When the statement fails.
pub async fn move_alert(
    conn: &mut PgConnection,
    alert: AlertId,
    from: AlertState,
    to: AlertState,
    by: &str,
) -> Result<bool> {
    let moved = sqlx::query(
        "update alerts
         set state = $3, handled_by = $4, resolved_at = case when $3 = 'resolved' then now() end
         where id = $1 and state = $2",
    )
    .bind(alert)
    .bind(from.as_str())
    .bind(to.as_str())
    .bind(by)
    .execute(conn)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Up to `limit` alerts of a workspace, newest first: those with a number below `before`, and only those that are not
/// resolved with `unresolved`, only those of one monitor with `monitor`.
///
/// # Errors
/// When the statement fails.
pub async fn alerts(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    monitor: Option<MonitorId>,
    unresolved: bool,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Alert>> {
    let rows: Vec<AlertRow> = sqlx::query_as(
        "select a.id, a.workspace_id, a.number, a.monitor_id, o.name as model, e.name as environment, v.version,
             a.state, a.summary, a.opened_at, a.last_seen_at, a.resolved_at, a.handled_by
         from alerts a
         join monitors m on m.id = a.monitor_id
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         join deployments d on d.id = a.deployment_id
         join model_versions v on v.id = d.model_version_id
         where a.workspace_id = $1
           and ($2::uuid is null or a.monitor_id = $2)
           and (not $3 or a.state <> 'resolved')
           and ($4::bigint is null or a.number < $4)
         order by a.number desc
         limit $5",
    )
    .bind(workspace)
    .bind(monitor)
    .bind(unresolved)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Alert::try_from).collect()
}

/// How many alerts of a workspace are not resolved.
///
/// # Errors
/// When the statement fails.
pub async fn count_unresolved(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<i64> {
    let count = sqlx::query_scalar("select count(*) from alerts where workspace_id = $1 and state <> 'resolved'")
        .bind(workspace)
        .fetch_one(conn)
        .await?;
    Ok(count)
}

/// How many alerts are not resolved, over all workspaces.
///
/// # Errors
/// When the statement fails.
pub async fn count_all_unresolved(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from alerts where state <> 'resolved'").fetch_one(conn).await?)
}

#[derive(FromRow)]
struct TriggerRow {
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

impl From<TriggerRow> for Trigger {
    fn from(row: TriggerRow) -> Self {
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

/// The triggers of a workspace, or of one monitor of it, by pipeline.
///
/// # Errors
/// When the statement fails.
pub async fn triggers(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    monitor: Option<MonitorId>,
) -> Result<Vec<Trigger>> {
    let rows: Vec<TriggerRow> = sqlx::query_as(
        "select t.id, t.monitor_id, o.name as model, e.name as environment, t.pipeline_id, p.name as pipeline,
             t.params, t.enabled, t.cool_down_s
         from triggers t
         join monitors m on m.id = t.monitor_id
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         join pipelines p on p.id = t.pipeline_id
         where t.workspace_id = $1 and ($2::uuid is null or t.monitor_id = $2)
         order by p.name, o.name, e.position",
    )
    .bind(workspace)
    .bind(monitor)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Trigger::from).collect())
}

/// Makes a trigger, or changes the one of this monitor and pipeline. Answers with its id and whether it is new.
///
/// # Errors
/// When the statement fails.
pub async fn set_trigger(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    trigger: &Trigger,
) -> Result<(TriggerId, bool)> {
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

/// Takes the firing of a trigger for an alert. Tells whether it was still to be had: a trigger fires once for an alert.
///
/// # Errors
/// When the statement fails.
pub async fn take_firing(conn: &mut PgConnection, trigger: TriggerId, alert: AlertId) -> Result<bool> {
    let taken = sqlx::query(
        "insert into firings (trigger_id, alert_id)
         values ($1, $2)
         on conflict (trigger_id, alert_id) do nothing",
    )
    .bind(trigger)
    .bind(alert)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// When a trigger last started a run. Locks the trigger until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn last_firing(conn: &mut PgConnection, trigger: TriggerId) -> Result<Option<DateTime<Utc>>> {
    sqlx::query("select id from triggers where id = $1 for update").bind(trigger).execute(&mut *conn).await?;
    let at = sqlx::query_scalar("select max(at) from firings where trigger_id = $1 and pipeline_run_id is not null")
        .bind(trigger)
        .fetch_one(conn)
        .await?;
    Ok(at)
}

/// Notes what a firing did: the run that it started, or why it held back.
///
/// # Errors
/// When the statement fails.
pub async fn end_firing(
    conn: &mut PgConnection,
    trigger: TriggerId,
    alert: AlertId,
    outcome: std::result::Result<PipelineRunId, &str>,
) -> Result<()> {
    sqlx::query("update firings set pipeline_run_id = $3, held_back = $4 where trigger_id = $1 and alert_id = $2")
        .bind(trigger)
        .bind(alert)
        .bind(outcome.ok())
        .bind(outcome.err())
        .execute(conn)
        .await?;
    Ok(())
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
