//! Delegations: who decides for whom.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    delegation::{Delegation, Scope},
    id::{DelegationId, UserId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};

#[derive(FromRow)]
struct Row {
    id: DelegationId,
    workspace_id: WorkspaceId,
    from_user: UserId,
    from_name: String,
    to_user: UserId,
    to_name: String,
    scope: Json<Scope>,
    starts_at: DateTime<Utc>,
    ends_at: DateTime<Utc>,
    reason: String,
    created_at: DateTime<Utc>,
    created_by: String,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Row> for Delegation {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            from: row.from_user,
            from_name: row.from_name,
            to: row.to_user,
            to_name: row.to_name,
            scope: row.scope.0,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            reason: row.reason,
            created_at: row.created_at,
            created_by: row.created_by,
            revoked_at: row.revoked_at,
        }
    }
}

fn selected() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "select d.id, d.workspace_id, d.from_user, f.name as from_name, d.to_user, t.name as to_name, d.scope,
             d.starts_at, d.ends_at, d.reason, d.created_at, d.created_by, d.revoked_at
         from delegations d
         join users f on f.id = d.from_user
         join users t on t.id = d.to_user",
    )
}

/// Adds a delegation.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, delegation: &Delegation) -> Result<()> {
    sqlx::query(
        "insert into delegations (id, workspace_id, from_user, to_user, scope, starts_at, ends_at, reason, created_at,
             created_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(delegation.id)
    .bind(delegation.workspace_id)
    .bind(delegation.from)
    .bind(delegation.to)
    .bind(Json(&delegation.scope))
    .bind(delegation.starts_at)
    .bind(delegation.ends_at)
    .bind(&delegation.reason)
    .bind(delegation.created_at)
    .bind(&delegation.created_by)
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` delegations of a workspace, newest first; those before `before`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    before: Option<DelegationId>,
    limit: i64,
) -> Result<Vec<Delegation>> {
    let mut query = selected();
    query.push(" where d.workspace_id = ").push_bind(workspace);
    if let Some(before) = before {
        query.push(" and d.id < ").push_bind(before);
    }
    query.push(" order by d.id desc limit ").push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(Delegation::from).collect())
}

/// The delegations of a workspace that hold at a moment, oldest first. Both people are members then; whether they are
/// approvers is not looked at.
///
/// # Errors
/// When the statement fails.
pub async fn in_force(conn: &mut PgConnection, workspace: WorkspaceId, at: DateTime<Utc>) -> Result<Vec<Delegation>> {
    let mut query = selected();
    query.push(
        " join members fm on fm.workspace_id = d.workspace_id and fm.user_id = d.from_user
          join members tm on tm.workspace_id = d.workspace_id and tm.user_id = d.to_user
          where d.workspace_id = ",
    );
    query.push_bind(workspace);
    query.push(" and d.starts_at <= ").push_bind(at).push(" and d.ends_at > ").push_bind(at);
    query.push(" and (d.revoked_at is null or d.revoked_at > ").push_bind(at).push(") order by d.id");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    Ok(rows.into_iter().map(Delegation::from).collect())
}

/// How many delegations of somebody are ahead or hold.
///
/// # Errors
/// When the statement fails.
pub async fn count_of(conn: &mut PgConnection, workspace: WorkspaceId, from: UserId) -> Result<i64> {
    let count = sqlx::query_scalar(
        "select count(*)
         from delegations
         where workspace_id = $1 and from_user = $2 and revoked_at is null and ends_at > now()",
    )
    .bind(workspace)
    .bind(from)
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// A delegation of a workspace.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, workspace: WorkspaceId, id: DelegationId) -> Result<Option<Delegation>> {
    let mut query = selected();
    query.push(" where d.workspace_id = ").push_bind(workspace).push(" and d.id = ").push_bind(id);
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    Ok(row.map(Delegation::from))
}

/// Takes a delegation back. Tells whether it was not yet.
///
/// # Errors
/// When the statement fails.
pub async fn revoke(conn: &mut PgConnection, id: DelegationId, at: DateTime<Utc>) -> Result<bool> {
    let revoked = sqlx::query("update delegations set revoked_at = $2 where id = $1 and revoked_at is null")
        .bind(id)
        .bind(at)
        .execute(conn)
        .await?;
    Ok(revoked.rows_affected() > 0)
}
