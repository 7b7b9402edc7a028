//! Environments.

use crate::{Error, Result, workspace::parse_roles};
use chrono::{DateTime, Utc};
use domain::{
    environment::{Environment, EnvironmentOverview, Sight},
    id::{EnvironmentId, WorkspaceId},
    permission::Role,
};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use std::collections::BTreeSet;

#[derive(FromRow)]
struct Row {
    id: EnvironmentId,
    workspace_id: WorkspaceId,
    name: String,
    tier: String,
    position: i32,
    protected: bool,
    wait_timer_s: i32,
    visible_to: Option<Vec<String>>,
    archived_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Environment {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            tier: row.tier.parse().map_err(|_| Error::unknown("tier", &row.tier))?,
            position: row.position,
            protected: row.protected,
            wait_timer_s: row.wait_timer_s,
            visible_to: row.visible_to.map(|roles| parse_roles(&roles)).transpose()?,
            archived_at: row.archived_at,
        })
    }
}

/// Limits a statement to what somebody sees: rows called `rows` of their workspace, whose environment is called `e` there.
pub(crate) fn push_seen(query: &mut QueryBuilder<Postgres>, rows: &str, sight: &Sight) {
    query.push(format!(" where {rows}.workspace_id = ")).push_bind(sight.workspace());
    query.push(" and may_see_environment(e.visible_to, ").push_bind(sight.roles()).push(")");
}

/// The environments that somebody does not see, with their names.
///
/// # Errors
/// When the statement fails.
pub async fn hidden(conn: &mut PgConnection, sight: &Sight) -> Result<Vec<(EnvironmentId, String)>> {
    let hidden = sqlx::query_as(
        "select id, name
         from environments
         where workspace_id = $1 and not may_see_environment(visible_to, $2)",
    )
    .bind(sight.workspace())
    .bind(sight.roles())
    .fetch_all(conn)
    .await?;
    Ok(hidden)
}

/// Adds an environment. Every one has a policy from its beginning, which the caller puts in force.
///
/// # Errors
/// [`Error::Duplicate`] of `environments_workspace_id_name_key` when there is one of this name, also an archived one.
pub async fn insert(conn: &mut PgConnection, environment: &Environment) -> Result<()> {
    sqlx::query(
        "insert into environments (id, workspace_id, name, tier, position, protected, wait_timer_s, visible_to,
             archived_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(environment.id)
    .bind(environment.workspace_id)
    .bind(&environment.name)
    .bind(environment.tier.as_str())
    .bind(environment.position)
    .bind(environment.protected)
    .bind(environment.wait_timer_s)
    .bind(names(environment.visible_to.as_ref()))
    .bind(environment.archived_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes an environment to what is given; its name stays.
///
/// # Errors
/// When the statement fails.
pub async fn update(conn: &mut PgConnection, environment: &Environment) -> Result<()> {
    sqlx::query(
        "update environments
         set tier = $2, position = $3, protected = $4, wait_timer_s = $5, visible_to = $6, archived_at = $7
         where id = $1",
    )
    .bind(environment.id)
    .bind(environment.tier.as_str())
    .bind(environment.position)
    .bind(environment.protected)
    .bind(environment.wait_timer_s)
    .bind(names(environment.visible_to.as_ref()))
    .bind(environment.archived_at)
    .execute(conn)
    .await?;
    Ok(())
}

fn names(roles: Option<&BTreeSet<Role>>) -> Option<Vec<&'static str>> {
    roles.map(|roles| roles.iter().map(|role| role.as_str()).collect())
}

/// What serves in an environment or is brought there: how many versions, and how many requests that have not ended.
///
/// # Errors
/// When the statement fails.
pub async fn occupants(conn: &mut PgConnection, id: EnvironmentId) -> Result<(i64, i64)> {
    let counts = sqlx::query_as(concat!(
        "select (select count(*) from deployments where environment_id = $1 and state in ('deploying', 'live')),
             (select count(*) from promotions where environment_id = $1 and state in ",
        crate::open_promotion_states!(),
        ")"
    ))
    .bind(id)
    .fetch_one(conn)
    .await?;
    Ok(counts)
}

/// The environments that somebody sees, in the order of promotion, each with the policy in force and what goes on there;
/// those that are archived, or those that are not.
///
/// # Errors
/// When the statement fails.
pub async fn overview(conn: &mut PgConnection, sight: &Sight, archived: bool) -> Result<Vec<EnvironmentOverview>> {
    #[derive(FromRow)]
    struct Overview {
        #[sqlx(flatten)]
        environment: Row,
        live_models: i64,
        open_promotions: i64,
    }
    let rows: Vec<Overview> = sqlx::query_as(concat!(
        "select e.id, e.workspace_id, e.name, e.tier, e.position, e.protected, e.wait_timer_s, e.visible_to,
             e.archived_at,
             (select count(*) from deployments d where d.environment_id = e.id and d.state = 'live') as live_models,
             (select count(*)
              from promotions o
              where o.environment_id = e.id
                and o.state in ",
        crate::open_promotion_states!(),
        "
             ) as open_promotions
         from environments e
         where e.workspace_id = $1 and may_see_environment(e.visible_to, $2) and (e.archived_at is not null) = $3
         order by e.position, e.name"
    ))
    .bind(sight.workspace())
    .bind(sight.roles())
    .bind(archived)
    .fetch_all(conn)
    .await?;
    let overview = |row: Overview| {
        Ok(EnvironmentOverview {
            environment: row.environment.try_into()?,
            policies: Vec::new(),
            live_models: row.live_models,
            open_promotions: row.open_promotions,
        })
    };
    rows.into_iter().map(overview).collect()
}

/// All environments of a workspace that are not archived, in the order of promotion.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Environment>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, name, tier, position, protected, wait_timer_s, visible_to, archived_at
         from environments
         where workspace_id = $1 and archived_at is null
         order by position, name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Environment::try_from).collect()
}

/// All environments of all workspaces, archived or not.
///
/// # Errors
/// When the statement fails.
pub async fn everywhere(conn: &mut PgConnection) -> Result<Vec<Environment>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, workspace_id, name, tier, position, protected, wait_timer_s, visible_to, archived_at
         from environments",
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Environment::try_from).collect()
}

