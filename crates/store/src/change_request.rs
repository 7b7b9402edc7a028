//! Change requests.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    change_request::{Change, ChangeRequest, ChangeState},
    id::{ChangeRequestId, UserId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, types::Json};
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
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, number, change, digest, state, state_reason, requested_by, on_behalf_of, requester,
             comment, expires_at, created_at, updated_at
         from change_requests
         where workspace_id = $1
           and (not $2 or state = 'awaiting_approval')
           and (environments = '{}' or not environments <@ $3)
           and ($4::bigint is null or number < $4)
         order by number desc
         limit $5",
    )
    .bind(workspace)
    .bind(open)
    .bind(hidden.iter().cloned().collect::<Vec<String>>())
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ChangeRequest::try_from).collect()
}

/// The request of this number.
///
/// # Errors
/// When the statement fails.
pub async fn by_number(conn: &mut PgConnection, workspace: WorkspaceId, number: i64) -> Result<Option<ChangeRequest>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, number, change, digest, state, state_reason, requested_by, on_behalf_of, requester,
             comment, expires_at, created_at, updated_at
         from change_requests
         where workspace_id = $1 and number = $2",
    )
    .bind(workspace)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    row.map(ChangeRequest::try_from).transpose()
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
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, number, change, digest, state, state_reason, requested_by, on_behalf_of, requester,
             comment, expires_at, created_at, updated_at
         from change_requests
         where workspace_id = $1 and digest = $2 and state = 'awaiting_approval'",
    )
    .bind(workspace)
    .bind(digest)
    .fetch_optional(conn)
    .await?;
    row.map(ChangeRequest::try_from).transpose()
}

/// Up to `limit` open requests of all workspaces whose time is over.
///
/// # Errors
/// When the statement fails.
pub async fn overdue(conn: &mut PgConnection, now: DateTime<Utc>, limit: i64) -> Result<Vec<ChangeRequest>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, number, change, digest, state, state_reason, requested_by, on_behalf_of, requester,
             comment, expires_at, created_at, updated_at
         from change_requests
         where state = 'awaiting_approval' and expires_at <= $1
         order by expires_at
         limit $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(ChangeRequest::try_from).collect()
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
