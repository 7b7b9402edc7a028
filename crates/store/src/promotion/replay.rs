//! The replay of a promotion: who asked for it, who is at it, and what it found.

use crate::{Error, Result};
use chrono::{DateTime, Utc};
use domain::{
    Digest,
    id::PromotionId,
    promotion::{PromotionReplay, Replay, ReplayAbout, ReplayExample, ReplayState},
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::time::Duration;

#[derive(FromRow)]
struct Row {
    wanted: i32,
    state: String,
    reason: String,
    asked_at: DateTime<Utc>,
    asker: Option<String>,
    model_digest: Option<Digest>,
    champion: Option<i32>,
    first_at: Option<DateTime<Utc>>,
    last_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    found: Option<Json<Replay>>,
    examples: Json<Vec<ReplayExample>>,
}

impl TryFrom<Row> for PromotionReplay {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let (champion, first_at, last_at) = (row.champion, row.first_at, row.last_at);
        let about = |model_digest| ReplayAbout { model_digest, champion, first_at, last_at };
        Ok(Self {
            state: ReplayState::parse(&row.state).ok_or_else(|| Error::unknown("replay state", &row.state))?,
            reason: row.reason,
            wanted: u32::try_from(row.wanted).unwrap_or_default(),
            asked_at: row.asked_at,
            asker: row.asker,
            about: row.model_digest.map(about),
            ended_at: row.ended_at,
            found: row.found.map(|found| found.0),
            examples: row.examples.0,
        })
    }
}

/// A replay that a worker has taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct TakenReplay {
    /// Of which promotion.
    pub promotion_id: PromotionId,
    /// Which asking: what an earlier one finds is dropped.
    pub round: i32,
    /// How many of the last decisions.
    pub wanted: i32,
    /// How often it was begun, with this time.
    pub tries: i32,
}

/// How a replay ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedReplay {
    /// Not `Waiting`.
    pub state: ReplayState,
    /// Why, in a sentence, when it is not done.
    pub reason: String,
    /// What it is about; none when that is no more.
    pub about: Option<ReplayAbout>,
    /// What was found, when it is done, and rows that flip.
    pub found: Option<(Replay, Vec<ReplayExample>)>,
}

/// The last replay of a promotion; none when it was never asked for.
///
/// # Errors
/// When the statement fails, or the row cannot be read.
pub async fn replay(conn: &mut PgConnection, promotion: PromotionId) -> Result<Option<PromotionReplay>> {
    let row: Option<Row> = sqlx::query_as(
        "select wanted, state, reason, asked_at, asker, model_digest, champion, first_at, last_at, ended_at, found, examples
         from replays
         where promotion_id = $1",
    )
    .bind(promotion)
    .fetch_optional(conn)
    .await?;
    row.map(PromotionReplay::try_from).transpose()
}

/// Asks for a replay, in place of the last one. Nobody else asks for it at the same time: the promotion is locked. Tells which
/// asking it is.
///
/// # Errors
/// When the statement fails.
pub async fn ask_replay(
    conn: &mut PgConnection,
    promotion: PromotionId,
    wanted: u32,
    asker: Option<&str>,
) -> Result<i32> {
    let round = sqlx::query_scalar(
        "insert into replays (promotion_id, wanted, state, asker)
         values ($1, $2, 'waiting', $3)
         on conflict (promotion_id) do update
         set round = replays.round + 1, wanted = excluded.wanted, state = 'waiting', reason = '', asked_at = now(),
             asker = excluded.asker, held_until = null, tries = 0, model_digest = null, champion = null, first_at = null,
             last_at = null, ended_at = null, found = null, examples = '[]', examples_from = null
         returning round",
    )
    .bind(promotion)
    .bind(i32::try_from(wanted).unwrap_or(i32::MAX))
    .bind(asker)
    .fetch_one(conn)
    .await?;
    Ok(round)
}

