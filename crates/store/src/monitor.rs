//! Monitors, and what their checks found.

use crate::{Error, Result, environment::push_seen};
use chrono::{DateTime, Utc};
use domain::{
    drift::FeatureDrift,
    environment::Sight,
    id::{AlertId, DeploymentId, EnvironmentId, ModelId, MonitorId, WorkspaceId},
    model::Signature,
    monitor::{Check, CheckState, Monitor},
};
use serde::{Deserialize, Serialize};
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
pub async fn list(conn: &mut PgConnection, sight: &Sight) -> Result<Vec<Monitor>> {
    let mut query = selected();
    push_seen(&mut query, "m", sight);
    query.push(" order by lower(o.name), e.position");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(Monitor::from).collect())
}

/// The monitor of a model in an environment, both by name.
///
/// # Errors
/// When the statement fails.
pub async fn find(conn: &mut PgConnection, sight: &Sight, environment: &str, model: &str) -> Result<Option<Monitor>> {
    let row: Option<Row> = named(sight, environment, model).build_query_as().fetch_optional(conn).await?;
    Ok(row.map(Monitor::from))
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, sight: &Sight, environment: &str, model: &str) -> Result<Option<Monitor>> {
    let mut query = named(sight, environment, model);
    query.push(" for no key update of m");
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    Ok(row.map(Monitor::from))
}

fn named(sight: &Sight, environment: &str, model: &str) -> QueryBuilder<Postgres> {
    let mut query = selected();
    push_seen(&mut query, "m", sight);
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type)]
#[serde(transparent)]
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

/// The last checks of a monitor, newest first; those before `before`, when given. Each with its key.
///
/// # Errors
/// When the statement fails.
pub async fn checks(
    conn: &mut PgConnection,
    monitor: MonitorId,
    before: Option<CheckKey>,
    limit: i64,
) -> Result<Vec<(CheckKey, Check)>> {
    #[derive(FromRow)]
    struct Keyed {
        id: CheckKey,
        #[sqlx(flatten)]
        check: CheckRow,
    }
    let rows: Vec<Keyed> = sqlx::query_as(
        "select c.id, c.at, c.deployment_id, v.version, c.state, c.reason, c.rows, c.share, c.features
         from checks c
         join deployments d on d.id = c.deployment_id
         join model_versions v on v.id = d.model_version_id
         where c.monitor_id = $1 and ($2::bigint is null or c.id < $2)
         order by c.id desc
         limit $3",
    )
    .bind(monitor)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.id, row.check.try_into()?))).collect()
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

/// How far one feature of what serves is from its reference.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct DriftScore {
    /// The workspace's slug.
    pub workspace: String,
    /// The environment's name.
    pub environment: String,
    /// The model's name.
    pub model: String,
    /// The number of the version that serves.
    pub version: i32,
    /// The feature's name.
    pub feature: String,
    /// A p-value or a distance, see [`domain::drift`].
    pub score: f64,
}

/// What the last check of each live deployment found, over all workspaces. Of a deployment
/// that was not checked yet, and of features that could not be compared, there is nothing.
///
/// # Errors
/// When the statement fails.
pub async fn drift_scores(conn: &mut PgConnection) -> Result<Vec<DriftScore>> {
    let scores = sqlx::query_as(
        "select w.slug as workspace, e.name as environment, o.name as model, v.version, f ->> 'feature' as feature,
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
         order by w.slug, e.position, o.name, feature",
    )
    .fetch_all(conn)
    .await?;
    Ok(scores)
}
