//! Environments and the revisions of their policies.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    environment::{Environment, EnvironmentOverview, Policy, PolicyDocument},
    id::{EnvironmentId, PolicyId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection, types::Json};

#[derive(FromRow)]
struct Row {
    id: EnvironmentId,
    workspace_id: WorkspaceId,
    name: String,
    position: i32,
}

impl From<Row> for Environment {
    fn from(row: Row) -> Self {
        Self { id: row.id, workspace_id: row.workspace_id, name: row.name, position: row.position }
    }
}

#[derive(FromRow)]
struct PolicyRow {
    policy_id: PolicyId,
    environment_id: EnvironmentId,
    revision: i32,
    document: Json<PolicyDocument>,
    digest: Digest,
    created_at: DateTime<Utc>,
    created_by: String,
}

impl From<PolicyRow> for Policy {
    fn from(row: PolicyRow) -> Self {
        Self {
            id: row.policy_id,
            environment_id: row.environment_id,
            revision: row.revision,
            document: row.document.0,
            digest: row.digest,
            created_at: row.created_at,
            created_by: row.created_by,
        }
    }
}

/// The environments of a workspace in the order of promotion, each with the policy in force and what goes on there.
///
/// # Errors
/// When the statement fails.
pub async fn overview(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<EnvironmentOverview>> {
    #[derive(FromRow)]
    struct Overview {
        #[sqlx(flatten)]
        environment: Row,
        #[sqlx(flatten)]
        policy: PolicyRow,
        live_models: i64,
        open_promotions: i64,
    }
    let rows: Vec<Overview> = sqlx::query_as(
        "select e.id, e.workspace_id, e.name, e.position,
             p.id as policy_id, p.environment_id, p.revision, p.document, p.digest, p.created_at, p.created_by,
             (select count(*) from deployments d where d.environment_id = e.id and d.state = 'live') as live_models,
             (select count(*)
              from promotions o
              where o.environment_id = e.id
                and o.state in ('gates_running', 'blocked', 'awaiting_approval', 'approved', 'deploying')
             ) as open_promotions
         from environments e
         join lateral (
             select * from policies where environment_id = e.id order by revision desc limit 1
         ) p on true
         where e.workspace_id = $1
         order by e.position, e.name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    let overview = |row: Overview| EnvironmentOverview {
        environment: row.environment.into(),
        policy: row.policy.into(),
        live_models: row.live_models,
        open_promotions: row.open_promotions,
    };
    Ok(rows.into_iter().map(overview).collect())
}

/// The environment of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Environment>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, position
         from environments
         where workspace_id = $1 and name = $2",
    )
    .bind(workspace)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Environment::from))
}

/// Holds what is in force in an environment, its policy and what serves there, as it is until the transaction ends.
/// Others may hold it too. Taken before any promotion is locked.
///
/// # Errors
/// When the statement fails.
pub async fn hold(conn: &mut PgConnection, id: EnvironmentId) -> Result<()> {
    sqlx::query("select from environments where id = $1 for share").bind(id).execute(conn).await?;
    Ok(())
}

/// Locks an environment in order to change what is in force there: one at a time, and nobody holds it meanwhile. Taken
/// before any promotion is locked.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, id: EnvironmentId) -> Result<()> {
    sqlx::query("select from environments where id = $1 for no key update").bind(id).execute(conn).await?;
    Ok(())
}

/// The revisions of an environment's policy, the one in force first.
///
/// # Errors
/// When the statement fails.
pub async fn policies(conn: &mut PgConnection, id: EnvironmentId) -> Result<Vec<Policy>> {
    let rows: Vec<PolicyRow> = sqlx::query_as(
        "select id as policy_id, environment_id, revision, document, digest, created_at, created_by
         from policies
         where environment_id = $1
         order by revision desc",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Policy::from).collect())
}

/// The policy in force. Every environment has one from its beginning.
///
/// # Errors
/// When the statement fails.
pub async fn policy_in_force(conn: &mut PgConnection, id: EnvironmentId) -> Result<Policy> {
    let row: PolicyRow = sqlx::query_as(
        "select id as policy_id, environment_id, revision, document, digest, created_at, created_by
         from policies
         where environment_id = $1
         order by revision desc
         limit 1",
    )
    .bind(id)
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// The policy that a promotion is held against.
///
/// # Errors
/// When the statement fails.
pub async fn policy(conn: &mut PgConnection, id: PolicyId) -> Result<Policy> {
    let row: PolicyRow = sqlx::query_as(
        "select id as policy_id, environment_id, revision, document, digest, created_at, created_by
         from policies
         where id = $1",
    )
    .bind(id)
    .fetch_one(conn)
    .await?;
    Ok(row.into())
}

/// Puts a revision of a policy in force.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the environment has that revision already.
pub async fn insert_policy(conn: &mut PgConnection, policy: &Policy) -> Result<()> {
    sqlx::query(
        "insert into policies (id, environment_id, revision, document, digest, created_at, created_by)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(policy.id)
    .bind(policy.environment_id)
    .bind(policy.revision)
    .bind(Json(&policy.document))
    .bind(&policy.digest)
    .bind(policy.created_at)
    .bind(&policy.created_by)
    .execute(conn)
    .await?;
    Ok(())
}
