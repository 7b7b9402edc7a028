//! What people are written: an outbox. Times are the database's own, and a worker holds a message under a lease and a fence
//! as it does a delivery of a webhook.

use crate::{Error, Result, webhook::delivery::parse_state};
use chrono::{DateTime, Utc};
use domain::{
    id::{MailId, PromotionId, StepId, UserId, WorkspaceId},
    mail::{Letter, Mail, MailKind},
    webhook::DeliveryState,
};
use sqlx::{FromRow, PgConnection};
use std::{collections::BTreeSet, time::Duration};

/// Says that a worker sends messages: they are written from now on.
///
/// # Errors
/// When the statement fails.
pub async fn offer(conn: &mut PgConnection) -> Result<()> {
    sqlx::query(
        "insert into mail_sending (seen_at)
         values (now())
         on conflict (is_one) do update set seen_at = now()",
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether some worker said within a day that it sends messages.
///
/// # Errors
/// When the statement fails.
pub async fn is_sent(conn: &mut PgConnection) -> Result<bool> {
    let is_sent =
        sqlx::query_scalar("select exists (select from mail_sending where seen_at > now() - interval '1 day')")
            .fetch_one(conn)
            .await?;
    Ok(is_sent)
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A promotion.
    Promotion(PromotionId),
    /// A step that asks people.
    Step(StepId),
}

/// Writes a message to each of these people who gets such messages and was not written this one already. Tells how many.
///
/// # Errors
/// When the statement fails.
pub async fn insert(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    about: About,
    people: &BTreeSet<UserId>,
    letter: &Letter,
) -> Result<u64> {
    let (promotion, step) = match about {
        About::Promotion(id) => (Some(id), None),
        About::Step(id) => (None, Some(id)),
    };
    let ids: Vec<MailId> = people.iter().map(|_| MailId::new()).collect();
    let people: Vec<UserId> = people.iter().copied().collect();
    let written = sqlx::query(
        "insert into mails (id, workspace_id, promotion_id, step_id, user_id, kind, moment, subject, body, fragment)
         select new.id, $3, $4, $5, new.user_id, $6, $7, $8, $9, $10
         from unnest($1::uuid[], $2::uuid[]) as new (id, user_id)
         where case when $5::uuid is null
                    then gets_mail(new.user_id, $4, $6)
                    else gets_mail_of_step(new.user_id, $5, $6) end
         on conflict do nothing",
    )
    .bind(ids)
    .bind(people)
    .bind(workspace)
    .bind(promotion)
    .bind(step)
    .bind(letter.kind.as_str())
    .bind(&letter.moment)
    .bind(&letter.subject)
    .bind(&letter.body)
    .bind(&letter.fragment)
    .execute(conn)
    .await?;
    Ok(written.rows_affected())
}

/// A message that a worker has taken, with all that is needed to send it.
#[derive(Debug, Clone, FromRow)]
pub struct Taken {
    /// The message.
    pub id: MailId,
    /// The promotion or step that it is about: the messages on one belong together.
    pub thread: uuid::Uuid,
    /// The promotion's number, when it is about one.
    pub promotion: Option<i64>,
    /// The run's number, when it is about a step.
    pub run: Option<i64>,
    /// The step's name, when it is about one.
    pub step: Option<String>,
    /// The slug of its workspace.
    pub slug: String,
    /// The person's address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// One line.
    pub subject: String,
    /// What happened.
    pub body: String,
    /// Where on the page of what it is about.
    pub fragment: String,
    /// Whether they still get such messages.
    pub is_wanted: bool,
    /// How often it was tried, this try among them.
    pub attempts: i32,
    /// What to say with everything about it.
    pub fence: i64,
}

/// Takes a message for so long: the one of all that may be sent now that has waited longest. Of many workers that ask at
/// once, each gets another.
///
/// # Errors
/// When the statement fails. It may have been carried out all the same, when the answer was lost.
pub async fn take(conn: &mut PgConnection, lease: Duration) -> Result<Option<Taken>> {
    let taken = sqlx::query_as(
        "with next as (
             select id
             from mails
             where state in ('waiting', 'sending') and next_at <= now()
             order by next_at
             limit 1
             for update skip locked
         ), taken as (
             update mails m
             set state = 'sending',
                 attempts = m.attempts + 1,
                 fence = nextval('fences'),
                 next_at = clock_timestamp() + make_interval(secs => $1)
             from next
             where m.id = next.id
             returning m.*
         )
         select t.id, coalesce(t.promotion_id, t.step_id) as thread, p.number as promotion, r.number as run,
             s.name as step, w.slug, u.email, u.name, t.subject, t.body, t.fragment, t.attempts, t.fence,
             case when t.step_id is null
                  then gets_mail(t.user_id, t.promotion_id, t.kind)
                  else gets_mail_of_step(t.user_id, t.step_id, t.kind) end as is_wanted
         from taken t
         left join promotions p on p.id = t.promotion_id
         left join steps s on s.id = t.step_id
         left join pipeline_runs r on r.id = s.run_id
         join workspaces w on w.id = t.workspace_id
         join users u on u.id = t.user_id",
    )
    .bind(lease.as_secs_f64())
    .fetch_optional(conn)
    .await?;
    Ok(taken)
}

/// Notes where a message stands after a try, why, and how long to wait before another. Tells whether it was still this
/// worker's.
///
/// # Errors
/// When the statement fails.
pub async fn end(
    conn: &mut PgConnection,
    taken: &Taken,
    state: DeliveryState,
    error: &str,
    pause: Duration,
) -> Result<bool> {
    let ended = sqlx::query(
        "update mails
         set state = $3,
             error = $4,
             next_at = clock_timestamp() + make_interval(secs => $5),
             ended_at = case when $3 = 'waiting' then null else clock_timestamp() end
         where id = $1 and fence = $2 and state = 'sending'",
    )
    .bind(taken.id)
    .bind(taken.fence)
    .bind(state.as_str())
    .bind(error)
    .bind(pause.as_secs_f64())
    .execute(conn)
    .await?;
    Ok(ended.rows_affected() > 0)
}

/// How long until the next message may be taken, should one wait for its time or for the end of a lease.
///
/// # Errors
/// When the statement fails.
pub async fn next_due(conn: &mut PgConnection) -> Result<Option<Duration>> {
    let seconds: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from min(next_at) - clock_timestamp())::float8
         from mails
         where state in ('waiting', 'sending')",
    )
    .fetch_one(conn)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

