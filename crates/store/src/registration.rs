//! What of a run can be registered.

use crate::{Result, artifact::root_id};
use domain::{
    artifact_path::{ArtifactFolder, ArtifactPath},
    artifact_root::ArtifactOwner,
    id::{LoggedModelId, RunId, WorkspaceId},
    registration::RunModel,
};
use sqlx::PgConnection;

/// What a run left that can be registered: its logged models that are in use, complete and have files, newest first, and
/// then the folders of its own files with an `MLmodel` right in them, by path. Up to `limit` of each.
///
/// # Errors
/// When a statement fails.
pub async fn of_run(conn: &mut PgConnection, workspace: WorkspaceId, run: RunId, limit: i64) -> Result<Vec<RunModel>> {
    let logged: Vec<(LoggedModelId, String)> = sqlx::query_as(
        "select m.id, m.name
         from logged_models m
         where m.workspace_id = $1 and m.source_run_id = $2 and not m.deleted and m.status = 'ready'
             and exists (select from artifacts a where a.root_id = m.id)
         order by m.creation_time desc, m.id desc
         limit $3",
    )
    .bind(workspace)
    .bind(run)
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    let files: Vec<String> = sqlx::query_scalar(
        "select path
         from artifacts
         where root_id = $1 and (path = 'MLmodel' or path like '%/MLmodel')
         order by path
         limit $2",
    )
    .bind(root_id(ArtifactOwner::Run(run)))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let folders: Vec<ArtifactFolder> =
        files.iter().filter_map(|path| ArtifactPath::parse(path).ok()).map(|path| path.folder()).collect();
    let logged = logged.into_iter().map(|(id, name)| RunModel::logged(id, name));
    Ok(logged.chain(folders.iter().map(|folder| RunModel::folder(run, folder))).collect())
}
