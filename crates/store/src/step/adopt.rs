//! Going on with a try whose worker is gone, because what runs of it is not.

use super::claim::Claimed;
use crate::Result;
use domain::{
    id::{StepAttemptId, StepId},
    pipeline_run::MAX_LOSSES,
};
use sqlx::PgConnection;
use std::time::Duration;

/// Takes a step over from the one who holds it with this fence: the same try, under a new fence. What the other still says
/// does not count from then on. Counted as a loss, so that a try which takes its workers down is not gone on with for ever;
/// then none. `owner` names the worker for ever, `label` for people.
///
/// # Errors
/// When the statement fails.
pub async fn take_over(
    conn: &mut PgConnection,
    step: StepId,
    fence: i64,
    owner: &str,
    label: &str,
    ttl: Duration,
) -> Result<Option<Claimed>> {
    let taken = sqlx::query_as(
        "with taken as (
             update steps
             set fence = nextval('fences'),
                 losses = losses + 1,
                 lease_owner = $3,
                 lease_until = clock_timestamp() + make_interval(secs => $5)
             where id = $1 and fence = $2 and state = 'running' and losses < $6
             returning id, run_id, name, attempts, fence
         ), attempt as (
             update step_attempts a
             set fence = taken.fence, worker = $4
             from taken
             where a.fence = $2
             returning a.id, a.gpus
         ), holds as (
             -- Places of limits are held under the fence.
             update limit_holds h
             set fence = taken.fence
             from taken
             where h.fence = $2
         )
         select taken.id as step_id, taken.run_id, taken.name, attempt.id as attempt_id, taken.attempts as number,
             taken.fence, attempt.gpus
         from taken, attempt",
    )
    .bind(step)
    .bind(fence)
    .bind(owner)
    .bind(label)
    .bind(ttl.as_secs_f64())
    .bind(i32::try_from(MAX_LOSSES).unwrap_or(i32::MAX))
    .fetch_optional(conn)
    .await?;
    Ok(taken)
}

/// Those of these tries that run.
///
/// # Errors
/// When the statement fails.
pub async fn running_of(conn: &mut PgConnection, attempts: &[StepAttemptId]) -> Result<Vec<StepAttemptId>> {
    let attempts: Vec<_> = attempts.iter().map(|attempt| attempt.0).collect();
    let running = sqlx::query_scalar("select id from step_attempts where id = any($1) and outcome = 'running'")
        .bind(attempts)
        .fetch_all(conn)
        .await?;
    Ok(running)
}
