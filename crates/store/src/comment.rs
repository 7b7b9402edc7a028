//! Comments on runs, model versions and promotions.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    comment::{Comment, Subject},
    id::{CommentId, ModelVersionId, PromotionId, RunId, UserId, WorkspaceId},
};
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

#[derive(FromRow)]
struct Row {
    id: CommentId,
    author_id: UserId,
    author_name: String,
    body: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for Comment {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            author_id: row.author_id,
            author: row.author_name,
            text: row.body,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

fn columns(subject: Subject) -> (&'static str, Uuid) {
    match subject {
        Subject::Run(id) => ("run", id.0),
        Subject::ModelVersion(id) => ("model_version", id.0),
        Subject::Promotion(id) => ("promotion", id.0),
    }
}

/// Adds a comment.
///
/// # Errors
/// When the statement fails.
pub async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    subject: Subject,
    comment: &Comment,
) -> Result<()> {
    let (kind, id) = columns(subject);
    sqlx::query(
        "insert into comments
             (id, workspace_id, object_kind, object_id, author_id, author_name, body, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(comment.id)
    .bind(workspace)
    .bind(kind)
    .bind(id)
    .bind(comment.author_id)
    .bind(&comment.author)
    .bind(&comment.text)
    .bind(comment.created_at)
    .bind(comment.updated_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// The comments on something, oldest first, from a place on.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    subject: Subject,
    after: Option<CommentId>,
    limit: i64,
) -> Result<Vec<Comment>> {
    let (kind, id) = columns(subject);
    let rows: Vec<Row> = sqlx::query_as(
        "select id, author_id, author_name, body, created_at, updated_at
         from comments
         where workspace_id = $1 and object_kind = $2 and object_id = $3 and deleted_at is null
             and ($4::uuid is null or id > $4)
         order by id
         limit $5",
    )
    .bind(workspace)
    .bind(kind)
    .bind(id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// How many comments something has.
///
/// # Errors
/// When the statement fails.
pub async fn count(conn: &mut PgConnection, workspace: WorkspaceId, subject: Subject) -> Result<i64> {
    let (kind, id) = columns(subject);
    Ok(sqlx::query_scalar(
        "select count(*)
         from comments
         where workspace_id = $1 and object_kind = $2 and object_id = $3 and deleted_at is null",
    )
    .bind(workspace)
    .bind(kind)
    .bind(id)
    .fetch_one(conn)
    .await?)
}

/// A comment of the workspace and what it is about, held until the transaction ends; none when it is deleted.
///
/// # Errors
/// When the statement fails.
pub async fn lock(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    id: CommentId,
) -> Result<Option<(Comment, Subject)>> {
    #[derive(FromRow)]
    struct About {
        #[sqlx(flatten)]
        comment: Row,
        object_kind: String,
        object_id: Uuid,
    }
    let found: Option<About> = sqlx::query_as(
        "select id, author_id, author_name, body, created_at, updated_at, object_kind, object_id
         from comments
         where workspace_id = $1 and id = $2 and deleted_at is null
         for update",
    )
    .bind(workspace)
    .bind(id)
    .fetch_optional(conn)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let subject = match found.object_kind.as_str() {
        "run" => Subject::Run(RunId(found.object_id)),
        "model_version" => Subject::ModelVersion(ModelVersionId(found.object_id)),
        "promotion" => Subject::Promotion(PromotionId(found.object_id)),
        other => return Err(Error::unknown("subject of a comment", other)),
    };
    Ok(Some((found.comment.into(), subject)))
}

/// Gives a comment another text.
///
/// # Errors
/// When the statement fails.
pub async fn update(conn: &mut PgConnection, comment: &Comment) -> Result<()> {
    sqlx::query("update comments set body = $2, updated_at = $3 where id = $1")
        .bind(comment.id)
        .bind(&comment.text)
        .bind(comment.updated_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that a comment on a promotion, as it reads since a moment, mentions exactly these people. Whoever was mentioned in
/// it before keeps the time of that.
///
/// # Errors
/// When a statement fails.
pub async fn set_mentioned(
    conn: &mut PgConnection,
    id: CommentId,
    promotion: PromotionId,
    people: &BTreeSet<UserId>,
    at: DateTime<Utc>,
) -> Result<()> {
    let people: Vec<UserId> = people.iter().copied().collect();
    sqlx::query("delete from mentions where comment_id = $1 and user_id <> all($2)")
        .bind(id)
        .bind(&people)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "insert into mentions (comment_id, user_id, promotion_id, mentioned_at)
         select $1, user_id, $3, $4 from unnest($2::uuid[]) as m (user_id)
         on conflict (comment_id, user_id) do nothing",
    )
    .bind(id)
    .bind(&people)
    .bind(promotion)
    .bind(at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes a comment: that there was one stays, and what it said does not, nor whom it mentioned.
///
/// # Errors
/// When a statement fails.
pub async fn delete(conn: &mut PgConnection, id: CommentId) -> Result<()> {
    sqlx::query("delete from mentions where comment_id = $1").bind(id).execute(&mut *conn).await?;
    sqlx::query("update comments set body = '', deleted_at = now() where id = $1").bind(id).execute(conn).await?;
    Ok(())
}
