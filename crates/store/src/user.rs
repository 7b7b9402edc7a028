//! Users, and links that sign one of them in once.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::UserId,
    user::{DEFAULT_WORKSPACE, Email, User},
};
use sqlx::{FromRow, PgConnection};

#[derive(FromRow)]
pub(crate) struct Row {
    id: UserId,
    email: Email,
    name: String,
    is_service: bool,
    created_at: DateTime<Utc>,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self { id: row.id, email: row.email, name: row.name, is_service: row.is_service, created_at: row.created_at }
    }
}

/// Adds a user. `password_hash` is argon2id in PHC form.
///
/// # Errors
/// [`crate::Error::Duplicate`] when the address is taken.
pub async fn insert(conn: &mut PgConnection, user: &User, password_hash: Option<&str>) -> Result<()> {
    sqlx::query(
        "insert into users (id, email, name, password_hash, is_service, created_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(user.id)
    .bind(&user.email)
    .bind(&user.name)
    .bind(password_hash)
    .bind(user.is_service)
    .bind(user.created_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The user of this id.
///
/// # Errors
/// When the statement fails.
pub async fn by_id(conn: &mut PgConnection, id: UserId) -> Result<Option<User>> {
    let row: Option<Row> = sqlx::query_as("select id, email, name, is_service, created_at from users where id = $1")
        .bind(id)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(User::from))
}

/// The user of this address, with the password's hash when there is one.
///
/// # Errors
/// When the statement fails.
pub async fn by_email(conn: &mut PgConnection, email: &Email) -> Result<Option<(User, Option<String>)>> {
    #[derive(FromRow)]
    struct WithHash {
        #[sqlx(flatten)]
        user: Row,
        password_hash: Option<String>,
    }
    let row: Option<WithHash> = sqlx::query_as(
        "select id, email, name, is_service, created_at, password_hash
         from users
         where email = $1",
    )
    .bind(email)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.user.into(), row.password_hash)))
}

/// Sets the password's hash.
///
/// # Errors
/// When the statement fails.
pub async fn set_password(conn: &mut PgConnection, id: UserId, password_hash: &str) -> Result<()> {
    sqlx::query("update users set password_hash = $2 where id = $1").bind(id).bind(password_hash).execute(conn).await?;
    Ok(())
}

/// Notes that the user was here, at most once a minute.
///
/// # Errors
/// When the statement fails.
pub async fn seen(conn: &mut PgConnection, id: UserId) -> Result<()> {
    sqlx::query(
        "update users
         set last_seen_at = now()
         where id = $1 and (last_seen_at is null or last_seen_at < now() - interval '1 minute')",
    )
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether some person can sign in with a password and administers the default workspace.
///
/// # Errors
/// When the statement fails.
pub async fn any_administrator(conn: &mut PgConnection) -> Result<bool> {
    let is_any = sqlx::query_scalar(
        "select exists (
             select from users u
             join members m on m.user_id = u.id and 'admin' = any(m.roles)
             join workspaces w on w.id = m.workspace_id and w.slug = $1
             where u.password_hash is not null
         )",
    )
    .bind(DEFAULT_WORKSPACE)
    .fetch_one(conn)
    .await?;
    Ok(is_any)
}

/// Adds a link that sets up the installation, once, until it expires. It takes the place of the one before.
///
/// # Errors
/// When the statement fails.
pub async fn insert_link(conn: &mut PgConnection, hash: &[u8], expires_at: DateTime<Utc>) -> Result<()> {
    sqlx::query("delete from sign_in_links").execute(&mut *conn).await?;
    sqlx::query("insert into sign_in_links (hash, expires_at) values ($1, $2)")
        .bind(hash)
        .bind(expires_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether a link can still be used.
///
/// # Errors
/// When the statement fails.
pub async fn is_link(conn: &mut PgConnection, hash: &[u8]) -> Result<bool> {
    let is_one = sqlx::query_scalar(
        "select exists (select from sign_in_links where hash = $1 and used_at is null and expires_at > now())",
    )
    .bind(hash)
    .fetch_one(conn)
    .await?;
    Ok(is_one)
}

/// Uses a link up. Tells whether it could still be used: of two at once, one is told so.
///
/// # Errors
/// When the statement fails.
pub async fn use_link(conn: &mut PgConnection, hash: &[u8]) -> Result<bool> {
    let used = sqlx::query(
        "update sign_in_links
         set used_at = now()
         where hash = $1 and used_at is null and expires_at > now()",
    )
    .bind(hash)
    .execute(conn)
    .await?;
    Ok(used.rows_affected() == 1)
}
