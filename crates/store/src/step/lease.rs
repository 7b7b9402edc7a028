//! Who holds a step, and until when. Times are the database's own: `clock_timestamp()`, which goes on within a
//! transaction.
//!
//! A step that runs has a *fence*, a number greater than all before it. Whatever a worker says of a step counts only
//! with the fence that it got when it took the step, so that a worker that was given up cannot change anything.

use crate::Result;
use chrono::{DateTime, Utc};
use domain::{
    id::{PipelineRunId, StepAttemptId, StepId},
    pipeline_run::{AttemptOutcome, StepState},
    step::StepOutput,
};
use sqlx::{FromRow, PgConnection, types::Json};
use std::time::Duration;

/// A lease that was renewed.
#[derive(Debug, Clone, Copy, FromRow)]
pub struct Renewed {
    /// Which.
    pub fence: i64,
    /// Whether somebody asked to cancel the run.
    pub cancelling: bool,
}

/// Renews these leases (step, fence) for so long from now. Those that the answer leaves out are lost.
///
/// # Errors
/// When the statement fails.
pub async fn renew(conn: &mut PgConnection, held: &[(StepId, i64)], ttl: Duration) -> Result<Vec<Renewed>> {
    let (steps, fences): (Vec<_>, Vec<_>) = held.iter().map(|(step, fence)| (step.0, *fence)).unzip();
    let renewed = sqlx::query_as(
        "update steps s
         set lease_until = clock_timestamp() + make_interval(secs => $3)
         from unnest($1::uuid[], $2::bigint[]) as held (id, fence), pipeline_runs r
         where s.id = held.id
             and s.fence = held.fence
             and s.state = 'running'
             and s.lease_until > clock_timestamp()
             and r.id = s.run_id
         returning s.fence, r.cancel_requested_at is not null and not s.finally as cancelling",
    )
    .bind(steps)
    .bind(fences)
    .bind(ttl.as_secs_f64())
    .fetch_all(conn)
    .await?;
    Ok(renewed)
}

/// A step that runs, as far as its end needs it.
#[derive(Debug, Clone, FromRow)]
pub struct Running {
    /// Tries that failed.
    pub failures: i32,
    /// Tries that were lost with their worker.
    pub losses: i32,
    /// Which workers may run it.
    pub pool: String,
    /// Where it runs.
    pub executor: String,
    /// Where it stands in the file.
    pub place: Vec<String>,
    /// Whether it runs when all others have ended.
    pub finally: bool,
    /// Whether it holds places of limits.
    pub has_places: bool,
    /// Whether it was noted what it is run with, so that what it gives can be used again.
    pub is_kept: bool,
    /// Whether it has graphics processors.
    pub has_gpus: bool,
    /// Whether its lease ended so long ago that its worker may be given up.
    pub expired: bool,
}

/// The step, locked, if it runs with this fence. Lock its run before.
///
/// # Errors
/// When the statement fails.
pub async fn running(conn: &mut PgConnection, step: StepId, fence: i64, grace: Duration) -> Result<Option<Running>> {
    let row = sqlx::query_as(
        "select failures, losses, pool, executor, place, finally, cache_key is not null as is_kept, gpus > 0 as has_gpus,
             exists (select from limit_holds h where h.fence = s.fence) as has_places,
             lease_until < clock_timestamp() - make_interval(secs => $3) as expired
         from steps s
         where id = $1 and fence = $2 and state = 'running'
         for no key update of s",
    )
    .bind(step)
    .bind(fence)
    .bind(grace.as_secs_f64())
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// Where a step goes when a worker lets go of it.
#[derive(Debug)]
pub struct Released<'a> {
    /// Where to.
    pub state: StepState,
    /// Why, when that needs a word.
    pub reason: &'a str,
    /// Tries that failed, with this one.
    pub failures: i32,
    /// Tries that were lost with their worker, with this one.
    pub losses: i32,
    /// When it may be taken again, when it is ready.
    pub wait: Duration,
    /// What it gives on.
    pub outputs: &'a [StepOutput],
}

/// How a try ended, and where.
#[derive(Debug)]
pub struct AttemptEnded<'a> {
    /// How.
    pub outcome: AttemptOutcome,
    /// Why, when that needs a word.
    pub reason: &'a str,
    /// The command's exit status, when it had one.
    pub exit_code: Option<i32>,
    /// When its process began, when there was one.
    pub spawned_at: Option<DateTime<Utc>>,
    /// `process`, `docker` or `kubernetes`; none when it was not run.
    pub executor: Option<&'a str>,
    /// The image, by digest.
    pub image: Option<&'a str>,
    /// What kept it from the rest of the machine.
    pub sandbox: Option<&'a str>,
    /// The most memory that it had at once, in bytes.
    pub peak_memory_bytes: Option<i64>,
}

