//! Taking a step: which is next, and to whom it goes. From then on it is held: [`super::lease`].

use super::limit;
use crate::{Result, gpu};
use domain::{
    gpu::GpuUuid,
    id::{PipelineRunId, StepAttemptId, StepId},
    pipeline::ExecutorKind,
};
use sqlx::{Connection as _, FromRow, PgConnection};
use std::time::Duration;

/// Selects from the lanes `l` (pool `$1`, executor `$2`, number of graphics processors `$3`, workspace, priority) in which
/// steps are ready, and the `first` step of each. Workspaces are found in the order of the whole index of what is ready: that
/// of workspaces alone would lead through every step that has ended.
macro_rules! lanes {
    (select $columns:literal, first $of_first:literal $which:literal, $order:literal) => {
        concat!(
            "with recursive lanes as (
             select p.pool, e.executor, g.gpus, first.workspace_id
             from unnest($1::text[]) as p (pool)
             cross join unnest($2::text[]) as e (executor)
             cross join unnest($3::smallint[]) as g (gpus)
             cross join lateral (
                 select workspace_id
                 from steps
                 where state = 'ready'
                     and blocked_by is null
                     and pool = p.pool
                     and executor = e.executor
                     and gpus = g.gpus
                 order by workspace_id, priority, next_at
                 limit 1) as first
             union all
             select l.pool, l.executor, l.gpus, next.workspace_id
             from lanes l
             cross join lateral (
                 select workspace_id
                 from steps
                 where state = 'ready'
                     and blocked_by is null
                     and pool = l.pool
                     and executor = l.executor
                     and gpus = l.gpus
                     and workspace_id > l.workspace_id
                 order by workspace_id, priority, next_at
                 limit 1) as next
         )
         select ",
            $columns,
            " from lanes l
         cross join unnest(array[1, 0, -1]::smallint[]) as rank (priority)
         cross join lateral (
             select ",
            $of_first,
            " from steps
             where state = 'ready'
                 and blocked_by is null
                 and pool = l.pool
                 and executor = l.executor
                 and gpus = l.gpus
                 and workspace_id = l.workspace_id
                 and priority = rank.priority ",
            $which,
            ") as first ",
            $order
        )
    };
}

/// A step that a worker has taken.
#[derive(Debug, Clone, FromRow)]
pub struct Claimed {
    /// The step.
    pub step_id: StepId,
    /// Its run.
    pub run_id: PipelineRunId,
    /// Its name.
    pub name: String,
    /// The try that begins.
    pub attempt_id: StepAttemptId,
    /// The number of that try.
    pub number: i32,
    /// What to say with everything about it.
    pub fence: i64,
    /// The graphics processors that it has.
    #[sqlx(default)]
    pub gpus: Vec<GpuUuid>,
}

