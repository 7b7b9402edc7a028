//! What a workspace holds beside the demo.

use crate::Result;
use domain::id::WorkspaceId;
use sqlx::PgConnection;

/// Whether a workspace has a model or an active run that is not of this name: the demo's model and experiment have one.
///
/// # Errors
/// When the statement fails.
pub async fn has_other_work(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<bool> {
    let has = sqlx::query_scalar(
        "select exists (
                 select from models
                 where workspace_id = $1 and deleted_at is null and name <> $2
             )
             or exists (
                 select
                 from runs r
                 join experiments e on e.id = r.experiment_id
                 where r.workspace_id = $1 and r.lifecycle_stage = 'active' and e.name <> $2
             )",
    )
    .bind(workspace)
    .bind(name)
    .fetch_one(conn)
    .await?;
    Ok(has)
}
