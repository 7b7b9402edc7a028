//! Files that come in parts. What the parts hold lies in the artifact store.

use crate::{
    Error, Result,
    artifact::{root_id, root_kind},
};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    artifact_path::ArtifactPath,
    artifact_root::{ArtifactOwner, ArtifactRoot},
    id::{ExperimentId, LoggedModelId, RunId, UploadId, UserId, WorkspaceId},
    upload::{Upload, UploadPart, UploadState},
};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

#[derive(FromRow)]
struct Row {
    id: UploadId,
    workspace_id: WorkspaceId,
    user_id: UserId,
    experiment_id: ExperimentId,
    root_id: Uuid,
    root_kind: String,
    path: String,
    parts: i32,
    state: String,
    expires_at: DateTime<Utc>,
}

impl TryFrom<Row> for Upload {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let owner = match row.root_kind.as_str() {
            "run" => ArtifactOwner::Run(RunId(row.root_id)),
            "logged_model" => ArtifactOwner::LoggedModel(LoggedModelId(row.root_id)),
            other => return Err(Error::unknown("sort of artifact root", other)),
        };
        Ok(Self {
            id: row.id,
            workspace_id: row.workspace_id,
            user_id: row.user_id,
            root: ArtifactRoot { experiment_id: row.experiment_id, owner },
            path: ArtifactPath::parse(&row.path).map_err(|_| Error::unknown("path", &row.path))?,
            parts: u32::try_from(row.parts).unwrap_or_default(),
            state: UploadState::parse(&row.state).ok_or_else(|| Error::unknown("state of an upload", &row.state))?,
            expires_at: row.expires_at,
        })
    }
}

/// Adds an upload. Whoever has the key may send its parts.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, upload: &Upload, key_hash: &[u8]) -> Result<()> {
    sqlx::query(
        "insert into uploads
             (id, workspace_id, user_id, experiment_id, root_id, root_kind, path, parts, key_hash, state, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(upload.id)
    .bind(upload.workspace_id)
    .bind(upload.user_id)
    .bind(upload.root.experiment_id)
    .bind(root_id(upload.root.owner))
    .bind(root_kind(upload.root.owner))
    .bind(upload.path.as_str())
    .bind(i32::try_from(upload.parts).unwrap_or(i32::MAX))
    .bind(key_hash)
    .bind(upload.state.as_str())
    .bind(upload.expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The upload whose key has this hash, while it has time left.
///
/// # Errors
/// When the statement fails.
pub async fn by_key(conn: &mut PgConnection, key_hash: &[u8]) -> Result<Option<Upload>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, user_id, experiment_id, root_id, root_kind, path, parts, state, expires_at
         from uploads
         where key_hash = $1 and expires_at > now()",
    )
    .bind(key_hash)
    .fetch_optional(conn)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// An upload that has time left.
///
/// # Errors
/// When the statement fails.
pub async fn get(conn: &mut PgConnection, id: UploadId) -> Result<Option<Upload>> {
    let row: Option<Row> = sqlx::query_as(
        "select id, workspace_id, user_id, experiment_id, root_id, root_kind, path, parts, state, expires_at
         from uploads
         where id = $1 and expires_at > now()",
    )
    .bind(id)
    .fetch_optional(conn)
    .await?;
    row.map(TryInto::try_into).transpose()
}

/// How far an upload is, which stays so until the transaction ends; none when there is none any more.
///
/// # Errors
/// When the statement fails.
pub async fn lock(conn: &mut PgConnection, id: UploadId) -> Result<Option<UploadState>> {
    let state: Option<String> =
        sqlx::query_scalar("select state from uploads where id = $1 and expires_at > now() for update")
            .bind(id)
            .fetch_optional(conn)
            .await?;
    state
        .map(|state| UploadState::parse(&state).ok_or_else(|| Error::unknown("state of an upload", &state)))
        .transpose()
}

/// Ends an upload in this state.
///
/// # Errors
/// When the statement fails.
pub async fn set_state(conn: &mut PgConnection, id: UploadId, state: UploadState) -> Result<()> {
    sqlx::query("update uploads set state = $2 where id = $1").bind(id).bind(state.as_str()).execute(conn).await?;
    Ok(())
}

/// The parts that are there, in order.
///
/// # Errors
/// When the statement fails.
pub async fn parts(conn: &mut PgConnection, id: UploadId) -> Result<Vec<UploadPart>> {
    let rows: Vec<(i32, Digest, i64)> =
        sqlx::query_as("select number, digest, size from upload_parts where upload_id = $1 order by number")
            .bind(id)
            .fetch_all(conn)
            .await?;
    let part = |(number, digest, size)| UploadPart {
        number: u32::try_from(number).unwrap_or_default(),
        digest,
        size: u64::try_from(size).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(part).collect())
}

/// How many bytes the other parts have.
///
/// # Errors
/// When the statement fails.
pub async fn size_without(conn: &mut PgConnection, id: UploadId, number: u32) -> Result<u64> {
    let size: i64 = sqlx::query_scalar(
        "select coalesce(sum(size), 0)::bigint from upload_parts where upload_id = $1 and number <> $2",
    )
    .bind(id)
    .bind(i32::try_from(number).unwrap_or(i32::MAX))
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(size).unwrap_or_default())
}

/// Says that this is the part from now on, and gives the one whose place it takes. The upload is locked.
///
/// # Errors
/// When the statement fails.
pub async fn put_part(conn: &mut PgConnection, id: UploadId, part: &UploadPart) -> Result<Option<Digest>> {
    Ok(sqlx::query_scalar(
        "with before as (
             select digest from upload_parts where upload_id = $1 and number = $2
         ),
         put as (
             insert into upload_parts (upload_id, number, digest, size)
             values ($1, $2, $3, $4)
             on conflict (upload_id, number) do update
             set digest = excluded.digest, size = excluded.size
         )
         select digest from before",
    )
    .bind(id)
    .bind(i32::try_from(part.number).unwrap_or(i32::MAX))
    .bind(&part.digest)
    .bind(i64::try_from(part.size).unwrap_or(i64::MAX))
    .fetch_optional(conn)
    .await?)
}

/// Some uploads whose time is over, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn expired(conn: &mut PgConnection, limit: i64) -> Result<Vec<UploadId>> {
    Ok(sqlx::query_scalar("select id from uploads where expires_at <= now() order by expires_at limit $1")
        .bind(limit)
        .fetch_all(conn)
        .await?)
}

/// Waits for whoever notes a part of an upload whose time is over by now. Until the transaction ends nobody else does.
///
/// # Errors
/// When the statement fails.
pub async fn hold_expired(conn: &mut PgConnection, id: UploadId) -> Result<()> {
    sqlx::query("select id from uploads where id = $1 and expires_at <= now() for update")
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets an upload and its parts.
///
/// # Errors
/// When the statement fails.
pub async fn delete(conn: &mut PgConnection, id: UploadId) -> Result<()> {
    sqlx::query("delete from uploads where id = $1").bind(id).execute(conn).await?;
    Ok(())
}
