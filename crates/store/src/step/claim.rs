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
    let holder = Holder { owner, label, ttl, attempt: StepAttemptId::new() };
    let free = gpu::free(conn, gpus).await?.len();
    // Most steps have no limits and want no graphics processors: one statement takes them.
    match next(conn, pools, executors, free, &holder).await? {
        None => return Ok(None),
        Some(Next::Taken(claimed)) => return Ok(Some(claimed)),
        Some(Next::Candidate(_)) => {}
    }
    loop {
        let free = gpu::free(conn, gpus).await?.len();
        let mut tx = conn.begin().await?;
        let candidate = match next(&mut tx, pools, executors, free, &holder).await? {
            None => return Ok(None),
            Some(Next::Taken(claimed)) => {
                tx.commit().await?;
                return Ok(Some(claimed));
            }
            Some(Next::Candidate(candidate)) => candidate,
        };
        let given = match candidate.gpus {
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
        let keys = candidate.limits;
        if !keys.is_empty() {
            let (full, free) = limit::full(&mut tx, &keys).await?;
            if let Some(full) = full {
                limit::block(&mut tx, candidate.id, &full).await?;
                // It may have been let through for a place that it does not take now.
                limit::unblock(&mut tx, &free).await?;
                tx.commit().await?;
                continue;
            }
        }
        let mut claimed = take(&mut tx, candidate.id, &holder).await?;
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

/// Who takes a step, for how long, and the try that begins with that.
struct Holder<'a> {
    owner: &'a str,
    label: &'a str,
    ttl: Duration,
    attempt: StepAttemptId,
}

/// Parts of a `with` after which the step of `next` is the holder's, if that wants nothing that is to be shared out: `claimed`.
macro_rules! taking {
    ($owner:literal, $label:literal, $seconds:literal, $attempt:literal) => {
        concat!(
            "claimed as (
                 update steps s
                 set state = 'running',
                     reason = '',
                     attempts = s.attempts + 1,
                     fence = nextval('fences'),
                     lease_owner = ",
            $owner,
            ",
                     lease_until = clock_timestamp() + make_interval(secs => ",
            $seconds,
            "),
                     started_at = coalesce(s.started_at, clock_timestamp())
                 from next
                 where s.id = next.id and next.gpus = 0 and next.limits = '{}'
                 returning s.id as step_id, s.run_id, s.name, s.attempts as number, s.fence, s.next_at
             ), attempt as (
                 insert into step_attempts (id, step_id, number, fence, worker, ready_at)
                 select ",
            $attempt,
            ", step_id, number, fence, ",
            $label,
            ", next_at
                 from claimed
             )"
        )
    };
}

/// The step to be taken next.
enum Next {
    Taken(Claimed),
    /// It wants what is shared out. It is locked, and everything else is to be done.
    Candidate(Candidate),
}

#[derive(FromRow)]
struct Candidate {
    id: StepId,
    limits: Vec<String>,
    gpus: i16,
}

/// Finds the step to be taken next, one that wants no more graphics processors than are `free`, and takes it when it may be
/// had without asking for more. Lane by lane (pool, executor, graphics processors, workspace, priority), so that each is read
/// in the order of its index; `now()`, because the index can be asked for what does not change within a statement.
async fn next(
    conn: &mut PgConnection,
    pools: &[String],
    executors: &[ExecutorKind],
    free: usize,
    holder: &Holder<'_>,
) -> Result<Option<Next>> {
    #[derive(FromRow)]
    struct Row {
        #[sqlx(flatten)]
        candidate: Candidate,
        run_id: Option<PipelineRunId>,
        name: Option<String>,
        number: Option<i32>,
        fence: Option<i64>,
    }
    let row: Option<Row> = sqlx::query_as(concat!(
        "with next as (",
        lanes!(
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
        ),
        "), ",
        taking!("$4", "$5", "$6", "$7::uuid"),
        " select next.id, next.gpus, next.limits, claimed.run_id, claimed.name, claimed.number, claimed.fence
         from next
         left join claimed on claimed.step_id = next.id"
    ))
    .bind(pools)
    .bind(executors.iter().map(|executor| executor.as_str()).collect::<Vec<_>>())
    .bind(up_to(free))
    .bind(holder.owner)
    .bind(holder.label)
    .bind(holder.ttl.as_secs_f64())
    .bind(holder.attempt)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| match (row.run_id, row.name, row.number, row.fence) {
        (Some(run_id), Some(name), Some(number), Some(fence)) => {
            let (step_id, attempt_id) = (row.candidate.id, holder.attempt);
            Next::Taken(Claimed { step_id, run_id, name, attempt_id, number, fence, gpus: Vec::new() })
        }
        _ => Next::Candidate(row.candidate),
    }))
}

/// Takes a step that is locked, and for which all that it wants was found: it wants nothing more.
async fn take(conn: &mut PgConnection, step: StepId, holder: &Holder<'_>) -> Result<Claimed> {
    let claimed = sqlx::query_as(concat!(
        "with next as (select $1::uuid as id, 0 as gpus, '{}'::text[] as limits), ",
        taking!("$2", "$3", "$4", "$5::uuid"),
        " select step_id, run_id, name, $5::uuid as attempt_id, number, fence
         from claimed"
    ))
    .bind(step)
    .bind(holder.owner)
    .bind(holder.label)
    .bind(holder.ttl.as_secs_f64())
    .bind(holder.attempt)
    .fetch_one(conn)
    .await?;
    Ok(claimed)
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
