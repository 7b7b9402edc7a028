//! Break-glass: gates or a freeze that two people set aside, and the review that follows.

use crate::{Error, Result, environment::push_seen};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    environment::Sight,
    id::{OverrideId, PromotionId, UserId, WorkspaceId},
    promotion::{Override, OverrideKind},
};
use sqlx::{FromRow, PgConnection, QueryBuilder};

#[derive(FromRow)]
struct Row {
    id: OverrideId,
    promotion_number: i64,
    kind: String,
    reason: String,
    subject_digest: Digest,
    opened_by: UserId,
    opener: String,
    opened_at: DateTime<Utc>,
    confirmed_by: Option<UserId>,
    confirmer: Option<String>,
    confirmed_at: Option<DateTime<Utc>>,
    review_due_at: Option<DateTime<Utc>>,
    reviewer: Option<String>,
    review: Option<String>,
    reviewed_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Override {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            promotion_number: row.promotion_number,
            kind: OverrideKind::parse(&row.kind).ok_or_else(|| Error::unknown("sort of override", &row.kind))?,
            reason: row.reason,
            subject_digest: row.subject_digest,
            opened_by: row.opened_by,
            opener: row.opener,
            opened_at: row.opened_at,
            confirmed_by: row.confirmed_by,
            confirmer: row.confirmer,
            confirmed_at: row.confirmed_at,
            review_due_at: row.review_due_at,
            reviewer: row.reviewer,
            review: row.review,
            reviewed_at: row.reviewed_at,
        })
    }
}

fn selected() -> QueryBuilder<sqlx::Postgres> {
    QueryBuilder::new(
        "select o.id, p.number as promotion_number, o.kind, o.reason, o.subject_digest, o.opened_by, o.opener,
             o.opened_at, o.confirmed_by, o.confirmer, o.confirmed_at, o.review_due_at, o.reviewer, o.review, o.reviewed_at
         from overrides o
         join promotions p on p.id = o.promotion_id",
    )
}

/// The overrides of a promotion, oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn overrides(conn: &mut PgConnection, promotion: PromotionId) -> Result<Vec<Override>> {
    let mut query = selected();
    query.push(" where o.promotion_id = ").push_bind(promotion).push(" order by o.id");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Override::try_from).collect()
}

/// The overrides that somebody sees whose review nobody has closed, the most urgent first.
///
/// # Errors
/// When the statement fails.
pub async fn unreviewed(conn: &mut PgConnection, sight: &Sight) -> Result<Vec<Override>> {
    let mut query = selected();
    query.push(" join environments e on e.id = p.environment_id");
    push_seen(&mut query, "o", sight);
    query.push(" and o.confirmed_at is not null and o.reviewed_at is null order by o.review_due_at limit 100");
    let rows: Vec<Row> = query.build_query_as().fetch_all(conn).await?;
    rows.into_iter().map(Override::try_from).collect()
}

/// Adds an override that somebody asks for.
///
/// # Errors
/// [`Error::Duplicate`] of `overrides_one` when the same is asked for already.
pub async fn insert_override(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    promotion: PromotionId,
    new: &Override,
) -> Result<()> {
    sqlx::query(
        "insert into overrides
             (id, workspace_id, promotion_id, kind, reason, subject_digest, opened_by, opener, opened_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(new.id)
    .bind(workspace)
    .bind(promotion)
    .bind(new.kind.as_str())
    .bind(&new.reason)
    .bind(&new.subject_digest)
    .bind(new.opened_by)
    .bind(&new.opener)
    .bind(new.opened_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes who confirmed an override, and by when it is to be reviewed. Tells whether nobody had.
///
/// # Errors
/// When the statement fails.
pub async fn set_confirmed(
    conn: &mut PgConnection,
    id: OverrideId,
    by: (UserId, &str),
    review_due_at: DateTime<Utc>,
) -> Result<bool> {
    let changed = sqlx::query(
        "update overrides
         set confirmed_by = $2, confirmer = $3, confirmed_at = clock_timestamp(), review_due_at = $4
         where id = $1 and confirmed_at is null and opened_by <> $2",
    )
    .bind(id)
    .bind(by.0)
    .bind(by.1)
    .bind(review_due_at)
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Closes the review of an override. Tells whether it was open.
///
/// # Errors
/// When the statement fails.
pub async fn set_reviewed(conn: &mut PgConnection, id: OverrideId, by: (UserId, &str), review: &str) -> Result<bool> {
    let changed = sqlx::query(
        "update overrides
         set reviewed_by = $2, reviewer = $3, review = $4, reviewed_at = clock_timestamp()
         where id = $1 and confirmed_at is not null and reviewed_at is null",
    )
    .bind(id)
    .bind(by.0)
    .bind(by.1)
    .bind(review)
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// Overdue reviews that nobody was reminded of since `since`; notes that they are reminded now.
///
/// # Errors
/// When the statement fails.
pub async fn take_overdue(conn: &mut PgConnection, since: DateTime<Utc>, limit: i64) -> Result<Vec<OverrideId>> {
    let ids = sqlx::query_scalar(
        "update overrides
         set reminded_at = clock_timestamp()
         where id in (
             select id
             from overrides
             where confirmed_at is not null and reviewed_at is null and review_due_at < clock_timestamp()
               and coalesce(reminded_at < $1, true)
             order by review_due_at
             limit $2
             for update skip locked
         )
         returning id",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(ids)
}

/// The override of this id and the promotion that it is for.
///
/// # Errors
/// When the statement fails.
pub async fn override_by_id(conn: &mut PgConnection, id: OverrideId) -> Result<Option<(PromotionId, Override)>> {
    let promotion: Option<PromotionId> = sqlx::query_scalar("select promotion_id from overrides where id = $1")
        .bind(id)
        .fetch_optional(&mut *conn)
        .await?;
    let Some(promotion) = promotion else { return Ok(None) };
    let found = overrides(conn, promotion).await?.into_iter().find(|one| one.id == id);
    Ok(found.map(|one| (promotion, one)))
}
