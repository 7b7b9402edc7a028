//! Secrets of workspaces, as they are encrypted, and which try got which.

use crate::{Result, secret_key::Sealed};
use chrono::{DateTime, Utc};
use domain::{
    id::{PipelineRunId, SecretId, StepAttemptId, WorkspaceId},
    secret::Secret,
};
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeMap;

#[derive(FromRow)]
struct Row {
    name: String,
    version: i32,
    created_at: DateTime<Utc>,
    created_by: String,
    updated_at: DateTime<Utc>,
    updated_by: String,
    last_used_at: Option<DateTime<Utc>>,
}

impl From<Row> for Secret {
    fn from(row: Row) -> Self {
        Self {
            name: row.name,
            version: row.version,
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
            last_used_at: row.last_used_at,
        }
    }
}

/// A secret with its encrypted value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The secret's id.
    pub id: SecretId,
    /// Where it lives.
    pub workspace_id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: i32,
    /// The value of that version.
    pub sealed: Sealed,
}

#[derive(FromRow)]
struct SealedRow {
    id: SecretId,
    workspace_id: WorkspaceId,
    name: String,
    version: i32,
    key_id: String,
    sealed: Vec<u8>,
}

impl From<SealedRow> for SealedSecret {
    fn from(row: SealedRow) -> Self {
        Self {
            id: row.id,
            workspace_id: row.workspace_id,
            name: row.name,
            version: row.version,
            sealed: Sealed { key_id: row.key_id, bytes: row.sealed },
        }
    }
}

/// All secrets of a workspace, by name. There are a few hundred at most.
///
/// # Errors
/// When the statement fails.
pub async fn list(conn: &mut PgConnection, workspace: WorkspaceId) -> Result<Vec<Secret>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select name, version, created_at, created_by, updated_at, updated_by, last_used_at
         from secrets
         where workspace_id = $1
         order by name",
    )
    .bind(workspace)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Secret::from).collect())
}

/// The secret of this name.
///
/// # Errors
/// When the statement fails.
pub async fn by_name(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<Secret>> {
    let row: Option<Row> = sqlx::query_as(
        "select name, version, created_at, created_by, updated_at, updated_by, last_used_at
         from secrets
         where workspace_id = $1 and name = $2",
    )
    .bind(workspace)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Secret::from))
}

/// Adds a secret with its first value.
///
/// # Errors
/// [`crate::Error::Duplicate`] of `secrets_workspace_id_name_key` when there is one of this name.
pub async fn insert(conn: &mut PgConnection, new: &SealedSecret, at: DateTime<Utc>, by: &str) -> Result<()> {
    sqlx::query(
        "insert into secrets (id, workspace_id, name, version, key_id, sealed, created_at, created_by, updated_at, updated_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $7, $8)",
    )
    .bind(new.id)
    .bind(new.workspace_id)
    .bind(&new.name)
    .bind(new.version)
    .bind(&new.sealed.key_id)
    .bind(&new.sealed.bytes)
    .bind(at)
    .bind(by)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives a secret another value.
///
/// # Errors
/// When the statement fails.
pub async fn update(conn: &mut PgConnection, new: &SealedSecret, at: DateTime<Utc>, by: &str) -> Result<()> {
    sqlx::query(
        "update secrets
         set version = $2, key_id = $3, sealed = $4, updated_at = $5, updated_by = $6
         where id = $1",
    )
    .bind(new.id)
    .bind(new.version)
    .bind(&new.sealed.key_id)
    .bind(&new.sealed.bytes)
    .bind(at)
    .bind(by)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a secret with its value.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: SecretId) -> Result<()> {
    sqlx::query("delete from secrets where id = $1").bind(id).execute(conn).await?;
    Ok(())
}

/// The encrypted value of the secret of this name, which nobody else changes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, workspace: WorkspaceId, name: &str) -> Result<Option<SealedSecret>> {
    let row: Option<SealedRow> = sqlx::query_as(
        "select id, workspace_id, name, version, key_id, sealed
         from secrets
         where workspace_id = $1 and name = $2
         for no key update",
    )
    .bind(workspace)
    .bind(name)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(SealedSecret::from))
}

