//! Monitors, what their checks found, the alerts that opened, and the triggers that wait for them.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    drift::FeatureDrift,
    id::{AlertId, DeploymentId, EnvironmentId, ModelId, MonitorId, PipelineId, PipelineRunId, TriggerId, WorkspaceId},
    model::Signature,
    monitor::{Alert, AlertState, Check, CheckState, Firing, Monitor, Trigger},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};

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

fn selected() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "select m.id, m.workspace_id, m.model_id, o.name as model, m.environment_id, e.name as environment,
             m.window_rows, m.min_rows, m.enabled
         from monitors m
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id",
    )
}

/// The monitors of a workspace, by model and environment.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Monitor>> {
    let mut query = selected();
    query.push(" where m.workspace_id = ").push_bind(workspace);
    query.push(" order by lower(o.name), e.position");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
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
    let row: Option<Row> = named(workspace, environment, model).build_query_as().fetch_optional(conn).await?;
    Ok(row.map(Monitor::from))
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    environment: &str,
    model: &str,
) -> Result<Option<Monitor>> {
    let mut query = named(workspace, environment, model);
    query.push(" for no key update of m");
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    Ok(row.map(Monitor::from))
}

fn named(workspace: WorkspaceId, environment: &str, model: &str) -> QueryBuilder<Postgres> {
    let mut query = selected();
    query.push(" where m.workspace_id = ").push_bind(workspace);
    query.push(" and e.name = ").push_bind(environment.to_owned());
    query.push(" and o.name = ").push_bind(model.to_owned()).push(" and o.deleted_at is null");
    query
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
    /// The number of the version that serves.
    pub version: i32,
    /// What the version takes and gives.
    pub signature: Option<Signature>,
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
        version: i32,
        signature: Option<Json<Signature>>,
    }
    let rows: Vec<DueRow> = sqlx::query_as(
        "select m.id, m.workspace_id, m.model_id, o.name as model, m.environment_id, e.name as environment,
             m.window_rows, m.min_rows, m.enabled, w.slug, d.id as deployment_id, v.version, v.signature
         from monitors m
         join workspaces w on w.id = m.workspace_id
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         join deployments d on d.environment_id = m.environment_id and d.model_id = m.model_id and d.state = 'live'
         join model_versions v on v.id = d.model_version_id
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
            version: row.version,
            signature: row.signature.map(|signature| signature.0),
        })
        .collect())
}

/// Takes the traffic of a monitor up to a moment for checked. Tells whether what was checked may be written: of two workers
/// that checked the same, one is told so, and nobody when the deployment serves no more or the monitor is off by now. Both
/// stay as they are until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn take(
    conn: &mut PgConnection,
    monitor: MonitorId,
    deployment: DeploymentId,
    up_to: DateTime<Utc>,
) -> Result<bool> {
    // The moment is of the clock of whoever answered. One that is ahead must not hide what comes after.
    let taken = sqlx::query(
        "with serving as (
             select id from deployments where id = $2 and state = 'live' for share
         )
         update monitors
         set checked_up_to = least($3, now())
         where id = $1
           and enabled
           and coalesce(checked_up_to, '-infinity') < least($3, now())
           and exists (select from serving)",
    )
    .bind(monitor)
    .bind(deployment)
    .bind(up_to)
    .execute(conn)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Which check it is, among all that were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct CheckKey(i64);

/// Adds what a check found.
///
/// # Errors
/// When the statement fails.
pub async fn insert_check(conn: &mut PgConnection, monitor: MonitorId, check: &Check) -> Result<CheckKey> {
    let key = sqlx::query_scalar(
        "insert into checks (monitor_id, deployment_id, at, state, reason, rows, share, features)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         returning id",
    )
    .bind(monitor)
    .bind(check.deployment_id)
    .bind(check.at)
    .bind(check.state.as_str())
    .bind(&check.reason)
    .bind(check.rows)
    .bind(check.share)
    .bind(Json(&check.features))
    .fetch_one(conn)
    .await?;
    Ok(key)
}

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

impl TryFrom<CheckRow> for Check {
    type Error = Error;

    fn try_from(row: CheckRow) -> Result<Self> {
        Ok(Self {
            at: row.at,
            deployment_id: row.deployment_id,
            version: row.version,
            state: CheckState::parse(&row.state).ok_or_else(|| Error::unknown("check state", &row.state))?,
            reason: row.reason,
            rows: row.rows,
            share: row.share,
            features: row.features.0,
        })
    }
}

/// The last checks of a monitor, newest first.
///
/// # Errors
/// When the statement fails.
pub async fn checks(conn: &mut PgConnection, monitor: MonitorId, limit: i64) -> Result<Vec<Check>> {
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
    rows.into_iter().map(Check::try_from).collect()
}

