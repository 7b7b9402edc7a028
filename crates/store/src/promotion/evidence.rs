//! What people and machines say of a version besides what its run logged. Rows are only ever added.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::{EvidenceId, PromotionId, UserId},
    promotion::Uploaded,
};
use sqlx::{FromRow, PgConnection};

#[derive(FromRow)]
struct Row {
    id: EvidenceId,
    name: String,
    content: serde_json::Value,
    digest: Digest,
    uploaded_by: Option<UserId>,
    uploader: String,
    at: DateTime<Utc>,
}

/// The last evidence of each name of a promotion, in order of name.
///
/// # Errors
/// When the statement fails.
pub async fn evidence(conn: &mut PgConnection, promotion: PromotionId) -> Result<Vec<Uploaded>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select distinct on (name) id, name, content, digest, uploaded_by, uploader, at
         from evidence
         where promotion_id = $1
         order by name, id desc",
    )
    .bind(promotion)
    .fetch_all(conn)
    .await?;
    let uploaded = |row: Row| Uploaded {
        id: row.id,
        name: row.name,
        content: row.content,
        digest: row.digest,
        uploaded_by: row.uploaded_by,
        uploader: row.uploader,
        at: row.at,
    };
    Ok(rows.into_iter().map(uploaded).collect())
}

/// Adds evidence; of several of one name the last counts.
///
/// # Errors
/// When the statement fails.
pub async fn insert_evidence(conn: &mut PgConnection, promotion: PromotionId, uploaded: &Uploaded) -> Result<()> {
    sqlx::query(
        "insert into evidence (id, promotion_id, name, content, digest, uploaded_by, uploader, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(uploaded.id)
    .bind(promotion)
    .bind(&uploaded.name)
    .bind(&uploaded.content)
    .bind(&uploaded.digest)
    .bind(uploaded.uploaded_by)
    .bind(&uploaded.uploader)
    .bind(uploaded.at)
    .execute(conn)
    .await?;
    Ok(())
}