/// The versions of those of these secrets that a workspace has, by name.
///
/// # Errors
/// When the statement fails.
pub async fn versions(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    names: &[&str],
) -> Result<BTreeMap<String, i32>> {
    let rows: Vec<(String, i32)> =
        sqlx::query_as("select name, version from secrets where workspace_id = $1 and name = any($2)")
            .bind(workspace)
            .bind(names)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}

/// Those of these secrets that there are in the workspace of a run.
///
/// # Errors
/// When the statement fails.
pub async fn of_run(conn: &mut PgConnection, run: PipelineRunId, names: &[&str]) -> Result<Vec<SealedSecret>> {
    let rows: Vec<SealedRow> = sqlx::query_as(
        "select s.id, s.workspace_id, s.name, s.version, s.key_id, s.sealed
         from pipeline_runs r
         join secrets s on s.workspace_id = r.workspace_id
         where r.id = $1 and s.name = any($2)",
    )
    .bind(run)
    .bind(names)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(SealedSecret::from).collect())
}

/// Notes that a try gets these values: name and version. When a secret was used is noted once a minute, so that many steps
/// that begin at once do not wait for each other.
///
/// # Errors
/// When a statement fails.
pub async fn note_used(conn: &mut PgConnection, attempt: StepAttemptId, used: &[SealedSecret]) -> Result<()> {
    let (names, versions): (Vec<&str>, Vec<i32>) =
        used.iter().map(|secret| (secret.name.as_str(), secret.version)).unzip();
    sqlx::query(
        "insert into step_secrets (attempt_id, name, version)
         select $1, name, version
         from unnest($2::text[], $3::integer[]) as used (name, version)
         on conflict (attempt_id, name) do update set version = excluded.version",
    )
    .bind(attempt)
    .bind(names)
    .bind(versions)
    .execute(&mut *conn)
    .await?;
    let ids: Vec<SecretId> = used.iter().map(|secret| secret.id).collect();
    sqlx::query(
        "update secrets
         set last_used_at = now()
         where id in (
             select id
             from secrets
             where id = any($1) and (last_used_at is null or last_used_at < now() - interval '1 minute')
             for no key update skip locked)",
    )
    .bind(ids)
    .execute(conn)
    .await?;
    Ok(())
}

/// Which secrets a try got: name to version.
///
/// # Errors
/// When the statement fails.
pub async fn used_by(conn: &mut PgConnection, attempt: StepAttemptId) -> Result<BTreeMap<String, i32>> {
    let rows: Vec<(String, i32)> = sqlx::query_as("select name, version from step_secrets where attempt_id = $1")
        .bind(attempt)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Up to `limit` secrets that another key than this encrypts, after this id, held until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn under_other_keys(
    conn: &mut PgConnection,
    key: &str,
    after: Option<SecretId>,
    limit: i64,
) -> Result<Vec<SealedSecret>> {
    let rows: Vec<SealedRow> = sqlx::query_as(
        "select id, workspace_id, name, version, key_id, sealed
         from secrets
         where key_id <> $1 and ($2::uuid is null or id > $2)
         order by id
         limit $3
         for no key update",
    )
    .bind(key)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(SealedSecret::from).collect())
}

/// Keeps the same value under another key.
///
/// # Errors
/// When the statement fails.
pub async fn reseal(conn: &mut PgConnection, id: SecretId, sealed: &Sealed) -> Result<()> {
    sqlx::query("update secrets set key_id = $2, sealed = $3 where id = $1")
        .bind(id)
        .bind(&sealed.key_id)
        .bind(&sealed.bytes)
        .execute(conn)
        .await?;
    Ok(())
}
