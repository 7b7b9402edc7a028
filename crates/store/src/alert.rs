//! The alerts that checks of monitors opened.

use crate::{Error, Result, monitor::CheckKey};
use chrono::{DateTime, Utc};
use domain::{
    environment::Sight,
    id::{AlertId, DeploymentId, MonitorId, WorkspaceId},
    monitor::{Alert, AlertState, Monitor},
};
use sqlx::{FromRow, PgConnection};

#[derive(FromRow)]
struct Row {
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

impl TryFrom<Row> for Alert {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
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
pub async fn open(
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
pub async fn unresolved(conn: &mut PgConnection, monitor: MonitorId) -> Result<Option<(AlertId, i64)>> {
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
pub async fn seen(conn: &mut PgConnection, alert: AlertId, check: CheckKey, summary: &str) -> Result<()> {
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
pub async fn move_to(
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
pub async fn list(
    conn: &mut PgConnection,
    sight: &Sight,
    monitor: Option<MonitorId>,
    unresolved: bool,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Alert>> {
    let rows: Vec<Row> = sqlx::query_as(
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
           and may_see_environment(e.visible_to, $6)
         order by a.number desc
         limit $5",
    )
    .bind(sight.workspace())
    .bind(monitor)
    .bind(unresolved)
    .bind(before)
    .bind(limit)
    .bind(sight.roles())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Alert::try_from).collect()
}

/// How many alerts of a workspace are not resolved.
///
/// # Errors
/// When the statement fails.
pub async fn count_unresolved(conn: &mut PgConnection, sight: &Sight) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*)
         from alerts a
         join monitors m on m.id = a.monitor_id
         join environments e on e.id = m.environment_id
         where a.workspace_id = $1 and a.state <> 'resolved' and may_see_environment(e.visible_to, $2)",
    )
    .bind(sight.workspace())
    .bind(sight.roles())
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