/// Gives up what was written before a moment and that nobody sent, as no worker sends messages any more. Tells how much.
///
/// # Errors
/// When the statement fails.
pub async fn give_up_before(conn: &mut PgConnection, before: DateTime<Utc>) -> Result<u64> {
    let given_up = sqlx::query(
        "update mails
         set state = 'failed', ended_at = clock_timestamp(),
             error = case when error = '' then 'No worker that sends messages took it in time.' else error end
         where state in ('waiting', 'sending') and next_at < clock_timestamp() and created_at < $1",
    )
    .bind(before)
    .execute(conn)
    .await?;
    Ok(given_up.rows_affected())
}

#[derive(FromRow)]
struct Row {
    id: MailId,
    user_id: UserId,
    user_name: String,
    promotion: Option<i64>,
    run: Option<i64>,
    kind: String,
    subject: String,
    state: String,
    attempts: i32,
    created_at: DateTime<Utc>,
    next_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    error: String,
}

impl TryFrom<Row> for Mail {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let state = parse_state(&row.state)?;
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            user: row.user_name,
            promotion_number: row.promotion,
            run_number: row.run,
            kind: parse_kind(&row.kind)?,
            subject: row.subject,
            state,
            attempts: row.attempts,
            created_at: row.created_at,
            next_at: (state == DeliveryState::Waiting).then_some(row.next_at),
            ended_at: row.ended_at,
            error: row.error,
        })
    }
}

fn parse_kind(text: &str) -> Result<MailKind> {
    text.parse().map_err(|_| Error::unknown("kind of message", text))
}

/// Up to `limit` messages to people of a workspace, newest first; those before `before`.
///
/// # Errors
/// When the statement fails.
pub async fn list(
    conn: &mut PgConnection,
    workspace: WorkspaceId,
    before: Option<MailId>,
    limit: i64,
) -> Result<Vec<Mail>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select m.id, m.user_id, u.name as user_name, p.number as promotion, r.number as run, m.kind, m.subject, m.state, m.attempts, m.created_at,
             m.next_at, m.ended_at, m.error
         from mails m
         join users u on u.id = m.user_id
         left join promotions p on p.id = m.promotion_id
         left join steps s on s.id = m.step_id
         left join pipeline_runs r on r.id = s.run_id
         where m.workspace_id = $1 and ($2::uuid is null or m.id < $2)
         order by m.id desc
         limit $3",
    )
    .bind(workspace)
    .bind(before)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Mail::try_from).collect()
}

/// The kinds of messages that somebody turned off.
///
/// # Errors
/// When the statement fails.
pub async fn off(conn: &mut PgConnection, user: UserId) -> Result<BTreeSet<MailKind>> {
    let off: Vec<String> =
        sqlx::query_scalar("select mail_off from users where id = $1").bind(user).fetch_one(conn).await?;
    off.iter().map(|kind| parse_kind(kind)).collect()
}

/// The same, which nobody else changes until the transaction ends.
///
/// # Errors
/// When a statement fails.
pub async fn lock_off(conn: &mut PgConnection, user: UserId) -> Result<BTreeSet<MailKind>> {
    sqlx::query("select from users where id = $1 for no key update").bind(user).execute(&mut *conn).await?;
    off(conn, user).await
}

/// Turns exactly these kinds of messages off for somebody.
///
/// # Errors
/// When the statement fails.
pub async fn set_off(conn: &mut PgConnection, user: UserId, off: &BTreeSet<MailKind>) -> Result<()> {
    let off: Vec<&str> = off.iter().map(|kind| kind.as_str()).collect();
    sqlx::query("update users set mail_off = $2 where id = $1").bind(user).bind(off).execute(conn).await?;
    Ok(())
}

/// Deletes up to `limit` messages that ended, from before a moment. Tells how many.
///
/// # Errors
/// When the statement fails.
pub async fn delete_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    // Ids begin with the milliseconds of their time.
    let milliseconds = u128::try_from(before.timestamp_millis()).unwrap_or(0);
    let deleted = sqlx::query(
        "delete from mails
         where id in (select id from mails where id < $1 and ended_at is not null order by id limit $2)",
    )
    .bind(MailId(uuid::Uuid::from_u128(milliseconds << 80)))
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
