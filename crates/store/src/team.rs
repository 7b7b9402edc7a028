//! Teams and who is in them.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::{TeamId, UserId, WorkspaceId},
    team::Team,
};
use sqlx::{FromRow, PgConnection};
use std::collections::{BTreeSet, HashMap};

#[derive(FromRow)]
struct Row {
    id: TeamId,
    workspace_id: WorkspaceId,
    name: String,
    description: String,
    members: Vec<UserId>,
    created_at: DateTime<Utc>,
}

impl From<Row> for Team {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            description: row.description,
            members: row.members,
            created_at: row.created_at,
        }
    }
}

/// Adds a team without members.
///
/// # Errors
/// [`crate::Error::Duplicate`] of `teams_workspace_id_name_key` when there is one of this name.
pub async fn insert(conn: &mut PgConnection, team: &Team) -> Result<()> {
    sqlx::query("insert into teams (id, workspace_id, name, description, created_at) values ($1, $2, $3, $4, $5)")
        .bind(team.id)
        .bind(team.workspace_id)
        .bind(&team.name)
        .bind(&team.description)
        .bind(team.created_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// The teams of a workspace, by name.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Team>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select t.id, t.workspace_id, t.name, t.description, t.created_at,
             array(
                 select m.user_id
                 from team_members m
                 join users u on u.id = m.user_id
                 where m.team_id = t.id
                 order by lower(u.name), u.email
             ) as members
         from teams t
         where t.workspace_id = $1
         order by t.name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Team::from).collect())
}

/// The team of this name, which nobody else changes until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Team>> {
    sqlx::query("select from teams where workspace_id = $1 and name = $2 for no key update")
        .bind(workspace)
        .bind(name)
        .execute(&mut *conn)
        .await?;
    by_name(conn, workspace, name).await
}

/// The team of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Team>> {
    let row: Option<Row> = sqlx::query_as(
        "select t.id, t.workspace_id, t.name, t.description, t.created_at,
             array(
                 select m.user_id
                 from team_members m
                 join users u on u.id = m.user_id
                 where m.team_id = t.id
                 order by lower(u.name), u.email
             ) as members
         from teams t
         where t.workspace_id = $1 and t.name = $2",
    )
    .bind(workspace)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Team::from))
}

/// Who is in each team of a workspace, by the team's name, for the rules that name it. Read in the transaction that decides.
///
/// # Errors
/// When the statement fails.
pub async fn memberships(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<HashMap<String, BTreeSet<UserId>>> {
    let teams = list(conn, workspace).await?;
    Ok(teams.into_iter().map(|team| (team.name, team.members.into_iter().collect())).collect())
}

/// Says what a team is for.
///
/// # Errors
/// When the statement fails.
pub async fn set_description(conn: &mut PgConnection, id: TeamId, description: &str) -> Result<()> {
    sqlx::query("update teams set description = $2 where id = $1").bind(id).bind(description).execute(conn).await?;
    Ok(())
}

/// Puts a member of the workspace into a team. Tells whether they were not in it.
///
/// # Errors
/// [`crate::Error::Missing`] when they are no member of the workspace.
pub async fn add(conn: &mut PgConnection, team: &Team, user: UserId) -> Result<bool> {
    let added = sqlx::query(
        "insert into team_members (team_id, workspace_id, user_id)
         values ($1, $2, $3)
         on conflict (team_id, user_id) do nothing",
    )
    .bind(team.id)
    .bind(team.workspace_id)
    .bind(user)
    .execute(conn)
    .await?;
    Ok(added.rows_affected() > 0)
}

/// Takes somebody out of a team. Tells whether they were in it.
///
/// # Errors
/// When the statement fails.
pub async fn remove(conn: &mut PgConnection, team: TeamId, user: UserId) -> Result<bool> {
    let removed = sqlx::query("delete from team_members where team_id = $1 and user_id = $2")
        .bind(team)
        .bind(user)
        .execute(conn)
        .await?;
    Ok(removed.rows_affected() > 0)
}

/// Deletes a team.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: TeamId) -> Result<()> {
    sqlx::query("delete from teams where id = $1").bind(id).execute(conn).await?;
    Ok(())
}
