//! Workspaces and their members.

use crate::{Error, Result, user};
use chrono::{DateTime, Utc};
use domain::{
    environment::{Environment, Tier},
    id::{EnvironmentId, PolicyId, UserId, WorkspaceId},
    permission::Role,
    policy::PolicyDocument,
    user::{DEFAULT_WORKSPACE, Member, Workspace},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::collections::BTreeSet;

#[derive(FromRow)]
struct Row {
    id: WorkspaceId,
    slug: String,
    name: String,
    created_at: DateTime<Utc>,
}

impl From<Row> for Workspace {
    fn from(row: Row) -> Self {
        Self { id: row.id, slug: row.slug, name: row.name, created_at: row.created_at }
    }
}

#[derive(FromRow)]
struct OfUser {
    #[sqlx(flatten)]
    workspace: Row,
    roles: Vec<String>,
}

#[derive(FromRow)]
struct MemberRow {
    #[sqlx(flatten)]
    user: user::Row,
    roles: Vec<String>,
    since: DateTime<Utc>,
    last_seen_at: Option<DateTime<Utc>>,
}

/// Gives a workspace another name to show.
///
/// # Errors
/// When the statement fails.
pub async fn rename(conn: &mut PgConnection, id: WorkspaceId, name: &str) -> Result<()> {
    sqlx::query("update workspaces set name = $2 where id = $1").bind(id).bind(name).execute(conn).await?;
    Ok(())
}

/// Makes a workspace with all that every workspace has: its default experiment, and the environments staging and
/// production with their first policies.
///
/// # Errors
/// [`Error::Duplicate`] when the slug is taken.
pub async fn insert(conn: &mut PgConnection, workspace: &Workspace) -> Result<()> {
    sqlx::query("insert into workspaces (id, slug, name, created_at) values ($1, $2, $3, $4)")
        .bind(workspace.id)
        .bind(&workspace.slug)
        .bind(&workspace.name)
        .bind(workspace.created_at)
        .execute(&mut *conn)
        .await?;
    // 0 is the number that MLflow's clients know; only one experiment can have it for its own.
    sqlx::query(
        "insert into experiments (id, workspace_id, name, is_default, creation_time, last_update_time)
         overriding system value
         values (case when $3 then 0 else nextval(pg_get_serial_sequence('experiments', 'id')) end,
             $1, 'Default', true, $2, $2)",
    )
    .bind(workspace.id)
    .bind(workspace.created_at.timestamp_millis())
    .bind(workspace.slug == DEFAULT_WORKSPACE)
    .execute(&mut *conn)
    .await?;
    for (position, name) in (1..).zip(["staging", domain::environment::PRODUCTION]) {
        let environment = EnvironmentId::new();
        let document = PolicyDocument::initial(name);
        let digest = domain::Digest::of_json(&document).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        let made = Environment {
            id: environment,
            workspace_id: workspace.id,
            name: name.to_owned(),
            tier: Tier::of_name(name),
            position,
            protected: true,
            wait_timer_s: 0,
            visible_to: None,
            archived_at: None,
        };
        crate::environment::insert(conn, &made).await?;
        sqlx::query(
            "insert into policies (id, workspace_id, name, revision, document, digest, created_by)
             values ($1, $2, $3, 1, $4, $5, 'Slipway')",
        )
        .bind(PolicyId::new())
        .bind(workspace.id)
        .bind(name)
        .bind(Json(document))
        .bind(digest)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The workspace of this slug.
///
/// # Errors
/// When the statement fails.
pub async fn by_slug(conn: &mut PgConnection, slug: &str) -> Result<Option<Workspace>> {
    let row: Option<Row> = sqlx::query_as("select id, slug, name, created_at from workspaces where slug = $1")
        .bind(slug)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Workspace::from))
}

/// The workspace of this id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, id: WorkspaceId) -> Result<Option<Workspace>> {
    let row: Option<Row> = sqlx::query_as("select id, slug, name, created_at from workspaces where id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(Workspace::from))
}

/// The workspace of this slug, with a user's roles there; none when it does not exist or they are no member.
///
/// # Errors
/// When the statement fails.
pub async fn membership(
    conn: &mut PgConnection,
    slug: &str,
    user: UserId,
) -> Result<Option<(Workspace, BTreeSet<Role>)>> {
    let row: Option<OfUser> = sqlx::query_as(
        "select w.id, w.slug, w.name, w.created_at, m.roles
         from workspaces w
         join members m on m.workspace_id = w.id and m.user_id = $2
         where w.slug = $1",
    )
    .bind(slug)
    .bind(user)
    .fetch_optional(conn)
    .await?;
    row.map(|row| Ok((row.workspace.into(), parse_roles(&row.roles)?))).transpose()
}

/// The workspaces that a user is a member of, by name, with the roles there.
///
/// # Errors
/// When the statement fails.
pub async fn of_user(conn: &mut PgConnection, user: UserId) -> Result<Vec<(Workspace, BTreeSet<Role>)>> {
    let rows: Vec<OfUser> = sqlx::query_as(
        "select w.id, w.slug, w.name, w.created_at, m.roles
         from members m
         join workspaces w on w.id = m.workspace_id
         where m.user_id = $1
         order by w.slug <> 'default', lower(w.name)",
    )
    .bind(user)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.workspace.into(), parse_roles(&row.roles)?))).collect()
}