/// Takes up the replay that waits longest, of a promotion that is open, so that nobody else does for a while: whoever dies
/// over it leaves it to the next one.
///
/// # Errors
/// When the statement fails.
pub async fn take_replay(conn: &mut PgConnection, lease: Duration) -> Result<Option<TakenReplay>> {
    let taken = sqlx::query_as(concat!(
        "update replays
         set held_until = now() + make_interval(secs => $1), tries = tries + 1
         where promotion_id = (
             select r.promotion_id
             from replays r
             join promotions p on p.id = r.promotion_id
             where r.state = 'waiting'
               and (r.held_until is null or r.held_until <= now())
               and p.state in ",
        crate::open_promotion_states!(),
        "    order by r.asked_at
             limit 1
             for update of r skip locked
         )
         returning promotion_id, round, wanted, tries"
    ))
    .bind(lease.as_secs_f64())
    .fetch_optional(conn)
    .await?;
    Ok(taken)
}

/// Lays a replay aside for a while, because it cannot be done here and now. That is not counted as a try.
///
/// # Errors
/// When the statement fails.
pub async fn rest_replay(conn: &mut PgConnection, taken: &TakenReplay, pause: Duration, reason: &str) -> Result<()> {
    sqlx::query(
        "update replays
         set held_until = now() + make_interval(secs => $3), tries = tries - 1, reason = $4
         where promotion_id = $1 and round = $2 and state = 'waiting'",
    )
    .bind(taken.promotion_id)
    .bind(taken.round)
    .bind(pause.as_secs_f64())
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a replay, unless it was asked for again since or has ended. Tells whether it did.
///
/// # Errors
/// When the statement fails.
pub async fn end_replay(
    conn: &mut PgConnection,
    promotion: PromotionId,
    round: i32,
    ended: &EndedReplay,
) -> Result<bool> {
    let (found, examples) = ended.found.as_ref().map(|(found, examples)| (found, examples.as_slice())).unzip();
    let (examples, about) = (examples.unwrap_or_default(), ended.about.as_ref());
    let done = sqlx::query(
        "update replays
         set state = $3, reason = $4, model_digest = $5, champion = $6, first_at = $7, last_at = $8, ended_at = now(),
             found = $9, examples = $10, examples_from = $11, held_until = null
         where promotion_id = $1 and round = $2 and state = 'waiting'",
    )
    .bind(promotion)
    .bind(round)
    .bind(ended.state.as_str())
    .bind(&ended.reason)
    .bind(about.map(|about| &about.model_digest))
    .bind(about.and_then(|about| about.champion))
    .bind(about.and_then(|about| about.first_at))
    .bind(about.and_then(|about| about.last_at))
    .bind(found.map(Json))
    .bind(Json(examples))
    .bind(examples.iter().map(|example| example.at).min())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Ends what waits to be replayed of promotions that have ended. Tells how many.
///
/// # Errors
/// When the statement fails.
pub async fn end_replays_of_ended(conn: &mut PgConnection, reason: &str) -> Result<u64> {
    let ended = sqlx::query(concat!(
        "update replays
         set state = 'nothing', reason = $1, ended_at = now(), held_until = null
         where promotion_id in (
             select r.promotion_id
             from replays r
             join promotions p on p.id = r.promotion_id
             where r.state = 'waiting' and p.state not in ",
        crate::open_promotion_states!(),
        "    for update of r skip locked
         )"
    ))
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(ended.rows_affected())
}

/// Deletes the examples of up to `limit` replays of which one shows a prediction that was made before a moment. Tells of how
/// many.
///
/// # Errors
/// When the statement fails.
pub async fn delete_examples_before(conn: &mut PgConnection, before: DateTime<Utc>, limit: i64) -> Result<u64> {
    let deleted = sqlx::query(
        "update replays
         set examples = '[]', examples_from = null
         where promotion_id in (select promotion_id from replays where examples_from < $1 limit $2)",
    )
    .bind(before)
    .bind(limit)
    .execute(conn)
    .await?;
    Ok(deleted.rows_affected())
}