/// Takes a step that is ready in one of these pools for one of these executors, for so long. Of those that may be taken, the
/// one of the highest priority; then of the workspace of which the fewest run; then the one that has waited longest. Of many
/// workers that ask at once, each gets another step. `owner` names the worker for ever, `label` for people. A step that wants
/// graphics processors may be taken when so many of the worker's `gpus` are free, and gets these.
///
/// # Errors
/// When a statement fails. It may have been carried out all the same, when the answer was lost.
pub async fn claim(
    conn: &mut PgConnection,
    owner: &str,
    label: &str,
    pools: &[String],
    executors: &[ExecutorKind],
    gpus: &[GpuUuid],
    ttl: Duration,
) -> Result<Option<Claimed>> {
    loop {
        let free = gpu::free(conn, gpus).await?.len();
        let mut tx = conn.begin().await?;
        let Some(next) = candidate(&mut tx, pools, executors, free).await? else { return Ok(None) };
        let given = match next.gpus {
            0 => Vec::new(),
            // Before the limits, in the one order in which both are locked.
            wanted => match gpu::choose(&mut tx, gpus, wanted).await? {
                Some(given) => given,
                // Another worker of the machine was first: there may be other steps that want less.
                None => {
                    tx.rollback().await?;
                    continue;
                }
            },
        };
        let keys = next.limits;
        if !keys.is_empty() {
            let (full, free) = limit::full(&mut tx, &keys).await?;
            if let Some(full) = full {
                limit::block(&mut tx, next.id, &full).await?;
                // It may have been let through for a place that it does not take now.
                limit::unblock(&mut tx, &free).await?;
                tx.commit().await?;
                continue;
            }
        }
        let mut claimed: Claimed = sqlx::query_as(
            "with claimed as (
                 update steps s
                 set state = 'running',
                     reason = '',
                     attempts = s.attempts + 1,
                     fence = nextval('fences'),
                     lease_owner = $2,
                     lease_until = clock_timestamp() + make_interval(secs => $3),
                     started_at = coalesce(s.started_at, clock_timestamp())
                 where s.id = $1
                 returning s.id, s.run_id, s.name, s.attempts, s.fence, s.next_at
             ), attempt as (
                 insert into step_attempts (id, step_id, number, fence, worker, ready_at)
                 select $4::uuid, id, attempts, fence, $5, next_at
                 from claimed
             )
             select id as step_id, run_id, name, $4::uuid as attempt_id, attempts as number, fence
             from claimed",
        )
        .bind(next.id)
        .bind(owner)
        .bind(ttl.as_secs_f64())
        .bind(StepAttemptId::new())
        .bind(label)
        .fetch_one(&mut *tx)
        .await?;
        if !keys.is_empty() {
            limit::take(&mut tx, &keys, claimed.step_id, claimed.fence).await?;
        }
        if !given.is_empty() {
            gpu::give(&mut tx, claimed.attempt_id, &given).await?;
            claimed.gpus = given;
        }
        tx.commit().await?;
        return Ok(Some(claimed));
    }
}

#[derive(FromRow)]
struct Candidate {
    id: StepId,
    limits: Vec<String>,
    gpus: i16,
}

/// The step to be taken next, locked: one that wants no more graphics processors than are `free`. Lane by lane (pool,
/// executor, graphics processors, workspace, priority), so that each is read in the order of its index; `now()`, because the
/// index can be asked for what does not change within a statement.
async fn candidate(
    conn: &mut PgConnection,
    pools: &[String],
    executors: &[ExecutorKind],
    free: usize,
) -> Result<Option<Candidate>> {
    let candidate = sqlx::query_as(lanes!(
        select "first.id, l.gpus,
             first.limits || coalesce((select array[key] from limits where key = 'pool:' || l.pool), '{}') as limits",
        first "id, next_at, limits" "and next_at <= now()
             order by next_at
             limit 1
             for update skip locked",
        "order by rank.priority desc,
             (select count(*)
              from steps r
              where r.state = 'running' and r.kind = 'command' and r.workspace_id = l.workspace_id),
             first.next_at
         limit 1"
    ))
    .bind(pools)
    .bind(executors.iter().map(|executor| executor.as_str()).collect::<Vec<_>>())
    .bind(up_to(free))
    .fetch_optional(conn)
    .await?;
    Ok(candidate)
}

/// How many graphics processors a step may want when so many are free.
fn up_to(free: usize) -> Vec<i16> {
    (0..=i16::try_from(free).unwrap_or(i16::MAX)).collect()
}

/// How long until the next step of these pools may be taken, should one be ready and wait for its time. One that wants more
/// graphics processors than are free now waits for more than that.
///
/// # Errors
/// When the statement fails.
pub async fn next_due(
    conn: &mut PgConnection,
    pools: &[String],
    executors: &[ExecutorKind],
    gpus: &[GpuUuid],
) -> Result<Option<Duration>> {
    let free = gpu::free(conn, gpus).await?.len();
    let seconds: Option<f64> = sqlx::query_scalar(lanes!(
        select "extract(epoch from min(first.next_at) - clock_timestamp())::float8",
        first "next_at" "order by next_at
             limit 1",
        ""
    ))
    .bind(pools)
    .bind(executors.iter().map(|executor| executor.as_str()).collect::<Vec<_>>())
    .bind(up_to(free))
    .fetch_one(conn)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}
