//! Environments.

use crate::Result;
use domain::{
    environment::{Environment, EnvironmentOverview},
    id::{EnvironmentId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection};

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

/// The environments of a workspace in the order of promotion, each with what goes on there; the policies are not read.
///
/// # Errors
/// When the statement fails.
pub async fn overview(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<EnvironmentOverview>> {
    #[derive(FromRow)]
    struct Overview {
        #[sqlx(flatten)]
        environment: Row,
        live_models: i64,
        open_promotions: i64,
    }
    let rows: Vec<Overview> = sqlx::query_as(
        "select e.id, e.workspace_id, e.name, e.position,
             (select count(*) from deployments d where d.environment_id = e.id and d.state = 'live') as live_models,
             (select count(*)
              from promotions o
              where o.environment_id = e.id
                and o.state in ('draft', 'gates_running', 'blocked', 'awaiting_approval', 'approved', 'scheduled',
                    'deploying', 'verifying')
             ) as open_promotions
         from environments e
         where e.workspace_id = $1
         order by e.position, e.name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    let overview = |row: Overview| EnvironmentOverview {
        environment: row.environment.into(),
        policies: Vec::new(),
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