/// The environment of this name, archived or not, when somebody sees it.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, sight: &Sight, name: &str) -> Result<Option<Environment>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, tier, position, protected, wait_timer_s, visible_to, archived_at
         from environments
         where workspace_id = $1 and may_see_environment(visible_to, $2) and name = $3",
    )
    .bind(sight.workspace())
    .bind(sight.roles())
    .bind(name)
    .fetch_optional(conn)
    .await?;
    row.map(Environment::try_from).transpose()
}

/// The environment of this id, archived or not.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, id: EnvironmentId) -> Result<Option<Environment>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, name, tier, position, protected, wait_timer_s, visible_to, archived_at
         from environments
         where id = $1",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(Environment::try_from).transpose()
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::user::Workspace;

    /// Every set of roles.
    fn sets() -> impl Iterator<Item = BTreeSet<Role>> {
        (0..1_usize << Role::ALL.len()).map(|bits| {
            let chosen = Role::ALL.into_iter().enumerate().filter(move |(at, _)| bits >> at & 1 == 1);
            chosen.map(|(_, role)| role).collect()
        })
    }

    #[tokio::test]
    async fn the_database_and_the_domain_agree_on_who_sees_an_environment() {
        let database =
            testkit::database(&crate::schema_key(), |pool| async move { crate::migrate(&pool).await.unwrap() }).await;
        let mut conn = database.pool.acquire().await.unwrap();
        let workspace = Workspace {
            id: WorkspaceId::new(),
            slug: "lab".to_owned(),
            name: "Lab".to_owned(),
            created_at: Utc::now(),
        };
        crate::workspace::insert(&mut conn, &workspace).await.unwrap();
        let mut environment = list(&mut conn, workspace.id).await.unwrap().remove(0);
        let who: Vec<Sight> =
            sets().map(|roles| Sight::of(workspace.id, roles)).chain([Sight::all(workspace.id)]).collect();
        for visible_to in sets().filter(|roles| !roles.is_empty()).map(Some).chain([None]) {
            environment.visible_to = visible_to;
            update(&mut conn, &environment).await.unwrap();
            for sight in &who {
                let found = by_name(&mut conn, sight, &environment.name).await.unwrap();
                let sees = sight.sees(environment.visible_to.as_ref());
                assert_eq!(found.is_some(), sees, "{sight:?} {:?}", environment.visible_to);
                assert_eq!(hidden(&mut conn, sight).await.unwrap().is_empty(), sees);
            }
        }
    }
}
