//! What serves: the live deployments with the version that each serves.

use crate::{Result, workspace::parse_roles};
use domain::{
    Digest,
    id::{DeploymentId, ModelVersionId, WorkspaceId},
    model::Signature,
    permission::Role,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeSet;

/// A live deployment, and what is needed to serve it.
#[derive(Debug, Clone)]
pub struct Served {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// The workspace's slug.
    pub workspace: String,
    /// The environment's name.
    pub environment: String,
    /// The model's name.
    pub model: String,
    /// The version's number.
    pub version: i32,
    /// The version.
    pub version_id: ModelVersionId,
    /// The digest of the files that were deployed.
    pub digest: Digest,
    /// What the version takes and gives.
    pub signature: Option<Signature>,
}

/// Every environment that is not archived: the slug of its workspace, its name, and the roles that see it.
///
/// # Errors
/// When the statement fails.
pub async fn environments(conn: &mut PgConnection) -> Result<Vec<(String, String, Option<BTreeSet<Role>>)>> {
    let found: Vec<(String, String, Option<Vec<String>>)> = sqlx::query_as(
        "select w.slug, e.name, e.visible_to
         from environments e
         join workspaces w on w.id = e.workspace_id
         where e.archived_at is null",
    )
    .fetch_all(conn)
    .await?;
    let parsed = |(workspace, name, visible_to): (String, String, Option<Vec<String>>)| {
        Ok((workspace, name, visible_to.map(|roles| parse_roles(&roles)).transpose()?))
    };
    found.into_iter().map(parsed).collect()
}

/// Every live deployment.
///
/// # Errors
/// When the statement fails.
pub async fn served(conn: &mut PgConnection) -> Result<Vec<Served>> {
    #[derive(FromRow)]
    struct Row {
        deployment_id: DeploymentId,
        workspace_id: WorkspaceId,
        workspace: String,
        environment: String,
        model: String,
        version: i32,
        version_id: ModelVersionId,
        digest: Digest,
        signature: Option<Json<Signature>>,
    }
    let rows: Vec<Row> = sqlx::query_as(
        "select d.id as deployment_id, d.workspace_id, w.slug as workspace, e.name as environment, o.name as model,
             v.version, v.id as version_id, d.digest, v.signature
         from deployments d
         join workspaces w on w.id = d.workspace_id
         join environments e on e.id = d.environment_id
         join models o on o.id = d.model_id
         join model_versions v on v.id = d.model_version_id
         where d.state = 'live'",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Served {
            deployment_id: row.deployment_id,
            workspace_id: row.workspace_id,
            workspace: row.workspace,
            environment: row.environment,
            model: row.model,
            version: row.version,
            version_id: row.version_id,
            digest: row.digest,
            signature: row.signature.map(|signature| signature.0),
        })
        .collect())
}

/// The newest versions of a workspace that can be served, by model: name and number.
///
/// # Errors
/// When the statement fails.
pub async fn servable(conn: &mut PgConnection, workspace: WorkspaceId, limit: i64) -> Result<Vec<(String, i32)>> {
    let found = sqlx::query_as(
        "select name, version
         from (
             select o.name, v.version
             from model_versions v
             join models o on o.id = v.model_id
             where o.workspace_id = $1
               and o.deleted_at is null
               and v.deleted_at is null
               and v.digest is not null
               and 'onnx' = any (v.flavors)
             order by v.id desc
             limit $2
         ) newest
         order by lower(name), version desc",
    )
    .bind(workspace)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(found)
}
