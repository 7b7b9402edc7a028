//! What is sent to webhooks: an outbox. Times are the database's own.
//!
//! A worker that takes a delivery gets a lease and a *fence*, a number greater than all before it. What it says of the
//! delivery counts only under that fence. When the lease has ended, anybody may take the delivery.

use super::parse_event;
use crate::{Error, Result, secret_key::Kept};
use chrono::{DateTime, Utc};
use domain::{
    id::{DeliveryId, WebhookId},
    webhook::{Delivery, DeliveryState, WebhookEvent},
};
use sqlx::{FromRow, PgConnection};
use std::time::Duration;

/// Writes what is to be sent to each of these webhooks.
///
/// # Errors
/// When the statement fails.
pub async fn insert(conn: &mut PgConnection, webhooks: &[WebhookId], event: WebhookEvent, body: &str) -> Result<()> {
    let ids: Vec<DeliveryId> = webhooks.iter().map(|_| DeliveryId::new()).collect();
    sqlx::query(
        "insert into webhook_deliveries (id, webhook_id, event, body)
         select id, webhook_id, $3, $4
         from unnest($1::uuid[], $2::uuid[]) as new (id, webhook_id)",
    )
    .bind(ids)
    .bind(webhooks)
    .bind(event.as_str())
    .bind(body)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes that what was sent is to be sent again to the same webhook, as a delivery of its own. None when the webhook has
/// no such delivery.
///
/// # Errors
/// When the statement fails.
pub async fn repeat(conn: &mut PgConnection, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>> {
    let row: Option<Row> = sqlx::query_as(
        "insert into webhook_deliveries (id, webhook_id, event, body, redelivery_of)
         select $1, webhook_id, event, body, id
         from webhook_deliveries
         where id = $2 and webhook_id = $3
         returning id, webhook_id, event, state, attempts, created_at, next_at, ended_at, response_status,
             response_excerpt, error, redelivery_of",
    )
    .bind(DeliveryId::new())
    .bind(id)
    .bind(webhook)
    .fetch_optional(conn)
    .await?;
    row.map(Delivery::try_from).transpose()
}

/// A delivery that a worker has taken, with all that is needed to send it.
#[derive(Debug, Clone, FromRow)]
pub struct Taken {
    /// The delivery.
    pub id: DeliveryId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// The webhook's name.
    pub webhook: String,
    /// Where it goes.
    pub url: String,
    /// What it is signed with.
    #[sqlx(flatten)]
    pub secret: Kept,
    /// What is posted.
    pub body: String,
    /// How often it was tried, this try among them.
    pub attempts: i32,
    /// What to say with everything about it.
    pub fence: i64,
}

/// Takes a delivery for so long: the one of all that may be sent now that has waited longest. A webhook that has `at_once`
/// under way is passed over, so that one that never answers holds up no other. One statement: of many workers that ask at
/// once, each gets another. They do not count each other's, so a webhook may have as many more as ask together; to hold
/// the webhook for that would have workers wait for whatever is just being told.
///
/// # Errors
/// When the statement fails. It may have been carried out all the same, when the answer was lost.
pub async fn take(conn: &mut PgConnection, lease: Duration, at_once: i64) -> Result<Option<Taken>> {
    let taken = sqlx::query_as(
        // Webhook by webhook, so that each is read in the order of its index.
        "with next as (
             select first.id
             from webhooks w,
                 lateral (
                  select d.id, d.next_at
                  from webhook_deliveries d
                  where d.webhook_id = w.id and d.state in ('waiting', 'sending') and d.next_at <= now()
                  order by d.next_at
                  limit 1
                  for update skip locked) as first
             where w.status = 'ACTIVE'
               and w.deleted_at is null
               and $2 > (
                   select count(*)
                   from webhook_deliveries s
                   where s.webhook_id = w.id and s.state = 'sending' and s.next_at > now())
             order by first.next_at
             limit 1
         ), taken as (
             update webhook_deliveries d
             set state = 'sending',
                 attempts = d.attempts + 1,
                 fence = nextval('fences'),
                 next_at = clock_timestamp() + make_interval(secs => $1)
             from next
             where d.id = next.id
             returning d.id, d.webhook_id, d.body, d.attempts, d.fence
         )
         select t.id, t.webhook_id, w.name as webhook, w.url, w.secret, w.key_id, w.sealed, t.body, t.attempts, t.fence
         from taken t
         join webhooks w on w.id = t.webhook_id",
    )
    .bind(lease.as_secs_f64())
    .bind(at_once)
    .fetch_optional(conn)
    .await?;
    Ok(taken)
}

/// How a try ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// Where the delivery stands then: `Waiting` for another try.
    pub state: DeliveryState,
    /// The status of the answer, when one came.
    pub response_status: Option<i32>,
    /// The beginning of the answer.
    pub response_excerpt: &'a str,
    /// Why it did not succeed.
    pub error: &'a str,
    /// How long to wait before another try.
    pub pause: Duration,
}