/// Ends the hold on a step, and the try with it: notes how, and revokes its token. Tells whether it was held with this fence;
/// otherwise nothing is changed.
///
/// # Errors
/// When the statement fails.
pub async fn release(
    conn: &mut PgConnection,
    step: StepId,
    fence: i64,
    released: &Released<'_>,
    ended: &AttemptEnded<'_>,
) -> Result<bool> {
    let was_held = sqlx::query_scalar(
        "with released as (
             update steps
             set state = $3,
                 reason = $4,
                 failures = $5,
                 losses = $6,
                 next_at = clock_timestamp() + make_interval(secs => $7),
                 outputs = $8,
                 ended_at = case when $9 then clock_timestamp() end,
                 lease_owner = null,
                 lease_until = null,
                 fence = null
             where id = $1 and fence = $2 and state = 'running'
             returning id
         ), ended as (
             update step_attempts a
             set outcome = $10,
                 reason = $11,
                 exit_code = $12,
                 spawned_at = $13,
                 executor = $14,
                 image = $15,
                 sandbox = $16,
                 peak_memory_bytes = $17,
                 ended_at = clock_timestamp()
             from released
             where a.step_id = released.id and a.fence = $2 and a.outcome = 'running'
             returning a.token_id
         ), revoked as (
             update tokens t
             set revoked_at = now()
             from ended
             where t.id = ended.token_id and t.revoked_at is null
         )
         select exists (select from released)",
    )
    .bind(step)
    .bind(fence)
    .bind(released.state.as_str())
    .bind(released.reason)
    .bind(released.failures)
    .bind(released.losses)
    .bind(released.wait.as_secs_f64())
    .bind(Json(released.outputs))
    .bind(released.state.is_final())
    .bind(ended.outcome.as_str())
    .bind(ended.reason)
    .bind(ended.exit_code)
    .bind(ended.spawned_at)
    .bind(ended.executor)
    .bind(ended.image)
    .bind(ended.sandbox)
    .bind(ended.peak_memory_bytes)
    .fetch_one(conn)
    .await?;
    Ok(was_held)
}

/// Puts a step back that was taken and must not begin yet: it is ready again, waits for what `key` names, and the try was
/// none. Tells whether it was held with this fence.
///
/// # Errors
/// When the statement fails.
pub async fn put_back(conn: &mut PgConnection, step: StepId, fence: i64, key: &str) -> Result<bool> {
    let put_back: bool = sqlx::query_scalar(
        "with back as (
             update steps
             set state = 'ready',
                 attempts = attempts - 1,
                 blocked_by = $3,
                 next_at = clock_timestamp(),
                 started_at = case when attempts > 1 then started_at end,
                 lease_owner = null,
                 lease_until = null,
                 fence = null
             where id = $1 and fence = $2 and state = 'running'
             returning id
         ), no_try as (
             delete from step_attempts a
             using back
             where a.step_id = back.id and a.fence = $2
         )
         select exists (select from back)",
    )
    .bind(step)
    .bind(fence)
    .bind(key)
    .fetch_one(conn)
    .await?;
    Ok(put_back)
}

/// A step that somebody holds.
#[derive(Debug, Clone, FromRow)]
pub struct Lease {
    /// The step.
    pub step_id: StepId,
    /// Its run.
    pub run_id: PipelineRunId,
    /// The try that runs.
    pub attempt_id: StepAttemptId,
    /// Its fence.
    pub fence: i64,
}

/// Up to `limit` leases that ended longer ago than `grace`, the oldest first.
///
/// # Errors
/// When the statement fails.
pub async fn expired(conn: &mut PgConnection, grace: Duration, limit: i64) -> Result<Vec<Lease>> {
    let leases = sqlx::query_as(
        "select s.id as step_id, s.run_id, a.id as attempt_id, s.fence
         from steps s
         join step_attempts a on a.fence = s.fence
         where s.state = 'running' and s.kind = 'command' and s.lease_until < clock_timestamp() - make_interval(secs => $1)
         order by s.lease_until
         limit $2",
    )
    .bind(grace.as_secs_f64())
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(leases)
}

/// Whoever holds steps.
///
/// # Errors
/// When the statement fails.
pub async fn owners(conn: &mut PgConnection) -> Result<Vec<String>> {
    let owners =
        sqlx::query_scalar("select distinct lease_owner from steps where state = 'running' and kind = 'command'")
            .fetch_all(conn)
            .await?;
    Ok(owners)
}

/// What a worker holds, except with these fences.
///
/// # Errors
/// When the statement fails.
pub async fn of_owner(conn: &mut PgConnection, worker: &str, except: &[i64]) -> Result<Vec<Lease>> {
    let leases = sqlx::query_as(
        "select s.id as step_id, s.run_id, a.id as attempt_id, s.fence
         from steps s
         join step_attempts a on a.fence = s.fence
         where s.state = 'running' and s.lease_owner = $1 and s.fence <> all($2)
         order by s.fence",
    )
    .bind(worker)
    .bind(except)
    .fetch_all(conn)
    .await?;
    Ok(leases)
}