/// The roles of a user in a workspace; empty when not a member.
///
/// # Errors
/// When the statement fails.
pub async fn roles(conn: &mut PgConnection, workspace: WorkspaceId, user: UserId) -> Result<BTreeSet<Role>> {
    let roles: Option<Vec<String>> =
        sqlx::query_scalar("select roles from members where workspace_id = $1 and user_id = $2")
            .bind(workspace)
            .bind(user)
            .fetch_optional(conn)
            .await?;
    parse_roles(&roles.unwrap_or_default())
}

/// The members of a workspace, by name.
///
/// # Errors
/// When the statement fails.
pub async fn members(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Member>> {
    let rows: Vec<MemberRow> = sqlx::query_as(
        "select u.id, u.email, u.name, u.is_service, u.created_at, m.roles, m.since, u.last_seen_at
         from members m
         join users u on u.id = m.user_id
         where m.workspace_id = $1
         order by lower(u.name), u.email",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Member {
                user: row.user.into(),
                roles: parse_roles(&row.roles)?,
                since: row.since,
                last_seen_at: row.last_seen_at,
            })
        })
        .collect()
}

/// Whether the user is an administrator of every workspace there is.
///
/// # Errors
/// When the statement fails.
pub async fn is_admin_of_all(conn: &mut PgConnection, user: UserId) -> Result<bool> {
    let is_admin = sqlx::query_scalar(
        "select not exists (
             select from workspaces w
             where not exists (
                 select from members m where m.workspace_id = w.id and m.user_id = $1 and 'admin' = any(m.roles)))",
    )
    .bind(user)
    .fetch_one(conn)
    .await?;
    Ok(is_admin)
}

/// Makes the user a member with exactly these roles, or changes a member's roles to them. Tells whether they were no
/// member before.
///
/// # Errors
/// When the statement fails.
pub async fn set_member(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    user: UserId,
    roles: &BTreeSet<Role>,
) -> Result<bool> {
    let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
    let is_new = sqlx::query_scalar(
        "insert into members (workspace_id, user_id, roles)
         values ($1, $2, $3)
         on conflict (workspace_id, user_id) do update set roles = excluded.roles
         returning xmax = 0",
    )
    .bind(workspace)
    .bind(user)
    .bind(roles)
    .fetch_one(conn)
    .await?;
    Ok(is_new)
}

/// Ends a membership. Tells whether there was one.
///
/// # Errors
/// When the statement fails.
pub async fn remove_member(conn: &mut PgConnection, workspace: WorkspaceId, user: UserId) -> Result<bool> {
    let removed = sqlx::query("delete from members where workspace_id = $1 and user_id = $2")
        .bind(workspace)
        .bind(user)
        .execute(conn)
        .await?;
    Ok(removed.rows_affected() > 0)
}

/// Locks the members of a workspace against other changes until the transaction ends: for rules that look at all of
/// them, such as "one admin stays".
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<()> {
    sqlx::query("select id from workspaces where id = $1 for no key update").bind(workspace).execute(conn).await?;
    Ok(())
}

pub(crate) fn parse_roles(names: &[String]) -> Result<BTreeSet<Role>> {
    names.iter().map(|name| name.parse().map_err(|_| Error::unknown("role", name))).collect()
}
