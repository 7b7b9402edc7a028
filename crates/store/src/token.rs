//! API tokens. Only the SHA-256 of a secret is stored.

use crate::{Error, Result, user, workspace::parse_roles};
use chrono::{DateTime, Utc};
use domain::{
    id::{TokenId, UserId, WorkspaceId},
    permission::{Role, Scope},
    user::{Token, User, Workspace},
};
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeSet;

/// A token to be stored.
#[derive(Debug)]
pub struct NewToken<'a> {
    /// The token.
    pub id: TokenId,
    /// Where it works when a request names no workspace.
    pub workspace_id: WorkspaceId,
    /// What its owner calls it.
    pub name: &'a str,
    /// SHA-256 of the secret.
    pub hash: &'a [u8],
    /// The first characters of the secret.
    pub prefix: &'a str,
    /// What it may be used for.
    pub scope: Scope,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// Who a token speaks for.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The token.
    pub token_id: TokenId,
    /// Its owner.
    pub user: User,
    /// What it may be used for.
    pub scope: Scope,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// The workspace that was asked for, or that the token works in when none was, and the owner's roles there; none when
    /// it does not exist or the owner is no member, which are the same to them.
    pub place: Option<(Workspace, BTreeSet<Role>)>,
}

#[derive(FromRow)]
struct Row {
    id: TokenId,
    name: String,
    prefix: String,
    scope: String,
    workspace: String,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
}

/// Adds a token of a user.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, user: UserId, token: &NewToken<'_>) -> Result<()> {
    sqlx::query(
        "insert into tokens (id, user_id, workspace_id, name, hash, prefix, scope, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(token.id)
    .bind(user)
    .bind(token.workspace_id)
    .bind(token.name)
    .bind(token.hash)
    .bind(token.prefix)
    .bind(token.scope.as_str())
    .bind(token.expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Who the token of this hash speaks for, and what they are in the workspace of this slug; none when there is no such
/// token, or it ended or was revoked. Notes the use, at most once a minute.
///
/// # Errors
/// When the statement fails.
pub async fn bearer(conn: &mut PgConnection, hash: &[u8], slug: Option<&str>) -> Result<Option<Bearer>> {
    #[derive(FromRow)]
    struct BearerRow {
        token_id: TokenId,
        scope: String,
        expires_at: DateTime<Utc>,
        stale: bool,
        workspace_id: WorkspaceId,
        slug: String,
        workspace_name: String,
        workspace_created_at: DateTime<Utc>,
        roles: Option<Vec<String>>,
        #[sqlx(flatten)]
        user: user::Row,
    }
    let row: Option<BearerRow> = sqlx::query_as(
        "select t.id as token_id, t.scope, t.expires_at,
             coalesce(t.last_used_at < now() - interval '1 minute', true) as stale,
             u.id, u.email, u.name, u.is_service, u.created_at,
             w.id as workspace_id, w.slug, w.name as workspace_name, w.created_at as workspace_created_at, m.roles
         from tokens t
         join users u on u.id = t.user_id
         join workspaces w on w.id = coalesce((select id from workspaces where slug = $2), t.workspace_id)
         left join members m on m.workspace_id = w.id and m.user_id = u.id and ($2 is null or w.slug = $2)
         where t.hash = $1 and t.revoked_at is null and t.expires_at > now()",
    )
    .bind(hash)
    .bind(slug)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let user = User::from(row.user);
    if row.stale {
        sqlx::query("update tokens set last_used_at = now() where id = $1")
            .bind(row.token_id)
            .execute(&mut *conn)
            .await?;
        crate::user::seen(conn, user.id).await?;
    }
    let scope = row.scope.parse().map_err(|_| Error::unknown("scope", &row.scope))?;
    let workspace = Workspace {
        id: row.workspace_id,
        slug: row.slug,
        name: row.workspace_name,
        created_at: row.workspace_created_at,
    };
    let place = row.roles.map(|roles| Ok::<_, Error>((workspace, parse_roles(&roles)?))).transpose()?;
    Ok(Some(Bearer { token_id: row.token_id, user, scope, expires_at: row.expires_at, place }))
}

/// When a token ends by itself; none when it does not work any more. It cannot be revoked before the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn ends_at(conn: &mut PgConnection, id: TokenId) -> Result<Option<DateTime<Utc>>> {
    let ends_at = sqlx::query_scalar(
        "select expires_at
         from tokens
         where id = $1 and revoked_at is null and expires_at > now()
         for share",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    Ok(ends_at)
}

/// A user's tokens that still work, newest first.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, user: UserId) -> Result<Vec<Token>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select t.id, t.name, t.prefix, t.scope, w.slug as workspace, t.created_at, t.expires_at, t.last_used_at
         from tokens t
         join workspaces w on w.id = t.workspace_id
         where t.user_id = $1 and t.revoked_at is null and t.expires_at > now()
         order by t.id desc",
    )
    .bind(user)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Token {
                id: row.id,
                name: row.name,
                prefix: row.prefix,
                scope: row.scope.parse().map_err(|_| Error::unknown("scope", &row.scope))?,
                workspace: row.workspace,
                created_at: row.created_at,
                expires_at: row.expires_at,
                last_used_at: row.last_used_at,
            })
        })
        .collect()
}

/// Revokes a user's token. Answers with its workspace and name, or none when the user has no such token that works.
///
/// # Errors
/// When the statement fails.
pub async fn revoke(conn: &mut PgConnection, user: UserId, id: TokenId) -> Result<Option<(WorkspaceId, String)>> {
    let revoked = sqlx::query_as(
        "update tokens
         set revoked_at = now()
         where id = $1 and user_id = $2 and revoked_at is null
         returning workspace_id, name",
    )
    .bind(id)
    .bind(user)
    .fetch_optional(conn)
    .await?;
    Ok(revoked)
}

/// Deletes up to `limit` tokens that expired or were revoked before a moment. A step's try forgets which one it had. Tells
/// how many.
///
/// # Errors
/// When the statement fails.
pub async fn delete_ended_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let deleted = sqlx::query(
        "with ended as (
             select id
             from tokens
             where least(revoked_at, expires_at) < $1
             limit $2
         ),
         forgotten as (
             update step_attempts set token_id = null where token_id in (select id from ended)
         )
         delete from tokens where id in (select id from ended)",
    )
    .bind(before)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
