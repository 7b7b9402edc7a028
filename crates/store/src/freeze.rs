//! Freezes: change windows.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    freeze::{Freeze, Schedule, Selector},
    id::{FreezeId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, types::Json};

#[derive(FromRow)]
struct Row {
    id: FreezeId,
    workspace_id: WorkspaceId,
    name: String,
    kind: String,
    schedule: Json<Schedule>,
    selector: Json<Selector>,
    manual_override: bool,
    overrun: bool,
    reason: String,
    created_at: DateTime<Utc>,
    created_by: String,
    ended_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Freeze {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            kind: row.kind.parse().map_err(|_| Error::unknown("kind of freeze", &row.kind))?,
            schedule: row.schedule.0,
            selector: row.selector.0,
            manual_override: row.manual_override,
            overrun: row.overrun,
            reason: row.reason,
            created_at: row.created_at,
            created_by: row.created_by,
            ended_at: row.ended_at,
        })
    }
}

/// Adds a freeze.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, freeze: &Freeze) -> Result<()> {
    sqlx::query(
        "insert into freezes (id, workspace_id, name, kind, schedule, selector, manual_override, overrun, reason,
             created_at, created_by, ended_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(freeze.id)
    .bind(freeze.workspace_id)
    .bind(&freeze.name)
    .bind(freeze.kind.as_str())
    .bind(Json(&freeze.schedule))
    .bind(Json(&freeze.selector))
    .bind(freeze.manual_override)
    .bind(freeze.overrun)
    .bind(&freeze.reason)
    .bind(freeze.created_at)
    .bind(&freeze.created_by)
    .bind(freeze.ended_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes a freeze to what is given.
///
/// # Errors
/// When the statement fails.
pub async fn update(conn: &mut PgConnection, freeze: &Freeze) -> Result<()> {
    sqlx::query(
        "update freezes
         set name = $2, schedule = $3, selector = $4, manual_override = $5, overrun = $6, reason = $7, ended_at = $8
         where id = $1",
    )
    .bind(freeze.id)
    .bind(&freeze.name)
    .bind(Json(&freeze.schedule))
    .bind(Json(&freeze.selector))
    .bind(freeze.manual_override)
    .bind(freeze.overrun)
    .bind(&freeze.reason)
    .bind(freeze.ended_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a freeze.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: FreezeId) -> Result<()> {
    sqlx::query("delete from freezes where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// The freezes of a workspace, newest first; those that nobody ended, or all.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId, ended: bool) -> Result<Vec<Freeze>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, name, kind, schedule, selector, manual_override, overrun, reason, created_at,
             created_by, ended_at
         from freezes
         where workspace_id = $1 and ($2 or ended_at is null)
         order by id desc
         limit 1000",
    )
    .bind(workspace)
    .bind(ended)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Freeze::try_from).collect()
}

/// What [`domain::freeze::standing`] looks at: the freezes of a workspace that nobody ended.
///
/// # Errors
/// When the statement fails.
pub async fn in_force(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Freeze>> {
    list(conn, workspace, false).await
}

/// The freezes of all workspaces that nobody ended.
///
/// # Errors
/// When the statement fails.
pub async fn all_in_force(conn: &mut PgConnection) -> Result<Vec<Freeze>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, name, kind, schedule, selector, manual_override, overrun, reason, created_at,
             created_by, ended_at
         from freezes
         where ended_at is null",
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Freeze::try_from).collect()
}

/// A freeze of a workspace, which nobody else changes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, id: FreezeId) -> Result<Option<Freeze>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, kind, schedule, selector, manual_override, overrun, reason, created_at,
             created_by, ended_at
         from freezes
         where workspace_id = $1 and id = $2
         for no key update",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(Freeze::try_from).transpose()
}

/// A freeze of a workspace.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, workspace: WorkspaceId, id: FreezeId) -> Result<Option<Freeze>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, kind, schedule, selector, manual_override, overrun, reason, created_at,
             created_by, ended_at
         from freezes
         where workspace_id = $1 and id = $2",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(Freeze::try_from).transpose()
}
