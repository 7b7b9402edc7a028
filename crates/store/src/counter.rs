//! Numbers that people see: promotion #87, pipeline run #512.

use crate::Result;
use domain::id::WorkspaceId;
use sqlx::PgConnection;

/// The next number of the noun in the workspace. Held until the transaction ends, so numbers have no gaps.
///
/// # Errors
/// When the statement fails.
pub async fn next(conn: &mut PgConnection, workspace: WorkspaceId, noun: &str) -> Result<i64> {
    let number = sqlx::query_scalar(
        "insert into workspace_counters (workspace_id, noun, last)
         values ($1, $2, 1)
         on conflict (workspace_id, noun) do update set last = workspace_counters.last + 1
         returning last",
    )
    .bind(workspace)
    .bind(noun)
    .fetch_one(conn)
    .await?;
    Ok(number)
}