/// Notes how a try ended. One that would be tried again is dropped when its webhook is not told anything any more. Answers
/// with where the delivery stands; none when it is somebody else's by now.
///
/// # Errors
/// When the statement fails.
pub async fn end(conn: &mut PgConnection, taken: &Taken, ended: &Ended<'_>) -> Result<Option<DeliveryState>> {
    let state: Option<String> = sqlx::query_scalar(
        // The webhook is held, so that whoever disables it at this moment sees what this leaves.
        "with webhook as (
             select status = 'ACTIVE' and deleted_at is null as is_told
             from webhooks
             where id = $7
             for share
         )
         update webhook_deliveries d
         set state = case when $3 = 'waiting' and not webhook.is_told then 'dropped' else $3 end,
             response_status = $4,
             response_excerpt = $8,
             error = $5,
             next_at = clock_timestamp() + make_interval(secs => $6),
             ended_at = case when $3 = 'waiting' and webhook.is_told then null else clock_timestamp() end
         from webhook
         where d.id = $1 and d.fence = $2 and d.state = 'sending'
         returning d.state",
    )
    .bind(taken.id)
    .bind(taken.fence)
    .bind(ended.state.as_str())
    .bind(ended.response_status)
    .bind(ended.error)
    .bind(ended.pause.as_secs_f64())
    .bind(taken.webhook_id)
    .bind(ended.response_excerpt)
    .fetch_optional(conn)
    .await?;
    state.map(|state| parse_state(&state)).transpose()
}

/// How long until the next delivery may be taken, should one wait for its time or for the end of a lease.
///
/// # Errors
/// When the statement fails.
pub async fn next_due(conn: &mut PgConnection) -> Result<Option<Duration>> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from min(first.next_at) - clock_timestamp())::float8
         from webhooks w,
             lateral (
              select d.next_at
              from webhook_deliveries d
              where d.webhook_id = w.id and d.state in ('waiting', 'sending')
              order by d.next_at
              limit 1) as first
         where w.status = 'ACTIVE' and w.deleted_at is null",
    )
    .fetch_one(conn)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

/// Drops what waits to be sent to a webhook, for this reason. Tells how much.
///
/// # Errors
/// When the statement fails.
pub async fn drop_waiting(conn: &mut PgConnection, webhook: WebhookId, why: &str) -> Result<u64> {
    let dropped = sqlx::query(
        "update webhook_deliveries
         set state = 'dropped', error = $2, ended_at = clock_timestamp()
         where webhook_id = $1 and state = 'waiting'",
    )
    .bind(webhook)
    .bind(why)
    .execute(conn)
    .await?;
    Ok(dropped.rows_affected())
}

/// Drops what a worker was sending when it was lost, to webhooks that are not told anything any more. Tells how much.
///
/// # Errors
/// When the statement fails.
pub async fn drop_lost(conn: &mut PgConnection) -> Result<u64> {
    let dropped = sqlx::query(
        "update webhook_deliveries d
         set state = 'dropped', error = 'The webhook was disabled or deleted.', ended_at = clock_timestamp()
         from webhooks w
         where w.id = d.webhook_id
           and (w.status <> 'ACTIVE' or w.deleted_at is not null)
           and d.state in ('waiting', 'sending')
           and d.next_at < clock_timestamp()",
    )
    .execute(conn)
    .await?;
    Ok(dropped.rows_affected())
}

#[derive(FromRow)]
struct Row {
    id: DeliveryId,
    webhook_id: WebhookId,
    event: String,
    state: String,
    attempts: i32,
    created_at: DateTime<Utc>,
    next_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    response_status: Option<i32>,
    response_excerpt: String,
    error: String,
    redelivery_of: Option<DeliveryId>,
}

impl TryFrom<Row> for Delivery {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let state = parse_state(&row.state)?;
        Ok(Self {
            id: row.id,
            webhook_id: row.webhook_id,
            event: parse_event(&row.event)?,
            state,
            attempts: row.attempts,
            created_at: row.created_at,
            next_at: (state == DeliveryState::Waiting).then_some(row.next_at),
            ended_at: row.ended_at,
            response_status: row.response_status,
            response_excerpt: row.response_excerpt,
            error: row.error,
            redelivery_of: row.redelivery_of,
        })
    }
}

pub(crate) fn parse_state(text: &str) -> Result<DeliveryState> {
    DeliveryState::parse(text).ok_or_else(|| Error::unknown("delivery state", text))
}

/// Up to `limit` deliveries of a webhook, newest first; those before `before`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    webhook: WebhookId,
    before: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, webhook_id, event, state, attempts, created_at, next_at, ended_at, response_status,
             response_excerpt, error, redelivery_of
         from webhook_deliveries
         where webhook_id = $1 and ($2::uuid is null or id < $2)
         order by id desc
         limit $3",
    )
    .bind(webhook)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// The last delivery of each of these webhooks that has any.
///
/// # Errors
/// When the statement fails.
pub async fn last_of_each(conn: &mut PgConnection, webhooks: &[WebhookId]) -> Result<Vec<Delivery>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select last.id, last.webhook_id, last.event, last.state, last.attempts, last.created_at, last.next_at,
             last.ended_at, last.response_status, last.response_excerpt, last.error, last.redelivery_of
         from unnest($1::uuid[]) as webhooks (id),
             lateral (
              select *
              from webhook_deliveries d
              where d.webhook_id = webhooks.id
              order by d.id desc
              limit 1) as last",
    )
    .bind(webhooks)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Delivery::try_from).collect()
}

/// Deletes up to `limit` deliveries that ended, of events before a moment. Tells how many.
///
/// # Errors
/// When the statement fails.
pub async fn delete_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    // Ids begin with the milliseconds of their time, so the primary key finds the oldest without another index.
    let milliseconds = u128::try_from(before.timestamp_millis()).unwrap_or(0);
    let deleted = sqlx::query(
        "delete from webhook_deliveries
         where id in (
             select id from webhook_deliveries where id < $1 and ended_at is not null order by id limit $2)",
    )
    .bind(DeliveryId(uuid::Uuid::from_u128(milliseconds << 80)))
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
