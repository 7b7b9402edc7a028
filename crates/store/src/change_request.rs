//! Change requests.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    change_request::{Change, ChangeRequest, ChangeState},
    id::{ChangeRequestId, UserId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder, types::Json};
use std::collections::BTreeSet;

#[derive(FromRow)]
struct Row {
    id: ChangeRequestId,
    workspace_id: WorkspaceId,
    number: i64,
    change: Json<Change>,
    digest: Digest,
    state: String,
    state_reason: String,
    requested_by: Option<UserId>,
    on_behalf_of: Option<UserId>,
    requester: String,
    comment: String,
    expires_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for ChangeRequest {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            number: row.number,
            change: row.change.0,
            digest: row.digest,
            state: ChangeState::parse(&row.state)
                .ok_or_else(|| Error::unknown("state of a change request", &row.state))?,
            state_reason: row.state_reason,
            requested_by: row.requested_by,
            on_behalf_of: row.on_behalf_of,
            requester: row.requester,
            comment: row.comment,
            expires_at: row.expires_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Adds a request.
///
/// # Errors
/// [`Error::Duplicate`] of `change_requests_same` when the same is asked for already.
pub async fn insert(conn: &mut PgConnection, request: &ChangeRequest) -> Result<()> {
    sqlx::query(
        "insert into change_requests (id, workspace_id, number, change, digest, state, state_reason, requested_by,
             requester, comment, expires_at, created_at, updated_at, environments, on_behalf_of)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(request.id)
    .bind(request.workspace_id)
    .bind(request.number)
    .bind(Json(&request.change))
    .bind(&request.digest)
    .bind(request.state.as_str())
    .bind(&request.state_reason)
    .bind(request.requested_by)
    .bind(&request.requester)
    .bind(&request.comment)
    .bind(request.expires_at)
    .bind(request.created_at)
    .bind(request.updated_at)
    .bind(request.change.environments())
    .bind(request.on_behalf_of)
    .execute(conn)
    .await?;
    Ok(())
}

fn selected() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "select id, workspace_id, number, change, digest, state, state_reason, requested_by, on_behalf_of, requester,
             comment, expires_at, created_at, updated_at
         from change_requests",
    )
}

async fn one(mut query: QueryBuilder<Postgres>, conn: &mut PgConnection) -> Result<Option<ChangeRequest>> {
    let row: Option<Row> = query.build_query_as().fetch_optional(conn).await?;
    row.map(ChangeRequest::try_from).transpose()
}

async fn all(mut query: QueryBuilder<Postgres>, conn: &mut PgConnection) -> Result<Vec<ChangeRequest>> {
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(ChangeRequest::try_from).collect()
}

/// Up to `limit` requests of a workspace, newest first, of smaller numbers than `before` when given: those that are open,
/// or all. Without those that are about environments of these names alone.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    open: bool,
    hidden: &BTreeSet<String>,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<ChangeRequest>> {
    let mut query = selected();
    query.push(" where workspace_id = ").push_bind(workspace);
    query.push(" and (environments = '{}' or not environments <@ ");
    query.push_bind(hidden.iter().cloned().collect::<Vec<String>>()).push(")");
    if open {
        query.push(" and state = 'awaiting_approval'");
    }
    if let Some(before) = before {
        query.push(" and number < ").push_bind(before);
    }
    query.push(" order by number desc limit ").push_bind(limit);
    all(query, conn).await
}

/// The request of this number.
///
/// # Errors
/// When the statement fails.
pub async fn by_number(conn: &mut PgConnection, workspace: WorkspaceId, number: i64) -> Result<Option<ChangeRequest>> {
    let mut query = selected();
    query.push(" where workspace_id = ").push_bind(workspace).push(" and number = ").push_bind(number);
    one(query, conn).await
}

/// The open request for exactly this.
///
/// # Errors
/// When the statement fails.
pub async fn open_for(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    digest: &Digest,
) -> Result<Option<ChangeRequest>> {
    let mut query = selected();
    query.push(" where workspace_id = ").push_bind(workspace);
    query.push(" and state = 'awaiting_approval' and digest = ").push_bind(digest.clone());
    one(query, conn).await
}

/// Up to `limit` open requests of all workspaces whose time is over, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn overdue(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<ChangeRequest>> {
    let mut query = selected();
    query.push(" where state = 'awaiting_approval' and expires_at <= ").push_bind(now);
    query.push(" order by expires_at limit ").push_bind(limit);
    all(query, conn).await
}

/// Ends an open request. Tells whether it was still open.
///
/// # Errors
/// When the statement fails.
pub async fn end(conn: &mut PgConnection, id: ChangeRequestId, state: ChangeState, reason: &str) -> Result<bool> {
    let ended = sqlx::query(
        "update change_requests
         set state = $2, state_reason = $3, updated_at = now()
         where id = $1 and state = 'awaiting_approval'",
    )
    .bind(id)
    .bind(state.as_str())
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() == 1)
}