/// Deletes up to `limit` checks that were made before a moment, the oldest first: but none that an alert refers to, and
/// not the last one of a monitor. Tells how many.
///
/// # Errors
/// When the statement fails.
pub async fn delete_checks_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let deleted = sqlx::query(
        "delete from checks
         where id in (
             select c.id
             from checks c
             where c.at < $1
               and not exists (select from alerts a where a.check_id = c.id)
               and exists (select from checks newer where newer.monitor_id = c.monitor_id and newer.id > c.id)
             order by c.id
             limit $2
         )",
    )
    .bind(before)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}

/// The last check that found an alert.
///
/// # Errors
/// When the statement fails.
pub async fn check_of_alert(conn: &mut PgConnection, alert: AlertId) -> Result<Option<Check>> {
    let row: Option<CheckRow> = sqlx::query_as(
        "select c.at, c.deployment_id, v.version, c.state, c.reason, c.rows, c.share, c.features
         from alerts a
         join checks c on c.id = a.check_id
         join deployments d on d.id = c.deployment_id
         join model_versions v on v.id = d.model_version_id
         where a.id = $1",
    )
    .bind(alert)
    .fetch_optional(conn)
    .await?;
    row.map(Check::try_from).transpose()
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

/// Opens an alert of a monitor, for what a check found. None when it has one already that is not resolved; that one was
/// then seen again.
///
/// # Errors
/// When a statement fails.
pub async fn open_alert(
    conn: &mut PgConnection,
    monitor: &Monitor,
    deployment: DeploymentId,
    number: i64,
    check: CheckKey,
    summary: &str,
) -> Result<Option<AlertId>> {
    let id = sqlx::query_scalar(
        "insert into alerts (id, workspace_id, number, monitor_id, deployment_id, check_id, state, summary)
         values ($1, $2, $3, $4, $5, $6, 'open', $7)
         on conflict (monitor_id) where state <> 'resolved' do nothing
         returning id",
    )
    .bind(AlertId::new())
    .bind(monitor.workspace_id)
    .bind(number)
    .bind(monitor.id)
    .bind(deployment)
    .bind(check)
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
pub async fn alert_seen(conn: &mut PgConnection, alert: AlertId, check: CheckKey, summary: &str) -> Result<()> {
    sqlx::query("update alerts set last_seen_at = now(), check_id = $2, summary = $3 where id = $1")
        .bind(alert)
        .bind(check)
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

/// How far one feature of what serves is from its reference.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct DriftScore {
    /// The workspace's slug.
    pub workspace: String,
    /// The model's name.
    pub model: String,
    /// The number of the version that serves.
    pub version: i32,
    /// The feature's name.
    pub feature: String,
    /// A p-value or a distance, see [`domain::drift`].
    pub score: f64,
}

/// What the last check of each live deployment found, over all workspaces, by environment in their order. Of a deployment
/// that was not checked yet, and of features that could not be compared, there is nothing.
///
/// # Errors
/// When the statement fails.
pub async fn drift_scores(conn: &mut PgConnection) -> Result<Vec<DriftScore>> {
    let scores = sqlx::query_as(
        "select w.slug as workspace, o.name as model, v.version, f ->> 'feature' as feature,
             (f -> 'verdict' ->> 'score')::double precision as score
         from monitors m
         join workspaces w on w.id = m.workspace_id
         join models o on o.id = m.model_id
         join environments e on e.id = m.environment_id
         join deployments d on d.environment_id = m.environment_id and d.model_id = m.model_id and d.state = 'live'
         join model_versions v on v.id = d.model_version_id
         join lateral (
             select deployment_id, features
             from checks
             where monitor_id = m.id
             order by id desc
             limit 1
         ) c on c.deployment_id = d.id
         cross join lateral jsonb_array_elements(c.features) f
         where m.enabled and jsonb_typeof(f -> 'verdict' -> 'score') = 'number'
         order by e.position, w.slug, o.name, feature",
    )
    .fetch_all(conn)
    .await?;
    Ok(scores)
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

fn selected_triggers() -> QueryBuilder<Postgres> {
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
pub async fn triggers(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    monitor: Option<MonitorId>,
) -> Result<Vec<Trigger>> {
    let mut query = selected_triggers();
    query.push(" where t.workspace_id = ").push_bind(workspace);
    if let Some(monitor) = monitor {
        query.push(" and t.monitor_id = ").push_bind(monitor);
    }
    query.push(" order by p.name, o.name, e.position");
    let rows: Vec<TriggerRow> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(Trigger::from).collect())
}

/// The triggers that held back for an alert and have not started anything for it, by pipeline.
///
/// # Errors
/// When the statement fails.
pub async fn held_back(conn: &mut PgConnection, alert: AlertId) -> Result<Vec<Trigger>> {
    let mut query = selected_triggers();
    query.push(" join firings f on f.trigger_id = t.id and f.pipeline_run_id is null where f.alert_id = ");
    query.push_bind(alert).push(" order by p.name");
    let rows: Vec<TriggerRow> = query.build_query_as().fetch_all(conn).await?;
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
